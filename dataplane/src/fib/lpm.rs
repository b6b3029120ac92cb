//! Longest-prefix match over 128 bits: a trie of 256-way nodes with skipped levels.
//!
//! A node stands at a depth of whole bytes and branches on the byte there. It knows two sets of its
//! 256 slots as bitmaps: those with a child and those with a leaf; the children and the leaves of
//! a node lie side by side, so a slot's place is the number of set bits before it. A prefix of
//! length `l` lives in one node only, at depth `(l - 1) / 8`, as a leaf in every slot it covers: a
//! change touches one node, whatever else the table holds. A node with one child and no leaf is
//! left out: the child remembers its whole prefix and checks the bytes that were skipped, so the
//! depth of the trie follows the number of prefixes, not their length.
//!
//! A look-up goes down while there are children: one cache line per level. Where it ends it reads
//! the slot's leaf, or what the node inherited: every node knows the longest prefix above it. A
//! change of a prefix tells those below it, as far as no longer prefix stands between; the default
//! route is kept apart, so that it need not tell all.
//!
//! IPv4 prefixes are held left-aligned in the same 128 bits.

use super::{
    arena::Arena,
    entry::Entry,
    node::{Node, mask},
};

/// Look-ups that go down the trie side by side, so that their cache misses overlap.
const LANES: usize = 16;

/// Nodes of a table that stays in the first-level cache: keys are looked up one after the other,
/// and the processor overlaps them by itself.
const IN_CACHE: usize = 256;

/// A leaf word keeps the entry in the low bits, and above them how many bits of the node's byte
/// its prefix fixes, less one: what lets a longer prefix of the node keep its slots.
const LEN_SHIFT: u32 = Entry::BITS;

const ROOT: u32 = 0;

/// A longest-prefix match table from prefixes of up to 128 bits to [`Entry`]s.
///
/// Changes take `&mut self`; [`publish`](super::publish) is what lets workers read meanwhile.
#[derive(Debug, Clone)]
pub struct Lpm {
    nodes: Arena<Node>,
    leaves: Arena<u32>,
    default: Entry,
}

impl Default for Lpm {
    fn default() -> Self {
        Self::new()
    }
}

impl Lpm {
    /// An empty table.
    pub fn new() -> Self {
        let mut nodes = Arena::new();
        nodes.allocate(1);
        let leaves = Arena::new();
        Self { nodes, leaves, default: Entry::NONE }
    }

    /// The entry of the longest prefix that covers `key`, or [`Entry::NONE`].
    #[inline]
    pub fn lookup(&self, key: u128) -> Entry {
        let bytes = key.to_be_bytes();
        let nodes = &self.nodes.items[..];
        let mut node = &nodes[ROOT as usize];
        while node.covers(key)
            && let Some(child) = node.children.find(node.slot_of(&bytes))
        {
            node = &nodes[child as usize];
        }
        self.result(node, key, &bytes)
    }

    /// What a look-up that ended at `node` found.
    #[inline(always)]
    fn result(&self, node: &Node, key: u128, bytes: &[u8; 16]) -> Entry {
        let leaf = if node.covers(key) { node.leaves.find(node.slot_of(bytes)) } else { None };
        let word = leaf.map_or(node.inherited, |leaf| self.leaves.items[leaf as usize]);
        match word {
            0 => self.default,
            word => Entry::from_bits(word & ((1 << LEN_SHIFT) - 1)),
        }
    }

    /// [`lookup`](Self::lookup) for many keys at once. `entries` is as long as `keys`.
    #[inline]
    pub fn lookup_batch(&self, keys: &[u128], entries: &mut [Entry]) {
        if self.nodes.items.len() <= IN_CACHE {
            for (key, entry) in keys.iter().zip(entries) {
                *entry = self.lookup(*key);
            }
            return;
        }
        for (keys, entries) in keys.chunks(LANES).zip(entries.chunks_mut(LANES)) {
            self.lookup_lanes(keys, entries);
        }
    }

