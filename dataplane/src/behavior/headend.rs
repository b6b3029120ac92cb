//! H.Encaps and H.Encaps.Red, of packets and of frames: RFC 8986, sections 5.1 to 5.4.

use std::sync::Arc;

use super::{flow, insert};
use crate::{
    counters::PacketCounters,
    fib::{
        Fib, FlowLabel, Policy,
        entry::{PolicyId, TableIndex},
        nexthop,
    },
    hmac::Key,
    packet::Packet,
    pipeline::ip,
    verdict::{Reason, Verdict},
    wire::{ethernet, ipv4, ipv6, protocol, srh},
};

/// How a policy encapsulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// H.Encaps (iproute2: `mode encap`): all segments in the SRH, which is written for a single segment, too.
    Encaps,
    /// H.Encaps.Red (iproute2: `mode encap.red`): the first segment in the destination address only; no SRH for a single one.
    EncapsRed,
}

/// Bytes that are written at once in front of a packet.
const WRITTEN: usize = 128;

/// A segment list, as the bytes that are pushed in front of a packet.
#[derive(Debug, Clone)]
pub struct SegmentList {
    /// IPv6 header, and SRH unless it was left out, at the end of at least [`WRITTEN`] bytes.
    /// Traffic class, flow label, payload length and the inner protocol are filled in per packet.
    headers: Box<[u8]>,
    /// Bytes of the headers.
    overhead: usize,
    /// Where the inner protocol goes: Next Header of the SRH, or of the IPv6 header.
    protocol_at: usize,
    /// The first segment.
    first: u128,
    /// Packets and bytes that took the list.
    pub counters: Arc<PacketCounters>,
}

impl SegmentList {
    /// A list of at least one segment, first to last. `source` and `hop_limit` are the outer
    /// header's.
    pub fn new(
        mode: Mode,
        segs: &[u128],
        source: u128,
        hop_limit: u8,
        counters: Arc<PacketCounters>,
    ) -> Self {
        let reduced = mode == Mode::EncapsRed;
        let srh = if reduced && segs.len() == 1 {
            Vec::new()
        } else {
            srh::header(protocol::IPV6, segs, reduced)
        };
        Self::with(srh, segs, source, hop_limit, counters)
    }

    /// The same with an HMAC TLV in the SRH, which is there for a single segment in either mode: a
    /// list of one segment that has TLVs cannot be reduced (RFC 8754, erratum 7081).
    pub fn signed(
        key: &Key,
        mode: Mode,
        segs: &[u128],
        source: u128,
        hop_limit: u8,
        counters: Arc<PacketCounters>,
    ) -> Self {
        let reduced = mode == Mode::EncapsRed && segs.len() > 1;
        let mut srh = srh::header(protocol::IPV6, segs, reduced);
        key.sign(source, &mut srh);
        Self::with(srh, segs, source, hop_limit, counters)
    }

    /// A list with this SRH, or none where that is empty.
    fn with(
        srh: Vec<u8>,
        segs: &[u128],
        source: u128,
        hop_limit: u8,
        counters: Arc<PacketCounters>,
    ) -> Self {
        let (next_header, protocol_at) = if srh.is_empty() {
            (protocol::IPV6, ipv6::field::NEXT_HEADER)
        } else {
            (protocol::ROUTING, ipv6::HEADER_LEN + srh::field::NEXT_HEADER)
        };
        let outer = ipv6::Header {
            flow_word: ipv6::flow_word(0, 0),
            payload_len: 0,
            next_header,
            hop_limit,
            source,
            destination: segs.first().copied().unwrap_or(0),
        };
        let overhead = ipv6::HEADER_LEN + srh.len();
        let mut headers = vec![0; WRITTEN.saturating_sub(overhead)];
        headers.extend(outer.to_bytes());
        headers.extend(srh);
        let first = segs.first().copied().unwrap_or(0);
        Self { headers: headers.into(), overhead, protocol_at, first, counters }
    }

    /// Bytes the list adds to a packet.
    pub fn overhead(&self) -> usize {
        self.overhead
    }

    /// Source of the outer header.
    pub fn source(&self) -> u128 {
        ipv6::address_at(self.written(), ipv6::field::SOURCE)
    }

    /// The last segment.
    pub fn last(&self) -> u128 {
        let list = self.written().get(ipv6::HEADER_LEN + srh::FIXED_LEN..);
        let last = list.and_then(|list| list.first_chunk());
        last.map_or(self.first, |last| u128::from_be_bytes(*last))
    }

    /// What is written in front of packets.
    fn written(&self) -> &[u8] {
        self.headers.get(self.headers.len() - self.overhead..).unwrap_or(&[])
    }

