//! Following a change of a few edges: distances that may grow, distances that shrink, first hops.
//!
//! After G. Ramalingam and T. Reps, "On the computational complexity of dynamic graph problems"
//! (1996). It rests on every last step of a shortest path coming from a node that is handled
//! earlier, which edges without cost break, unless they start at a pseudonode: then everything is
//! computed anew.

use foldhash::{HashMap, HashSet, HashSetExt as _};

use super::first_hop::FirstHops;
use super::graph::{Changed, Graph};
use super::tree::{Queue, Tree, UNREACHED, beyond};
use crate::ted::NodeId;

impl Tree {
    /// Nodes whose distance or first hops are others after a change of `edges`.
    pub(super) fn follow(
        &mut self,
        graph: &Graph,
        first_hops: &FirstHops,
        root: Option<NodeId>,
        edges: &[Changed],
    ) -> Vec<NodeId> {
        let root = match root {
            // From where on it takes longer than everything anew.
            Some(root) if !graph.has_free_edges() && edges.len() <= graph.len() / 4 => root.0,
            _ => return self.renew(graph, first_hops, root),
        };
        self.distances.resize(graph.len(), UNREACHED);
        self.sets.resize(graph.len() * self.words, 0);
        let mut before = self.lengthen(graph, root, edges);
        self.shorten(graph, root, edges, &mut before);
        self.hand_on(graph, first_hops, root, edges, &before)
    }

    /// Everything anew, and what is different.
    fn renew(
        &mut self,
        graph: &Graph,
        first_hops: &FirstHops,
        root: Option<NodeId>,
    ) -> Vec<NodeId> {
        let new = Self::new(graph, first_hops, root);
        let old = std::mem::replace(self, new);
        let differs = |id: &NodeId| {
            // A node that was not there was not reached.
            old.distance(*id) != self.distance(*id)
                || (self.distance(*id).is_some() && old.hops(*id) != self.hops(*id))
        };
        (0..graph.len() as u32).map(NodeId).filter(differs).collect()
    }

    /// Takes the distance from nodes that have lost every shortest path. What it was is returned.
    fn lengthen(&mut self, graph: &Graph, root: u32, edges: &[Changed]) -> HashMap<u32, u32> {
        let mut queue = Queue::default();
        let mut lost = HashSet::new();
        // One that costs less now counts, too: where it starts may be further away now, by more.
        for edge in edges {
            let distance = self.distances[edge.to as usize];
            let was = beyond(self.distances[edge.from as usize], edge.before);
            if was == Some(distance) && edge.to != root {
                queue.push(graph, edge.to, distance);
            }
        }
        while let Some((node, distance)) = queue.pop() {
            let holds = |edge: &super::graph::Edge| {
                let sum = beyond(self.distances[edge.node as usize], edge.cost);
                sum.is_some_and(|sum| sum <= distance) && !lost.contains(&edge.node)
            };
            if lost.contains(&node) || graph.incoming(node).iter().any(holds) {
                continue;
            }
            lost.insert(node);
            for edge in graph.out(node) {
                let there = self.distances[edge.node as usize];
                if beyond(distance, edge.cost) == Some(there) && edge.node != root {
                    queue.push(graph, edge.node, there);
                }
            }
        }
        let take =
            |&node: &u32| (node, std::mem::replace(&mut self.distances[node as usize], UNREACHED));
        lost.iter().map(take).collect()
    }

    /// Finds the distances of nodes that have lost theirs, and those that are shorter now.
    fn shorten(
        &mut self,
        graph: &Graph,
        root: u32,
        edges: &[Changed],
        before: &mut HashMap<u32, u32>,
    ) {
        let mut queue = Queue::default();
        let lost: Vec<u32> = before.keys().copied().collect();
        for node in lost {
            let sums = graph.incoming(node).iter();
            let sums =
                sums.filter_map(|edge| beyond(self.distances[edge.node as usize], edge.cost));
            if let Some(best) = sums.min() {
                self.distances[node as usize] = best;
                queue.push(graph, node, best);
            }
        }
        for edge in edges.iter().filter(|edge| edge.after < edge.before) {
            self.relax(graph, root, edge.from, (edge.to, edge.after), before, &mut queue);
        }
        while let Some((node, distance)) = queue.pop() {
            if distance != self.distances[node as usize] {
                continue;
            }
            for edge in graph.out(node) {
                self.relax(graph, root, node, (edge.node, edge.cost), before, &mut queue);
            }
        }
    }

    fn relax(
        &mut self,
        graph: &Graph,
        root: u32,
        from: u32,
        (to, cost): (u32, u32),
        before: &mut HashMap<u32, u32>,
        queue: &mut Queue,
    ) {
        let known = self.distances[to as usize];
        let sum = beyond(self.distances[from as usize], cost).unwrap_or(UNREACHED);
        if sum < known && to != root {
            before.entry(to).or_insert(known);
            self.distances[to as usize] = sum;
            queue.push(graph, to, sum);
        }
    }

    /// Finds the first hops of nodes where a last step has come or gone, and of those behind them.
    fn hand_on(
        &mut self,
        graph: &Graph,
        first_hops: &FirstHops,
        root: u32,
        edges: &[Changed],
        before: &HashMap<u32, u32>,
    ) -> Vec<NodeId> {
        let moved = |tree: &Self, node: u32| {
            before.get(&node).is_some_and(|&before| before != tree.distances[node as usize])
        };
        let mut queue = Queue::default();
        let mut queued = HashSet::new();
        let mut enqueue = |tree: &Self, queue: &mut Queue, node: u32| {
            if node != root && queued.insert(node) {
                queue.push(graph, node, tree.distances[node as usize]);
            }
        };
        edges.iter().for_each(|edge| enqueue(self, &mut queue, edge.to));
        for &node in before.keys().filter(|&&node| moved(self, node)) {
            enqueue(self, &mut queue, node);
            graph.out(node).iter().for_each(|edge| enqueue(self, &mut queue, edge.node));
        }
        let mut changed = Vec::new();
        while let Some((node, distance)) = queue.pop() {
            let at = node as usize * self.words..(node as usize + 1) * self.words;
            let old = self.sets[at.clone()].to_vec();
            self.sets[at.clone()].fill(0);
            for edge in graph.incoming(node) {
                let sum = beyond(self.distances[edge.node as usize], edge.cost);
                if sum == Some(distance) {
                    self.add_step(graph, first_hops, root, edge.node, node);
                }
            }
            let others = self.sets[at] != old;
            if others || moved(self, node) {
                changed.push(NodeId(node));
            }
            if others && distance != UNREACHED {
                for edge in graph.out(node) {
                    if beyond(distance, edge.cost) == Some(self.distances[edge.node as usize]) {
                        enqueue(self, &mut queue, edge.node);
                    }
                }
            }
        }
        changed
    }
}
