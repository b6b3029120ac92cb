//! Routes to prefixes and locators.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
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

/// A node that has a prefix, and what that adds to the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    node: NodeId,
    metric: u32,
}

/// A prefix, who has it, and the route to it.
#[derive(Debug, Clone)]
struct Slot {
    net: IpNet,
    ways: Vec<Way>,
    route: Option<Route>,
}

/// All routes, and what they are computed from: where distances change, neither prefixes nor nodes
/// are looked up in the TED again.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    places: HashMap<IpNet, u32, RandomState>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The places of a node's prefixes, by its number.
    of_node: Vec<BTreeSet<u32>>,
}

impl Table {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&IpNet, &Route)> {
        self.slots.iter().filter_map(|slot| Some((&slot.net, slot.route.as_ref()?)))
    }

    pub(super) fn get(&self, net: &IpNet) -> Option<&Route> {
        self.slots.get(*self.places.get(net)? as usize)?.route.as_ref()
    }

    /// Follows a change of everything. Says which routes are others now.
    pub(super) fn all(&mut self, view: &View<'_>) -> Vec<(IpNet, Option<Route>)> {
        let gone = |net: &&IpNet| view.ted.having(net).next().is_none();
        let gone: Vec<IpNet> = self.places.keys().filter(gone).copied().collect();
        self.some(view, gone.into_iter().chain(view.ted.nets().copied()), &[])
    }

    /// Follows a change of who has these prefixes, and of distance and first hops of these nodes.
    /// Says which routes are others now.
    pub(super) fn some(
        &mut self,
        view: &View<'_>,
        nets: impl IntoIterator<Item = IpNet>,
        nodes: &[NodeId],
    ) -> Vec<(IpNet, Option<Route>)> {
        // Places are in the order of prefixes as far as these come together, and easily sorted.
        let mut nets: Vec<IpNet> = nets.into_iter().collect();
        nets.sort_unstable_by_key(in_order);
        let read: Vec<u32> = nets.into_iter().filter_map(|net| self.read(view, net)).collect();
        let of_nodes = nodes.iter().filter_map(|node| self.of_node.get(node.index())).flatten();
        let mut concerned = vec![false; self.slots.len()];
        for place in read.iter().chain(of_nodes) {
            concerned[*place as usize] = true;
        }
        let mut known = Known::default();
        let mut changed = Vec::new();
        let concerned = concerned.into_iter().enumerate().filter(|(_, is)| *is);
        for (place, _) in concerned {
            let Some(slot) = self.slots.get_mut(place) else { continue };
            let route = view.best(&slot.ways, &mut known);
            if slot.route != route {
                slot.route.clone_from(&route);
                changed.push((slot.net, route));
            }
            if slot.ways.is_empty() {
                self.places.remove(&slot.net);
                self.free.push(place as u32);
            }
        }
        changed.sort_by_key(|(net, _)| in_order(net));
        changed
    }

    /// Reads anew who has a prefix. Says its place; `None`: nobody has it or had it.
    fn read(&mut self, view: &View<'_>, net: IpNet) -> Option<u32> {
        let ways: Vec<Way> = view
            .ted
            .having(&net)
            .filter_map(|prefix| Some(Way { node: prefix.node, metric: view.metric(prefix)? }))
            .collect();
        let place = match self.places.get(&net) {
            Some(place) => *place,
            None if ways.is_empty() => return None,
            None => {
                let slot = Slot { net, ways: Vec::new(), route: None };
                let place = match self.free.pop() {
                    Some(place) => {
                        *self.slots.get_mut(place as usize)? = slot;
                        place
                    }
                    None => {
                        self.slots.push(slot);
                        u32::try_from(self.slots.len() - 1).ok()?
                    }
                };
                self.places.insert(net, place);
                place
            }
        };
        let slot = self.slots.get_mut(place as usize)?;
        let before = std::mem::replace(&mut slot.ways, ways);
        for way in before {
            if let Some(places) = self.of_node.get_mut(way.node.index()) {
                places.remove(&place);
            }
        }
        for way in &slot.ways {
            let node = way.node.index();
            if self.of_node.len() <= node {
                self.of_node.resize_with(node + 1, BTreeSet::new);
            }
            self.of_node[node].insert(place);
        }
        Some(place)
    }
}

/// The order of prefixes, quicker than comparing them.
fn in_order(net: &IpNet) -> (bool, u128, u8) {
    match net {
        IpNet::V4(net) => (false, u128::from(u32::from(net.network())), net.prefix_len()),
        IpNet::V6(net) => (true, u128::from(net.network()), net.prefix_len()),
    }
}

/// First hops by the set of them.
type Known = HashMap<Set, Arc<[FirstHop]>, RandomState>;

impl View<'_> {
    /// The best way to a prefix, and the first hops of all who have it at the same metric. What we
    /// have ourselves needs no way.
    fn best(&self, ways: &[Way], known: &mut Known) -> Option<Route> {
        let mut best: Option<(u32, Cow<'_, [u64]>)> = None;
        for way in ways {
            if Some(way.node) == self.root {
                return None;
            }
            let Some(distance) = self.tree.distance(way.node) else { continue };
            let sum = distance.saturating_add(way.metric);
            let set = self.tree.hops(way.node);
            match &mut best {
                _ if sum > MAX_PATH_METRIC => {}
                Some((least, _)) if *least < sum => {}
                Some((least, all)) if *least == sum => {
                    all.to_mut().iter_mut().zip(set).for_each(|(word, more)| *word |= more);
                }
                best => *best = Some((sum, Cow::Borrowed(set))),
            }
        }
        // A way without a first hop leads nowhere: to a prefix of a pseudonode, say.
        let (metric, set) = best.filter(|(_, set)| set.iter().any(|&word| word != 0))?;
        let hops = match known.get(&*set) {
            Some(hops) => Arc::clone(hops),
            None => {
                let hops = self.first_hops.resolve(&set);
                known.insert((&*set).into(), Arc::clone(&hops));
                hops
            }
        };
        Some(Route { metric, hops })
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
