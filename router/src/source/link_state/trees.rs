//! Shortest paths from each node that is ours: one per flooding domain and topology.

use ipnet::IpNet;
use sidewinder_linkstate::spf::{IPV6_TOPOLOGY, Route, Run, Spf};
use sidewinder_linkstate::ted::{Changes, NodeId, NodeKey, Protocol, RouterId, Ted};

/// Who we are in the topology.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// Our router ID in the feed, and the Instance-ID that it is in, if not any.
    pub(super) feed: Option<(RouterId, Option<u64>)>,
    /// Our name among the nodes of the file.
    pub(super) name: Option<String>,
}

impl Own {
    fn is(&self, ted: &Ted, id: NodeId) -> bool {
        let Some(node) = ted.node(id) else { return false };
        let key = node.key();
        let by_id = self.feed.as_ref().is_some_and(|(router_id, instance)| {
            key.descriptor.igp_router_id.as_ref() == Some(router_id)
                && instance.is_none_or(|instance| instance == key.instance.identifier)
                && key.instance.protocol.is_igp()
                && !key.is_pseudonode()
        });
        let by_name = key.instance.protocol == Protocol::STATIC
            && self.name.is_some()
            && node.name() == self.name.as_deref();
        by_id || by_name
    }

    /// Our nodes, those first whose paths are preferred: level 1 goes before level 2 (RFC 1195,
    /// section 3.10), and what a protocol tells before what is written.
    pub(super) fn nodes(&self, ted: &Ted) -> Vec<NodeId> {
        let mut nodes: Vec<_> =
            ted.nodes().map(|(id, _)| id).filter(|id| self.is(ted, *id)).collect();
        nodes.sort_by_key(|id| {
            ted.node(*id).map(|node| {
                let written = node.key().instance.protocol == Protocol::STATIC;
                (written, node.key().clone())
            })
        });
        nodes
    }
}

/// Which prefixes a tree has routes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Both,
    V4,
    V6,
}

impl Family {
    fn has(self, prefix: &IpNet) -> bool {
        match self {
            Self::Both => true,
            Self::V4 => matches!(prefix, IpNet::V4(_)),
            Self::V6 => matches!(prefix, IpNet::V6(_)),
        }
    }
}

#[derive(Debug)]
struct Tree {
    key: NodeKey,
    topology: u16,
    family: Family,
    spf: Spf,
}

/// How often paths were computed, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runs {
    /// Of everything.
    pub full: u64,
    /// Of what a change reached.
    pub incremental: u64,
    /// Of nothing: the change did not matter for paths.
    pub nothing: u64,
}

/// All shortest paths from us.
#[derive(Debug, Default)]
pub(super) struct Trees {
    trees: Vec<Tree>,
    /// Our nodes.
    pub(super) own: Vec<NodeId>,
    /// Who we were when our nodes were looked for.
    known: Own,
    /// How often paths were computed.
    pub(super) runs: Runs,
}

impl Trees {
    /// Follows what has changed in the topology. Says to which prefixes there may be other routes,
    /// and which; one may come more than once.
    pub(super) fn follow(
        &mut self,
        ted: &Ted,
        own: &Own,
        changes: &Changes,
    ) -> Vec<(IpNet, Option<Route>)> {
        // Of many thousand nodes.
        if *own != self.known || !changes.nodes.is_empty() {
            self.own = own.nodes(ted);
            self.known = own.clone();
        }
        let mut wanted = Vec::new();
        for &node in &self.own {
            let Some(key) = ted.node(node).map(|node| node.key().clone()) else { continue };
            match Spf::ipv6_topology(ted, node) {
                IPV6_TOPOLOGY => {
                    wanted.push((key.clone(), IPV6_TOPOLOGY, Family::V6));
                    wanted.push((key, 0, Family::V4));
                }
                topology => wanted.push((key, topology, Family::Both)),
            }
        }
        let mut changed = Vec::new();
        let mut old = std::mem::take(&mut self.trees);
        for (key, topology, family) in wanted {
            let is =
                |tree: &Tree| (&tree.key, tree.topology, tree.family) == (&key, topology, family);
            match old.iter().position(is) {
                Some(at) => {
                    let mut tree = old.swap_remove(at);
                    let update = tree.spf.update(ted, changes);
                    match update.run {
                        Run::Full => self.runs.full += 1,
                        Run::Incremental => self.runs.incremental += 1,
                        Run::Nothing => self.runs.nothing += 1,
                    }
                    changed.extend(update.routes);
                    self.trees.push(tree);
                }
                None => {
                    self.runs.full += 1;
                    let spf = Spf::new(ted, key.clone(), topology);
                    let routes = spf.routes();
                    changed.extend(routes.map(|(prefix, route)| (*prefix, Some(route.clone()))));
                    self.trees.push(Tree { key, topology, family, spf });
                }
            }
        }
        let alone = old.is_empty() && matches!(self.trees[..], [Tree { family: Family::Both, .. }]);
        // We are no longer there.
        for tree in old {
            changed.extend(tree.spf.routes().map(|(prefix, _)| (*prefix, None)));
        }
        // What one of several trees says need not be what counts.
        if !alone {
            for (prefix, route) in &mut changed {
                *route = self.route(prefix).cloned();
            }
        }
        changed
    }

    /// The route to a prefix.
    pub(super) fn route(&self, prefix: &IpNet) -> Option<&Route> {
        let having = self.trees.iter().filter(|tree| tree.family.has(prefix));
        having.filter_map(|tree| tree.spf.route(prefix)).next()
    }

    /// Every prefix that there is a route to, maybe more than once.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = &IpNet> {
        self.trees.iter().flat_map(|tree| {
            tree.spf.routes().map(|(prefix, _)| prefix).filter(|prefix| tree.family.has(prefix))
        })
    }

    /// The length of the way to a node.
    pub(super) fn distance(&self, node: NodeId) -> Option<u32> {
        self.trees.iter().find_map(|tree| tree.spf.distance(node))
    }
}
