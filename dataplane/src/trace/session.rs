//! A worker's part of a trace, and what it keeps of packets with the O-flag.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use crossbeam::queue::ArrayQueue;

use super::{
    Filter,
    record::{Bytes, Event, Found, LookUp, Outcome, Record, Step},
};
use crate::{
    fib::entry::{PolicyId, PortIndex},
    frame::BURST,
    limiter::Limiter,
    verdict::Reason,
};

/// Where the records of all workers go, and come from.
#[derive(Debug)]
pub struct Ring {
    full: ArrayQueue<Box<Record>>,
    empty: ArrayQueue<Box<Record>>,
    /// How many more are wanted.
    wanted: AtomicU64,
    /// Those that were wanted, and that there was no empty record for.
    missed: AtomicU64,
}

impl Ring {
    /// A ring of `capacity` records, for the next `wanted` packets.
    pub fn new(capacity: usize, wanted: u64) -> Arc<Self> {
        let empty = ArrayQueue::new(capacity.max(1));
        while empty.push(Box::default()).is_ok() {}
        Arc::new(Self {
            full: ArrayQueue::new(capacity.max(1)),
            empty,
            wanted: AtomicU64::new(wanted),
            missed: AtomicU64::new(0),
        })
    }

    /// Shows the oldest record to `look`, and says what that makes of it. `None`: there is none.
    pub fn take<T>(&self, look: impl FnOnce(&Record) -> T) -> Option<T> {
        let record = self.full.pop()?;
        let result = look(&record);
        // There is room: the record is one of as many as there are places.
        let _ = self.empty.push(record);
        Some(result)
    }

    /// How many packets were wanted, and are not here because there was no empty record.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Whether workers have given all the records that were wanted.
    pub fn is_done(&self) -> bool {
        self.wanted.load(Ordering::Acquire) == 0
    }

    /// No more are wanted.
    pub fn close(&self) {
        self.wanted.store(0, Ordering::Release);
    }

    /// One of those that are wanted, if there are more.
    fn claim(&self) -> bool {
        let less = |wanted: u64| wanted.checked_sub(1);
        self.wanted.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less).is_ok()
    }

    /// Changes a record for an empty one, and if there is none for the oldest.
    fn change_for_oldest(&self, record: &mut Box<Record>) {
        let Some(other) = self.empty.pop().or_else(|| {
            self.missed.fetch_add(1, Ordering::Relaxed);
            self.full.pop()
        }) else {
            // Others have them all in hand.
            return;
        };
        let full = std::mem::replace(record, other);
        // There is room: see `take`.
        if let Err(full) = self.full.push(full) {
            *record = full;
        }
    }

    /// Changes a record that is wanted for an empty one.
    fn change(&self, record: &mut Box<Record>) {
        if !self.claim() {
            return;
        }
        let Some(empty) = self.empty.pop() else {
            // It is still wanted, of a later packet; unless the ring was closed meanwhile.
            let more = |wanted: u64| if wanted == 0 { None } else { Some(wanted + 1) };
            let _ = self.wanted.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more);
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let full = std::mem::replace(record, empty);
        // There is room: see `take`.
        if let Err(full) = self.full.push(full) {
            *record = full;
        }
    }
}

/// Copies of packets with the O-flag, a second and worker.
const MARKED_RATE: u32 = 100;

/// Which packets are written down.
#[derive(Debug)]
enum Wanted {
    /// All, to see which of them match.
    Matching(Filter),
    /// Those for a SID of ours with the O-flag, within a rate (RFC 9259, section 2.1.1).
    Marked(Limiter),
}

/// A worker's part of a trace: records for a burst, and where they go.
#[derive(Debug)]
pub struct Session {
    wanted: Wanted,
    ring: Arc<Ring>,
    /// By place in the burst.
    records: Box<[Box<Record>]>,
    worker: usize,
    ingress: PortIndex,
    /// When the burst was taken: since the Unix epoch, and by the clock that limits go by; once
    /// something asked for it.
    now: Option<(Duration, Instant)>,
    /// By place in the burst: those that are written down.
    active: u64,
    /// By place in the burst: those with a step whose outcome is not known yet.
    open: u64,
}

impl Session {
    /// A trace, for one worker.
    pub fn new(filter: Filter, ring: Arc<Ring>) -> Box<Self> {
        Self::with(Wanted::Matching(filter), ring)
    }

    /// Copies of packets for our SIDs that have the O-flag, for one worker. The ring keeps the last.
    pub fn of_marked(ring: Arc<Ring>) -> Box<Self> {
        Self::with(Wanted::Marked(Limiter::default()), ring)
    }

