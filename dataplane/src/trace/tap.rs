//! The hand-over of a session between the control thread and a worker, and back, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;

use super::Session;

/// What may be on its way at once: a session and its end.
const WAITING: usize = 4;

/// The way of sessions to one worker, and back.
#[derive(Debug)]
pub struct Tap {
    /// Counts what was handed over; the worker's reason to look further.
    version: AtomicU64,
    inbox: ArrayQueue<Option<Box<Session>>>,
    outbox: ArrayQueue<Box<Session>>,
}

impl Default for Tap {
    /// Nothing was handed over.
    fn default() -> Self {
        Self {
            version: AtomicU64::new(0),
            inbox: ArrayQueue::new(WAITING),
            outbox: ArrayQueue::new(WAITING),
        }
    }
}

impl Tap {
    /// For the control thread: begins a trace, from the worker's next round. `false`: the worker has
    /// not yet taken what was handed over before.
    pub fn begin(&self, session: Box<Session>) -> bool {
        while self.outbox.pop().is_some() {}
        self.inbox.is_empty() && self.hand_over(Some(session))
    }

    /// For the control thread: ends the trace that is on.
    pub fn end(&self) {
        // There is room for the end of what was begun.
        self.hand_over(None);
    }

    fn hand_over(&self, session: Option<Box<Session>>) -> bool {
        let there_was_room = self.inbox.push(session).is_ok();
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
    pub fn take(&self) -> Option<Option<Box<Session>>> {
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
