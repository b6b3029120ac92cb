//! IPv4 packets that are too long for where they go, and may be cut: RFC 791, section 2.3.
//!
//! The first fragment takes the packet's place, and leaves as the packet would have. The others get
//! frames of their own, and leave behind all packets of the burst. A packet that was encapsulated here
//! is cut inside of the headers that were pushed, which each fragment gets: so the node at the end of
//! the segment list has nothing to put together (RFC 2473, section 7.2, would have it so), and the
//! flow keeps its way.

use arrayvec::ArrayVec;
use crossbeam::utils::CachePadded;

use crate::{
    counters::{Traffic, WorkerCounters},
    fib::{
        Fib,
        entry::{AdjacencyId, PortIndex},
    },
    frame::{BURST, FRAME_SIZE, FreeList, HEADROOM, PacketBuf},
    packet::{Meta, Packet},
    port::Umem,
    verdict::Reason,
    wire::{
        ethernet,
        fragment::{Fragment, Fragments},
        ipv4, ipv6, protocol,
    },
};

/// Fragments behind the first that a burst may lead to.
const CAPACITY: usize = 4 * BURST;

/// IPv6 headers that may be in front of a packet.
const MAX_PUSHED: usize = 8;

/// Fragments that wait to be sent.
#[derive(Debug)]
pub struct Waiting {
    /// All but the first of each packet, with the ports that they leave by.
    fragments: Vec<(PortIndex, PacketBuf)>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { fragments: Vec::with_capacity(CAPACITY) }
    }
}

impl Waiting {
    /// Whether there are none, as after most bursts.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// Takes all of them, in the order in which they are to be sent.
    pub fn drain(&mut self) -> impl Iterator<Item = (PortIndex, PacketBuf)> {
        self.fragments.drain(..)
    }
}

/// Whether a packet that is too long is IPv4 as it was received, and may be cut.
pub(super) fn is_allowed(packet: &Packet<'_>) -> bool {
    let received = &packet.meta.received;
    if received.v6 || received.ethernet || packet.meta.reply.is_some() {
        return false;
    }
    let bytes = packet.frame.get(usize::from(received.head)..packet.meta.tail as usize);
    let header = bytes.and_then(ipv4::Ipv4::new_checked);
    header.is_some_and(|header| !header.dont_fragment())
}

/// What it takes to cut packets.
pub(super) struct Cutter<'a> {
    pub(super) waiting: &'a mut Waiting,
    /// How many packets the burst has: all of them may leave by one port yet.
    pub(super) packets: usize,
    /// Per port: how many packets it takes.
    pub(super) room: &'a mut [CachePadded<usize>],
    pub(super) free: &'a mut FreeList,
    pub(super) umem: &'a mut Umem,
    pub(super) counters: &'a WorkerCounters,
}

impl Cutter<'_> {
    /// Cuts the packet of a burst, so that it fits an adjacency. What is left in its own frame is the
    /// first fragment: says by which port it leaves. Where there may be no room for all of them, none
    /// leaves.
    #[cold]
    pub(super) fn cut(
        &mut self,
        buf: &mut PacketBuf,
        meta: &Meta,
        id: AdjacencyId,
        fib: &Fib,
    ) -> Result<PortIndex, Reason> {
        const TOO_BIG: Reason = Reason::PacketTooBig;
        let (head, tail) = (meta.head as usize, meta.tail as usize);
        let pushed = usize::from(meta.received.head).checked_sub(head).ok_or(TOO_BIG)?;
        let adjacency = fib.adjacencies.get(id as usize).ok_or(Reason::AdjacencyDown)?;
        let mtu = usize::from(adjacency.mtu_in(fib));
        let mut copy = *self.umem.bytes(&buf.frame);
        let packet = copy.get_mut(head..tail).ok_or(TOO_BIG)?;
        let (pushed, cargo) = packet.split_at_mut_checked(pushed).ok_or(TOO_BIG)?;
        let headers = headers(pushed).ok_or(TOO_BIG)?;
        let room = mtu.checked_sub(pushed.len()).ok_or(TOO_BIG)?;
        let all = Fragments::new(cargo, room).ok_or(TOO_BIG)?;
        let more = all.clone().count().saturating_sub(1);
        let left = self.room.get_mut(usize::from(adjacency.port)).ok_or(Reason::AdjacencyDown)?;
        if **left < self.packets + more || self.waiting.fragments.len() + more > CAPACITY {
            return Err(Reason::TxRingFull);
        }
        if self.free.len() < more {
            return Err(Reason::NoFrame);
        }
        let ether_type = if meta.v6 { ethernet::IPV6 } else { ethernet::IPV4 };
        let mut l2 = [0; ethernet::HEADER_LEN];
        l2[..12].copy_from_slice(&adjacency.l2);
        l2[12..].copy_from_slice(&ether_type.to_be_bytes());
        for (index, fragment) in all.enumerate() {
            for at in &headers {
                let rest = pushed.len() - at - ipv6::HEADER_LEN;
                let len = (rest + fragment.total_len()) as u16;
                let field = at + ipv6::field::PAYLOAD_LEN;
                if let Some(field) = pushed.get_mut(field..field + 2) {
                    field.copy_from_slice(&len.to_be_bytes());
                }
            }
            let parts: [&[u8]; 4] = [&l2, pushed, fragment.header(), data(cargo, &fragment)];
            if index == 0 {
                let len = write(self.umem.bytes(&buf.frame), parts);
                (buf.head, buf.len) = (HEADROOM as u16, len);
            } else if let Some(frame) = self.free.pop() {
                let len = write(self.umem.bytes(&frame), parts);
                let packet = PacketBuf { frame, head: HEADROOM as u16, len };
                self.waiting.fragments.push((adjacency.port, packet));
                **left -= 1;
                let bytes = u64::from(len);
                self.counters.count_sent(adjacency.port, Traffic { packets: 1, bytes });
                self.counters.fragments.add(1);
            }
        }
        Ok(adjacency.port)
    }
}

fn data<'a>(packet: &'a [u8], fragment: &Fragment) -> &'a [u8] {
    packet.get(fragment.data.clone()).unwrap_or_default()
}

/// Writes a packet into a frame, and says how long it is.
fn write(frame: &mut [u8; FRAME_SIZE], parts: [&[u8]; 4]) -> u16 {
    let mut at = HEADROOM;
    for part in parts {
        // It fits: no MTU is longer than what a frame has room for behind the headroom.
        if let Some(place) = frame.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
            at += part.len();
        }
    }
    (at - HEADROOM) as u16
}

/// Where the IPv6 headers are that were pushed in front of an IPv4 packet. `None` where they do not
/// lead to it.
fn headers(pushed: &[u8]) -> Option<ArrayVec<usize, MAX_PUSHED>> {
    let mut found = ArrayVec::new();
    let (mut at, mut next) = (0, if pushed.is_empty() { protocol::IPV4 } else { protocol::IPV6 });
    while at < pushed.len() {
        match next {
            protocol::IPV6 => {
                found.try_push(at).ok()?;
                next = *pushed.get(at + ipv6::field::NEXT_HEADER)?;
                at += ipv6::HEADER_LEN;
            }
            protocol::ROUTING | protocol::HOP_BY_HOP => {
                next = *pushed.get(at)?;
                at += 8 * (usize::from(*pushed.get(at + 1)?) + 1);
            }
            _ => return None,
        }
    }
    (at == pushed.len() && next == protocol::IPV4).then_some(found)
}