    fn with(wanted: Wanted, ring: Arc<Ring>) -> Box<Self> {
        let records = (0..BURST).map(|_| Box::default()).collect();
        Box::new(Self {
            wanted,
            ring,
            records,
            worker: 0,
            ingress: 0,
            now: None,
            active: 0,
            open: 0,
        })
    }

    /// A burst begins. Says whether all of its packets are to be written down now.
    pub(crate) fn begin(&mut self, worker: usize, ingress: PortIndex) -> bool {
        (self.worker, self.ingress, self.now) = (worker, ingress, None);
        (self.active, self.open) = (0, 0);
        match &self.wanted {
            Wanted::Matching(filter) => {
                filter.ingress.is_none_or(|port| port == ingress) && !self.ring.is_done()
            }
            Wanted::Marked(_) => false,
        }
    }

    /// Whether nothing is written down of this burst.
    pub(crate) fn is_idle(&self) -> bool {
        self.active == 0
    }

    /// Whether a packet with the O-flag is to be written down: it is not yet, and there are not too
    /// many.
    pub(crate) fn allows_marked(&mut self, index: usize) -> bool {
        let (_, now) = self.now();
        match &mut self.wanted {
            Wanted::Marked(limiter) if self.active >> index & 1 == 0 => {
                let allowed = limiter.allows(MARKED_RATE, now);
                if !allowed {
                    self.ring.missed.fetch_add(1, Ordering::Relaxed);
                }
                allowed
            }
            _ => false,
        }
    }

    /// Whether it looks for packets with the O-flag.
    pub(crate) fn looks_for_marked(&self) -> bool {
        matches!(self.wanted, Wanted::Marked(_))
    }

    fn now(&mut self) -> (Duration, Instant) {
        *self.now.get_or_insert_with(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            (now.unwrap_or_default(), Instant::now())
        })
    }

    /// A packet is written down from here on: its Ethernet header, and what follows it.
    pub(crate) fn record(&mut self, index: usize, l2: &[u8], packet: &[u8]) {
        let (at, _) = self.now();
        if let Some(record) = self.records.get_mut(index) {
            record.begin(self.worker, at, self.ingress, l2, packet);
            self.active |= 1 << index;
        }
    }

    /// The record of a packet that is written down.
    pub(crate) fn active(&mut self, index: usize) -> Option<&mut Record> {
        if self.active.checked_shr(index as u32).unwrap_or(0) & 1 == 0 {
            return None;
        }
        self.records.get_mut(index).map(|record| &mut **record)
    }

    /// A step begins, of which `fill` says what it is. Written in place: it is a few hundred bytes.
    pub(crate) fn step(&mut self, index: usize, fill: impl FnOnce(&mut Step)) {
        let Some(record) = self.active(index) else { return };
        // There are as many places as there may be steps.
        let event = Event::Answered(Reason::EchoRequest);
        let _ = record.steps.try_push(Step { event, outcome: None, after: Bytes::default() });
        if let Some(step) = record.steps.last_mut() {
            fill(step);
        }
        self.open |= 1 << index;
    }

    /// The outcome of a packet's last step, if it is not known, and the packet then.
    pub(crate) fn close(&mut self, index: usize, outcome: Outcome, packet: &[u8]) {
        let bit = 1u64.checked_shl(index as u32).unwrap_or(0);
        if self.open & bit == 0 {
            return;
        }
        self.open &= !bit;
        if let Some(step) = self.records.get_mut(index).and_then(|record| record.steps.last_mut())
            && step.outcome.is_none()
            && matches!(step.event, Event::LookUp(_))
        {
            step.outcome = Some(outcome);
            step.after.take(packet);
        }
    }

    /// A packet was steered into a policy, if its last step says so: `find` says by which list.
    pub(crate) fn took_list(&mut self, index: usize, find: impl FnOnce(PolicyId) -> Option<u16>) {
        let step = self.active(index).and_then(|record| record.steps.last_mut());
        if let Some(Step { event: Event::LookUp(LookUp { found, .. }), .. }) = step
            && let Found::Policy { id, list: list @ None, .. } = found
        {
            *list = find(*id);
        }
    }

    /// The burst is over: hands over what matches.
    pub(crate) fn commit(&mut self) {
        let active = self.active;
        let is_active = |(index, _): &(usize, _)| active >> index & 1 == 1;
        for (_, record) in self.records.iter_mut().enumerate().take(BURST).filter(is_active) {
            match &self.wanted {
                Wanted::Matching(filter) if filter.matches(record) => self.ring.change(record),
                Wanted::Matching(_) => {}
                Wanted::Marked(_) => self.ring.change_for_oldest(record),
            }
        }
    }
}
