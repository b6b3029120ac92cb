//! A B+-tree over 64-bit numbers that says of every number which interval it is in.
//!
//! All leaves are equally deep: a look-up knows beforehand how many steps it takes. Trees share
//! their nodes' memory. Neighbours with the same word in the same leaf are one interval.

use arrayvec::ArrayVec;

use super::memory::make_room;
use super::node::{FANOUT, Interval, Node, Word, signed};

/// Neighbours that have no more intervals than this become one node.
const SPARSE: usize = 12;

/// A tree, by its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tree {
    /// The root's place among the nodes.
    pub(super) root: u32,
    /// Inner nodes between the tree's top and its leaves.
    pub(super) height: u32,
}

/// The inner nodes above a node, from the root: their places, and the slots that lead there.
type Path = ArrayVec<(u32, usize), 32>;

/// A node's intervals while they are changed: two more than it may have.
type Changed = ArrayVec<Interval, { FANOUT + 2 }>;

/// Where a number was found.
struct Found {
    above: Path,
    node: u32,
    /// The lower bound of the next node of the same level.
    next: Option<u64>,
}

/// The nodes of any number of trees.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes {
    items: Vec<Node>,
    /// Slots in use, by node.
    fill: Vec<u8>,
    free: Vec<u32>,
    /// Where the last change began: changes in ascending order leave full nodes behind.
    last: u64,
}

impl Nodes {
    /// The nodes, in use and free. Every word of an inner node in use is the place of a node.
    #[inline(always)]
    pub(super) fn items(&self) -> &[Node] {
        &self.items
    }

