//! The control thread's hand on the FIB.

use std::sync::Arc;

use super::{
    Change, Fib,
    entry::Entry,
    nexthop::Health,
    publish::{Publisher, Reader},
    table::Prefixes,
};

/// Stages changes, and publishes all that is staged as one.
#[derive(Debug)]
pub struct Writer {
    publisher: Publisher<Fib>,
    /// What the spare copy lacks of the live one.
    missed: Vec<Step>,
    staged: Vec<Step>,
    /// Per table: the IPv6 and the IPv4 prefixes.
    prefixes: Vec<[Prefixes; 2]>,
}

/// A change, and what a removed route's addresses fall back to.
#[derive(Debug, Clone)]
struct Step {
    change: Change,
    fallback: Option<(u8, Entry)>,
}

impl Writer {
    /// A writer of an empty FIB.
    pub fn new(health: Arc<Health>) -> Self {
        Self {
            publisher: Publisher::new(Fib::new(Arc::clone(&health)), Fib::new(health)),
            missed: Vec::new(),
            staged: Vec::new(),
            prefixes: Vec::new(),
        }
    }

    /// A worker's view.
    pub fn reader(&mut self) -> Reader<Fib> {
        self.publisher.reader()
    }

    /// What workers read.
    pub fn live(&self) -> &Fib {
        self.publisher.live()
    }

    /// The number of versions published.
    pub fn version(&self) -> u64 {
        self.publisher.version()
    }

    /// Notes a change for the next [`publish`](Self::publish).
    pub fn stage(&mut self, change: Change) {
        let mut fallback = None;
        match &change {
            Change::AddTable { .. } => self.prefixes.push(Default::default()),
            Change::Route { table, v4, key, len, entry } => {
                let Some(table) = self.prefixes.get_mut(usize::from(*table)) else { return };
                let prefixes = &mut table[usize::from(*v4)];
                let changed = match *entry {
                    Entry::NONE => {
                        let removed = prefixes.remove(*key, *len);
                        fallback = prefixes.fallback(*key, *len);
                        removed
                    }
                    entry => prefixes.insert(*key, *len, entry),
                };
                if !changed {
                    return;
                }
            }
            _ => {}
        }
        self.staged.push(Step { change, fallback });
    }

    /// Publishes all that is staged as one version. `false` where a worker still reads the copy
    /// that is to be changed: the changes stay staged, and the call is to be made again after the
    /// worker's next burst.
    pub fn publish(&mut self) -> bool {
        if self.staged.is_empty() {
            return true;
        }
        if !self.catch_up() {
            return false;
        }
        let Some(spare) = self.publisher.spare() else { return false };
        sort(&mut self.staged);
        for step in &self.staged {
            spare.apply(step.change.clone(), step.fallback);
        }
        self.missed = std::mem::take(&mut self.staged);
        self.publisher.publish()
    }

    /// Brings the spare copy up to date, so that the next version need not wait for that. `false`
    /// where a worker still reads it. Not a duty: [`publish`](Self::publish) sees to it otherwise.
    pub fn catch_up(&mut self) -> bool {
        if self.missed.is_empty() {
            return true;
        }
        let Some(spare) = self.publisher.spare() else { return false };
        for step in self.missed.drain(..) {
            spare.apply(step.change, step.fallback);
        }
        true
    }

    /// Routes of a table: IPv6 and IPv4.
    pub fn route_counts(&self) -> Vec<(usize, usize)> {
        self.prefixes.iter().map(|[v6, v4]| (v6.len(), v4.len())).collect()
    }
}

/// Routes that are staged together before they are worth sorting.
const MANY: usize = 1024;

/// Puts routes that are added one after the other in the order of their prefixes, which is the
/// fastest to build a table in, and leaves it the smallest. What is added does not depend on it.
fn sort(steps: &mut [Step]) {
    let key = |step: &Step| match step.change {
        Change::Route { table, v4, key, len, entry } if entry != Entry::NONE => {
            Some((table, v4, key, len))
        }
        _ => None,
    };
    for run in steps.chunk_by_mut(|one, other| key(one).is_some() == key(other).is_some()) {
        if run.len() >= MANY && run.first().is_some_and(|step| key(step).is_some()) {
            run.sort_by_key(key);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn route(key: u128, len: u8, entry: Entry) -> Change {
        Change::Route { table: 0, v4: false, key, len, entry }
    }

    /// What was caught up with is not done twice, and not left out.
    #[test]
    fn catching_up_changes_nothing() {
        let mut writer = Writer::new(Arc::new(Health::default()));
        let mut reader = writer.reader();
        writer.stage(Change::AddTable { number: 254 });
        for n in 1..6 {
            writer.stage(route(1 << 100, 48, Entry::forward(n)));
            assert!(writer.publish());
            assert!(!writer.catch_up(), "a worker reads it");
            assert_eq!(reader.current().tables[0].v6.lookup(1 << 100), Entry::forward(n));
            assert!(n % 2 == 0 || writer.catch_up());
        }
        assert_eq!(reader.current().tables.len(), 1);
    }

    /// Of what is staged together, the last word counts, in both copies.
    #[test]
    fn sorting_changes_nothing() {
        let mut writer = Writer::new(Arc::new(Health::default()));
        writer.stage(Change::AddTable { number: 254 });
        let key = |n: u32| u128::from(n) << 88;
        for n in (0..3000).rev() {
            writer.stage(route(key(n), 48, Entry::forward(1)));
        }
        for n in (0..3000).step_by(2) {
            writer.stage(route(key(n), 48, Entry::forward(2)));
        }
        writer.stage(route(key(0), 24, Entry::forward(3)));
        writer.stage(route(key(7), 48, Entry::NONE));
        for _ in 0..2 {
            assert!(writer.publish());
            let table = &writer.live().tables[0].v6;
            for n in 0..3000 {
                let expected = match n {
                    7 => Entry::forward(3),
                    n => Entry::forward(if n % 2 == 0 { 2 } else { 1 }),
                };
                assert_eq!(table.lookup(key(n) | 1), expected, "{n}");
            }
            writer.stage(route(key(5000), 48, Entry::forward(1)));
        }
    }
}
