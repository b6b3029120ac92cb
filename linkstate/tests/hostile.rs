//! What a peer must not be able to do: crash us, fill our memory, or leave something wrong behind.

mod common;

use common::{TRIANGLE, contents, decoder, feed, messages, read};
use proptest::prelude::*;
use sidewinder_linkstate::bgp::{Notification, Open};
use sidewinder_linkstate::bgp_ls::{self, encode};
use sidewinder_linkstate::generate::{Chance, Plan};
use sidewinder_linkstate::reason::{Reason, Tally};
use sidewinder_linkstate::ted::{Event, Limits, NodeId, Ted};

/// Messages up to End-of-RIB.
fn initial() -> Vec<Vec<u8>> {
    messages(TRIANGLE).drain(..12).collect()
}

/// A TED may hold wrong things after that, but the same things by every way.
fn assert_sound(ted: &Ted) {
    for (id, node) in ted.nodes() {
        assert_eq!(ted.node_id(node.key()), Some(id));
        let spoken_of = ted.links_from(id).count()
            + ted.links_to(id).count()
            + ted.prefixes_of(id).count()
            + ted.sids_of(id).count();
        assert!(node.announced() || spoken_of > 0, "a node that nothing speaks of");
    }
    let of_nodes = |count: &dyn Fn(NodeId) -> usize| ted.nodes().map(|(id, _)| count(id)).sum();
    let [from, to, prefixes, sids]: [usize; 4] = [
        of_nodes(&|id| ted.links_from(id).filter(|(_, link)| link.from == id).count()),
        of_nodes(&|id| ted.links_to(id).filter(|(_, link)| link.to == id).count()),
        of_nodes(&|id| ted.prefixes_of(id).filter(|prefix| prefix.node == id).count()),
        of_nodes(&|id| ted.sids_of(id).filter(|sid| sid.node == id).count()),
    ];
    assert_eq!([from, to], [ted.links().count(); 2]);
    assert_eq!(prefixes, ted.prefixes().count());
    assert_eq!(sids, ted.sids().count());
    for (_, prefix) in ted.prefixes() {
        assert!(ted.having(&prefix.descriptor.prefix).any(|one| one.node == prefix.node));
    }
}

/// Feeds one message that is wrong, and then all that are right: what is right has to be there.
/// What the wrong one added goes with the next mark and sweep, as after a new session.
fn recovers(wrong: &[u8], right: &[Vec<u8>], expected: &[String]) {
    let (mut ted, mut decoder) = feed(right);
    let (events, _) = read(&mut decoder, wrong);
    let mut tally = Tally::default();
    events.into_iter().for_each(|event| ted.apply(event, &mut tally));
    assert_sound(&ted);
    ted.mark_stale();
    for message in right {
        let (events, good) = read(&mut decoder, message);
        assert!(good);
        events.into_iter().for_each(|event| ted.apply(event, &mut tally));
    }
    ted.sweep_stale();
    assert_sound(&ted);
    assert_eq!(contents(&ted), expected);
}

#[test]
fn every_byte_of_every_message_flipped() {
    let right = initial();
    let expected = contents(&feed(&right).0);
    let mut lost = 0;
    for message in &right {
        for at in 0..message.len() {
            // All bits, and the one of a length that makes it a little longer or shorter.
            for flip in [0xff, 0x01] {
                let mut wrong = message.clone();
                wrong[at] ^= flip;
                recovers(&wrong, &right, &expected);
                lost += usize::from(!read(&mut decoder(), &wrong).1);
            }
        }
    }
    // Sessions that end are the exception: headers, lengths of attributes, lengths of NLRI.
    let flips: usize = right.iter().map(|message| 2 * message.len()).sum();
    assert!(lost * 4 < flips, "{lost} of {flips} end the session");
}

#[test]
fn every_message_cut_at_every_length() {
    let right = initial();
    let expected = contents(&feed(&right).0);
    for message in &right {
        for length in 19..message.len() {
            // As it is, it is not yet a message; with a length that fits, it is a wrong one.
            let mut cut = message[..length].to_vec();
            assert!(read(&mut decoder(), &cut).0.is_empty());
            cut[16..18].copy_from_slice(&(length as u16).to_be_bytes());
            recovers(&cut, &right, &expected);
            // With the length of the attributes corrected, too.
            if length >= 23 {
                cut[21..23].copy_from_slice(&(length as u16 - 23).to_be_bytes());
                recovers(&cut, &right, &expected);
            }
        }
    }
}