    /// Bytes of memory that they take.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Node>() * self.items.capacity()
            + self.fill.capacity()
            + size_of::<u32>() * self.free.capacity()
    }

    /// A tree of one interval.
    pub(super) fn plant(&mut self, word: Word) -> Tree {
        Tree { root: self.allocate(&[(0, word)]), height: 0 }
    }

    /// Gives a tree of one interval back, and says its word. `None`, and nothing is done, where
    /// the tree has more.
    pub(super) fn fell(&mut self, tree: Tree, removable: impl Fn(Word) -> bool) -> Option<Word> {
        let word = self.node(tree.root).words[0];
        let whole = tree.height == 0 && self.fill(tree.root) == 1;
        (whole && removable(word)).then(|| {
            self.free.push(tree.root);
            word
        })
    }

    /// The word of a number.
    #[inline(always)]
    pub(super) fn find(&self, tree: Tree, needle: i64) -> Word {
        let mut at = tree.root;
        for _ in 0..tree.height {
            let node = &self.items[at as usize];
            at = node.words[node.slot(needle)].0;
        }
        let node = &self.items[at as usize];
        node.words[node.slot(needle)]
    }

    /// Replaces the words from `first` to `last` by what `change` makes of them. What it made once
    /// it leaves as it is; it may be asked twice for a word.
    pub(super) fn change(
        &mut self,
        tree: &mut Tree,
        first: u64,
        last: u64,
        mut change: impl FnMut(Word) -> Word,
    ) {
        let mut from = first;
        loop {
            let Found { above, node, next } = self.descend(*tree, from, 0);
            let end = next.map_or(u64::MAX, |next| next - 1);
            if !self.reword(node, end, from, last.min(end), &mut change) {
                let intervals = self.changed(node, end, from, last.min(end), &mut change);
                let before = self.fill(node);
                self.replace(tree, above, node, &intervals, from);
                if intervals.len() < before {
                    self.settle(tree, from, 0);
                }
            }
            match next {
                Some(next) if next <= last => from = next,
                _ => break,
            }
        }
        self.last = first;
    }

    /// Changes the words from `first` to `last` in a leaf that ends at `end`, where its intervals
    /// stay what they are: the usual case where a prefix that is there leads to something else.
    /// Whether that is so.
    fn reword(
        &mut self,
        leaf: u32,
        end: u64,
        first: u64,
        last: u64,
        change: &mut impl FnMut(Word) -> Word,
    ) -> bool {
        let (node, fill) = (&mut self.items[leaf as usize], usize::from(self.fill[leaf as usize]));
        let begin = node.slot(signed(first)).min(fill - 1);
        let more = (begin + 1..fill).take_while(|slot| node.key(*slot) <= last).count();
        let behind = begin + 1 + more;
        let until = if behind < fill { node.key(behind) - 1 } else { end };
        if node.key(begin) != first || until != last {
            return false;
        }
        let mut words = node.words;
        words[begin..behind].iter_mut().for_each(|word| *word = change(*word));
        let around = &words[begin.saturating_sub(1)..fill.min(behind + 1)];
        if around.windows(2).any(|pair| pair[0] == pair[1]) {
            return false;
        }
        // What is not in use has the last word that is.
        let last = words[fill - 1];
        words[fill..].fill(last);
        node.words = words;
        true
    }

    /// The intervals of a leaf that ends at `end`, with the words from `first` to `last` changed.
    fn changed(
        &self,
        leaf: u32,
        end: u64,
        first: u64,
        last: u64,
        change: &mut impl FnMut(Word) -> Word,
    ) -> Changed {
        let (node, fill) = (self.node(leaf), self.fill(leaf));
        let mut intervals = Changed::new();
        for slot in 0..fill {
            let (from, word) = (node.key(slot), node.words[slot]);
            let to = if slot + 1 < fill { node.key(slot + 1) - 1 } else { end };
            if to < first || from > last {
                extend(&mut intervals, (from, word));
                continue;
            }
            if from < first {
                extend(&mut intervals, (from, word));
            }
            extend(&mut intervals, (from.max(first), change(word)));
            if to > last {
                extend(&mut intervals, (last + 1, word));
            }
        }
        intervals
    }

    /// Gives a node new intervals; splits it where they are too many. `at` is what changed.
    fn replace(
        &mut self,
        tree: &mut Tree,
        mut above: Path,
        node: u32,
        intervals: &[Interval],
        at: u64,
    ) {
        if intervals.len() <= FANOUT {
            self.write(node, intervals);
            return;
        }
        let ascending = intervals[0].0 <= self.last && self.last <= at;
        let middle = if ascending {
            let place = intervals.iter().position(|(key, _)| *key >= at);
            place.unwrap_or(FANOUT).clamp(FANOUT / 2, intervals.len() - 2)
        } else {
            intervals.len() / 2
        };
        // Neither part has one interval only: it may be one that is never changed again, and so
        // would never be looked at to be made one with its neighbour.
        let (left, right) = intervals.split_at(middle);
        self.write(node, left);
        let sibling = (right[0].0, Word(self.allocate(right)));
        match above.pop() {
            Some((parent, slot)) => {
                let mut children: Changed = self.intervals(parent).collect();
                children.insert(slot + 1, sibling);
                self.replace(tree, above, parent, &children, at);
            }
            None => {
                let root = self.allocate(&[(intervals[0].0, Word(node)), sibling]);
                *tree = Tree { root, height: tree.height + 1 };
            }
        }
    }

    /// Makes the node of a level over `key` one with a neighbour, if they are sparse, and so on
    /// until there are no such neighbours. Leaves are level 0.
    fn settle(&mut self, tree: &mut Tree, key: u64, level: u32) {
        if level >= tree.height {
            while tree.height > 0 && self.fill(tree.root) == 1 {
                let root = self.node(tree.root).words[0].0;
                self.free.push(tree.root);
                *tree = Tree { root, height: tree.height - 1 };
            }
            return;
        }
        let parent = self.descend(*tree, key, level + 1).node;
        let node = *self.node(parent);
        let (slot, fill) = (node.slot(signed(key)).min(self.fill(parent) - 1), self.fill(parent));
        let pair = [slot.wrapping_sub(1), slot].into_iter().find(|left| {
            let child = |slot: usize| self.fill(node.words[slot].0);
            *left < fill && left + 1 < fill && child(*left) + child(left + 1) <= SPARSE
        });
        let Some(left) = pair else { return };
        let (kept, gone) = (node.words[left].0, node.words[left + 1].0);
        let mut intervals: Changed = self.intervals(kept).collect();
        for interval in self.intervals(gone) {
            if level == 0 {
                extend(&mut intervals, interval);
            } else {
                intervals.push(interval);
            }
        }
        self.write(kept, &intervals);
        self.free.push(gone);
        let mut children: Changed = self.intervals(parent).collect();
        children.remove(left + 1);
        self.write(parent, &children);
        if level > 0 {
            // Nodes that had different parents are neighbours now.
            self.settle(tree, node.key(left + 1), level - 1);
        }
        self.settle(tree, key, level);
        self.settle(tree, key, level + 1);
    }

    /// The node of a level over `key`.
    fn descend(&self, tree: Tree, key: u64, level: u32) -> Found {
        let needle = signed(key);
        let mut found = Found { above: Path::new(), node: tree.root, next: None };
        for _ in level..tree.height {
            let node = self.node(found.node);
            let (slot, last) = (node.slot(needle), self.fill(found.node) - 1);
            let slot = slot.min(last);
            if slot < last {
                found.next = Some(node.key(slot + 1));
            }
            found.above.push((found.node, slot));
            found.node = node.words[slot].0;
        }
        found
    }

    fn allocate(&mut self, intervals: &[Interval]) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            make_room(&mut self.items);
            self.items.push(Node::new(&[]));
            self.fill.push(0);
            self.items.len() as u32 - 1
        });
        self.write(place, intervals);
        place
    }

    fn write(&mut self, place: u32, intervals: &[Interval]) {
        self.items[place as usize] = Node::new(intervals);
        self.fill[place as usize] = intervals.len() as u8;
    }

    fn node(&self, place: u32) -> &Node {
        &self.items[place as usize]
    }

    fn fill(&self, place: u32) -> usize {
        usize::from(self.fill[place as usize])
    }

    fn intervals(&self, place: u32) -> impl Iterator<Item = Interval> {
        let node = *self.node(place);
        (0..self.fill(place)).map(move |slot| (node.key(slot), node.words[slot]))
    }
}

