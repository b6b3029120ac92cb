//! Out of the node: hop limit, adjacency, MTU, Ethernet header.

use crossbeam::utils::CachePadded;

use super::{departures::Departures, ip};
use crate::{
    behavior::flow,
    fib::{Fib, entry::GroupId, nexthop::State},
    packet::{Meta, Packet},
    verdict::{Reason, Verdict},
    wire::ethernet,
};

const DOWN: Verdict = Verdict::Refuse(Reason::AdjacencyDown, 0);

/// What it takes to forward a packet.
#[derive(Debug)]
pub(super) struct Forwarder<'a> {
    pub(super) fib: &'a Fib,
    /// How many packets each port takes.
    pub(super) room: &'a mut [CachePadded<usize>],
    pub(super) departures: &'a mut Departures,
}

impl Forwarder<'_> {
    /// Makes a packet ready to leave by the adjacency that its next-hop group has for it.
    #[inline(always)]
    pub(super) fn forward(
        &mut self,
        packet: &mut Packet<'_>,
        group: GroupId,
    ) -> Result<(), Verdict> {
        let fib = self.fib;
        ip::spend_hop_limit(packet)?;
        let group = fib.groups.get(group as usize).ok_or(Verdict::Refuse(Reason::NoRoute, 0))?;
        let id = group.pick(&fib.health, || flow::hash(packet.bytes())).map_err(
            |state| match state {
                State::Unresolved => Verdict::Refuse(Reason::NeighborUnresolved, 0),
                State::Down | State::Up => DOWN,
            },
        )?;
        let adjacency = fib.adjacencies.get(id as usize).ok_or(DOWN)?;
        if packet.len() > usize::from(adjacency.mtu) {
            return Err(too_big(packet.meta, adjacency.mtu));
        }
        let room = self.room.get_mut(usize::from(adjacency.port)).ok_or(DOWN)?;
        **room = room.checked_sub(1).ok_or(Verdict::Drop(Reason::TxRingFull))?;

        let ether_type = if packet.meta.v6 { ethernet::IPV6 } else { ethernet::IPV4 };
        let l2 = packet.push_front_array::<{ ethernet::HEADER_LEN }>()?;
        l2[..12].copy_from_slice(&adjacency.l2);
        l2[12..].copy_from_slice(&ether_type.to_be_bytes());
        packet.meta.egress = adjacency.port;
        self.departures.note(adjacency.port, packet.len());
        Ok(())
    }
}

/// Packet Too Big, with the MTU that the packet as received would have to fit: what was pushed
/// in front of it is taken off, down to the smallest MTU there may be (RFC 2473, section 7).
#[cold]
fn too_big(meta: &Meta, mtu: u16) -> Verdict {
    let pushed = u32::from(meta.received.head).saturating_sub(meta.head);
    let least = if meta.received.v6 { 1280 } else { 68 };
    Verdict::Refuse(Reason::PacketTooBig, u32::from(mtu).saturating_sub(pushed).max(least))
}
