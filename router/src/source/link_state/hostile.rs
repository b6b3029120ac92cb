//! A peer that means harm, or knows no better, over real sessions: we live, within bounds, and what
//! is right is there in the end.

use super::tests::{ROW, Test, events_of, listening};
use super::*;
use sidewinder_linkstate::bgp_ls::encode;
use sidewinder_linkstate::generate::{Chance, Plan};
use sidewinder_linkstate::ted::Limits;

/// UPDATEs of a small network, up to End-of-RIB.
fn updates() -> Vec<Vec<u8>> {
    let (_, events) = events_of(5);
    let all = events.iter().chain([&Event::EndOfRib]);
    all.map(|event| encode::update(event, 65001).unwrap()).collect()
}

/// The topology as the RIB and everybody else sees it.
fn seen(test: &Test) -> (String, Vec<String>) {
    let mut topology = test.link_state.topology();
    topology.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    topology.links.sort_by(|a, b| (&a.from, &a.to, &a.local).cmp(&(&b.from, &b.to, &b.local)));
    let routes = test.control.rib.iter().map(|(key, routes)| {
        let said = routes.iter().map(|(source, route)| (source, &route.opinion, route.stale));
        format!("{key:?} {:?}", said.collect::<Vec<_>>())
    });
    (serde_json::to_string(&topology).unwrap(), routes.collect())
}

#[tokio::test]
async fn flipped_cut_and_shuffled_and_right_in_the_end() {
    let (connect, text) = listening();
    let mut test = Test::new(&text, &ROW).await;
    let right = updates();
    let mut inputs: Vec<Vec<u8>> = vec![right.concat()];
    for (number, message) in right.iter().enumerate() {
        // Every byte of every kind of message would take minutes; the decoder is shown each in
        // linkstate/tests/hostile.rs.
        for at in (7 * number % 61..message.len()).step_by(61) {
            let mut wrong = message.clone();
            wrong[at] ^= 0xff;
            inputs.push(wrong);
        }
        for length in (19 + 5 * number % 67..message.len()).step_by(67) {
            let mut cut = message[..length].to_vec();
            cut[16..18].copy_from_slice(&(length as u16).to_be_bytes());
            inputs.push(cut);
        }
    }
    let mut chance = Chance::new(9);
    for _ in 0..5 {
        let mut order = [&right[..], &right[..]].concat();
        for at in (1..order.len()).rev() {
            order.swap(at, chance.below(at + 1));
        }
        inputs.push(order.concat());
    }
    let mut expected = None;
    let mut told = 0;
    for input in inputs {
        // What is wrong, and then, in a session of its own, what is right.
        for bytes in [&input, &right.concat()] {
            let sessions = test.sessions();
            let mut peer = connect.connect().await;
            peer.says(bytes);
            peer.says_goodbye();
            test.until(|test| test.sessions() > sessions && test.ended() >= test.sessions()).await;
            told += 1;
        }
        // Both have ended, and all is stale; nothing of what was wrong is left.
        let now = seen(&test);
        assert_eq!(*expected.get_or_insert_with(|| now.clone()), now, "after {input:02x?}");
        assert_eq!(test.count().0, 10);
    }
    assert!(told > 200, "{told}");
}

#[tokio::test]
async fn a_flood_is_read_to_the_limits() {
    let (connect, text) = listening();
    let mut test = Test::new(&text, &ROW).await;
    let limits = Limits { nodes: 500, links: 700, prefixes: 600, sids: 400 };
    test.link_state.ted.limits = limits;
    let mut peer = connect.connect().await;
    let writer = std::thread::spawn(move || {
        // Nodes without end, each of them another.
        let flood = Plan::provider(20_000, 40_000, 3);
        for event in flood.events() {
            peer.says(&encode::update(&event, 65001).unwrap());
        }
        peer
    });
    test.until(|test| test.link_state.announced() >= 160_000).await;
    let details = test.link_state.details(&test.control);
    for (kind, most) in [
        ("nodes", limits.nodes),
        ("links", limits.links),
        ("prefixes", limits.prefixes),
        ("sids", limits.sids),
    ] {
        assert!(details[kind].as_u64().unwrap() <= most as u64, "{kind}: {}", details[kind]);
    }
    assert!(details["topology-errors"]["ted-full"].as_u64().unwrap() > 100_000);
    // The session lives, and what is withdrawn makes room.
    assert_eq!(test.link_state.state(), "Established");
    drop(writer.join().unwrap());
}
