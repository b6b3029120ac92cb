//! What is written down of a packet: plain data of fixed size.

use std::time::Duration;

use arrayvec::ArrayVec;

use crate::{
    behavior::{Behavior, Flavors, hmac},
    fib::entry::{Discard, Entry, GroupId, PolicyId, PortIndex, Punted},
    frame::FRAME_SIZE,
    pipeline::MAX_PASSES,
    verdict::{Fate, Reason, Verdict},
};

/// Bytes of a packet that are kept of each step: what fits in the headroom may be pushed, and there
/// has to be something of what is behind it.
pub const SNAPSHOT: usize = 384;

/// Steps that are kept: a frame that is steered, every pass, and the answer.
pub const MAX_STEPS: usize = MAX_PASSES + 2;

/// The way of a packet.
#[derive(Debug, Clone)]
pub struct Record {
    /// The worker that had it.
    pub worker: usize,
    /// When its burst was taken from the port, since the Unix epoch.
    pub at: Duration,
    /// The port it came in by.
    pub ingress: PortIndex,
    /// The frame as it came, from the Ethernet header on.
    pub received: Bytes<FRAME_SIZE>,
    /// What was done, in order.
    pub steps: ArrayVec<Step, MAX_STEPS>,
    /// How it ended.
    pub fate: Option<Fate>,
    /// The port it left by, or would have, had there been room.
    pub egress: Option<PortIndex>,
    /// The frame as it left, from the Ethernet header on; empty where it did not.
    pub sent: Bytes<FRAME_SIZE>,
}

/// Something that was done with a packet.
#[derive(Debug, Clone)]
pub struct Step {
    /// What was done.
    pub event: Event,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// The packet afterwards, from the IP header on. Before, it was as the step before left it.
    pub after: Bytes<SNAPSHOT>,
}

/// What was done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It was looked up, and what was found was done.
    LookUp(LookUp),
    /// It is a frame of an interface that is steered into a policy as a whole.
    Steered {
        /// The policy's number.
        id: PolicyId,
        /// Which of its segment lists was taken, counted from 0.
        list: Option<u16>,
    },
    /// It was made an answer to its sender.
    Answered(Reason),
}

/// A look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookUp {
    /// The table, by the number that the kernel knows it by.
    pub table: u32,
    /// Whether the key is an IPv6 address.
    pub v6: bool,
    /// What was looked up, left-aligned.
    pub key: u128,
    /// Bits of the prefix that was found.
    pub prefix_len: u8,
    /// Its entry.
    pub entry: Entry,
    /// What it led to.
    pub found: Found,
}

/// What a prefix led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There was no prefix.
    NoRoute,
    /// A next-hop group.
    Group(GroupId),
    /// A SID of ours.
    Sid {
        /// Its first address.
        address: u128,
        /// Bits of the address that are matched.
        prefix_len: u8,
        /// Its behavior.
        behavior: Behavior,
        /// Its flavors.
        flavors: Flavors,
        /// What it asks of packets' HMAC TLVs.
        hmac: hmac::Policy,
    },
    /// A policy.
    Policy {
        /// Its number.
        id: PolicyId,
        /// Which of its segment lists was taken, counted from 0.
        list: Option<u16>,
        /// Whether a rule led there, whatever the prefix says.
        by_rule: bool,
    },
    /// The host.
    Host(Punted),
    /// Nobody.
    Discard(Discard),
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Another look-up.
    LookUp {
        /// In this table, by its number.
        table: u32,
    },
    /// It is ready to leave.
    Leaves(Leaving),
    /// Something else.
    Verdict(Verdict),
}

/// How a packet leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    /// The port.
    pub port: PortIndex,
    /// Destination and source of its Ethernet header.
    pub l2: [u8; 12],
}

/// The beginning of a packet.
#[derive(Debug, Clone)]
pub struct Bytes<const N: usize> {
    len: u16,
    bytes: [u8; N],
}

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Self { len: 0, bytes: [0; N] }
    }
}

impl<const N: usize> Bytes<N> {
    /// Takes as much of a packet as there is room for.
    pub fn take(&mut self, packet: &[u8]) {
        self.len = packet.len() as u16;
        let kept = packet.len().min(N);
        self.bytes[..kept].copy_from_slice(&packet[..kept]);
    }

    /// Adds what follows.
    pub fn add(&mut self, packet: &[u8]) {
        let start = usize::from(self.len).min(N);
        let kept = packet.len().min(N - start);
        self.bytes[start..start + kept].copy_from_slice(&packet[..kept]);
        self.len = self.len.saturating_add(packet.len() as u16);
    }

    /// Forgets it.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Bytes that the packet had, kept or not.
    pub fn packet_len(&self) -> usize {
        usize::from(self.len)
    }

    /// What was kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len).min(N)]
    }
}

impl Default for Record {
    /// Of no packet yet.
    fn default() -> Self {
        Self {
            worker: 0,
            at: Duration::ZERO,
            ingress: 0,
            received: Bytes::default(),
            steps: ArrayVec::new(),
            fate: None,
            egress: None,
            sent: Bytes::default(),
        }
    }
}

impl Record {
    /// A packet came in; what was written down of another one is forgotten.
    pub fn begin(
        &mut self,
        worker: usize,
        at: Duration,
        ingress: PortIndex,
        l2: &[u8],
        packet: &[u8],
    ) {
        (self.worker, self.at, self.ingress) = (worker, at, ingress);
        self.received.take(l2);
        self.received.add(packet);
        self.steps.clear();
        (self.fate, self.egress) = (None, None);
        self.sent.clear();
    }
}
