//! Longest-prefix match over 128 bits: B+-trees of address intervals.
//!
//! Prefixes cut the addresses into intervals, each of which belongs to the longest prefix over it.
//! A look-up searches the interval of the address's upper 64 bits in a [tree](super::tree) of
//! 16-way nodes whose leaves are equally deep: twenty prefixes take two steps, a full table five or
//! six. A step is a comparison with all keys of a node at once ([`simd`](super::simd)), without a
//! branch that depends on the address.
//!
//! Where a /64 has longer prefixes, its interval leads to a tree of the lower 64 bits. Intervals
//! there that no longer prefix covers know what covers the /64: a look-up never goes back.
//!
//! A change gives the intervals of its prefix new words, as far as no longer prefix owns them, and
//! cuts them where the prefix begins and ends. The default route is kept apart, so that its change
//! touches nothing.
//!
//! IPv4 prefixes are held left-aligned in the same 128 bits.

use super::{
    entry::Entry,
    node::{Word, mask, signed},
    simd::{self, Path},
    tree::{Nodes, Tree},
};

/// Keys that are looked up side by side where there are as many …
const MANY: usize = 16;
/// … and where there are fewer.
const FEW: usize = 4;

/// A longest-prefix match table from prefixes of up to 128 bits to [`Entry`]s.
///
/// Changes take `&mut self`; [`publish`](super::publish) is what lets workers read meanwhile.
#[derive(Debug, Clone)]
pub struct Lpm {
    nodes: Nodes,
    /// The tree of the addresses' upper halves.
    upper: Tree,
    /// Trees of lower halves, in use and free.
    lower: Vec<Tree>,
    free: Vec<u32>,
    default: Entry,
    path: Path,
}

/// The key, where all of them are the same: packets to one SID come one after the other.
#[inline(always)]
fn the_same(keys: &[u128; MANY]) -> Option<u128> {
    let first = keys[0];
    (first == keys[MANY - 1] && keys.iter().fold(0, |other, key| other | (key ^ first)) == 0)
        .then_some(first)
}

impl Default for Lpm {
    fn default() -> Self {
        Self::new()
    }
}

const fn upper_half(key: u128) -> u64 {
    (key >> 64) as u64
}

const fn lower_half(key: u128) -> u64 {
    key as u64
}

impl Lpm {
    /// An empty table, which is looked up in the best way that the processor has.
    pub fn new() -> Self {
        Self::with_path(Path::default())
    }

    /// An empty table that is looked up in a given way.
    pub fn with_path(path: Path) -> Self {
        let mut nodes = Nodes::default();
        let upper = nodes.plant(Word::NONE);
        Self { nodes, upper, lower: Vec::new(), free: Vec::new(), default: Entry::NONE, path }
    }

    /// Looks up in another way from now on.
    pub fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// The entry of the longest prefix that covers `key`, or [`Entry::NONE`].
    #[inline]
    pub fn lookup(&self, key: u128) -> Entry {
        let [entry] = self.lookup_lanes(&[key]);
        entry
    }

    /// [`lookup`](Self::lookup), with the length of the prefix that was found: for who wants to be
    /// told, and has the time.
    #[cold]
    pub fn lookup_prefix(&self, key: u128) -> (Entry, u8) {
        let mut word = self.nodes.find(self.upper, signed(upper_half(key)));
        if let Some(tree) = word.tree() {
            word = self.nodes.find(self.lower[tree as usize], signed(lower_half(key)));
        }
        (word.entry(self.default), word.owner())
    }

    /// [`lookup`](Self::lookup) for many keys at once. `entries` is as long as `keys`.
    #[inline]
    pub fn lookup_batch(&self, keys: &[u128], entries: &mut [Entry]) {
        let (many, keys) = keys.as_chunks::<MANY>();
        let (found, entries) = entries.split_at_mut(MANY * many.len());
        for (keys, entries) in many.iter().zip(found.as_chunks_mut::<MANY>().0) {
            *entries = match the_same(keys) {
                Some(key) => [self.lookup(key); MANY],
                None => self.lookup_lanes(keys),
            };
        }
        let (few, keys) = keys.as_chunks::<FEW>();
        let (found, entries) = entries.split_at_mut(FEW * few.len());
        for (keys, entries) in few.iter().zip(found.as_chunks_mut::<FEW>().0) {
            *entries = self.lookup_lanes(keys);
        }
        for (key, entry) in keys.iter().zip(entries) {
            *entry = self.lookup(*key);
        }
    }

