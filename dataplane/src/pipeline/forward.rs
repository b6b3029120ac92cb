//! Out of the node: hop limit, adjacency, MTU, Ethernet header.

use super::{departures::Departures, fragment, ip};
use crate::{
    behavior::flow,
    fib::{
        Fib, Prefix,
        entry::{AdjacencyId, GroupId},
        nexthop::{Adjacency, State},
    },
    packet::{Meta, Packet},
    verdict::{Reason, Verdict},
    wire::ethernet,
};

/// Where SIDs are from that have a meaning in one domain only, and no route outside: RFC 9602.
const SIDS: Prefix = Prefix::new(0x5f00 << 112, 16);

const DOWN: Verdict = Verdict::Refuse(Reason::AdjacencyDown, 0);

/// What it takes to forward a packet.
#[derive(Debug)]
pub(super) struct Forwarder<'a> {
    pub(super) fib: &'a Fib,
    pub(super) departures: &'a mut Departures,
}

impl Forwarder<'_> {
    /// Makes a packet ready to leave by the adjacency that its next-hop group has for it. Says
    /// where in the frame it begins, and how long it is.
    #[inline(always)]
    pub(super) fn forward(
        &mut self,
        packet: &mut Packet<'_>,
        group: GroupId,
    ) -> Result<(u16, u16), Verdict> {
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
        let len = packet.len();
        if len > usize::from(adjacency.mtu) {
            return Err(too_long(fib, adjacency));
        }
        let ether_type = if packet.meta.v6 { ethernet::IPV6 } else { ethernet::IPV4 };
        let (port, head) = (adjacency.port, packet.meta.head);
        let l2 = packet.push_front_array::<{ ethernet::HEADER_LEN }>()?;
        l2[..12].copy_from_slice(&adjacency.l2);
        l2[12..].copy_from_slice(&ether_type.to_be_bytes());
        packet.meta.egress = port;
        self.departures.note(port);
        Ok((head as u16 - ethernet::HEADER_LEN as u16, (len + ethernet::HEADER_LEN) as u16))
    }

    /// Where a packet goes that is longer than its adjacency says: there after all, in fragments, or
    /// back.
    #[cold]
    pub(super) fn look_again(
        &mut self,
        packet: &mut Packet<'_>,
        id: AdjacencyId,
    ) -> Result<(u16, u16), Verdict> {
        let adjacency = self.fib.adjacencies.get(id as usize).ok_or(DOWN)?;
        if adjacency.is_watched() && packet.meta.v6 && SIDS.contains(packet.meta.key) {
            return Err(Verdict::Drop(Reason::SidToOutside));
        }
        let (len, mtu) = (packet.len(), adjacency.mtu_in(self.fib));
        if mtu == 0 {
            // Of a port that is down.
            Err(DOWN)
        } else if len <= usize::from(mtu) {
            // As above, where it costs more to share it than to write it twice.
            let ether_type = if packet.meta.v6 { ethernet::IPV6 } else { ethernet::IPV4 };
            let head = packet.meta.head;
            let l2 = packet.push_front_array::<{ ethernet::HEADER_LEN }>()?;
            l2[..12].copy_from_slice(&adjacency.l2);
            l2[12..].copy_from_slice(&ether_type.to_be_bytes());
            packet.meta.egress = adjacency.port;
            self.departures.note(adjacency.port);
            Ok((head as u16 - ethernet::HEADER_LEN as u16, (len + ethernet::HEADER_LEN) as u16))
        } else if fragment::is_allowed(packet) {
            Err(Verdict::Fragment(id))
        } else {
            Err(too_big(packet.meta, mtu))
        }
    }
}

/// The verdict on a packet that is longer than its adjacency says. Out of line, and told nothing that
/// would have to be kept for it: most packets pass by.
#[cold]
#[inline(never)]
fn too_long(fib: &Fib, adjacency: &Adjacency) -> Verdict {
    Verdict::TooLong(fib.id_of(adjacency))
}

/// Packet Too Big, with the MTU that the packet as received would have to fit: what was pushed
/// in front of it is taken off, down to the smallest MTU there may be (RFC 2473, section 7).
#[cold]
fn too_big(meta: &Meta, mtu: u16) -> Verdict {
    let pushed = u32::from(meta.received.head).saturating_sub(meta.head);
    let least = if meta.received.v6 { 1280 } else { 68 };
    Verdict::Refuse(Reason::PacketTooBig, u32::from(mtu).saturating_sub(pushed).max(least))
}
