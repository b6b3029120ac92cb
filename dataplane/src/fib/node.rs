//! A node of the look-up tree: sixteen intervals that lie side by side.

use super::entry::Entry;

/// Intervals of a node.
pub(super) const FANOUT: usize = 16;

/// The bits of a number that sort as signed ones do: the vector units of AVX2 compare no others.
#[inline(always)]
pub(super) const fn signed(key: u64) -> i64 {
    (key ^ 1 << 63) as i64
}

const fn unsigned(key: i64) -> u64 {
    key as u64 ^ 1 << 63
}

/// The netmask of a prefix length.
#[inline(always)]
pub(super) const fn mask(len: u8) -> u128 {
    match len {
        0 => 0,
        len => u128::MAX << (128 - len),
    }
}

/// What an interval of addresses has.
///
/// In a leaf: the entry of the longest prefix over the interval, and that prefix's length, which
/// is what changes go by; or the number of the tree that the rest of the address is looked up in.
/// In an inner node: the node below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub(super) struct Word(pub(super) u32);

const LEN_BITS: u32 = 7;
const DEEPER: u32 = 7 << (LEN_BITS + Entry::BITS - 3);

impl Word {
    /// Of no prefix.
    pub(super) const NONE: Self = Self(0);

    /// Of a prefix of 1 to 128 bits.
    pub(super) const fn of(entry: Entry, len: u8) -> Self {
        Self(entry.bits() << LEN_BITS | (len as u32 - 1))
    }

    /// Of a /64 that has longer prefixes: they are in a tree of their own.
    pub(super) const fn deeper(tree: u32) -> Self {
        Self(DEEPER | tree)
    }

    /// The tree that the address's lower half is looked up in.
    #[inline(always)]
    pub(super) const fn tree(self) -> Option<u32> {
        if self.is_deeper() { Some(self.0 & !DEEPER) } else { None }
    }

    /// Whether there is such a tree.
    #[inline(always)]
    pub(super) const fn is_deeper(self) -> bool {
        self.0 >= DEEPER
    }

    /// The entry, where there is no tree; `default` where there is no prefix.
    #[inline(always)]
    pub(super) const fn entry(self, default: Entry) -> Entry {
        if self.0 == 0 { default } else { Entry::from_bits(self.0 >> LEN_BITS) }
    }

    /// The length of the prefix that the interval belongs to; 0 where there is none.
    pub(super) const fn owner(self) -> u8 {
        if self.0 == 0 { 0 } else { (self.0 & ((1 << LEN_BITS) - 1)) as u8 + 1 }
    }
}

/// An interval's first address, and its word.
pub(super) type Interval = (u64, Word);

/// A node, inner or leaf: three cache lines.
///
/// `words[i]` belongs to the addresses from `keys[i]` on, to the next key. The first key is the
/// node's own lower bound. Slots that are not in use have the largest key and the word of the last
/// one in use: the largest address finds the right word in whichever of them.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Node {
    pub(super) keys: [i64; FANOUT],
    pub(super) words: [Word; FANOUT],
}

impl Node {
    /// A node of one interval at least, and of [`FANOUT`] at most.
    pub(super) fn new(intervals: &[Interval]) -> Self {
        let last = intervals.last().map_or(Word::NONE, |(_, word)| *word);
        let mut node = Self { keys: [i64::MAX; FANOUT], words: [last; FANOUT] };
        for (slot, (key, word)) in intervals.iter().take(FANOUT).enumerate() {
            node.keys[slot] = signed(*key);
            node.words[slot] = *word;
        }
        node
    }

    /// The first address of a slot.
    pub(super) fn key(&self, slot: usize) -> u64 {
        unsigned(self.keys[slot])
    }

    /// The slot of an address that is not below the node's lower bound.
    #[inline(always)]
    pub(super) fn slot(&self, needle: i64) -> usize {
        let reached: u32 = self.keys.iter().map(|key| u32::from(*key <= needle)).sum();
        (reached as usize - 1) & (FANOUT - 1)
    }
}
