//! End.DX6, End.DX4, End.DT6, End.DT4, End.DT46 and End.DX2: RFC 8986, sections 4.4 to 4.9.

use super::end;
use crate::{
    fib::{Fib, Sid},
    packet::Packet,
    pipeline::ip,
    verdict::{Reason, Verdict},
    wire::{ext::Headers, protocol, srh},
};

/// End.DX6: the inner IPv6 packet, to an adjacency.
#[inline(always)]
pub fn end_dx6(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, _: &Fib) -> Verdict {
    decapsulated(packet, headers, &[protocol::IPV6], |_| Verdict::Forward(sid.group))
}

/// End.DX4: the inner IPv4 packet, to an adjacency.
#[inline(always)]
pub fn end_dx4(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, _: &Fib) -> Verdict {
    decapsulated(packet, headers, &[protocol::IPV4], |_| Verdict::Forward(sid.group))
}

/// End.DT6: the inner IPv6 packet, by the FIB of a table.
#[inline(always)]
pub fn end_dt6(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, _: &Fib) -> Verdict {
    decapsulated(packet, headers, &[protocol::IPV6], |packet| to_table(packet, sid))
}

/// End.DT4: the inner IPv4 packet, by the FIB of a table.
#[inline(always)]
pub fn end_dt4(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, _: &Fib) -> Verdict {
    decapsulated(packet, headers, &[protocol::IPV4], |packet| to_table(packet, sid))
}

/// End.DT46: the inner packet, by the FIB of a table.
#[inline(always)]
pub fn end_dt46(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, _: &Fib) -> Verdict {
    let inner = &[protocol::IPV6, protocol::IPV4];
    decapsulated(packet, headers, inner, |packet| to_table(packet, sid))
}

/// End.DX2: the inner Ethernet frame, by a port.
#[inline(always)]
pub fn end_dx2(packet: &mut Packet<'_>, headers: Headers, sid: &Sid, _: &Fib) -> Verdict {
    match checked(packet, headers, &[protocol::ETHERNET]) {
        Ok(()) => match packet.pull_front(usize::from(headers.upper_offset)) {
            Ok(()) => Verdict::Transmit(sid.port),
            Err(verdict) => verdict,
        },
        Err(verdict) => verdict,
    }
}

fn to_table(packet: &mut Packet<'_>, sid: &Sid) -> Verdict {
    packet.meta.home = sid.table;
    Verdict::Lookup(sid.table)
}

#[inline(always)]
fn decapsulated(
    packet: &mut Packet<'_>,
    headers: Headers,
    inner: &[u8],
    onward: impl FnOnce(&mut Packet<'_>) -> Verdict,
) -> Verdict {
    match checked(packet, headers, inner).and_then(|()| decapsulate(packet, headers)) {
        Ok(()) => onward(packet),
        Err(verdict) => verdict,
    }
}

/// Whether there is something of the protocols `inner` to take out, and the segment list is at its
/// end.
#[inline(always)]
fn checked(packet: &mut Packet<'_>, headers: Headers, inner: &[u8]) -> Result<(), Verdict> {
    if let Some(offset) = headers.srh() {
        let left = packet.array(offset).map(|fixed| srh::Fixed::new(fixed).segments_left());
        if left != Some(0) {
            let pointer = u32::from(offset) + srh::field::SEGMENTS_LEFT as u32;
            return Err(Verdict::Refuse(Reason::SegmentsLeftAtEnd, pointer));
        }
    }
    if !inner.contains(&headers.upper) || headers.fragment {
        return Err(end::upper_layer(packet, headers));
    }
    Ok(())
}

/// Takes off the IPv6 header and all its extension headers. From here on the inner packet is the
/// one that was received, and its hop limit is taken from when it is forwarded, once (RFC 2473,
/// section 3.1).
#[inline(always)]
pub(super) fn decapsulate(packet: &mut Packet<'_>, headers: Headers) -> Result<(), Verdict> {
    let version = if headers.upper == protocol::IPV6 { 6 } else { 4 };
    packet.pull_front(usize::from(headers.upper_offset))?;
    packet.meta.hop_limit_spent = false;
    if packet.array::<1>(0).is_none_or(|[byte]| byte >> 4 != version) {
        return Err(Verdict::Drop(Reason::InnerPacket));
    }
    ip::enter(packet).map_err(|reason| match reason {
        Reason::IpHeader => Verdict::Drop(Reason::InnerPacket),
        reason => Verdict::Drop(reason),
    })
}