    /// All lanes go down a level at a time, without a branch that depends on what they find: a
    /// processor that guesses wrong would wait for one lane's memory before it asks for the next
    /// one's.
    #[inline]
    fn lookup_lanes(&self, keys: &[u128], entries: &mut [Entry]) {
        let nodes = &self.nodes.items[..];
        let mut wanted = [0; LANES];
        let mut bytes = [[0; 16]; LANES];
        for (lane, key) in keys.iter().take(LANES).enumerate() {
            wanted[lane] = *key;
            bytes[lane] = key.to_be_bytes();
        }
        let mut at = [ROOT; LANES];
        loop {
            let mut moving = 0;
            for lane in 0..LANES {
                let node = &nodes[at[lane] as usize];
                let covers = u32::from(node.covers(wanted[lane])).wrapping_neg();
                let (found, child) = node.children.find_masked(node.slot_of(&bytes[lane]));
                let down = found & covers;
                at[lane] = child & down | at[lane] & !down;
                moving |= down;
            }
            if moving == 0 {
                break;
            }
        }
        for (lane, entry) in entries.iter_mut().take(LANES).enumerate() {
            *entry = self.result(&nodes[at[lane] as usize], wanted[lane], &bytes[lane]);
        }
    }

    /// Sets the entry of a prefix: `len` bits of `key`, 0 to 128.
    pub fn insert(&mut self, key: u128, len: u8, entry: Entry) {
        if len == 0 {
            self.default = entry;
            return;
        }
        let node = self.node_for(key & mask(len), (len - 1) / 8);
        self.set_leaves(node, key, len, entry);
    }

    /// Removes a prefix. `next` is the longest prefix that covers it and has the same
    /// `(len - 1) / 8`, if there is one: what its addresses in the node fall back to.
    pub fn remove(&mut self, key: u128, len: u8, next: Option<(u8, Entry)>) {
        if len == 0 {
            self.default = Entry::NONE;
            return;
        }
        let depth = (len - 1) / 8;
        let Some(path) = self.path_to(key & mask(len), depth) else { return };
        let Some(&node) = path.last() else { return };
        self.clear_leaves(node, key, len, next);
        self.prune(&path);
    }

    /// Bytes of memory the table takes.
    pub fn bytes(&self) -> usize {
        self.nodes.bytes() + self.leaves.bytes()
    }

    /// The nodes from the root to the one at `depth` above `key`, if it exists.
    fn path_to(&self, key: u128, depth: u8) -> Option<Vec<u32>> {
        let mut path = vec![ROOT];
        loop {
            let node = self.node(*path.last()?);
            if node.depth == depth {
                return Some(path);
            }
            let child = node.children.find(node.slot(key))?;
            let below = self.node(child);
            if below.depth > depth || !below.covers(key) {
                return None;
            }
            path.push(child);
        }
    }

    /// The node at `depth` above `key`, made if it does not exist.
    fn node_for(&mut self, key: u128, depth: u8) -> u32 {
        let mut at = ROOT;
        loop {
            let node = *self.node(at);
            if node.depth == depth {
                return at;
            }
            let Some(child) = node.children.find(node.slot(key)) else {
                return self.add_child(at, Node::new(key, depth));
            };
            let below = *self.node(child);
            let common = ((below.prefix ^ key).leading_zeros() / 8) as u8;
            let meet = common.min(below.depth).min(depth);
            if meet == below.depth {
                at = child;
                continue;
            }
            // The paths part between `at` and the child: a node comes in where they do.
            let between = Node { inherited: below.inherited, ..Node::new(key, meet) };
            *self.node_mut(child) = between;
            self.add_child(child, below);
            at = child;
        }
    }

    fn node(&self, index: u32) -> &Node {
        &self.nodes.items[index as usize]
    }

    fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes.items[index as usize]
    }

    /// Puts `child` below `parent`, in the slot its prefix says, and says where it is.
    fn add_child(&mut self, parent: u32, mut child: Node) -> u32 {
        let mut node = *self.node(parent);
        let slot = node.slot(child.prefix);
        child.inherited = self.passed_on(&node, slot);
        let count = node.children.count();
        node.children.set(slot, true);
        let place = node.children.find(slot).map_or(0, |at| at - node.children.base);
        node.children.base = self.nodes.insert(node.children.base, count, place as usize, child);
        *self.node_mut(parent) = node;
        node.children.base + place
    }

    fn remove_child(&mut self, parent: u32, slot: u8) {
        let mut node = *self.node(parent);
        let count = node.children.count();
        let Some(at) = node.children.find(slot) else { return };
        let place = (at - node.children.base) as usize;
        node.children.base = self.nodes.remove(node.children.base, count, place);
        node.children.set(slot, false);
        *self.node_mut(parent) = node;
    }

    /// Slots of a node that `len` bits of `key` cover.
    fn covered(node: &Node, key: u128, len: u8) -> std::ops::RangeInclusive<u8> {
        let free = u8::MAX.checked_shr(u32::from(len - 8 * node.depth)).unwrap_or(0);
        let first = node.slot(key) & !free;
        first..=first | free
    }

    fn set_leaves(&mut self, index: u32, key: u128, len: u8, entry: Entry) {
        let node = *self.node(index);
        let fixed = u32::from(len - 8 * node.depth - 1);
        let word = entry.bits() | fixed << LEN_SHIFT;
        for slot in Self::covered(&node, key, len) {
            self.set_leaf(index, slot, |old| match old {
                Some(old) if old >> LEN_SHIFT > fixed => Some(old),
                _ => Some(word),
            });
        }
    }

    fn clear_leaves(&mut self, index: u32, key: u128, len: u8, next: Option<(u8, Entry)>) {
        let node = *self.node(index);
        let fixed = u32::from(len - 8 * node.depth - 1);
        let below = next
            .map(|(len, entry)| entry.bits() | u32::from(len - 8 * node.depth - 1) << LEN_SHIFT);
        for slot in Self::covered(&node, key, len) {
            self.set_leaf(index, slot, |old| match old {
                Some(old) if old >> LEN_SHIFT == fixed => below,
                other => other,
            });
        }
    }

    /// What a node passes on to its child in `slot`: its leaf there, or what it inherited.
    fn passed_on(&self, node: &Node, slot: u8) -> u32 {
        node.leaves.find(slot).map_or(node.inherited, |leaf| self.leaves.items[leaf as usize])
    }

    /// Tells the child in a slot, and all below it, what they inherit now.
    fn pass_on(&mut self, index: u32, slot: u8) {
        let node = *self.node(index);
        let Some(child) = node.children.find(slot) else { return };
        let inherited = self.passed_on(&node, slot);
        if self.node(child).inherited == inherited {
            return;
        }
        self.node_mut(child).inherited = inherited;
        let children = self.node(child).children;
        for below in children.iter() {
            if self.node(child).leaves.find(below).is_none() {
                self.pass_on(child, below);
            }
        }
    }

    /// Replaces the leaf of a slot by what `change` makes of it.
    fn set_leaf(&mut self, index: u32, slot: u8, change: impl Fn(Option<u32>) -> Option<u32>) {
        let slots = self.node(index).leaves;
        let at = slots.find(slot);
        let old = at.map(|at| self.leaves.items[at as usize]);
        let (new, count) = (change(old), slots.count());
        let mut slots = slots;
        match (at, new) {
            (Some(at), Some(word)) => {
                self.leaves.items[at as usize] = word;
                self.pass_on(index, slot);
                return;
            }
            (None, None) => return,
            (None, Some(word)) => {
                slots.set(slot, true);
                let place = slots.find(slot).map_or(0, |at| at - slots.base);
                slots.base = self.leaves.insert(slots.base, count, place as usize, word);
            }
            (Some(at), None) => {
                let place = (at - slots.base) as usize;
                slots.base = self.leaves.remove(slots.base, count, place);
                slots.set(slot, false);
            }
        }
        self.node_mut(index).leaves = slots;
        self.pass_on(index, slot);
    }

    /// Takes out what the nodes at the end of `path` are no longer needed for.
    fn prune(&mut self, path: &[u32]) {
        for pair in path.windows(2).rev() {
            let [parent, index] = *pair else { return };
            let node = *self.node(index);
            if node.leaves.count() > 0 {
                return;
            }
            match node.children.count() {
                0 => {
                    let slot = self.node(parent).slot(node.prefix);
                    self.remove_child(parent, slot);
                }
                1 => {
                    let only = *self.node(node.children.base);
                    self.nodes.release(node.children.base, 1);
                    *self.node_mut(index) = only;
                    return;
                }
                _ => return,
            }
        }
    }

    /// Nodes in use, for tests: what is not free.
    #[cfg(test)]
    fn nodes_in_use(&self) -> usize {
        fn below(lpm: &Lpm, index: u32) -> usize {
            let node = lpm.node(index);
            1 + node
                .children
                .iter()
                .filter_map(|slot| node.children.find(slot))
                .map(|child| below(lpm, child))
                .sum::<usize>()
        }
        below(self, ROOT)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::fib::table::Prefixes;

    /// The obvious way: every prefix is tried.
    #[derive(Default)]
    struct Scan(HashMap<(u128, u8), Entry>);

    impl Scan {
        fn lookup(&self, key: u128) -> Entry {
            self.0
                .iter()
                .filter(|((prefix, len), _)| (key ^ prefix) & mask(*len) == 0)
                .max_by_key(|((_, len), _)| *len)
                .map_or(Entry::NONE, |(_, entry)| *entry)
        }
    }

    /// Keys that collide often: few distinct values per byte.
    fn key() -> impl Strategy<Value = u128> {
        proptest::array::uniform16(prop_oneof![
            4 => Just(0u8),
            1 => Just(0xfc),
            1 => Just(0x80),
            1 => any::<u8>(),
        ])
        .prop_map(u128::from_be_bytes)
    }

    fn change() -> impl Strategy<Value = (u128, u8, Option<u32>)> {
        let len =
            prop_oneof![0..=128u8, Just(16u8), Just(32u8), Just(48u8), Just(64u8), Just(128u8)];
        (key(), len, proptest::option::weighted(0.7, 1..1000u32))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn equals_a_scan(changes in proptest::collection::vec(change(), 1..120),
                         probes in proptest::collection::vec(key(), 40)) {
            let mut scan = Scan::default();
            let mut lpm = Lpm::new();
            let mut prefixes = Prefixes::default();
            for (key, len, value) in &changes {
                let key = key & mask(*len);
                match value {
                    Some(value) => {
                        let entry = Entry::forward(*value);
                        scan.0.insert((key, *len), entry);
                        prefixes.insert(key, *len, entry);
                        lpm.insert(key, *len, entry);
                    }
                    None => {
                        scan.0.remove(&(key, *len));
                        if prefixes.remove(key, *len) {
                            lpm.remove(key, *len, prefixes.fallback(key, *len));
                        }
                    }
                }
            }
            let mut keys = probes;
            keys.extend(changes.iter().map(|(key, len, _)| key | !mask(*len) & 0x0123_4567_89ab_cdef));
            let mut entries = vec![Entry::NONE; keys.len()];
            lpm.lookup_batch(&keys, &mut entries);
            for (key, entry) in keys.iter().zip(entries) {
                prop_assert_eq!(lpm.lookup(*key), scan.lookup(*key), "{:x}", key);
                prop_assert_eq!(entry, scan.lookup(*key));
            }
        }

        /// Whatever was inserted, removing it leaves an empty trie.
        #[test]
        fn nothing_is_left_behind(changes in proptest::collection::vec(change(), 1..80)) {
            let mut lpm = Lpm::new();
            let mut prefixes = Prefixes::default();
            for (key, len, _) in &changes {
                let entry = Entry::forward(7);
                prefixes.insert(key & mask(*len), *len, entry);
                lpm.insert(key & mask(*len), *len, entry);
            }
            for (key, len, _) in &changes {
                let key = key & mask(*len);
                if prefixes.remove(key, *len) {
                    lpm.remove(key, *len, prefixes.fallback(key, *len));
                }
            }
            prop_assert_eq!(lpm.nodes_in_use(), 1);
            prop_assert_eq!(lpm.lookup(changes[0].0), Entry::NONE);
        }
    }

    #[test]
    fn long_prefixes_take_few_nodes() {
        let mut lpm = Lpm::new();
        for n in 0..10u128 {
            lpm.insert(0xfc00_0000_0000_000e_0000_0000_0000_0000 | n << 80, 128, Entry::forward(1));
        }
        assert!(lpm.nodes_in_use() <= 12, "{}", lpm.nodes_in_use());
    }
}
