//! Shortest paths from one node to all, and routes along them.
//!
//! ```text
//! TED --graph--> who is next to whom, at what cost --tree--> distances, first hops --routes--> routes
//! ```
//!
//! A change of the TED is followed as far as it reaches: edges that differ, nodes whose distance or
//! first hops differ, prefixes of these nodes. The result is what a run over everything would give.

mod first_hop;
mod graph;
mod incremental;
mod routes;
mod tree;

use std::sync::Arc;

use ipnet::IpNet;

use crate::ted::{Changes, NodeId, NodeKey, Ted};
use first_hop::FirstHops;
use graph::Graph;
use routes::Table;
use tree::Tree;

pub use first_hop::FirstHop;
pub use routes::Route;

/// Paths longer than this are none (RFC 5305, section 4).
pub const MAX_PATH_METRIC: u32 = 0xfe00_0000;
/// Topology for IPv6 where IS-IS keeps one for itself (RFC 5120, section 7.5).
pub const IPV6_TOPOLOGY: u16 = 2;

/// How a change was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Everything was computed.
    Full,
    /// What the change reaches was.
    Incremental,
    /// Nothing that matters for paths had changed.
    Nothing,
}

/// What became of routes.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// How it was found.
    pub run: Run,
    /// How many nodes have another distance, or other first hops.
    pub nodes: usize,
    /// Prefixes whose routes are others now; `None`: there is none any more.
    pub routes: Vec<(IpNet, Option<Route>)>,
}

/// What routes are computed from: of all but the table, which is changed meanwhile.
macro_rules! view {
    ($spf:ident, $ted:ident) => {
        routes::View {
            ted: $ted,
            instance: $spf.root_key.instance,
            root: $spf.root,
            topology: $spf.topology,
            tree: &$spf.tree,
            first_hops: &$spf.first_hops,
        }
    };
}

/// Paths from one node.
#[derive(Debug, Clone)]
pub struct Spf {
    root_key: NodeKey,
    root: Option<NodeId>,
    topology: u16,
    graph: Graph,
    first_hops: FirstHops,
    tree: Tree,
    table: Table,
}

impl Spf {
    /// Paths from `root`, over links of `topology`.
    pub fn new(ted: &Ted, root: NodeKey, topology: u16) -> Self {
        let mut spf = Self {
            root_key: root,
            root: None,
            topology,
            graph: Graph::default(),
            first_hops: FirstHops::default(),
            tree: Tree::default(),
            table: Table::default(),
        };
        spf.full(ted);
        spf
    }

    /// The topology that IPv6 packets of a node take: its own, where the node is in one.
    pub fn ipv6_topology(ted: &Ted, root: NodeId) -> u16 {
        let own = ted.links_from(root).any(|(_, link)| link.descriptor.topology == IPV6_TOPOLOGY)
            || ted.prefixes_of(root).any(|prefix| prefix.descriptor.topology == IPV6_TOPOLOGY);
        if own { IPV6_TOPOLOGY } else { 0 }
    }

    /// Computes everything anew.
    pub fn full(&mut self, ted: &Ted) -> Update {
        self.root = ted.node_id(&self.root_key);
        self.graph = Graph::new(ted, self.root_key.instance, self.root, self.topology);
        self.first_hops = FirstHops::new(ted, &self.graph, self.root, self.topology);
        self.paths(ted)
    }

    /// Computes distances and first hops anew, and says how many nodes are reached: for
    /// measurements, as nothing can have changed.
    pub fn tree_anew(&mut self) -> usize {
        self.tree = Tree::new(&self.graph, &self.first_hops, self.root);
        self.tree.reached()
    }

    fn paths(&mut self, ted: &Ted) -> Update {
        self.tree = Tree::new(&self.graph, &self.first_hops, self.root);
        let routes = self.table.all(&view!(self, ted));
        Update { run: Run::Full, nodes: self.tree.reached(), routes }
    }

    /// Follows what has changed since `ted` was looked at last.
    pub fn update(&mut self, ted: &Ted, changes: &Changes) -> Update {
        if ted.node_id(&self.root_key) != self.root {
            return self.full(ted);
        }
        let edges = self.graph.follow(ted, changes);
        let first_hops = FirstHops::new(ted, &self.graph, self.root, self.topology);
        let (run, nodes) = if first_hops != self.first_hops {
            // Places of first hops in sets are others now.
            let before = std::mem::replace(&mut self.first_hops, first_hops);
            let tree = Tree::new(&self.graph, &self.first_hops, self.root);
            let old = std::mem::replace(&mut self.tree, tree);
            (Run::Full, self.tree.differences(&old, &before.places_in(&self.first_hops)))
        } else if edges.is_empty() {
            (Run::Nothing, Vec::new())
        } else {
            let nodes = self.tree.follow(&self.graph, &self.first_hops, self.root, &edges);
            (Run::Incremental, nodes)
        };
        let mut nets = changes.prefixes.clone();
        for &node in &changes.nodes {
            nets.extend(ted.prefixes_of(node).map(|prefix| prefix.descriptor.prefix));
        }
        let routes = self.table.some(&view!(self, ted), nets, &nodes);
        Update { run, nodes: nodes.len(), routes }
    }

    /// The node that paths start at, as long as it is in the TED.
    pub fn root(&self) -> Option<NodeId> {
        self.root
    }

    /// Metric of the shortest path to a node.
    pub fn distance(&self, node: NodeId) -> Option<u32> {
        self.tree.distance(node)
    }

    /// First hops of all shortest paths to a node.
    pub fn hops(&self, node: NodeId) -> Arc<[FirstHop]> {
        self.first_hops.resolve(self.tree.hops(node))
    }

    /// All routes.
    pub fn routes(&self) -> impl Iterator<Item = (&IpNet, &Route)> {
        self.table.iter()
    }

    /// The route to exactly this prefix.
    pub fn route(&self, net: &IpNet) -> Option<&Route> {
        self.table.get(net)
    }
}