#[test]
fn random_order_and_duplicates_come_to_the_same() {
    let right = initial();
    let expected = contents(&feed(&right).0);
    let mut chance = Chance::new(5);
    for _ in 0..500 {
        let mut order: Vec<_> = right.iter().chain(&right).cloned().collect();
        for at in (1..order.len()).rev() {
            order.swap(at, chance.below(at + 1));
        }
        let (ted, _) = feed(&order);
        assert_sound(&ted);
        assert_eq!(contents(&ted), expected);
    }
}

#[test]
fn half_withdrawn_and_announced_again_it_is_the_same() {
    let right = initial();
    let (whole, _) = feed(&right);
    let expected = contents(&whole);
    let mut chance = Chance::new(6);
    let mut decoder = decoder();
    for _ in 0..500 {
        let mut ted = whole.clone();
        let mut tally = Tally::default();
        let mut events: Vec<_> =
            right.iter().flat_map(|message| read(&mut decoder, message).0).collect();
        events.retain(|_| chance.below(2) == 0);
        for event in events {
            if let Some(nlri) = event.nlri() {
                ted.apply(Event::Withdraw(nlri), &mut tally);
                assert_sound(&ted);
            }
        }
        assert_eq!(tally.total(), 0);
        for message in &right {
            let (events, _) = read(&mut decoder, message);
            events.into_iter().for_each(|event| ted.apply(event, &mut tally));
        }
        assert_eq!(contents(&ted), expected);
    }
}

#[test]
fn a_flood_fills_the_ted_to_its_limits_and_no_further() {
    let limits = Limits { nodes: 50, links: 60, prefixes: 40, sids: 30 };
    let mut ted = Ted::new(limits);
    let mut tally = Tally::default();
    let plan = Plan::provider(1000, 3000, 3);
    plan.events().for_each(|event| ted.apply(event, &mut tally));
    assert!(tally.of(Reason::TedFull) > 0);
    assert_sound(&ted);
    let [nodes, links, prefixes, sids] = common::counts(&ted);
    assert!(nodes <= 50 && links <= 60 && prefixes <= 40 && sids <= 30);
    ted.clear();
    assert_eq!(common::counts(&ted), [0; 4]);
}

#[test]
fn of_one_object_no_more_is_kept_than_the_limits_say() {
    use sidewinder_linkstate::ted::{LinkAttributes, Tlv};
    let mut decoder = decoder();
    decoder.limits = bgp_ls::Limits { list: 3, unknown: 20 };
    let Some(Event::Link { from, to, descriptor, attributes }) =
        Plan::provider(3, 3, 1).events().find(|event| matches!(event, Event::Link { .. }))
    else {
        panic!("a link");
    };
    let unknown = Tlv { kind: 4000, value: vec![1; 8].into() };
    let large = LinkAttributes {
        srlgs: (0..100).collect(),
        other: vec![unknown; 100],
        ..LinkAttributes::clone(&attributes)
    };
    let event = Event::Link { from, to, descriptor, attributes: large.into() };
    let message = encode::update(&event, 65000).expect("a message");
    let (events, good) = read(&mut decoder, &message);
    let [Event::Link { attributes, .. }] = &events[..] else { panic!("one link: {events:?}") };
    assert!(good);
    assert_eq!((attributes.srlgs.len(), attributes.other.len()), (3, 1));
    assert_eq!(decoder.tally.of(Reason::ListLimit), 1);
    assert_eq!(decoder.tally.of(Reason::UnknownLimit), 99);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decoder().update(&bytes, drop);
        let _ = Open::decode(&bytes);
        let _ = Notification::decode(&bytes).map(|notification| notification.to_string());
    }

    /// Several places at once, in messages that were good.
    #[test]
    fn no_mutation_is_too_much(
        which in 0..17usize,
        places in prop::collection::vec((23..500usize, any::<u8>()), 1..8),
    ) {
        let mut message = messages(TRIANGLE).swap_remove(which);
        for (at, value) in places {
            let length = message.len();
            message[23 + at % (length - 23).max(1)] = value;
        }
        let mut ted = Ted::default();
        let mut decoder = decoder();
        let (events, _) = read(&mut decoder, &message);
        events.into_iter().for_each(|event| ted.apply(event, &mut decoder.tally));
        assert_sound(&ted);
    }
}
