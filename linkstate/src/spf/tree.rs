//! Distances and first hops of all nodes, by Dijkstra's algorithm.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use foldhash::fast::RandomState;

use super::MAX_PATH_METRIC;
use super::first_hop::{FirstHops, Set};
use super::graph::{Graph, UNUSABLE};
use crate::ted::NodeId;

/// The distance of what is not reached.
pub(super) const UNREACHED: u32 = u32::MAX;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tree {
    /// By the numbers of nodes.
    pub(super) distances: Vec<u32>,
    /// Sets of first hops, one behind the other.
    pub(super) sets: Vec<u64>,
    /// How many words a set has.
    pub(super) words: usize,
}

/// Nodes by distance; at the same one, pseudonodes come first: the step from a pseudonode costs
/// nothing.
#[derive(Debug, Default)]
pub(super) struct Queue(BinaryHeap<Reverse<u64>>);

impl Queue {
    pub(super) fn push(&mut self, graph: &Graph, node: u32, distance: u32) {
        let rank = u64::from(!graph.is_pseudonode(node));
        self.0.push(Reverse(u64::from(distance) << 32 | rank << 31 | u64::from(node)));
    }

    pub(super) fn pop(&mut self) -> Option<(u32, u32)> {
        let Reverse(key) = self.0.pop()?;
        Some(((key & 0x7fff_ffff) as u32, (key >> 32) as u32))
    }
}

/// The distance at the end of an edge, if a path may be that long.
pub(super) fn beyond(distance: u32, cost: u32) -> Option<u32> {
    if cost == UNUSABLE || distance == UNREACHED {
        return None;
    }
    distance.checked_add(cost).filter(|&sum| sum <= MAX_PATH_METRIC)
}

/// A set of first hops that are in other places by now; `None` if one of them is gone.
fn moved(set: &[u64], places: &[Option<usize>], words: usize) -> Option<Set> {
    let mut now: Set = vec![0; words].into();
    for (place, new) in places.iter().enumerate() {
        if set.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1) {
            let new = (*new)?;
            now[new / 64] |= 1 << (new % 64);
        }
    }
    Some(now)
}

impl Tree {
    pub(super) fn new(graph: &Graph, first_hops: &FirstHops, root: Option<NodeId>) -> Self {
        let words = first_hops.words();
        let mut tree = Self {
            distances: vec![UNREACHED; graph.len()],
            sets: vec![0; graph.len() * words],
            words,
        };
        let Some(root) = root.map(|root| root.0) else { return tree };
        let mut queue = Queue::default();
        let mut settled = vec![false; graph.len()];
        tree.distances[root as usize] = 0;
        queue.push(graph, root, 0);
        while let Some((node, distance)) = queue.pop() {
            if distance != tree.distances[node as usize] {
                continue;
            }
            settled[node as usize] = true;
            for edge in graph.out(node) {
                let to = edge.node;
                let Some(sum) = beyond(distance, edge.cost).filter(|_| to != root) else {
                    continue;
                };
                let known = &mut tree.distances[to as usize];
                if sum < *known {
                    *known = sum;
                    tree.set_mut(to).fill(0);
                    tree.add_step(graph, first_hops, root, node, to);
                    queue.push(graph, to, sum);
                } else if sum == *known
                    && tree.add_step(graph, first_hops, root, node, to)
                    && settled[to as usize]
                {
                    // Reached over an edge without cost when its own had been handed on already.
                    queue.push(graph, to, sum);
                }
            }
        }
        tree
    }

    /// Adds to the first hops of `to` those of paths whose last step is from `from`. Whether that
    /// made them more.
    pub(super) fn add_step(
        &mut self,
        graph: &Graph,
        first_hops: &FirstHops,
        root: u32,
        from: u32,
        to: u32,
    ) -> bool {
        let extra = if from == root {
            first_hops.direct(to)
        } else if graph.is_pseudonode(from) {
            first_hops.behind(from, self.distances[from as usize], to)
        } else {
            None
        };
        let (from, to) = (from as usize * self.words, to as usize * self.words);
        let mut more = false;
        for word in 0..self.words {
            let before = self.sets[to + word];
            let after = before | self.sets[from + word] | extra.map_or(0, |set| set[word]);
            self.sets[to + word] = after;
            more |= before != after;
        }
        more
    }

    fn set_mut(&mut self, node: u32) -> &mut [u64] {
        let at = node as usize * self.words;
        &mut self.sets[at..at + self.words]
    }

    /// The first hops of a node.
    pub(super) fn hops(&self, node: NodeId) -> &[u64] {
        self.sets.get(node.index() * self.words..(node.index() + 1) * self.words).unwrap_or(&[])
    }

    /// Nodes whose distance or first hops are others than in `old`, whose first hops are in these
    /// places of the list by now.
    pub(super) fn differences(&self, old: &Self, places: &[Option<usize>]) -> Vec<NodeId> {
        let mut known: HashMap<&[u64], Option<Set>, RandomState> = HashMap::default();
        let differs = |id: &NodeId| {
            let distance = self.distance(*id);
            if old.distance(*id) != distance {
                return true;
            }
            let set = old.hops(*id);
            let now = known.entry(set).or_insert_with(|| moved(set, places, self.words));
            distance.is_some() && now.as_deref() != Some(self.hops(*id))
        };
        (0..self.distances.len() as u32).map(NodeId).filter(differs).collect()
    }

    pub(super) fn distance(&self, node: NodeId) -> Option<u32> {
        self.distances.get(node.index()).copied().filter(|&distance| distance != UNREACHED)
    }

    /// How many nodes are reached.
    pub(super) fn reached(&self) -> usize {
        self.distances.iter().filter(|&&distance| distance != UNREACHED).count()
    }
}
