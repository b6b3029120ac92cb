//! The packets of a burst that leave.

use crossbeam::utils::CachePadded;

use super::observe::Observer;
use crate::{
    counters::{Traffic, WorkerCounters},
    fib::entry::PortIndex,
    frame::{BURST, Burst, FreeList, PacketBuf},
    packet::{Meta, NOWHERE},
    verdict::{Fate, Reason},
};

/// What is known of those that leave before all of the burst is done.
#[derive(Debug)]
pub(super) struct Departures {
    /// The port they leave by; once there was another, any of theirs.
    port: PortIndex,
    /// Whether they leave by different ports, or some are answers.
    mixed: bool,
    packets: usize,
}

impl Default for Departures {
    fn default() -> Self {
        Self { port: NOWHERE, mixed: false, packets: 0 }
    }
}

impl Departures {
    /// A new burst.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// A packet is ready to leave.
    #[inline(always)]
    pub(super) fn note(&mut self, port: PortIndex) {
        if port != self.port {
            self.other_port(port);
        }
        self.packets += 1;
    }

    #[cold]
    fn other_port(&mut self, port: PortIndex) {
        self.mixed |= self.port != NOWHERE;
        self.port = port;
    }

    /// One of them is an answer.
    #[inline(always)]
    pub(super) fn reply(&mut self) {
        self.mixed = true;
    }

    /// Hands the packets that leave to their ports' bursts, in the order they came in, as many as
    /// each port has `room` for, and gives the other frames back. `burst` is empty afterwards.
    ///
    /// Most often all of a burst leaves by one port, and becomes that port's burst as it is.
    #[inline(always)]
    pub(super) fn finish(
        &self,
        burst: &mut Burst,
        metas: &[Meta; BURST],
        ports: &mut Ports<'_>,
        counters: &WorkerCounters,
        observer: &mut impl Observer,
    ) {
        let port = usize::from(self.port);
        if !self.mixed
            && self.packets == burst.len()
            && let Some(out) = ports.out.get_mut(port)
            && out.is_empty()
            && let Some(room) = ports.room.get_mut(port)
            && let Some(left) = room.checked_sub(burst.len())
        {
            **room = left;
            let bytes = burst.iter().map(|packet| u64::from(packet.len)).sum();
            std::mem::swap(out, burst);
            let packets = self.packets as u64;
            counters.count_sent(self.port, Traffic { packets, bytes });
            counters.forwarded.add(packets);
            return;
        }
        distribute(burst, metas, ports, counters, observer);
    }
}

/// Where packets go that leave, and the frames of those that do not.
#[derive(Debug)]
pub(super) struct Ports<'a> {
    /// Per port: packets to be sent.
    pub(super) out: &'a mut [Burst],
    /// Per port: how many packets it takes.
    pub(super) room: &'a mut [CachePadded<usize>],
    pub(super) free: &'a mut FreeList,
}

impl Ports<'_> {
    /// Hands a packet to a port's burst. What there is no room for comes back.
    fn send(&mut self, port: usize, packet: PacketBuf) -> Result<(), (Reason, PacketBuf)> {
        let (Some(out), Some(room)) = (self.out.get_mut(port), self.room.get_mut(port)) else {
            return Err((Reason::AdjacencyDown, packet));
        };
        let Some(left) = room.checked_sub(1) else { return Err((Reason::TxRingFull, packet)) };
        out.try_push(packet).map_err(|no_room| (Reason::TxRingFull, no_room.element()))?;
        **room = left;
        Ok(())
    }
}

#[inline(never)]
fn distribute(
    burst: &mut Burst,
    metas: &[Meta; BURST],
    ports: &mut Ports<'_>,
    counters: &WorkerCounters,
    observer: &mut impl Observer,
) {
    let mut forwarded = 0;
    for (index, (packet, meta)) in burst.drain(..).zip(metas).enumerate() {
        if meta.egress == NOWHERE {
            ports.free.push(packet.frame);
            continue;
        }
        let sent = Traffic { packets: 1, bytes: u64::from(packet.len) };
        if let Err((reason, packet)) = ports.send(usize::from(meta.egress), packet) {
            counters.count_drop(reason);
            observer.ended(index, Fate::Dropped(reason));
            ports.free.push(packet.frame);
            continue;
        }
        counters.count_sent(meta.egress, sent);
        match meta.reply {
            Some(reason) => counters.count_reply(reason),
            None => forwarded += 1,
        }
    }
    counters.forwarded.add(forwarded);
}

#[cfg(test)]
mod tests {
    use super::{super::observe::Nobody, *};
    use crate::frame::{Frame, PacketBuf};

    fn burst(numbers: std::ops::Range<u32>) -> Burst {
        numbers.map(|number| PacketBuf { frame: Frame::new(number), head: 0, len: 60 }).collect()
    }

    /// What a port's ring or burst has no room for is counted as dropped, and its frame is free again.
    #[test]
    fn what_does_not_fit_is_a_drop() {
        for (waiting, room) in [(BURST as u32 - 1, BURST), (0, 1)] {
            let counters = WorkerCounters::new(1);
            let metas = [Meta { egress: 0, ..Meta::new(0, 0, 0, 60) }; BURST];
            let mut out = [burst(10..10 + waiting)];
            let mut room = [CachePadded::new(room)];
            let mut free = FreeList::new(Vec::with_capacity(2));
            let mut departures = Departures::default();
            departures.begin();
            (0..2).for_each(|_| departures.note(0));
            let mut leaving = burst(0..2);
            let mut ports = Ports { out: &mut out, room: &mut room, free: &mut free };
            departures.finish(&mut leaving, &metas, &mut ports, &counters, &mut Nobody);
            assert!(leaving.is_empty() && out[0].len() == waiting as usize + 1);
            assert_eq!(free.pop().map(|frame| frame.index()), Some(1));
            assert_eq!((counters.forwarded.get(), counters.dropped.get()), (1, 1));
            assert_eq!(counters.drops[Reason::TxRingFull as usize].get(), 1);
            assert_eq!(counters.sent[0].get(), Traffic { packets: 1, bytes: 60 });
        }
    }

    /// Where all leave by one port that has room, its burst is theirs.
    #[test]
    fn a_burst_for_one_port_is_that_ports() {
        let counters = WorkerCounters::new(1);
        let metas = [Meta { egress: 0, ..Meta::new(0, 0, 0, 60) }; BURST];
        let (mut out, mut room) = ([Burst::new()], [CachePadded::new(5)]);
        let mut free = FreeList::new(Vec::new());
        let mut departures = Departures::default();
        departures.begin();
        (0..3).for_each(|_| departures.note(0));
        let mut leaving = burst(0..3);
        let mut ports = Ports { out: &mut out, room: &mut room, free: &mut free };
        departures.finish(&mut leaving, &metas, &mut ports, &counters, &mut Nobody);
        assert!(leaving.is_empty() && out[0].len() == 3 && *room[0] == 2 && free.is_empty());
        assert_eq!(counters.sent[0].get(), Traffic { packets: 3, bytes: 180 });
    }
}
