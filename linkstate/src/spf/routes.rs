//! Routes to prefixes and locators.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::MAX_PATH_METRIC;
use super::first_hop::{FirstHop, FirstHops, Set};
use super::tree::Tree;
use crate::ted::{Instance, NodeId, Prefix, Ted};

/// The metric of a prefix of OSPF that is not reachable (RFC 2328, appendix B: LSInfinity).
const OSPF_INFINITY: u32 = 0x00ff_ffff;
/// Algorithms from here on are flexible ones (RFC 9350, section 4).
const FLEX_ALGO: u8 = 128;

/// How to get to a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Of the path, and of the prefix at its end.
    pub metric: u32,
    /// Where packets leave. Routes of one computation with the same first hops share them.
    pub hops: Arc<[FirstHop]>,
}

/// What routes are computed from.
pub(super) struct View<'a> {
    pub(super) ted: &'a Ted,
    pub(super) instance: Instance,
    pub(super) root: Option<NodeId>,
    pub(super) topology: u16,
    pub(super) tree: &'a Tree,
    pub(super) first_hops: &'a FirstHops,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    routes: HashMap<IpNet, Route>,
}

impl Table {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&IpNet, &Route)> {
        self.routes.iter()
    }

    pub(super) fn get(&self, net: &IpNet) -> Option<&Route> {
        self.routes.get(net)
    }

    /// What has to change in all routes.
    pub(super) fn all(&self, view: &View<'_>) -> Vec<(IpNet, Option<Route>)> {
        let gone = |net: &&IpNet| view.ted.having(net).next().is_none();
        let nets = self.routes.keys().filter(gone).chain(view.ted.nets()).copied();
        self.some(view, nets)
    }

    /// What has to change in the routes to these.
    pub(super) fn some(
        &self,
        view: &View<'_>,
        nets: impl IntoIterator<Item = IpNet>,
    ) -> Vec<(IpNet, Option<Route>)> {
        let mut known: HashMap<Set, Arc<[FirstHop]>> = HashMap::new();
        let mut changed = Vec::new();
        for net in nets {
            let best = view.best(&net);
            let route = best.map(|(metric, set)| {
                let hops = match known.get(&set) {
                    Some(hops) => hops.clone(),
                    None => {
                        let hops = view.first_hops.resolve(&set);
                        known.insert(set, hops.clone());
                        hops
                    }
                };
                Route { metric, hops }
            });
            if self.routes.get(&net) != route.as_ref() {
                changed.push((net, route));
            }
        }
        changed.sort_unstable_by_key(|(net, _)| *net);
        changed
    }

    pub(super) fn apply(&mut self, changed: &[(IpNet, Option<Route>)]) {
        for (net, route) in changed {
            match route {
                Some(route) => self.routes.insert(*net, route.clone()),
                None => self.routes.remove(net),
            };
        }
    }
}

impl View<'_> {
    /// Metric and first hops of the best way to a prefix; of all who have it, at the same metric.
    /// What we have ourselves needs no way.
    fn best(&self, net: &IpNet) -> Option<(u32, Set)> {
        let mut best: Option<(u32, Set)> = None;
        for prefix in self.ted.having(net) {
            let Some(metric) = self.metric(prefix) else { continue };
            if Some(prefix.node) == self.root {
                return None;
            }
            let Some(distance) = self.tree.distance(prefix.node) else { continue };
            let sum = distance.saturating_add(metric);
            let set = self.tree.hops(prefix.node);
            match &mut best {
                _ if sum > MAX_PATH_METRIC => {}
                Some((known, _)) if *known < sum => {}
                Some((known, all)) if *known == sum => {
                    all.iter_mut().zip(set).for_each(|(word, more)| *word |= more);
                }
                best => *best = Some((sum, set.into())),
            }
        }
        // A way without a first hop leads nowhere: to a prefix of a pseudonode, say.
        best.filter(|(_, set)| set.iter().any(|&word| word != 0))
    }

    /// What the prefix adds to the path; `None` if it is not for shortest paths in our topology.
    fn metric(&self, prefix: &Prefix) -> Option<u32> {
        let node = self.ted.node(prefix.node)?;
        let locator = prefix.attributes.locator.as_ref();
        let topology = match prefix.descriptor.prefix {
            // IPv4 never has a topology of its own.
            IpNet::V4(_) if self.topology == super::IPV6_TOPOLOGY => return None,
            _ => self.topology,
        };
        let ours = node.key().instance == self.instance
            && node.announced()
            && prefix.descriptor.topology == topology
            && locator.is_none_or(|locator| locator.algorithm < FLEX_ALGO);
        let metric = prefix.attributes.metric.or(locator.map(|locator| locator.metric));
        let metric = metric.unwrap_or_default();
        let infinity = self.instance.protocol.is_ospf() && metric >= OSPF_INFINITY;
        (ours && !infinity && metric <= MAX_PATH_METRIC).then_some(metric)
    }
}
