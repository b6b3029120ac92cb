//! End, End.X and End.T with the flavors PSP, USP and USD: RFC 8986, sections 4.1 to 4.3 and 4.16.

use super::{Flavors, decap};
use crate::{
    fib::{Fib, Sid},
    icmp,
    packet::Packet,
    pipeline::ip,
    verdict::{Reason, Verdict},
    wire::{
        ext::Headers,
        icmpv6,
        ipv6::{
            self,
            field::{DESTINATION, HOP_LIMIT},
        },
        protocol,
        srh::{self, field::SEGMENTS_LEFT},
    },
};

/// End: the next segment, by the FIB.
#[inline(always)]
pub fn end(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, _: &Fib) -> Verdict {
    let onward = Verdict::Lookup(packet.meta.table);
    endpoint(packet, headers, sid, onward)
}

/// End.X: the next segment, to an adjacency.
#[inline(always)]
pub fn end_x(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, _: &Fib) -> Verdict {
    endpoint(packet, headers, sid, Verdict::Forward(sid.group))
}

/// End.T: the next segment, by the FIB of a table.
#[inline(always)]
pub fn end_t(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, _: &Fib) -> Verdict {
    endpoint(packet, headers, sid, Verdict::Lookup(sid.table))
}

/// What the three share: the next segment (RFC 8986, section 4.1, S01 to S14, and section 4.16.1 for
/// PSP), or the end of the list.
///
/// Nothing is changed before all checks are done.
#[inline(always)]
fn endpoint(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, onward: Verdict) -> Verdict {
    // The walk along the headers has seen that the SRH is one, and lies in the packet.
    const TRUNCATED: Verdict = Verdict::Drop(Reason::ExtensionHeader);
    let Some(offset) = headers.srh() else { return at_end(packet, headers, sid, onward) };
    let Some(header) = packet.array(offset) else { return TRUNCATED };
    let header = srh::Fixed::new(header);
    let left = header.segments_left();
    if left == 0 {
        return at_end(packet, headers, sid, onward);
    }
    let Some(start) = packet.array::<{ ipv6::HEADER_LEN }>(0) else { return TRUNCATED };
    let hop_limit = start[HOP_LIMIT];
    if hop_limit <= 1 {
        return Verdict::Refuse(Reason::HopLimitExceeded, 0);
    }
    if !header.is_consistent() {
        let pointer = u32::from(offset) + srh::field::SEGMENTS_LEFT as u32;
        return Verdict::Refuse(Reason::SegmentsLeft, pointer);
    }
    let Some(next) = packet.array(offset + srh::segment_at(left - 1)) else { return TRUNCATED };
    let next = u128::from_be_bytes(*next);
    if ip::leaves_scope_v6(next) {
        // Whoever writes the list must not get around what `ip::enter` refuses.
        return Verdict::Drop(Reason::Scope);
    }

    packet.remember_segments_left(offset, left);
    if left == 1 && sid.flavors.has(Flavors::PSP) {
        // Before anything is written to the header: what is being written cannot be moved at once.
        if let Err(verdict) = pop(packet, headers, offset, header) {
            return verdict;
        }
    } else {
        let Some(header) = packet.array_mut::<{ srh::FIXED_LEN }>(offset) else { return TRUNCATED };
        header[SEGMENTS_LEFT] = left - 1;
    }
    let Some(fixed) = packet.array_mut::<{ ipv6::HEADER_LEN }>(0) else { return TRUNCATED };
    fixed[HOP_LIMIT] = hop_limit - 1;
    fixed[DESTINATION..].copy_from_slice(&next.to_be_bytes());
    packet.meta.hop_limit_spent = true;
    packet.meta.key = next;
    onward
}

/// Takes the SRH out: RFC 8986, section 4.16.1.
#[inline(always)]
fn pop(
    packet: &mut Packet<'_>,
    headers: Headers,
    offset: u16,
    header: srh::Fixed,
) -> Result<(), Verdict> {
    packet.remove(offset, header.header_len())?;
    if let Some(field) = packet.array_mut(headers.before_srh) {
        *field = [header.next_header()];
    }
    let payload_len = (packet.len() - ipv6::HEADER_LEN) as u16;
    if let Some(field) = packet.array_mut(ipv6::field::PAYLOAD_LEN as u16) {
        *field = payload_len.to_be_bytes();
    }
    Ok(())
}

/// The end of the list: decapsulation with USD (section 4.16.3), otherwise the upper layer. With
/// USP (section 4.16.2) the SRH would be taken out first, which nothing that follows can see: the
/// host is given no packet that has one, and errors quote the packet as it was received.
fn at_end(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, onward: Verdict) -> Verdict {
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
pub(super) fn upper_layer(packet: &mut Packet<'_>, headers: Headers) -> Verdict {
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
