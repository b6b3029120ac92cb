//! H.Insert: an SRH is put into the packet itself, which keeps its addresses but for the destination
//! (draft-filsfils-spring-srv6-net-pgm-insertion, section 4.1; Linux: `encap seg6 mode inline`).
//!
//! The SRH stands behind the IPv6 header, and behind hop-by-hop options, which nothing may stand
//! before (RFC 8200, section 4.1). Its last segment is the destination that the packet had.

use std::sync::Arc;

use super::flow;
use crate::{
    counters::PacketCounters,
    fib::{
        Fib,
        entry::{PolicyId, TableIndex},
        nexthop,
    },
    packet::Packet,
    verdict::{Reason, Verdict},
    wire::{
        ipv6::{self, field},
        protocol, srh,
    },
};

/// A policy of H.Insert.
#[derive(Debug, Clone)]
pub struct Insertion {
    /// Its segment lists, ready to be put in.
    pub lists: Vec<InsertedList>,
    /// Index into `lists`, as of [`Policy`](crate::fib::Policy).
    pub buckets: Vec<u16>,
    /// Table that the first segment is looked up in.
    pub table: TableIndex,
}

/// A segment list, as the SRH that is put in.
#[derive(Debug, Clone)]
pub struct InsertedList {
    /// Next Header and the last segment are filled in per packet.
    srh: Box<[u8]>,
    first: u128,
    /// Packets and bytes that took the list.
    pub counters: Arc<PacketCounters>,
}

impl InsertedList {
    /// A list of at least one segment, first to last, without the packet's own destination.
    pub fn new(segs: &[u128], counters: Arc<PacketCounters>) -> Self {
        let first = segs.first().copied().unwrap_or(0);
        let segs: Vec<u128> = segs.iter().copied().chain([0]).collect();
        let srh = srh::header(protocol::NO_NEXT_HEADER, &segs, false);
        Self { srh: srh.into(), first, counters }
    }

    /// Whether a packet that has just been steered took this list: whether it goes to its first segment.
    pub fn is_first_of(&self, packet: &[u8]) -> bool {
        let destination = packet.get(field::DESTINATION..ipv6::HEADER_LEN);
        destination == Some(&self.first.to_be_bytes()[..])
    }

    fn insert(&self, packet: &mut Packet<'_>, front: Front) -> Result<(), Verdict> {
        const TRUNCATED: Verdict = Verdict::Drop(Reason::IpHeader);
        let header: [u8; ipv6::HEADER_LEN] = *packet.array(0).ok_or(TRUNCATED)?;
        let [next] = *packet.array(front.announced).ok_or(TRUNCATED)?;
        let room = packet.insert(front.len, self.srh.len() as u16)?;
        room.copy_from_slice(&self.srh);
        if let Some(field) = room.get_mut(srh::field::NEXT_HEADER) {
            *field = next;
        }
        let last = usize::from(srh::segment_at(0));
        if let Some(segment) = room.get_mut(last..last + srh::SEGMENT_LEN) {
            segment.copy_from_slice(&header[field::DESTINATION..]);
        }
        packet.set_byte(usize::from(front.announced), protocol::ROUTING);
        let payload_len = (packet.len() - ipv6::HEADER_LEN) as u16;
        if let Some(field) = packet.array_mut(field::PAYLOAD_LEN as u16) {
            *field = payload_len.to_be_bytes();
        }
        packet.set_destination(self.first.to_be_bytes());
        Ok(())
    }
}

/// What stays in front of an SRH that is put in.
#[derive(Debug, Clone, Copy)]
struct Front {
    len: u16,
    /// Offset of the Next Header byte that announces what follows it.
    announced: u16,
}

impl Front {
    fn of(packet: &Packet<'_>) -> Result<Self, Verdict> {
        const TRUNCATED: Verdict = Verdict::Drop(Reason::ExtensionHeader);
        let bytes = packet.bytes();
        let len = ipv6::HEADER_LEN;
        if *bytes.get(field::NEXT_HEADER).ok_or(TRUNCATED)? != protocol::HOP_BY_HOP {
            return Ok(Self { len: len as u16, announced: field::NEXT_HEADER as u16 });
        }
        let end = len + 8 * (usize::from(*bytes.get(len + 1).ok_or(TRUNCATED)?) + 1);
        if end > bytes.len() {
            return Err(TRUNCATED);
        }
        Ok(Self { len: end as u16, announced: len as u16 })
    }
}

/// Puts the SRH of one of the policy's lists into an IPv6 packet, whose first segment is looked up
/// next: says in which table. The hop limit is taken from where the packet is forwarded, once.
#[inline(never)]
pub fn insert(
    packet: &mut Packet<'_>,
    policy: PolicyId,
    fib: &Fib,
    worker: usize,
) -> Result<TableIndex, Verdict> {
    const NO_WAY: Verdict = Verdict::Refuse(Reason::NoRoute, 0);
    let policy = fib.insertions.get(policy as usize).and_then(Option::as_ref).ok_or(NO_WAY)?;
    if !packet.meta.v6 {
        return Err(NO_WAY);
    }
    let front = Front::of(packet)?;
    let list = match &*policy.lists {
        [only] => only,
        lists => {
            let hash = flow::five_tuple(packet.bytes());
            let bucket = nexthop::bucket(hash, policy.buckets.len());
            let index = policy.buckets.get(bucket).copied().unwrap_or(0);
            lists.get(usize::from(index)).ok_or(Verdict::Drop(Reason::Unreachable))?
        }
    };
    let len = packet.len() as u64;
    list.insert(packet, front)?;
    list.counters.add(worker, 1, len);
    Ok(policy.table)
}
