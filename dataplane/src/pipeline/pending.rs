//! The packets of a pass: those that need a look-up, and what it found.

use std::ops::Range;

use crate::{
    fib::{
        Fib,
        entry::{Entry, TableIndex},
        lpm::Lpm,
    },
    frame::BURST,
    packet::Meta,
    verdict::Reason,
};

/// What a packet is looked up in: a table, and the version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Space(u32);

impl Space {
    #[inline(always)]
    const fn new(table: TableIndex, v6: bool) -> Self {
        Self((table as u32) << 1 | v6 as u32)
    }

    #[inline(always)]
    fn lpm(self, fib: &Fib) -> Option<&Lpm> {
        let table = fib.tables.get((self.0 >> 1) as usize)?;
        Some(if self.0 & 1 == 1 { &table.v6 } else { &table.v4 })
    }
}

/// How many items at the beginning are the same: by eights, as long as all of them are.
#[inline(always)]
fn alike<T: PartialEq + Copy>(items: &[T]) -> usize {
    let Some(first) = items.first() else { return 0 };
    let eights = items.as_chunks::<8>().0.iter();
    let same = |eight: &&[T; 8]| eight.iter().fold(true, |same, item| same & (item == first));
    let begin = 8 * eights.take_while(same).count();
    begin + items[begin..].iter().take_while(|item| *item == first).count()
}

/// A packet that was looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookedUp {
    /// Its place in the burst.
    pub(super) index: usize,
    /// What it was looked up by.
    pub(super) key: u128,
    /// Whether that is IPv6.
    pub(super) v6: bool,
    /// What was found.
    pub(super) entry: Entry,
}

/// Packets that need a look-up, by their place in the burst.
#[derive(Debug)]
pub(super) struct Pending {
    count: usize,
    indices: [u8; BURST],
    spaces: [Space; BURST],
    keys: [u128; BURST],
    entries: [Entry; BURST],
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            count: 0,
            indices: [0; BURST],
            spaces: [Space::default(); BURST],
            keys: [0; BURST],
            entries: [Entry::NONE; BURST],
        }
    }
}

impl Pending {
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Begins a pass, or a burst: says how many packets there are, and forgets them. What
    /// [`index`](Self::index) and [`entry`](Self::entry) say of a place is true until as many
    /// packets are pushed again.
    #[inline(always)]
    pub(super) fn begin(&mut self) -> usize {
        std::mem::take(&mut self.count)
    }

    /// What the look-up of a packet of this pass found.
    #[inline(always)]
    pub(super) fn entry(&self, place: usize) -> Entry {
        self.entries[place % BURST]
    }

    /// Has another entry count for a packet of this pass than the one that was found.
    pub(super) fn redirect(&mut self, place: usize, entry: Entry) {
        self.entries[place % BURST] = entry;
    }

    /// What a packet of this pass was looked up by.
    pub(super) fn key(&self, place: usize) -> u128 {
        self.keys[place % BURST]
    }

    /// The place in the burst of a packet of this pass.
    #[inline(always)]
    pub(super) fn index(&self, place: usize) -> usize {
        usize::from(self.indices[place % BURST])
    }

    /// The packets from `place` on for which the same was found.
    #[inline(always)]
    pub(super) fn run(&self, place: usize, count: usize) -> Range<usize> {
        let count = count.min(BURST);
        let place = place.min(count);
        place..place + alike(&self.entries[place..count])
    }

    /// The packet at `index` of the burst is to be looked up next.
    #[inline(always)]
    pub(super) fn push(&mut self, index: usize, meta: &Meta) {
        self.push_in(index, Space::new(meta.table, meta.v6), meta.key);
    }

    /// Keeps those of a pass that were looked up and of which `keep` says so. Tells `gone` of each of
    /// the others, and why.
    pub(super) fn retain(
        &mut self,
        mut keep: impl FnMut(&LookedUp) -> Result<(), Reason>,
        mut gone: impl FnMut(usize, Reason),
    ) {
        let count = std::mem::take(&mut self.count).min(BURST);
        for place in 0..count {
            let (space, key, entry) = (self.spaces[place], self.keys[place], self.entries[place]);
            let index = self.index(place);
            match keep(&LookedUp { index, key, v6: space.0 & 1 == 1, entry }) {
                Ok(()) => {
                    // No further than where it was read.
                    self.entries[self.count] = entry;
                    self.push_in(index, space, key);
                }
                Err(reason) => gone(index, reason),
            }
        }
    }

    /// [`push`](Self::push) of an IPv6 packet, and what it is looked up by.
    #[inline(always)]
    pub(super) fn push_v6(&mut self, index: usize, table: TableIndex, key: u128) {
        self.push_in(index, Space::new(table, true), key);
    }

    #[inline(always)]
    fn push_in(&mut self, index: usize, space: Space, key: u128) {
        // Each packet is pending once at most, and a pass reads a place before the next one writes
        // it: there is always a place.
        let place = self.count % BURST;
        (self.keys[place], self.spaces[place]) = (key, space);
        self.indices[place] = index as u8;
        self.count += 1;
    }

    /// Looks all of them up, those of one table together.
    #[inline(always)]
    pub(super) fn look_up(&mut self, fib: &Fib) {
        let count = self.count.min(BURST);
        let mut begin = 0;
        while begin < count {
            let space = self.spaces[begin];
            let end = begin + alike(&self.spaces[begin..count]);
            let (keys, entries) = (&self.keys[begin..end], &mut self.entries[begin..end]);
            match space.lpm(fib) {
                Some(lpm) => lpm.lookup_batch(keys, entries),
                None => entries.fill(Entry::NONE),
            }
            begin = end;
        }
    }
}
