//! Who is next to whom, and at what cost: arrays by the numbers of nodes.

use std::collections::{HashMap, HashSet};

use super::MAX_PATH_METRIC;
use crate::ted::{Changes, Instance, NodeId, Protocol, Ted};

/// The cost of what may not be used.
pub(super) const UNUSABLE: u32 = u32::MAX;
/// The metric of a link of IS-IS that is not for shortest paths (RFC 5305, section 3).
const MAX_LINK_METRIC: u32 = 0x00ff_ffff;

/// All parallel links from one node to another, as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    /// The other node: where it ends, or starts.
    pub(super) node: u32,
    /// Cost of the cheapest of the links, if they may be used.
    pub(super) cost: u32,
    /// The metric they are announced with.
    metric: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flags {
    /// Paths may lead to it.
    present: bool,
    /// Paths may not lead through it.
    overload: bool,
    pseudonode: bool,
}

/// An edge whose cost has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) before: u32,
    pub(super) after: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    instance: Option<Instance>,
    root: Option<NodeId>,
    topology: u16,
    flags: Vec<Flags>,
    out: Vec<Vec<Edge>>,
    into: Vec<Vec<Edge>>,
    /// Edges without cost that do not start at a pseudonode.
    free: HashSet<(u32, u32)>,
}

impl Graph {
    pub(super) fn new(ted: &Ted, instance: Instance, root: Option<NodeId>, topology: u16) -> Self {
        let mut graph = Self { instance: Some(instance), root, topology, ..Self::default() };
        graph.grow(ted.node_bound());
        for (id, _) in ted.nodes() {
            graph.flags[id.index()] = graph.flags_of(ted, id);
        }
        for (id, _) in ted.nodes() {
            graph.read_links(ted, id);
        }
        for from in 0..graph.len() as u32 {
            for at in 0..graph.out[from as usize].len() {
                let Edge { node: to, metric, .. } = graph.out[from as usize][at];
                let cost = graph.cost(from, to, metric);
                graph.out[from as usize][at].cost = cost;
                graph.into[to as usize].push(Edge { node: from, cost, metric });
                graph.note_free(from, to, cost);
            }
        }
        graph
    }

    pub(super) fn len(&self) -> usize {
        self.flags.len()
    }

    pub(super) fn out(&self, node: u32) -> &[Edge] {
        &self.out[node as usize]
    }

    pub(super) fn incoming(&self, node: u32) -> &[Edge] {
        &self.into[node as usize]
    }

    pub(super) fn is_pseudonode(&self, node: u32) -> bool {
        self.flags[node as usize].pseudonode
    }

    /// Whether a path could lead in a circle at no cost.
    pub(super) fn has_free_edges(&self) -> bool {
        !self.free.is_empty()
    }

    /// What the links from one node to another cost.
    pub(super) fn cost_between(&self, from: u32, to: u32) -> u32 {
        find(&self.out[from as usize], to).map_or(UNUSABLE, |edge| edge.cost)
    }

    /// Takes over what has changed in the TED.
    pub(super) fn follow(&mut self, ted: &Ted, changes: &Changes) -> Vec<Changed> {
        self.grow(ted.node_bound());
        let mut pairs: HashSet<(u32, u32)> =
            changes.links.iter().map(|(from, to)| (from.0, to.0)).collect();
        for &(from, to) in &changes.links {
            self.read_pair(ted, from, to);
            // Links back are good only as long as there are links there.
            pairs.insert((to.0, from.0));
        }
        for &node in &changes.nodes {
            let flags = self.flags_of(ted, node);
            let before = std::mem::replace(&mut self.flags[node.index()], flags);
            if before != flags {
                pairs.extend(self.out(node.0).iter().map(|edge| (node.0, edge.node)));
                pairs.extend(self.incoming(node.0).iter().map(|edge| (edge.node, node.0)));
            }
        }
        let mut costs = HashMap::new();
        for (from, to) in pairs {
            if let Some(before) = self.reprice(from, to) {
                costs.insert((from, to), before);
            }
        }
        let after = |(&(from, to), &before): (&(u32, u32), &u32)| Changed {
            from,
            to,
            before,
            after: self.cost_between(from, to),
        };
        let mut changed: Vec<_> = costs.iter().map(after).collect();
        changed.sort_unstable_by_key(|change| (change.from, change.to));
        changed
    }

    fn grow(&mut self, bound: usize) {
        let bound = bound.max(self.len());
        self.flags.resize(bound, Flags::default());
        self.out.resize(bound, Vec::new());
        self.into.resize(bound, Vec::new());
    }

