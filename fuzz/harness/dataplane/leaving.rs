//! What may leave: a whole packet for a neighbour that is up, or the cargo of End.DX2; and of answers,
//! those that say what they are about.

use sidewinder_dataplane::{
    behavior::Flavors,
    fib::{Fib, nexthop::State},
    trace::record::{Event, Found, LookUp, Outcome, Record, SNAPSHOT},
    verdict::{Fate, Reason, Verdict},
    wire::ethernet,
};

use super::parser;
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
    assert!(packet.len() <= usize::from(adjacency.mtu_in(fib)), "{} bytes", packet.len());
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
            check_answer_v4(record, fate, packet, fib);
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
    assert!(is_quoted(record, quote), "quoted, but it never was like that");
}

/// Whether a packet was received as it is quoted. Where an SRH was taken out and something else was
/// done to the packet afterwards, or more than one SRH was changed, it is quoted as it was in between.
fn is_quoted(record: &Record, quote: &[u8]) -> bool {
    let came = record.received.bytes();
    if came.windows(quote.len()).any(|window| window == quote) {
        return true;
    }
    let is_popped = record.steps.iter().any(|step| {
        let Event::LookUp(LookUp { found: Found::Sid { flavors, .. }, .. }) = step.event else {
            return false;
        };
        flavors.has(Flavors::PSP)
    });
    // Not all that was in front of an SRH can be kept.
    let was_far_behind = is_popped && came.get(20) != Some(&43);
    let srhs = parser::chain(quote)
        .into_iter()
        .filter(|(kind, at, ..)| (*kind, quote.get(at + 2).copied()) == (43, Some(4)));
    let in_between = record.steps.iter().any(|step| {
        let kept = quote.len().min(SNAPSHOT);
        step.after.bytes().get(..kept) == Some(&quote[..kept])
    });
    was_far_behind || in_between && (is_popped || srhs.count() > 1)
}

/// The same of an ICMPv4 error.
fn check_answer_v4(record: &Record, fate: Fate, packet: &[u8], fib: &Fib) {
    const ERROR: usize = 20 + 8;
    let Fate::Replied(reason) = fate else { return };
    let [.., made, last] = &record.steps[..] else { return };
    let is_as_made = matches!(made.event, Event::Answered(_))
        && matches!(last.event, Event::LookUp(LookUp { found: Found::Group(_), .. }));
    if !is_as_made {
        return;
    }
    assert_eq!((packet[0], packet[9], checksum(&packet[20..])), (0x45, 1, 0));
    assert_eq!(packet[12..16], fib.node.icmp_source_v4.to_be_bytes());
    assert_eq!(Some((packet[20], packet[21])), reason.icmpv4());
    let quote = &packet[ERROR..];
    assert_eq!(quote.len(), word(quote, 2).min(576 - ERROR), "bytes quoted");
    // But for the checksum, of which there are two ways to write 0.
    let but_checksum = |bytes: &[u8]| [&bytes[..10], &bytes[12..]].concat();
    let quoted = but_checksum(quote);
    let came = record.received.bytes();
    assert!(came.windows(quote.len()).any(|window| but_checksum(window) == quoted), "quoted");
}