    /// Whether a packet begins with the list's headers: whether it was the one that was pushed.
    pub fn is_in_front_of(&self, packet: &[u8]) -> bool {
        let own = self.written();
        let Some(theirs) = packet.get(..self.overhead) else { return false };
        // What is filled in per packet, and the protocol of what is inside.
        let free = |at: usize| at < ipv6::field::NEXT_HEADER || at == self.protocol_at;
        own.iter().zip(theirs).enumerate().all(|(at, (own, theirs))| free(at) || own == theirs)
    }

    /// Pushes the headers in front of a packet, with what they say of it.
    ///
    /// Those of up to five segments are written as the end of a block of constant size: a few wide
    /// stores into the headroom, where a copy of any length is a call.
    #[inline(always)]
    fn push(&self, packet: &mut Packet<'_>, inner: Inner, label: u32) -> Result<(), Verdict> {
        let payload_len = (packet.len() + self.overhead - ipv6::HEADER_LEN) as u16;
        let head = packet.meta.head;
        let headers = if let Ok(block) = <&[u8; WRITTEN]>::try_from(&*self.headers)
            && let Some(room) = packet.headroom_mut::<WRITTEN>()
        {
            *room = *block;
            room.get_mut(WRITTEN - self.overhead..).unwrap_or_default()
        } else {
            let room = packet.push_front(self.overhead)?;
            let unused = self.headers.len() - self.overhead;
            room.copy_from_slice(self.headers.get(unused..).unwrap_or_default());
            room
        };
        if let Some(start) = headers.first_chunk_mut::<6>() {
            start[..4].copy_from_slice(&ipv6::flow_word(inner.class, label).to_be_bytes());
            start[4..].copy_from_slice(&payload_len.to_be_bytes());
        }
        if inner.protocol != protocol::IPV6
            && let Some(field) = headers.get_mut(self.protocol_at)
        {
            *field = inner.protocol;
        }
        packet.meta.head = head - self.overhead as u32;
        packet.meta.v6 = true;
        packet.meta.key = self.first;
        Ok(())
    }
}

/// Steers a packet into a policy: takes one off its hop limit and pushes the headers of one of the
/// segment lists. The outer header's hop limit is taken from by the next node first. Says where the
/// packet is to be looked up next, by its [key](crate::packet::Meta::key).
#[inline(always)]
pub fn encap(
    packet: &mut Packet<'_>,
    policy: PolicyId,
    fib: &Fib,
    worker: usize,
) -> Result<TableIndex, Verdict> {
    let Some(policy) = fib.policies.get(policy as usize).and_then(Option::as_ref) else {
        return insert::insert(packet, policy, fib, worker);
    };
    // The new headers go where the packet as received may still lie.
    packet.rebase();
    let inner = if packet.meta.v6 { Inner::v6(packet)? } else { Inner::v4(packet)? };
    steer(packet, policy, inner, fib, worker)
}

/// [`encap`] of an Ethernet frame: H.Encaps.L2 and H.Encaps.L2.Red (RFC 8986, sections 5.3 and 5.4).
#[inline(always)]
pub fn encap_frame(
    packet: &mut Packet<'_>,
    policy: PolicyId,
    fib: &Fib,
    worker: usize,
) -> Result<TableIndex, Verdict> {
    let policy = fib.policies.get(policy as usize).and_then(Option::as_ref);
    let policy = policy.ok_or(Verdict::Refuse(Reason::NoRoute, 0))?;
    let inner = Inner::ethernet(packet)?;
    packet.meta.hop_limit_spent = true;
    steer(packet, policy, inner, fib, worker)
}

/// Pushes the headers of one of the policy's lists in front of a packet.
#[inline(always)]
fn steer(
    packet: &mut Packet<'_>,
    policy: &Policy,
    mut inner: Inner,
    fib: &Fib,
    worker: usize,
) -> Result<TableIndex, Verdict> {
    inner.class = fib.node.traffic_class.unwrap_or(inner.class);
    let label = match fib.node.flow_label {
        FlowLabel::Hash => flow::label(inner.hash),
        FlowLabel::Copy => inner.label,
        FlowLabel::Zero => 0,
    };
    let list = match &*policy.lists {
        [only] => only,
        lists => {
            let bucket = nexthop::bucket(inner.hash, policy.buckets.len());
            let index = policy.buckets.get(bucket).copied().unwrap_or(0);
            lists.get(usize::from(index)).ok_or(Verdict::Drop(Reason::Unreachable))?
        }
    };
    let len = packet.len() as u64;
    list.push(packet, inner, label)?;
    list.counters.add(worker, 1, len);
    Ok(policy.table)
}

