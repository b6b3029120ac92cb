//! Counters: written by one worker each, read by anybody, never locked.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crossbeam::utils::CachePadded;

use crate::{
    fib::entry::PortIndex,
    verdict::{Fate, Reason},
};

/// A number that one thread adds to and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Only one thread may: no locked instruction is spent on it.
    #[inline(always)]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Sets, for a number that goes down as well. Only one thread may.
    #[inline(always)]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Reads.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Packets, and their bytes from the IP header on (on ports: from the Ethernet header on).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

impl std::iter::Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::default(), |mut sum, item| {
            sum += item;
            sum
        })
    }
}

/// A counter of packets and bytes.
#[derive(Debug, Default)]
pub struct TrafficCounter {
    packets: Counter,
    bytes: Counter,
}

impl TrafficCounter {
    /// Counts packets with their bytes. Only one thread may.
    #[inline(always)]
    pub fn add(&self, packets: u64, bytes: u64) {
        self.packets.add(packets);
        self.bytes.add(bytes);
    }

    /// Reads.
    pub fn get(&self) -> Traffic {
        Traffic { packets: self.packets.get(), bytes: self.bytes.get() }
    }
}

/// A counter that every worker has its own part of: for SIDs and segment lists.
#[derive(Debug)]
pub struct PacketCounters {
    workers: Box<[CachePadded<TrafficCounter>]>,
}

impl PacketCounters {
    /// A counter for so many workers.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self { workers: (0..workers).map(|_| CachePadded::default()).collect() })
    }

    /// Counts packets for a worker. Only that worker's thread may.
    #[inline(always)]
    pub fn add(&self, worker: usize, packets: u64, bytes: u64) {
        if let Some(counter) = self.workers.get(worker) {
            counter.add(packets, bytes);
        }
    }

    /// The sum over all workers.
    pub fn get(&self) -> Traffic {
        self.workers.iter().map(|counter| counter.get()).sum()
    }
}

/// What one worker counts.
#[derive(Debug)]
pub struct WorkerCounters {
    /// Per port: packets that came in.
    pub received: Box<[CachePadded<TrafficCounter>]>,
    /// Per port: packets that were handed to its TX ring.
    pub sent: Box<[CachePadded<TrafficCounter>]>,
    /// Packets that went on to another node.
    pub forwarded: Counter,
    /// Fragments that were sent, beside the first of each packet: that is the packet, forwarded.
    pub fragments: Counter,
    /// Packets that were given to the host.
    pub punted: Counter,
    /// Packets that became an answer to their sender.
    pub replied: Counter,
    /// Packets that were dropped.
    pub dropped: Counter,
    /// Per [`Reason`]: packets dropped for it.
    pub drops: [Counter; Reason::COUNT],
    /// Per [`Reason`]: packets answered for it.
    pub replies: [Counter; Reason::COUNT],
    /// Bursts that had a packet.
    pub bursts: Counter,
    /// Rounds of the poll loop.
    pub rounds: Counter,
    /// Frames on the free list after the last round without packets.
    pub frames_free: Counter,
    /// Frames in the ports' rings and the driver's hands after the last round without packets.
    pub frames_in_rings: Counter,
}

impl WorkerCounters {
    /// Counters for so many ports, in cache lines of their own.
    pub fn new(ports: usize) -> Arc<CachePadded<Self>> {
        // The boxes are padded like the whole: another worker's may be next to them in memory.
        Arc::new(CachePadded::new(Self {
            received: (0..ports).map(|_| CachePadded::default()).collect(),
            sent: (0..ports).map(|_| CachePadded::default()).collect(),
            forwarded: Counter::default(),
            fragments: Counter::default(),
            punted: Counter::default(),
            replied: Counter::default(),
            dropped: Counter::default(),
            drops: std::array::from_fn(|_| Counter::default()),
            replies: std::array::from_fn(|_| Counter::default()),
            bursts: Counter::default(),
            rounds: Counter::default(),
            frames_free: Counter::default(),
            frames_in_rings: Counter::default(),
        }))
    }

    /// Counts packets that were handed to a port; none where there is no such port.
    #[inline]
    pub fn count_sent(&self, port: PortIndex, sent: Traffic) {
        if let Some(counter) = self.sent.get(usize::from(port)) {
            counter.add(sent.packets, sent.bytes);
        }
    }

    /// Counts a dropped packet.
    #[inline]
    pub fn count_drop(&self, reason: Reason) {
        self.dropped.add(1);
        self.drops[reason as usize].add(1);
    }

    /// Counts a packet by how it ended.
    #[inline]
    pub fn count(&self, fate: Fate) {
        match fate {
            Fate::Forwarded => self.forwarded.add(1),
            Fate::Replied(reason) => self.count_reply(reason),
            Fate::Punted => self.punted.add(1),
            Fate::Dropped(reason) => self.count_drop(reason),
        }
    }

    /// Counts an answered packet.
    #[inline]
    pub fn count_reply(&self, reason: Reason) {
        self.replied.add(1);
        self.replies[reason as usize].add(1);
    }
}
