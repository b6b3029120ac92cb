//! The packets of a burst that leave.

use crate::{
    counters::{Traffic, WorkerCounters},
    fib::entry::PortIndex,
    frame::{BURST, Burst, FreeList},
    packet::{Meta, NOWHERE},
    verdict::Reason,
};

/// What is known of those that leave before all of the burst is done.
#[derive(Debug)]
pub(super) struct Departures {
    /// The port they leave by; once there was another, any of theirs.
    port: PortIndex,
    /// Whether they leave by different ports, or some are answers.
    mixed: bool,
    sent: Traffic,
}

impl Default for Departures {
    fn default() -> Self {
        Self { port: NOWHERE, mixed: false, sent: Traffic::default() }
    }
}

impl Departures {
    /// A new burst.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// A packet of so many bytes is ready to leave.
    #[inline(always)]
    pub(super) fn note(&mut self, port: PortIndex, bytes: usize) {
        if port != self.port {
            self.other_port(port);
        }
        self.sent += Traffic { packets: 1, bytes: bytes as u64 };
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

    /// Hands the packets that leave to their ports' bursts, in the order they came in, and gives
    /// the other frames back. `burst` is empty afterwards.
    ///
    /// Most often all of a burst leaves by one port, and becomes that port's burst as it is.
    #[inline(always)]
    pub(super) fn finish(
        &self,
        burst: &mut Burst,
        metas: &[Meta; BURST],
        out: &mut [Burst],
        free: &mut FreeList,
        counters: &WorkerCounters,
    ) {
        if !self.mixed
            && self.sent.packets == burst.len() as u64
            && let Some(out) = out.get_mut(usize::from(self.port))
            && out.is_empty()
        {
            std::mem::swap(out, burst);
            counters.count_sent(self.port, self.sent);
            counters.forwarded.add(self.sent.packets);
            return;
        }
        distribute(burst, metas, out, free, counters);
    }
}

#[inline(never)]
fn distribute(
    burst: &mut Burst,
    metas: &[Meta; BURST],
    out: &mut [Burst],
    free: &mut FreeList,
    counters: &WorkerCounters,
) {
    let mut forwarded = 0;
    for (packet, meta) in burst.drain(..).zip(metas) {
        let Some(out) = out.get_mut(usize::from(meta.egress)) else {
            free.push(packet.frame);
            continue;
        };
        let sent = Traffic { packets: 1, bytes: u64::from(packet.len) };
        if let Err(no_room) = out.try_push(packet) {
            counters.count_drop(Reason::TxRingFull);
            free.push(no_room.element().frame);
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
    use super::*;
    use crate::frame::{Frame, PacketBuf};

    fn burst(numbers: std::ops::Range<u32>) -> Burst {
        numbers.map(|number| PacketBuf { frame: Frame::new(number), head: 0, len: 60 }).collect()
    }

    /// What a port's burst has no room for is counted as dropped, and its frame is free again.
    #[test]
    fn what_does_not_fit_is_a_drop() {
        let counters = WorkerCounters::new(1);
        let metas = [Meta { egress: 0, ..Meta::new(0, 0, 0, 60) }; BURST];
        let mut out = [burst(10..10 + BURST as u32 - 1)];
        let mut free = FreeList::new(Vec::with_capacity(2));
        let mut departures = Departures::default();
        departures.begin();
        (0..2).for_each(|_| departures.note(0, 60));
        let mut leaving = burst(0..2);
        departures.finish(&mut leaving, &metas, &mut out, &mut free, &counters);
        assert!(leaving.is_empty() && out[0].is_full());
        assert_eq!(free.pop().map(|frame| frame.index()), Some(1));
        assert_eq!((counters.forwarded.get(), counters.dropped.get()), (1, 1));
        assert_eq!(counters.drops[Reason::TxRingFull as usize].get(), 1);
        assert_eq!(counters.sent[0].get(), Traffic { packets: 1, bytes: 60 });
    }
}