/// What an outer header takes from an inner one.
#[derive(Debug, Clone, Copy)]
struct Inner {
    protocol: u8,
    class: u8,
    label: u32,
    /// Of its flow.
    hash: u32,
}

impl Inner {
    /// A frame: what is known of the packet in it, as far as there is one.
    fn ethernet(packet: &Packet<'_>) -> Result<Self, Verdict> {
        let short = Verdict::Drop(Reason::NotIp);
        let (l2, inside) =
            packet.bytes().split_first_chunk::<{ ethernet::HEADER_LEN }>().ok_or(short)?;
        let ether_type = u16::from_be_bytes([l2[12], l2[13]]);
        let (class, label) = match ipv6::Ipv6::new_checked(inside) {
            Some(header) if ether_type == ethernet::IPV6 => {
                (header.traffic_class(), header.flow_label())
            }
            _ => (0, 0),
        };
        let hash = match ether_type {
            ethernet::IPV6 | ethernet::IPV4 => flow::five_tuple(inside),
            _ => flow::of_frame(l2),
        };
        Ok(Self { protocol: protocol::ETHERNET, class, label, hash })
    }
}

/// Each takes one off the inner packet's hop limit or TTL, unless this node has done so already.
impl Inner {
    #[inline(always)]
    fn v6(packet: &mut Packet<'_>) -> Result<Self, Verdict> {
        const PORTS: usize = 4;
        let has_ports = packet.len() >= ipv6::HEADER_LEN + PORTS;
        let spent = std::mem::replace(&mut packet.meta.hop_limit_spent, true);
        let start = packet.array_mut::<{ ipv6::HEADER_LEN + PORTS }>(0);
        let Some((header, ports)) =
            start.and_then(|start| start.split_first_chunk_mut::<{ ipv6::HEADER_LEN }>())
        else {
            return Self::v6_at_the_end(packet, spent);
        };
        if !spent {
            ip::spend_hop_limit_of(header)?;
        }
        let header = ipv6::Ipv6::new(header);
        let ports = if has_ports { ports.first_chunk() } else { None };
        Ok(Self {
            protocol: protocol::IPV6,
            class: header.traffic_class(),
            label: header.flow_label(),
            hash: flow::five_tuple_v6(header, ports),
        })
    }

    /// [`v6`](Self::v6) of a packet without ports that ends where the frame does.
    #[cold]
    fn v6_at_the_end(packet: &mut Packet<'_>, spent: bool) -> Result<Self, Verdict> {
        let header = packet.array_mut(0).ok_or(Verdict::Drop(Reason::IpHeader))?;
        if !spent {
            ip::spend_hop_limit_of(header)?;
        }
        let header = ipv6::Ipv6::new(header);
        Ok(Self {
            protocol: protocol::IPV6,
            class: header.traffic_class(),
            label: header.flow_label(),
            hash: flow::five_tuple_v6(header, None),
        })
    }

    #[inline(never)]
    fn v4(packet: &mut Packet<'_>) -> Result<Self, Verdict> {
        ip::spend_hop_limit(packet)?;
        packet.meta.hop_limit_spent = true;
        let hash = flow::five_tuple(packet.bytes());
        let header = ipv4::Ipv4::new_checked(packet.bytes());
        let header = header.ok_or(Verdict::Drop(Reason::IpHeader))?;
        Ok(Self { protocol: protocol::IPV4, class: header.tos(), label: 0, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::FRAME_SIZE, packet::Meta};

    /// A packet may be shorter than a header with ports, wherever it ends.
    #[test]
    fn a_short_packet_at_the_end_of_its_frame() {
        let header = ipv6::Header {
            flow_word: ipv6::flow_word(0xb8, 0x12345),
            payload_len: 0,
            next_header: protocol::UDP,
            hop_limit: 9,
            source: 0xa << 64,
            destination: 0xb << 64,
        };
        let of = |tail: usize, payload: usize| {
            let mut frame = [0; FRAME_SIZE];
            let head = tail - ipv6::HEADER_LEN - payload;
            let mut meta = Meta::new(0, 0, head as u32, tail as u32);
            meta.v6 = true;
            frame[head..head + ipv6::HEADER_LEN].copy_from_slice(&header.to_bytes());
            let mut packet = Packet { frame: &mut frame, meta: &mut meta };
            let inner = Inner::v6(&mut packet).map(|it| (it.class, it.label, it.hash));
            (inner, packet.bytes()[ipv6::field::HOP_LIMIT])
        };
        for payload in 0..8 {
            let inside = of(1000, payload);
            assert!(matches!(inside, (Ok((0xb8, 0x12345, _)), 8)), "{payload}");
            assert_eq!(of(FRAME_SIZE, payload), inside, "{payload}");
        }
    }
}
