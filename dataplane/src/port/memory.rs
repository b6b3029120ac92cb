//! A port with rings in memory: the real worker loop runs on it without privilege, for tests and
//! benches.

use std::{collections::VecDeque, os::fd::BorrowedFd, time::Duration};

use super::{Port, Punt};
use crate::frame::{Burst, Frame, FreeList, PacketBuf};

/// A port whose other end is the test.
#[derive(Debug)]
pub struct MemoryPort {
    /// Frames to receive into.
    fill: VecDeque<Frame>,
    /// Packets that wait to be received.
    receive: VecDeque<PacketBuf>,
    /// Packets that were sent.
    sent: VecDeque<PacketBuf>,
    /// Frames whose packets the other end has taken.
    completed: VecDeque<Frame>,
    /// Places in each ring.
    capacity: usize,
}

impl MemoryPort {
    /// A port with so many places in each of its rings.
    pub fn new(capacity: usize) -> Self {
        let ring = || VecDeque::with_capacity(capacity);
        Self {
            fill: ring(),
            receive: VecDeque::with_capacity(capacity),
            sent: VecDeque::with_capacity(capacity),
            completed: ring(),
            capacity,
        }
    }

    /// The other end: a frame to write a packet into, as the kernel takes one from the fill ring.
    pub fn take_fill(&mut self) -> Option<Frame> {
        self.fill.pop_front()
    }

    /// The other end: offers a packet to be received.
    pub fn offer(&mut self, packet: PacketBuf) {
        self.receive.push_back(packet);
    }

    /// The other end: the oldest packet that was sent. Its frame is to be given back by
    /// [`complete`](Self::complete).
    pub fn take_sent(&mut self) -> Option<PacketBuf> {
        self.sent.pop_front()
    }

    /// The other end: is done with a sent packet's frame.
    pub fn complete(&mut self, frame: Frame) {
        self.completed.push_back(frame);
    }
}

impl Port for MemoryPort {
    fn receive(&mut self, burst: &mut Burst) {
        let count = burst.remaining_capacity().min(self.receive.len());
        burst.extend(self.receive.drain(..count));
    }

    fn room(&mut self) -> usize {
        self.capacity - self.sent.len()
    }

    fn transmit(&mut self, burst: &mut Burst) {
        let count = burst.len().min(self.capacity - self.sent.len());
        self.sent.extend(burst.drain(..count));
    }

    fn service(&mut self, free: &mut FreeList) {
        while let Some(frame) = self.completed.pop_front() {
            free.push(frame);
        }
        while self.fill.len() < self.capacity / 2 {
            let Some(frame) = free.pop() else { break };
            self.fill.push_back(frame);
        }
    }

    fn wait(_: &mut [Self], _: Option<BorrowedFd<'_>>, _: Duration) {
        std::thread::yield_now();
    }

    fn held(&self) -> usize {
        self.fill.len() + self.receive.len() + self.sent.len() + self.completed.len()
    }
}

/// A host that keeps what it is given.
#[derive(Debug, Default)]
pub struct MemoryHost {
    /// The packets, oldest first.
    pub packets: Vec<Vec<u8>>,
}

impl Punt for MemoryHost {
    fn punt(&mut self, packet: &[u8]) -> bool {
        self.packets.push(packet.to_vec());
        true
    }
}

/// A host that only counts.
#[derive(Debug, Default)]
pub struct CountingHost {
    /// Packets it was given.
    pub packets: u64,
}

impl Punt for CountingHost {
    fn punt(&mut self, _: &[u8]) -> bool {
        self.packets += 1;
        true
    }
}
