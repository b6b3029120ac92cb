//! End, End.X and End.T with the flavors PSP, USP and USD: RFC 8986, sections 4.1 to 4.3 and 4.16.

use super::{Flavors, decap};
use crate::{
    fib::{Fib, Sid},
    icmp,
    packet::Packet,
    pipeline::ip,
    verdict::{Reason, Verdict},
    wire::{ext::Headers, icmpv6, ipv6, protocol, srh},
};

/// End: the next segment, by the FIB.
pub fn end(packet: &mut Packet<'_>, headers: &Headers, sid: &Sid, _: &Fib) -> Verdict {
    let onward = Verdict::Lookup(packet.meta.table);
    endpoint(packet, headers, sid, onward)
}

/// End.X: the next segment, to an adjacency.
pub fn end_x(packet: &mut Packet<'_>, headers: &Headers, sid: &Sid, _: &Fib) -> Verdict {
    endpoint(packet, headers, sid, Verdict::Forward(sid.group))
}

/// End.T: the next segment, by the FIB of a table.
pub fn end_t(packet: &mut Packet<'_>, headers: &Headers, sid: &Sid, _: &Fib) -> Verdict {
    endpoint(packet, headers, sid, Verdict::Lookup(sid.table))
}

/// What the three share: the next segment, or the end of the list.
#[inline(always)]
fn endpoint(packet: &mut Packet<'_>, headers: &Headers, sid: &Sid, onward: Verdict) -> Verdict {
    match advance(packet, headers, sid.flavors) {
        Ok(Step::Advanced) => onward,
        Ok(Step::AtEnd) => at_end(packet, headers, sid, onward),
        Err(verdict) => verdict,
    }
}

/// Where the packet is on its segment list.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// On its way to the next segment.
    Advanced,
    /// No SRH, or no segments left: the upper layer is next.
    AtEnd,
}

/// RFC 8986, section 4.1, S01 to S14, and PSP (section 4.16.1).
///
/// Nothing is changed before all checks are done.
#[inline(always)]
fn advance(packet: &mut Packet<'_>, headers: &Headers, flavors: Flavors) -> Result<Step, Verdict> {
    let Some(offset) = headers.srh.map(usize::from) else { return Ok(Step::AtEnd) };
    let truncated = Verdict::Drop(Reason::ExtensionHeader);
    let bytes = packet.bytes_mut();
    let (fixed, rest) = bytes.split_first_chunk_mut::<{ ipv6::HEADER_LEN }>().ok_or(truncated)?;
    let rest = rest.get_mut(offset - ipv6::HEADER_LEN..).ok_or(truncated)?;
    let header = srh::Srh::new_checked(rest).ok_or(truncated)?;
    let left = header.segments_left();
    if left == 0 {
        return Ok(Step::AtEnd);
    }
    let hop_limit = fixed[ipv6::field::HOP_LIMIT];
    if hop_limit <= 1 {
        return Err(Verdict::Refuse(Reason::HopLimitExceeded, 0));
    }
    let pointer = (offset + srh::field::SEGMENTS_LEFT) as u32;
    let inconsistent = Verdict::Refuse(Reason::SegmentsLeft, pointer);
    if !header.is_consistent() {
        return Err(inconsistent);
    }
    let next = header.segment(usize::from(left) - 1).ok_or(inconsistent)?;
    let key = u128::from_be_bytes(next);
    if ip::leaves_scope_v6(key) {
        // Whoever writes the list must not get around what `ip::enter` refuses.
        return Err(Verdict::Drop(Reason::Scope));
    }
    let (len, next_header) = (header.len(), header.next_header());

    fixed[ipv6::field::HOP_LIMIT] = hop_limit - 1;
    fixed[ipv6::field::DESTINATION..].copy_from_slice(&next);
    rest[srh::field::SEGMENTS_LEFT] = left - 1;
    packet.remember_segments_left(offset, left);
    packet.meta.key = key;
    packet.meta.hop_limit_spent = true;
    if left == 1 && flavors.has(Flavors::PSP) {
        pop(packet, headers, offset, len, next_header)?;
    }
    Ok(Step::Advanced)
}

/// Takes the SRH out: RFC 8986, section 4.16.1.
fn pop(
    packet: &mut Packet<'_>,
    headers: &Headers,
    offset: usize,
    len: usize,
    next_header: u8,
) -> Result<(), Verdict> {
    packet.remove(offset, len)?;
    packet.set_byte(usize::from(headers.before_srh), next_header);
    let payload_len = (packet.len() - ipv6::HEADER_LEN) as u16;
    if let Some(field) = packet
        .bytes_mut()
        .get_mut(ipv6::field::PAYLOAD_LEN..)
        .and_then(|rest| rest.first_chunk_mut())
    {
        *field = payload_len.to_be_bytes();
    }
    Ok(())
}

/// The end of the list: decapsulation with USD (section 4.16.3), otherwise the upper layer. With
/// USP (section 4.16.2) the SRH would be taken out first, which nothing that follows can see: the
/// host is given no packet that has one, and errors quote the packet as it was received.
fn at_end(packet: &mut Packet<'_>, headers: &Headers, sid: &Sid, onward: Verdict) -> Verdict {
    let inner = matches!(headers.upper, protocol::IPV6 | protocol::IPV4);
    if sid.flavors.has(Flavors::USD) && inner && !headers.fragment {
        if let Err(verdict) = decap::decapsulate(packet, headers) {
            return verdict;
        }
        if let Verdict::Lookup(table) = onward {
            // Errors about the inner packet go back where it belongs.
            packet.meta.home = table;
        }
        return onward;
    }
    upper_layer(packet, headers)
}

/// Upper-layer processing at a SID: RFC 8986, section 4.1.1. Echo requests are answered, whatever
/// the behavior (RFC 9259, section 3.1), and nothing else is allowed.
#[cold]
pub(super) fn upper_layer(packet: &mut Packet<'_>, headers: &Headers) -> Verdict {
    let offset = usize::from(headers.upper_offset);
    match headers.upper {
        _ if headers.fragment => Verdict::Drop(Reason::FragmentToSid),
        protocol::NO_NEXT_HEADER => Verdict::Drop(Reason::NoNextHeader),
        protocol::ICMPV6 => match packet.bytes().get(offset) {
            Some(&icmpv6::kind::ECHO_REQUEST) => icmp::echo_reply(packet, offset),
            _ => Verdict::Drop(Reason::IcmpToSid),
        },
        _ => Verdict::Refuse(Reason::UpperLayer, offset as u32),
    }
}
