//! The hand-over of a new version from the control thread to the workers, without locks.
//!
//! Every worker has a mailbox. The writer puts the new version in each; a worker looks at a
//! counter once per burst and, where it moved, takes the new version and sends the old one back.
//! The writer changes an old version only when every worker has sent it back, and only the writer
//! ever drops one: a worker neither waits, nor frees memory, nor sees half a change.

use crate::sync::{Arc, AtomicU64, Ordering, Queue};

/// The way between the writer and one worker.
#[derive(Debug)]
struct Mailbox<T> {
    /// Counts versions; the worker's reason to look further.
    version: AtomicU64,
    /// The newest version that the worker has not taken.
    inbox: Queue<Arc<T>>,
    /// Versions the worker is done with.
    returned: Queue<Arc<T>>,
}

/// A worker's end: the version it works with.
#[derive(Debug)]
pub struct Reader<T> {
    mailbox: Arc<Mailbox<T>>,
    seen: u64,
    current: Arc<T>,
}

impl<T> Reader<T> {
    /// The newest version. Valid until the next call; call it between bursts.
    #[inline]
    pub fn current(&mut self) -> &T {
        let version = self.mailbox.version.load(Ordering::Acquire);
        if version != self.seen {
            self.take(version);
        }
        &self.current
    }

    #[cold]
    fn take(&mut self, version: u64) {
        self.seen = version;
        if let Some(new) = self.mailbox.inbox.pop() {
            let old = std::mem::replace(&mut self.current, new);
            // There is always room: the writer publishes only when nothing is out but the
            // current version.
            if let Err(old) = self.mailbox.returned.push(old) {
                std::mem::forget(old);
            }
        }
    }
}

/// The writer's end: two copies of the same data, one live, one to be changed.
#[derive(Debug)]
pub struct Publisher<T> {
    live: Arc<T>,
    retired: Arc<T>,
    mailboxes: Vec<Arc<Mailbox<T>>>,
    version: u64,
}

impl<T> Publisher<T> {
    /// A writer with two copies that are equal.
    pub fn new(live: T, spare: T) -> Self {
        Self { live: Arc::new(live), retired: Arc::new(spare), mailboxes: Vec::new(), version: 0 }
    }

    /// A worker's end.
    pub fn reader(&mut self) -> Reader<T> {
        let mailbox = Arc::new(Mailbox {
            version: AtomicU64::new(self.version),
            inbox: Queue::new(1),
            returned: Queue::new(2),
        });
        self.mailboxes.push(Arc::clone(&mailbox));
        Reader { mailbox, seen: self.version, current: Arc::clone(&self.live) }
    }

    /// What workers read, or will at their next burst.
    pub fn live(&self) -> &T {
        &self.live
    }

    /// The number of versions published.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The copy that no worker reads, if every worker has let go of it.
    pub fn spare(&mut self) -> Option<&mut T> {
        // What a worker that is gone had not taken goes with its mailbox.
        self.mailboxes.retain(|mailbox| Arc::strong_count(mailbox) > 1);
        for mailbox in &self.mailboxes {
            while mailbox.returned.pop().is_some() {}
        }
        Arc::get_mut(&mut self.retired)
    }

    /// Makes the spare copy the live one. To be called only after [`spare`](Self::spare) gave
    /// it out: otherwise workers may still be reading the copy that comes back, and nothing is
    /// published.
    pub fn publish(&mut self) -> bool {
        if self.spare().is_none() {
            return false;
        }
        std::mem::swap(&mut self.live, &mut self.retired);
        self.version += 1;
        for mailbox in &self.mailboxes {
            // Empty: a worker that returned the spare has taken the live version before.
            let _ = mailbox.inbox.push(Arc::clone(&self.live));
            mailbox.version.store(self.version, Ordering::Release);
        }
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_what_was_published() {
        let mut publisher = Publisher::new(1, 1);
        let mut reader = publisher.reader();
        assert_eq!(*reader.current(), 1);
        *publisher.spare().unwrap() = 2;
        assert!(publisher.publish());
        assert!(publisher.spare().is_none(), "the reader has not let go");
        assert!(!publisher.publish());
        assert_eq!(*reader.current(), 2);
        *publisher.spare().unwrap() = 3;
        assert!(publisher.publish());
        assert_eq!(*reader.current(), 3);
    }

    #[test]
    fn a_reader_that_is_gone_holds_nothing() {
        let mut publisher = Publisher::new(1, 1);
        let reader = publisher.reader();
        assert!(publisher.publish());
        assert!(publisher.spare().is_none());
        drop(reader);
        for _ in 0..3 {
            assert!(publisher.publish());
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    /// Two numbers that a writer always changes together.
    #[derive(Debug, Clone, PartialEq)]
    struct Pair(u32, u32);

    /// Publishes until `rounds` are done, as the control thread does: where the spare copy is
    /// still being read, it comes back later.
    fn write(publisher: &mut Publisher<Pair>, rounds: u32) {
        for round in 1..=rounds {
            while publisher.spare().is_none() {
                loom::thread::yield_now();
            }
            if let Some(spare) = publisher.spare() {
                spare.0 = round;
                spare.1 = round;
            }
            assert!(publisher.publish());
        }
    }

    fn read(reader: &mut Reader<Pair>, last: &mut u32) {
        let pair = reader.current();
        assert_eq!(pair.0, pair.1, "half a change");
        assert!(pair.0 >= *last, "a version went back");
        *last = pair.0;
    }

    #[test]
    fn loom_no_reader_sees_half_a_change() {
        loom::model(|| {
            let mut publisher = Publisher::new(Pair(0, 0), Pair(0, 0));
            let mut reader = publisher.reader();
            let worker = loom::thread::spawn(move || {
                let mut last = 0;
                for _ in 0..3 {
                    read(&mut reader, &mut last);
                    loom::thread::yield_now();
                }
                while last < 2 {
                    read(&mut reader, &mut last);
                    loom::thread::yield_now();
                }
            });
            write(&mut publisher, 2);
            worker.join().unwrap();
            assert_eq!(publisher.live().0, 2);
        });
    }

    #[test]
    fn loom_two_readers() {
        loom::model(|| {
            let mut publisher = Publisher::new(Pair(0, 0), Pair(0, 0));
            let mut readers: Vec<_> = (0..2).map(|_| publisher.reader()).collect();
            let mut second = readers.pop().unwrap();
            let mut first = readers.pop().unwrap();
            let worker = loom::thread::spawn(move || {
                let mut last = 0;
                read(&mut first, &mut last);
                read(&mut first, &mut last);
            });
            let other = loom::thread::spawn(move || {
                let mut last = 0;
                read(&mut second, &mut last);
            });
            write(&mut publisher, 1);
            worker.join().unwrap();
            other.join().unwrap();
        });
    }
}
