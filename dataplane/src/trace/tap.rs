//! The hand-over of a session between the control thread and a worker, and back, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;

use super::Session;

/// What may be on its way at once.
const WAITING: usize = 8;

/// What a session is for: a worker has one of each kind at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A trace.
    Trace,
    /// Copies of packets with the O-flag.
    Marked,
}

/// What the control thread tells a worker.
#[derive(Debug)]
pub struct Order {
    /// Of which kind.
    pub kind: Kind,
    /// The session that begins; none: the one that is on ends.
    pub session: Option<Box<Session>>,
}

/// The way of sessions to one worker, and back.
#[derive(Debug)]
pub struct Tap {
    /// Counts what was handed over; the worker's reason to look further.
    version: AtomicU64,
    inbox: ArrayQueue<Order>,
    outbox: ArrayQueue<Box<Session>>,
}

impl Default for Tap {
    /// Nothing was handed over.
    fn default() -> Self {
        Self {
            version: AtomicU64::new(0),
            inbox: ArrayQueue::new(WAITING),
            // All that wait, and those that are on.
            outbox: ArrayQueue::new(WAITING + 2),
        }
    }
}

impl Tap {
    /// For the control thread: has a session begin, from the worker's next round. `false`: the worker
    /// has not yet taken what was handed over before.
    pub fn begin(&self, kind: Kind, session: Box<Session>) -> bool {
        while self.outbox.pop().is_some() {}
        // Half of the room is for their ends.
        self.inbox.len() < WAITING / 2 && self.hand_over(Order { kind, session: Some(session) })
    }

    /// For the control thread: ends the session of this kind that is on.
    pub fn end(&self, kind: Kind) {
        // There is room for the end of what was begun.
        self.hand_over(Order { kind, session: None });
    }

    fn hand_over(&self, order: Order) -> bool {
        let there_was_room = self.inbox.push(order).is_ok();
        if there_was_room {
            self.version.fetch_add(1, Ordering::Release);
        }
        there_was_room
    }

    /// For the worker: how much was handed over. Where it is more than it was, there is something to
    /// [take](Self::take).
    #[inline(always)]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// For the worker: what was handed over next.
    pub fn take(&self) -> Option<Order> {
        self.inbox.pop()
    }

    /// For the worker: gives a session back.
    pub fn give_back(&self, session: Box<Session>) {
        // There is room: what was given back is freed before the next one is handed over. A worker
        // must not free it.
        if let Err(session) = self.outbox.push(session) {
            std::mem::forget(session);
        }
    }
}
