//! Feeds that were recorded, and what is made of them.

#![allow(dead_code, reason = "every test uses its own part of it")]

pub mod paths;

use std::path::{Path, PathBuf};

use sidewinder_linkstate::bgp::attribute::Session;
use sidewinder_linkstate::bgp::frame::{self, Kind};
use sidewinder_linkstate::bgp_ls::Decoder;
use sidewinder_linkstate::ted::{Event, Ted};

/// The recording that is part of the repository.
pub const TRIANGLE: &str = include_str!("../data/triangle.txt");

/// UPDATEs of a recording: each line ends with one in hexadecimal.
pub fn messages(text: &str) -> Vec<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let last = lines.map(|line| line.split_whitespace().next_back().expect("a message"));
    last.map(bytes).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().map(|c| c.to_digit(16).expect("hexadecimal") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A recording that lies beside the repository.
pub fn shared(name: &str) -> Result<String, String> {
    let inside = Path::new("shared/data/bgp-ls").join(name);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let path: PathBuf = above
        .map(|folder| folder.join(&inside))
        .find(|path| path.is_file())
        .ok_or_else(|| format!("needs ../shared/data/bgp-ls/{name}"))?;
    std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A decoder for recordings: all of them are of sessions with four-octet AS numbers.
pub fn decoder() -> Decoder {
    let session = Session { four_octet_as: true, own_as: None };
    Decoder { session, ..Decoder::default() }
}

/// What one message says. A message that ends the session says no more from there on.
pub fn read(decoder: &mut Decoder, message: &[u8]) -> (Vec<Event>, bool) {
    let mut events = Vec::new();
    let frame = match frame::first(message, frame::MAX_EXTENDED) {
        Ok(Some(frame)) if frame.kind == Kind::Update => frame,
        Ok(_) => return (events, true),
        Err(_) => return (events, false),
    };
    let good = decoder.update(frame.body, |event| events.push(event)).is_ok();
    (events, good)
}

/// The TED after all of these.
pub fn feed(messages: &[Vec<u8>]) -> (Ted, Decoder) {
    let (mut ted, mut decoder) = (Ted::default(), decoder());
    for message in messages {
        let (events, good) = read(&mut decoder, message);
        assert!(good, "a good message");
        events.into_iter().for_each(|event| ted.apply(event, &mut decoder.tally));
    }
    (ted, decoder)
}

/// How many nodes, links, prefixes and SIDs there are.
pub fn counts(ted: &Ted) -> [usize; 4] {
    [ted.nodes().count(), ted.links().count(), ted.prefixes().count(), ted.sids().count()]
}

/// All that is in a TED, whatever its numbers, as announcements in a fixed order.
pub fn contents(ted: &Ted) -> Vec<String> {
    let key = |id| ted.node(id).expect("a node").key();
    let nodes = ted.nodes().map(|(_, node)| format!("{:?} {:?}", node.key(), node.attributes()));
    let links = ted.links().map(|(_, link)| {
        let (from, to) = (key(link.from), key(link.to));
        format!("{from:?} {to:?} {:?} {:?}", link.descriptor, link.attributes)
    });
    let prefixes = ted.prefixes().map(|(_, prefix)| {
        format!("{:?} {:?} {:?}", key(prefix.node), prefix.descriptor, prefix.attributes)
    });
    let sids = ted
        .sids()
        .map(|(_, sid)| format!("{:?} {:?} {:?}", key(sid.node), sid.descriptor, sid.attributes));
    let mut all: Vec<_> = nodes.chain(links).chain(prefixes).chain(sids).collect();
    all.sort();
    all
}