    fn flags_of(&self, ted: &Ted, id: NodeId) -> Flags {
        let Some(node) = ted.node(id) else { return Flags::default() };
        let pseudonode = node.key().is_pseudonode();
        Flags {
            // Not every speaker announces pseudonodes for themselves.
            present: Some(node.key().instance) == self.instance && (node.announced() || pseudonode),
            overload: node.attributes().is_some_and(|attributes| attributes.flags.overload()),
            pseudonode,
        }
    }

    /// Metric of a link in our topology; `None` if it is in another, only for traffic engineering,
    /// or down.
    fn metric(&self, link: &crate::ted::Link) -> Option<u32> {
        let usable = link.descriptor.topology == self.topology && !link.is_down();
        usable.then_some(link.attributes.igp_metric?)
    }

    fn read_links(&mut self, ted: &Ted, from: NodeId) {
        let mut edges: Vec<Edge> = ted
            .links_from(from)
            .filter_map(|(_, link)| {
                let metric = self.metric(link)?;
                Some(Edge { node: link.to.0, cost: UNUSABLE, metric })
            })
            .collect();
        edges.sort_unstable_by_key(|edge| (edge.node, edge.metric));
        edges.dedup_by_key(|edge| edge.node);
        self.out[from.index()] = edges;
    }

    /// Reads the links from one node to another. Costs stay as they were until they are repriced.
    fn read_pair(&mut self, ted: &Ted, from: NodeId, to: NodeId) {
        let links = ted.links_from(from).filter(|(_, link)| link.to == to);
        let metric = links.filter_map(|(_, link)| self.metric(link)).min();
        set(&mut self.out[from.index()], to.0, metric);
        set(&mut self.into[to.index()], from.0, metric);
    }

    /// Computes the cost of an edge anew, and says what it was if that is another.
    fn reprice(&mut self, from: u32, to: u32) -> Option<u32> {
        let Edge { cost: before, metric, .. } = *find(&self.out[from as usize], to)?;
        let cost = if metric == GONE { UNUSABLE } else { self.cost(from, to, metric) };
        if metric == GONE {
            self.out[from as usize].retain(|edge| edge.node != to);
            self.into[to as usize].retain(|edge| edge.node != from);
        } else {
            for (edges, node) in
                [(&mut self.out[from as usize], to), (&mut self.into[to as usize], from)]
            {
                if let Some(edge) = find_mut(edges, node) {
                    edge.cost = cost;
                }
            }
        }
        self.note_free(from, to, cost);
        (before != cost).then_some(before)
    }

    fn cost(&self, from: u32, to: u32, metric: u32) -> u32 {
        let [start, end] = [from, to].map(|node| self.flags[node as usize]);
        let isis =
            self.instance.is_some_and(|i| i.protocol.is_isis() || i.protocol == Protocol::STATIC);
        let largest = if isis { MAX_LINK_METRIC - 1 } else { MAX_PATH_METRIC };
        // The two-way connectivity check (RFC 1195, annex C.1.4).
        let both_ways =
            || find(&self.out[to as usize], from).is_some_and(|back| back.metric != GONE);
        let transit = !start.overload || self.root == Some(NodeId(from));
        let usable = start.present
            && end.present
            && !(start.pseudonode && end.pseudonode)
            && transit
            && metric <= largest
            && both_ways();
        if usable { metric } else { UNUSABLE }
    }

    fn note_free(&mut self, from: u32, to: u32, cost: u32) {
        if cost == 0 && !self.is_pseudonode(from) {
            self.free.insert((from, to));
        } else {
            self.free.remove(&(from, to));
        }
    }
}

/// Metric of an edge that is no longer announced, until it is repriced.
const GONE: u32 = u32::MAX;

fn find(edges: &[Edge], node: u32) -> Option<&Edge> {
    edges.binary_search_by_key(&node, |edge| edge.node).ok().map(|at| &edges[at])
}

fn find_mut(edges: &mut [Edge], node: u32) -> Option<&mut Edge> {
    edges.binary_search_by_key(&node, |edge| edge.node).ok().map(|at| &mut edges[at])
}

fn set(edges: &mut Vec<Edge>, node: u32, metric: Option<u32>) {
    match (edges.binary_search_by_key(&node, |edge| edge.node), metric) {
        (Ok(at), metric) => edges[at].metric = metric.unwrap_or(GONE),
        (Err(at), Some(metric)) => edges.insert(at, Edge { node, cost: UNUSABLE, metric }),
        (Err(_), None) => {}
    }
}
