//! A worker's part of a trace.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crossbeam::queue::ArrayQueue;

use super::{
    Filter,
    record::{Bytes, Event, Outcome, Record, Step},
};
use crate::{fib::entry::PortIndex, frame::BURST, verdict::Reason};

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

/// A worker's part of a trace: records for a burst, and where they go.
#[derive(Debug)]
pub struct Session {
    filter: Filter,
    ring: Arc<Ring>,
    /// By place in the burst.
    records: Box<[Box<Record>]>,
    /// Packets of the burst.
    packets: usize,
    /// By place in the burst: those with a step whose outcome is not known yet.
    open: u64,
}

impl Session {
    /// For one worker.
    pub fn new(filter: Filter, ring: Arc<Ring>) -> Box<Self> {
        let records = (0..BURST).map(|_| Box::default()).collect();
        Box::new(Self { filter, ring, records, packets: 0, open: 0 })
    }

    /// Whether a burst is worth looking at.
    pub(crate) fn is_interested(&self, ingress: PortIndex) -> bool {
        self.filter.ingress.is_none_or(|port| port == ingress) && !self.ring.is_done()
    }

    /// The records, by place in the burst.
    pub(crate) fn records_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.records.iter_mut().map(|record| &mut **record)
    }

    /// A burst of so many packets begins; their records have begun.
    pub(crate) fn begin(&mut self, packets: usize) {
        self.packets = packets;
        self.open = 0;
    }

    /// The record of a packet.
    pub(crate) fn record(&mut self, index: usize) -> Option<&mut Record> {
        self.records.get_mut(index).map(|record| &mut **record)
    }

    /// A step begins, of which `fill` says what it is. Written in place: it is a few hundred bytes.
    pub(crate) fn step(&mut self, index: usize, fill: impl FnOnce(&mut Step)) {
        let Some(record) = self.records.get_mut(index) else { return };
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

    /// The burst is over: hands over what matches.
    pub(crate) fn commit(&mut self) {
        for record in self.records.iter_mut().take(self.packets) {
            if self.filter.matches(record) {
                self.ring.change(record);
            }
        }
    }
}
