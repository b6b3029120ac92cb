//! What a SID made of a packet, step by step as a trace has it, against a plain reading of RFC 8986,
//! section 4, and RFC 9800, section 4.1.

use sidewinder_dataplane::{
    behavior::{Behavior, Flavors},
    fib::{Fib, Sid},
    trace::record::{Event, Found, LookUp, Outcome, Record, Step},
    wire::ipv4,
};

use super::parser;
use crate::support::packet::{address, word};

/// Checks all steps of a packet at SIDs that it went on from.
pub fn check(record: &Record, fib: &Fib) {
    let ingress = fib.ports.get(usize::from(record.ingress));
    let is_frame = ingress.is_some_and(|port| port.policy.is_some());
    // The packet before a step, where all of it is known.
    let mut before = record.received.bytes().get(14..).filter(|_| !is_frame).and_then(whole);
    for step in &record.steps {
        if let Event::LookUp(LookUp { found: Found::Sid { .. }, .. }) = step.event
            && let Some(before) = &before
        {
            one(before, step, fib);
        }
        let is_all = step.after.packet_len() == step.after.bytes().len();
        before = is_all.then(|| step.after.bytes().to_vec());
    }
}

/// The packet at the beginning of some bytes, as long as it says it is.
fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let len = match bytes.first()? >> 4 {
        6 if bytes.len() >= 40 => 40 + word(bytes, 4),
        4 if bytes.len() >= 20 => word(bytes, 2),
        _ => return None,
    };
    bytes.get(..len).map(<[u8]>::to_vec)
}

/// Checks a step at a SID.
fn one(before: &[u8], step: &Step, fib: &Fib) {
    let Event::LookUp(LookUp { found: Found::Sid { address, prefix_len, .. }, .. }) = step.event
    else {
        return;
    };
    let leaves = match step.outcome {
        Some(Outcome::LookUp { .. }) => false,
        Some(Outcome::Leaves(_)) => true,
        _ => return,
    };
    let mut same = fib
        .sids
        .iter()
        .flatten()
        .filter(|sid| (sid.address, sid.prefix_len) == (address, prefix_len));
    let (Some(sid), None) = (same.next(), same.next()) else { return };
    let is_binding = matches!(sid.behavior, Behavior::EndB6Encaps | Behavior::EndB6EncapsRed);
    // That of a policy of H.Insert is one that no configuration makes.
    if is_binding && fib.policies.get(sid.policy as usize).is_none_or(Option::is_none) {
        return;
    }
    let Some((mut expected, is_inner)) = processed(before, sid) else {
        panic!("{} went on with what it should have refused", sid.behavior.name())
    };
    if is_inner && leaves {
        spend(&mut expected);
    }
    let after = step.after.bytes();
    // What End.B6.Encaps puts in front is the policy's.
    let pushed = if is_binding {
        step.after.packet_len().checked_sub(expected.len()).expect("it grows")
    } else {
        0
    };
    assert_eq!(step.after.packet_len(), pushed + expected.len(), "{}", sid.behavior.name());
    let shown = after.get(pushed..).unwrap_or_default();
    assert_eq!(
        shown,
        &expected[..shown.len()],
        "{} {:?}",
        sid.behavior.name(),
        sid.flavors.names()
    );
}

/// Forwarding takes one off the hop limit or TTL.
fn spend(packet: &mut [u8]) {
    match packet[0] >> 4 {
        6 => packet[7] -= 1,
        _ => {
            packet[8] -= 1;
            let len = 4 * usize::from(packet[0] & 0xf);
            ipv4::write_checksum(&mut packet[..len]);
        }
    }
}

/// The packet with which a SID goes on, and whether it was inside the other. `None`: it does not.
fn processed(before: &[u8], sid: &Sid) -> Option<(Vec<u8>, bool)> {
    let mut packet = before.to_vec();
    let has = |flavor| sid.flavors.has(flavor);
    let is_decapsulation = matches!(
        sid.behavior,
        Behavior::EndDx6
            | Behavior::EndDx4
            | Behavior::EndDt6
            | Behavior::EndDt4
            | Behavior::EndDt46
            | Behavior::EndDx2
    );
    let (block, csid) = (u32::from(sid.csid.block_bits), u32::from(sid.csid.csid_bits));
    let destination = address(before, 24);
    if has(Flavors::NEXT_CSID) && !is_decapsulation && destination << (block + csid) != 0 {
        let argument = destination << (block + csid) >> block;
        let next = destination >> (128 - block) << (128 - block) | argument;
        packet[24..40].copy_from_slice(&next.to_be_bytes());
        packet[7] = packet[7].checked_sub(1)?;
        return Some((packet, false));
    }
    let (srh, (protocol, upper), fragment) = parser::found(before).ok()?;
    if let Some((at, announced)) = srh.filter(|(at, _)| before[at + 3] > 0) {
        if is_decapsulation {
            return None;
        }
        let left = usize::from(before[at + 3]);
        let segment = at + 8 + 16 * (left - 1);
        let len = 8 * (usize::from(before[at + 1]) + 1);
        if segment + 16 > at + len {
            return None;
        }
        packet.copy_within(segment..segment + 16, 24);
        packet[at + 3] -= 1;
        packet[7] = packet[7].checked_sub(1)?;
        if left == 1 && has(Flavors::PSP) {
            packet[announced] = packet[at];
            packet.drain(at..at + len);
            let payload_len = (packet.len() - 40) as u16;
            packet[4..6].copy_from_slice(&payload_len.to_be_bytes());
        }
        return Some((packet, false));
    }
    let takes = match sid.behavior {
        Behavior::EndDx6 | Behavior::EndDt6 => protocol == 41,
        Behavior::EndDx4 | Behavior::EndDt4 => protocol == 4,
        Behavior::EndDt46 => matches!(protocol, 4 | 41),
        _ => has(Flavors::USD) && matches!(protocol, 4 | 41),
    };
    let version = if protocol == 41 { 6 } else { 4 };
    let inner =
        before.get(upper..).filter(|inner| inner.first().is_some_and(|b| b >> 4 == version));
    (takes && !fragment).then_some((whole(inner?)?, true))
}