    #[inline(always)]
    fn lookup_lanes<const LANES: usize>(&self, keys: &[u128; LANES]) -> [Entry; LANES] {
        let needles = keys.map(|key| signed(upper_half(key)));
        let mut words = simd::find(self.path, self.nodes.items(), self.upper, &needles);
        if words.iter().fold(false, |any, word| any | word.is_deeper()) {
            self.go_deeper(keys, &mut words);
        }
        words.map(|word| word.entry(self.default))
    }

    /// The rest of the way for addresses whose /64 has longer prefixes. Most such trees are one
    /// node, so that these, too, are without a branch that is hard to guess; and where packets are
    /// for SIDs, most of them are for the same.
    fn go_deeper<const LANES: usize>(&self, keys: &[u128; LANES], words: &mut [Word; LANES]) {
        let mut last = (keys[0], words[0]);
        for (key, word) in keys.iter().zip(words) {
            if let Some(tree) = word.tree() {
                if last.0 != *key || last.1.is_deeper() {
                    let (tree, needle) = (self.lower[tree as usize], signed(lower_half(*key)));
                    let [found] = simd::find(self.path, self.nodes.items(), tree, &[needle]);
                    last = (*key, found);
                }
                *word = last.1;
            }
        }
    }

    /// Sets the entry of a prefix: `len` bits of `key`, 0 to 128. The entry is not
    /// [`Entry::NONE`].
    pub fn insert(&mut self, key: u128, len: u8, entry: Entry) {
        if len == 0 {
            self.default = entry;
            return;
        }
        self.insert_run(key, key, len, entry);
    }

    /// Sets the entry of all prefixes of a length from one to another. Those longer than 64 bits are
    /// in the same /64.
    pub fn insert_run(&mut self, key: u128, end: u128, len: u8, entry: Entry) {
        let new = Word::of(entry, len);
        let change = |word: Word| if word.owner() <= len { new } else { word };
        self.change(key & mask(len), end | !mask(len), len, change);
    }

    /// Removes a prefix. `next` is the longest prefix that covers it, if there is one besides the
    /// default route: what its addresses fall back to.
    pub fn remove(&mut self, key: u128, len: u8, next: Option<(u8, Entry)>) {
        if len == 0 {
            self.default = Entry::NONE;
            return;
        }
        let next = next.map_or(Word::NONE, |(len, entry)| Word::of(entry, len));
        let change = |word: Word| if word.owner() == len { next } else { word };
        self.change(key & mask(len), key | !mask(len), len, change);
    }

    /// Bytes of memory the table takes.
    pub fn bytes(&self) -> usize {
        self.nodes.bytes()
            + size_of::<Tree>() * self.lower.capacity()
            + size_of::<u32>() * self.free.capacity()
    }

    /// Replaces the words of the intervals from the first address to the last, which are those of
    /// prefixes of a length.
    fn change(&mut self, first: u128, last: u128, len: u8, change: impl Fn(Word) -> Word) {
        if len > 64 {
            self.change_lower(first, last, change);
            return;
        }
        let mut trees = Vec::new();
        let replace = |word: Word| match word.tree() {
            Some(tree) => {
                trees.push(tree);
                word
            }
            None => change(word),
        };
        self.nodes.change(&mut self.upper, upper_half(first), upper_half(last), replace);
        for tree in trees {
            self.nodes.change(&mut self.lower[tree as usize], 0, u64::MAX, &change);
        }
    }

    /// Replaces the words of a prefix longer than 64 bits. Its /64 has a tree of its own as long
    /// as there is such a prefix in it.
    fn change_lower(&mut self, first: u128, last: u128, change: impl Fn(Word) -> Word) {
        let cell = upper_half(first);
        let word = self.nodes.find(self.upper, signed(cell));
        let tree = match word.tree() {
            Some(tree) => tree,
            None => {
                let planted = self.nodes.plant(word);
                let tree = self.free.pop().unwrap_or_else(|| {
                    self.lower.push(planted);
                    self.lower.len() as u32 - 1
                });
                self.lower[tree as usize] = planted;
                self.nodes.change(&mut self.upper, cell, cell, |_| Word::deeper(tree));
                tree
            }
        };
        let lower = &mut self.lower[tree as usize];
        self.nodes.change(lower, lower_half(first), lower_half(last), change);
        if let Some(word) = self.nodes.fell(*lower, |word| word.owner() <= 64) {
            self.free.push(tree);
            self.nodes.change(&mut self.upper, cell, cell, |_| word);
        }
    }
}

#[cfg(test)]
mod tests;
