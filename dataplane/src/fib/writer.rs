//! The control thread's hand on the FIB.

use std::sync::Arc;

use super::{
    Change, Fib,
    entry::{Entry, TableIndex},
    nexthop::Health,
    node::mask,
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

    /// Whether there is a route to exactly this prefix, in the terms of [`Change::Route`].
    pub fn has(&self, table: TableIndex, v4: bool, key: u128, len: u8) -> bool {
        let prefixes = self.prefixes.get(usize::from(table));
        prefixes.is_some_and(|prefixes| prefixes[usize::from(v4)].contains(key, len))
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
        apply(spare, &self.staged);
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
        apply(spare, &self.missed);
        self.missed.clear();
        true
    }

    /// Routes of a table: IPv6 and IPv4.
    pub fn route_counts(&self) -> Vec<(usize, usize)> {
        self.prefixes.iter().map(|[v6, v4]| (v6.len(), v4.len())).collect()
    }
}

impl Step {
    /// Whether the other one continues it: a route to the prefix behind, of the same length and to
    /// the same place.
    fn goes_on_in(&self, other: &Self) -> bool {
        let route = |step: &Self| match step.change {
            Change::Route { table, v4, key, len, entry } if entry != Entry::NONE && len > 0 => {
                Some((key & mask(len), (table, v4, len, entry)))
            }
            _ => None,
        };
        let (Some((key, one)), Some((next, another))) = (route(self), route(other)) else {
            return false;
        };
        let is_next = key.checked_add(1 << (128 - u32::from(one.2))) == Some(next);
        // Longer ones are in a tree for each /64.
        is_next && one == another && (one.2 <= 64 || key >> 64 == next >> 64)
    }
}

/// Takes steps in order. Routes side by side, of loopback addresses or locators of a whole network,
/// say, are one change where they lead to the same place.
fn apply(fib: &mut Fib, steps: &[Step]) {
    for run in steps.chunk_by(Step::goes_on_in) {
        match run {
            [first, .., last] => fib.insert_run(&first.change, &last.change),
            _ => run.iter().for_each(|step| fib.apply(step.change.clone(), step.fallback)),
        }
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
    use proptest::prelude::*;

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

    /// A change of a prefix among few, many of which lie side by side.
    fn change() -> impl Strategy<Value = (u128, u8, Entry)> {
        let len = prop_oneof![Just(47), Just(48), Just(64), Just(127), Just(128), Just(0)];
        let entry = prop_oneof![1 => Just(Entry::NONE), 6 => (1..3_u32).prop_map(Entry::forward)];
        (0..24_u128, len, entry).prop_map(|(n, len, entry)| {
            let place = if len == 0 { 0 } else { n << (128 - u32::from(len)) };
            (place, len, entry)
        })
    }

    proptest! {
        /// Whatever is put together: what is published is what each change says for itself.
        #[test]
        fn runs_change_nothing(
            rounds in proptest::collection::vec(
                (proptest::collection::vec(change(), 1..80), any::<bool>()), 1..6,
            ),
        ) {
            let mut writer = Writer::new(Arc::new(Health::default()));
            writer.stage(Change::AddTable { number: 254 });
            let mut naive = std::collections::BTreeMap::new();
            for (mut changes, in_order) in rounds {
                if in_order {
                    changes.sort_by_key(|(key, len, _)| (*len, *key));
                }
                for (key, len, entry) in changes {
                    writer.stage(route(key, len, entry));
                    naive.insert((len, key), entry);
                }
                prop_assert!(writer.publish());
                let table = &writer.live().tables[0].v6;
                for (len, key) in naive.keys() {
                    let last = key | !mask(*len);
                    for address in [key.wrapping_sub(1), *key, last, last.wrapping_add(1)] {
                        let covering = naive.iter().rev().find(|((len, key), entry)| {
                            **entry != Entry::NONE && address & mask(*len) == *key
                        });
                        let expected = covering.map_or(Entry::NONE, |(_, entry)| *entry);
                        prop_assert_eq!(table.lookup(address), expected, "{:x}", address);
                    }
                }
            }
        }
    }
}
