//! H.Encaps and H.Encaps.Red: RFC 8986, sections 5.1 and 5.2.

use std::sync::Arc;

use super::flow;
use crate::{
    counters::PacketCounters,
    fib::{Fib, FlowLabel, Policy, entry::PolicyId, nexthop},
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

/// A segment list, as the bytes that are pushed in front of a packet.
#[derive(Debug, Clone)]
pub struct SegmentList {
    /// IPv6 header, and SRH unless it was left out. Traffic class, flow label, payload length
    /// and the inner protocol are filled in per packet.
    headers: Box<[u8]>,
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
        let mut headers = outer.to_bytes().to_vec();
        headers.extend(srh);
        let first = segs.first().copied().unwrap_or(0);
        Self { headers: headers.into(), protocol_at, first, segs: segs.into(), counters }
    }

    /// Bytes the list adds to a packet.
    pub fn overhead(&self) -> usize {
        self.headers.len()
    }

    /// The segments, first to last.
    pub fn segs(&self) -> &[u128] {
        &self.segs
    }
}

/// Steers packets into a policy: takes one off their hop limit and pushes the headers of one of
/// the segment lists. The outer header's hop limit is taken from by the next node first.
#[inline(always)]
pub fn encap(packet: &mut Packet<'_>, policy: PolicyId, fib: &Fib, worker: usize) -> Verdict {
    let Some(Some(policy)) = fib.policies.get(policy as usize) else {
        return Verdict::Refuse(Reason::NoRoute, 0);
    };
    match try_encap(packet, policy, fib, worker) {
        Ok(()) => Verdict::Lookup(policy.table),
        Err(verdict) => verdict,
    }
}

#[inline(always)]
fn try_encap(
    packet: &mut Packet<'_>,
    policy: &Policy,
    fib: &Fib,
    worker: usize,
) -> Result<(), Verdict> {
    // The new headers go where the packet as received may still lie.
    packet.rebase();
    let (inner_protocol, class, inner_label) = spend_hop_limit(packet)?;
    let hash = match (fib.node.flow_label, &*policy.buckets) {
        (FlowLabel::Hash, _) | (_, [_, _, ..]) => flow::five_tuple(packet.bytes()),
        _ => 0,
    };
    let label = match fib.node.flow_label {
        FlowLabel::Hash => flow::label(hash),
        FlowLabel::Copy => inner_label,
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
    let headers = &*list.headers;
    let payload_len = (packet.len() + headers.len() - ipv6::HEADER_LEN) as u16;
    list.counters.add(worker, 1, packet.len() as u64);
    write(packet.push_front(headers.len())?, headers);
    if inner_protocol != protocol::IPV6 {
        packet.set_byte(list.protocol_at, inner_protocol);
    }
    let start = packet.array_mut::<6>(0).ok_or(Verdict::Drop(Reason::NoHeadroom))?;
    start[..4].copy_from_slice(&ipv6::flow_word(class, label).to_be_bytes());
    start[4..].copy_from_slice(&payload_len.to_be_bytes());
    packet.meta.key = list.first;
    packet.meta.v6 = true;
    Ok(())
}

/// Copies headers into the room made for them: those of up to three segments as a few wide stores,
/// where a copy of any length is a call.
#[inline(always)]
fn write(room: &mut [u8], headers: &[u8]) {
    fn exactly<const N: usize>(room: &mut [u8], headers: &[u8]) -> Option<()> {
        *<&mut [u8; N]>::try_from(room).ok()? = *<&[u8; N]>::try_from(headers).ok()?;
        Some(())
    }
    const NO_SRH: usize = ipv6::HEADER_LEN;
    const ONE: usize = NO_SRH + srh::FIXED_LEN + srh::SEGMENT_LEN;
    const TWO: usize = ONE + srh::SEGMENT_LEN;
    const THREE: usize = TWO + srh::SEGMENT_LEN;
    let written = match headers.len() {
        NO_SRH => exactly::<NO_SRH>(room, headers),
        ONE => exactly::<ONE>(room, headers),
        TWO => exactly::<TWO>(room, headers),
        THREE => exactly::<THREE>(room, headers),
        _ => None,
    };
    if written.is_none() {
        room.copy_from_slice(headers);
    }
}

/// Takes one off the inner packet's hop limit or TTL, unless this node has done so already, and
/// says its protocol number, traffic class and flow label.
#[inline(always)]
fn spend_hop_limit(packet: &mut Packet<'_>) -> Result<(u8, u8, u32), Verdict> {
    if !packet.meta.v6 {
        return spend_ttl(packet);
    }
    ip::spend_hop_limit(packet)?;
    let word = packet.array(0).ok_or(Verdict::Drop(Reason::IpHeader))?;
    let word = u32::from_be_bytes(*word);
    packet.meta.hop_limit_spent = true;
    Ok((protocol::IPV6, (word >> 20) as u8, word & ipv6::FLOW_LABEL_MASK))
}

fn spend_ttl(packet: &mut Packet<'_>) -> Result<(u8, u8, u32), Verdict> {
    ip::spend_hop_limit(packet)?;
    packet.meta.hop_limit_spent = true;
    let header = ipv4::Ipv4::new_checked(packet.bytes()).ok_or(Verdict::Drop(Reason::IpHeader))?;
    Ok((protocol::IPV4, header.tos(), 0))
}