/// Adds an interval, as part of the one before where they have the same word.
fn extend(intervals: &mut Changed, interval: Interval) {
    if intervals.last().is_none_or(|(_, word)| *word != interval.1) {
        intervals.push(interval);
    }
}

#[cfg(test)]
impl Nodes {
    /// Nodes that are not free.
    pub(super) fn in_use(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// Checks what must hold of a tree: all of it in order, from `lower` on, padded, and no two
    /// neighbours of a leaf alike. Returns the number of nodes, and the words of the leaves.
    pub(super) fn check(&self, tree: Tree, words: &mut Vec<Word>) -> usize {
        self.check_node(tree.root, tree.height, 0, None, words)
    }

    fn check_node(
        &self,
        place: u32,
        level: u32,
        lower: u64,
        upper: Option<u64>,
        words: &mut Vec<Word>,
    ) -> usize {
        let (node, fill) = (self.node(place), self.fill(place));
        assert!((1..=FANOUT).contains(&fill), "{fill} intervals");
        assert!(!self.free.contains(&place), "a free node is in use");
        assert_eq!(node.key(0), lower, "the first key is the lower bound");
        for slot in 1..fill {
            assert!(node.key(slot - 1) < node.key(slot), "keys in order");
        }
        assert!(upper.is_none_or(|upper| node.key(fill - 1) < upper), "below the next node");
        for slot in fill..FANOUT {
            assert_eq!((node.keys[slot], node.words[slot]), (i64::MAX, node.words[fill - 1]));
        }
        if level == 0 {
            assert!((1..fill).all(|slot| node.words[slot - 1] != node.words[slot]), "one interval");
            words.extend(&node.words[..fill]);
            return 1;
        }
        let child = |slot: usize| {
            let upper = if slot + 1 < fill { Some(node.key(slot + 1)) } else { upper };
            (node.words[slot].0, node.key(slot), upper)
        };
        1 + (0..fill)
            .map(child)
            .map(|(place, lower, upper)| self.check_node(place, level - 1, lower, upper, words))
            .sum::<usize>()
    }
}
