//! What may leave: a whole packet for a neighbour that is up, or the cargo of End.DX2; and of answers,
//! those that say what they are about.

use sidewinder_dataplane::{
    behavior::Flavors,
    fib::{Fib, nexthop::State},
    trace::record::{Event, Found, LookUp, Outcome, Record},
    verdict::{Fate, Reason, Verdict},
    wire::ethernet,
};

use crate::support::packet::{address, checksum, word};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// An IPv6 header, and an ICMPv6 header.
const ERROR: usize = 40 + 8;

/// Checks a packet's end. Says by which port it left, if it did.
pub fn check(record: &Record, fate: Fate, fib: &Fib) -> Option<usize> {
    let port = record.egress?;
    let frame = record.sent.bytes();
    assert_eq!(record.sent.packet_len(), frame.len());
    match fate {
        Fate::Forwarded | Fate::Replied(_) => {}
        // The one end that a packet can have that was ready to leave.
        Fate::Dropped(Reason::TxRingFull | Reason::AdjacencyDown) => return None,
        fate => panic!("{fate:?}, and left by port {port}"),
    }
    if is_cargo(record) {
        let mtu = fib.ports[usize::from(port)].mtu;
        // As long as a frame with a tag may be.
        assert!((ETHERNET..=ETHERNET + 4 + usize::from(mtu)).contains(&frame.len()));
        return Some(usize::from(port));
    }
    let (l2, packet) = frame.split_at(ETHERNET);
    let adjacency = fib.adjacencies.iter().enumerate().find(|(id, adjacency)| {
        adjacency.port == port
            && adjacency.l2 == l2[..12]
            && fib.health.state(*id as u32) == State::Up
    });
    let (_, adjacency) = adjacency.expect("a neighbour that is up");
    assert!(packet.len() <= usize::from(adjacency.mtu), "{} bytes", packet.len());
    match word(l2, 12) as u16 {
        ethernet::IPV6 => {
            assert_eq!((packet[0] >> 4, 40 + word(packet, 4)), (6, packet.len()));
            assert!(packet[7] > 0, "no hop limit left");
            check_answer(record, fate, packet, fib);
        }
        ethernet::IPV4 => {
            assert_eq!((packet[0] >> 4, word(packet, 2)), (4, packet.len()));
            assert_eq!(checksum(&packet[..4 * usize::from(packet[0] & 0xf)]), 0);
            assert!(packet[8] > 0, "no TTL left");
        }
        other => panic!("EtherType {other:#06x}"),
    }
    Some(usize::from(port))
}

/// Whether it leaves as the frame that it was inside.
fn is_cargo(record: &Record) -> bool {
    let last = record.steps.last().and_then(|step| step.outcome);
    matches!(last, Some(Outcome::Verdict(Verdict::Transmit(_))))
}

/// An ICMPv6 error that left as it was made: its checksum is right, and it quotes what came in, as
/// much of it as there may be.
fn check_answer(record: &Record, fate: Fate, packet: &[u8], fib: &Fib) {
    let Fate::Replied(reason) = fate else { return };
    // Not one that a policy or a SID of ours had, too.
    let [.., made, last] = &record.steps[..] else { return };
    let is_as_made = matches!(made.event, Event::Answered(_))
        && matches!(last.event, Event::LookUp(LookUp { found: Found::Group(_), .. }));
    if !is_as_made || packet[6] != 58 || packet.len() < ERROR {
        return;
    }
    let (source, destination) = (address(packet, 8), address(packet, 24));
    let mut covered = source.to_be_bytes().to_vec();
    covered.extend(destination.to_be_bytes());
    covered.extend(((packet.len() - 40) as u32).to_be_bytes());
    covered.extend([0, 0, 0, 58]);
    covered.extend(&packet[40..]);
    assert_eq!(checksum(&covered), 0, "the checksum of an answer");
    if reason == Reason::EchoRequest {
        assert_eq!(packet[40], 129);
        return;
    }
    // Another node's error, about a packet inside of what that node quotes.
    if reason == Reason::OuterError {
        return;
    }
    assert_eq!((source, Some((packet[40], packet[41]))), (fib.node.icmp_source, reason.icmpv6()));
    assert!(packet.len() <= 1280, "{} bytes", packet.len());
    let quote = &packet[ERROR..];
    let whole = 40 + word(quote, 4);
    assert_eq!(quote.len(), whole.min(1280 - ERROR), "bytes quoted");
    // What had its SRH taken out and was then steered into a policy is quoted without it.
    let popped = record.steps.iter().any(|step| match step.event {
        Event::LookUp(look_up) => match look_up.found {
            Found::Sid { flavors, .. } => flavors.has(Flavors::PSP),
            _ => false,
        },
        Event::Steered { .. } | Event::Answered(_) => false,
    });
    let came = record.received.bytes();
    let is_quoted = came.windows(quote.len()).any(|window| window == quote);
    assert!(popped || is_quoted, "quoted, but never received");
}
