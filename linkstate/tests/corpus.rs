//! The inputs that the fuzzer has found worth keeping (`make fuzz`), tried again: on a stable
//! compiler, and in no time. What once made it fail is among them, by the name of what it was.

use std::fs;
use std::path::Path;

use sidewinder_linkstate::bgp::frame::{self, Kind};
use sidewinder_linkstate::bgp_ls::encode;
use sidewinder_linkstate::generate::Plan;
use sidewinder_linkstate::ted::Event;

mod common;

#[path = "../../fuzz/harness/session.rs"]
mod harness;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/session")
}

#[test]
fn every_input_that_is_kept() {
    let entries = fs::read_dir(folder()).expect("fuzz/corpus/session");
    let mut tried = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        let input = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("{}", path.display());
        harness::session(&input);
        // And what is near to it.
        for at in 0..input.len().min(2000) {
            let mut wrong = input.clone();
            wrong[at] ^= 1 << (at % 8);
            harness::session(&wrong);
        }
        tried += 1;
    }
    assert!(tried >= 20, "{tried} inputs");
}

/// A message as the corpus has it.
fn input(message: &[u8]) -> Vec<u8> {
    let message = frame::first(message, frame::MAX_EXTENDED).unwrap().unwrap();
    let length = (message.body.len() as u16).to_be_bytes();
    [&[message.kind as u8][..], &length, message.body].concat()
}

/// The inputs to begin with: the recorded feed, message by message and as a whole, and a network of
/// its own. `cargo test -p sidewinder-linkstate --test corpus -- --ignored` writes them.
#[test]
#[ignore = "writes fuzz/corpus"]
fn write_the_first_inputs() {
    let recorded = common::messages(common::TRIANGLE);
    let write = |name: String, bytes: Vec<u8>| fs::write(folder().join(name), bytes).unwrap();
    for (number, message) in recorded.iter().enumerate() {
        write(format!("triangle-{number:02}"), input(message));
    }
    write("triangle".into(), recorded.iter().flat_map(|message| input(message)).collect());
    let plan = Plan::provider(6, 9, 4);
    let told: Vec<Event> = plan.events().collect();
    let updates = told.iter().filter_map(|event| encode::update(event, 65000));
    let told_input: Vec<u8> = updates.flat_map(|message| input(&message)).collect();
    let withdrawn = told.iter().filter_map(Event::nlri);
    let withdrawn: Vec<u8> = withdrawn
        .filter_map(|nlri| encode::withdraw(&[nlri]))
        .flat_map(|message| input(&message))
        .collect();
    let refresh = |subtype: u8| vec![Kind::RouteRefresh as u8, 0, 4, 0x40, 4, subtype, 71];
    let halves = [&refresh(1)[..], &told_input[..told_input.len() / 2], &refresh(2)].concat();
    write("network-refreshed".into(), [&told_input[..], &halves].concat());
    write("network-withdrawn".into(), [&told_input[..], &withdrawn].concat());
    write("network".into(), told_input);
    write("goodbye".into(), vec![Kind::Notification as u8, 0, 6, 6, 2, 3, b'b', b'y', b'e']);
    write("raw".into(), [&[0, 0, 19][..], &[0xff; 16], &[0, 19, 4]].concat());
}
