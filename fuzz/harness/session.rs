//! What is tried with each input: by the fuzzer, and by `linkstate/tests/corpus.rs` with the inputs
//! that are kept.
//!
//! An input is what a peer says after hello. Its messages are as in RFC 4271, but for the header:
//! one byte with the kind, and two with the length of what follows. So the fuzzer need not guess the
//! marker, and a kind of 0 is a place for what has none: a stretch of raw bytes.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use sidewinder_linkstate::bgp::frame::{self, Kind};
use sidewinder_linkstate::bgp::session::{Counters, News, Settings};
use sidewinder_linkstate::bgp::{Open, Session, keepalive};
use sidewinder_linkstate::reason::Tally;
use sidewinder_linkstate::spf::Spf;
use sidewinder_linkstate::ted::{Event, Limits, Ted};
use sidewinder_linkstate::via;

/// So few that inputs reach them.
const LIMITS: Limits = Limits { nodes: 12, links: 24, prefixes: 16, sids: 12 };

/// A session that says this; what it tells goes into a TED, and paths are computed on it. Whatever
/// the input, paths that were followed step by step are those that are computed from nothing, and a
/// TED is no larger than it may be.
pub fn session(data: &[u8]) {
    let mut now = Instant::now();
    let identifier = Ipv4Addr::new(1, 1, 1, 1);
    let settings = Settings { local_as: 65001, peer_as: 65000, identifier, hold_time: 90 };
    let mut session = Session::new(settings, Counters::default(), Tally::default(), now);
    let hello = Open::link_state(65000, 30, Ipv4Addr::new(2, 2, 2, 2)).encode().expect("an OPEN");
    for bytes in [&hello[..], &keepalive()] {
        session.received(bytes, now, drop).expect("a good hello");
    }
    let (mut ted, mut tally) = (Ted::new(LIMITS), Tally::default());
    let mut spf: Option<Spf> = None;
    for bytes in messages(data) {
        now += Duration::from_secs(1);
        let mut news = Vec::new();
        let ended = session.received(&bytes, now, |one| news.push(one)).is_err();
        for one in news {
            match one {
                News::Event(Event::EndOfRib) | News::RefreshEnds => ted.sweep_stale(),
                News::Event(event) => ted.apply(event, &mut tally),
                News::RefreshBegins => ted.mark_stale(),
                News::Established => {}
            }
        }
        follow(&mut ted, &mut spf);
        assert!(session.pending().len() <= 1 << 16, "what is said to the peer piles up");
        if ended || session.tick(now).is_err() {
            break;
        }
    }
    ted.mark_stale();
    ted.sweep_stale();
    follow(&mut ted, &mut spf);
    assert_eq!((ted.nodes().count(), ted.links().count()), (0, 0));
    assert_eq!((ted.prefixes().count(), ted.sids().count()), (0, 0));
}

/// Messages of an input, with their headers.
fn messages(data: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (&[kind, high, low], more) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([high, low])).min(more.len());
        let (body, more) = more.split_at(length);
        rest = more;
        let kind = match kind {
            0 => return Some(body.to_vec()),
            3 => Kind::Notification,
            4 => Kind::Keepalive,
            5 => Kind::RouteRefresh,
            _ => Kind::Update,
        };
        Some(frame::message(kind, body).unwrap_or_default())
    })
}

/// Follows the changes of a TED.
fn follow(ted: &mut Ted, spf: &mut Option<Spf>) {
    let counts =
        [ted.nodes().count(), ted.links().count(), ted.prefixes().count(), ted.sids().count()];
    let Limits { nodes, links, prefixes, sids } = LIMITS;
    assert!(counts.iter().zip([nodes, links, prefixes, sids]).all(|(is, most)| *is <= most));
    let changes = ted.take_changes();
    match spf {
        Some(spf) => {
            spf.update(ted, &changes);
            let root = spf.root().and_then(|root| ted.node(root)).map(|node| node.key().clone());
            if let Some(root) = root {
                let anew = Spf::new(ted, root, 0);
                let sorted = |spf: &Spf| {
                    let mut routes: Vec<_> =
                        spf.routes().map(|(net, r)| (*net, r.clone())).collect();
                    routes.sort_by_key(|(net, _)| *net);
                    routes
                };
                assert_eq!(sorted(spf), sorted(&anew), "followed, and computed anew");
            }
        }
        None => {
            let first = ted.nodes().find(|(_, node)| node.announced());
            *spf = first.map(|(_, node)| Spf::new(ted, node.key().clone(), 0));
        }
    }
    let names: Vec<String> =
        ted.nodes().filter_map(|(_, node)| Some(node.name()?.into())).collect();
    let _ = via::resolve(ted, &names);
}
