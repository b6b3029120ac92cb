//! H.Encaps and H.Encaps.Red: RFC 8986, sections 5.1 and 5.2.

use std::sync::Arc;

use super::flow;
use crate::{
    counters::PacketCounters,
    fib::{
        Fib, FlowLabel,
        entry::{PolicyId, TableIndex},
        nexthop,
    },
    packet::Packet,
    pipeline::ip,
    verdict::{Reason, Verdict},
    wire::{ipv4, ipv6, protocol, srh},
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
    /// The segments, first to last.
    segs: Box<[u128]>,
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
        Self { headers: headers.into(), overhead, protocol_at, first, segs: segs.into(), counters }
    }

    /// Bytes the list adds to a packet.
    pub fn overhead(&self) -> usize {
        self.overhead
    }

    /// Writes the headers in front of a packet.
    ///
    /// Those of up to five segments as the end of a block of constant size: a few wide stores into
    /// the headroom, where a copy of any length is a call.
    #[inline(always)]
    fn write(&self, packet: &mut Packet<'_>) -> Result<(), Verdict> {
        if let Ok(block) = <&[u8; WRITTEN]>::try_from(&*self.headers)
            && let Some(room) = packet.headroom_mut::<WRITTEN>()
        {
            *room = *block;
            packet.meta.head -= self.overhead as u32;
            return Ok(());
        }
        let headers = self.headers.get(self.headers.len() - self.overhead..).unwrap_or_default();
        packet.push_front(headers.len())?.copy_from_slice(headers);
        Ok(())
    }

    /// The segments, first to last.
    pub fn segs(&self) -> &[u128] {
        &self.segs
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
    let policy = fib.policies.get(policy as usize).and_then(Option::as_ref);
    let policy = policy.ok_or(Verdict::Refuse(Reason::NoRoute, 0))?;
    // The new headers go where the packet as received may still lie.
    packet.rebase();
    let inner = spend_hop_limit(packet)?;
    let hash = match (fib.node.flow_label, &*policy.buckets) {
        (FlowLabel::Hash, _) | (_, [_, _, ..]) => flow::five_tuple(packet.bytes()),
        _ => 0,
    };
    let label = match fib.node.flow_label {
        FlowLabel::Hash => flow::label(hash),
        FlowLabel::Copy => inner.label,
        FlowLabel::Zero => 0,
    };
    let list = match &*policy.lists {
        [only] => only,
        lists => {
            let bucket = nexthop::bucket(hash, policy.buckets.len());
            let index = policy.buckets.get(bucket).copied().unwrap_or(0);
            lists.get(usize::from(index)).ok_or(Verdict::Drop(Reason::Unreachable))?
        }
    };
    let len = packet.len();
    list.counters.add(worker, 1, len as u64);
    list.write(packet)?;
    if inner.protocol != protocol::IPV6 {
        packet.set_byte(list.protocol_at, inner.protocol);
    }
    let start = packet.array_mut::<6>(0).ok_or(Verdict::Drop(Reason::NoHeadroom))?;
    start[..4].copy_from_slice(&ipv6::flow_word(inner.class, label).to_be_bytes());
    let payload_len = (len + list.overhead - ipv6::HEADER_LEN) as u16;
    start[4..].copy_from_slice(&payload_len.to_be_bytes());
    packet.meta.v6 = true;
    packet.meta.key = list.first;
    Ok(policy.table)
}

/// What an outer header takes from an inner one.
#[derive(Debug, Clone, Copy)]
struct Inner {
    protocol: u8,
    class: u8,
    label: u32,
}

/// Takes one off the inner packet's hop limit or TTL, unless this node has done so already.
#[inline(always)]
fn spend_hop_limit(packet: &mut Packet<'_>) -> Result<Inner, Verdict> {
    if !packet.meta.v6 {
        return spend_ttl(packet);
    }
    ip::spend_hop_limit(packet)?;
    let word = packet.array(0).ok_or(Verdict::Drop(Reason::IpHeader))?;
    let word = u32::from_be_bytes(*word);
    packet.meta.hop_limit_spent = true;
    let (class, label) = ((word >> 20) as u8, word & ipv6::FLOW_LABEL_MASK);
    Ok(Inner { protocol: protocol::IPV6, class, label })
}

#[inline(never)]
fn spend_ttl(packet: &mut Packet<'_>) -> Result<Inner, Verdict> {
    ip::spend_hop_limit(packet)?;
    packet.meta.hop_limit_spent = true;
    let header = ipv4::Ipv4::new_checked(packet.bytes()).ok_or(Verdict::Drop(Reason::IpHeader))?;
    Ok(Inner { protocol: protocol::IPV4, class: header.tos(), label: 0 })
}
