//! Where packets leave: our links, and the routers at their other ends.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::graph::{Graph, UNUSABLE};
use crate::ted::{Link, LinkId, NodeId, RouterId, Ted};

/// A link of ours, and a router that is reached over it: on a LAN there may be several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FirstHop {
    /// The link.
    pub link: LinkId,
    /// The router.
    pub node: NodeId,
    /// Our IPv6 address on the link, where the feed tells it.
    pub ipv6_local: Option<Ipv6Addr>,
    /// The router's.
    pub ipv6: Option<Ipv6Addr>,
    /// Our IPv4 address on the link.
    pub ipv4_local: Option<Ipv4Addr>,
    /// The router's.
    pub ipv4: Option<Ipv4Addr>,
}

impl FirstHop {
    /// The router at the other end of a link; `None` for a link to a LAN, and one that is not there.
    pub fn over(ted: &Ted, id: LinkId) -> Option<Self> {
        let link = ted.link(id)?;
        (!ted.node(link.to)?.key().is_pseudonode()).then(|| over(ted, id, link))
    }

    /// Our end of a link, whatever it leads to; `None` for one that is not there.
    pub fn ours(ted: &Ted, id: LinkId) -> Option<Self> {
        ted.link(id).map(|link| over(ted, id, link))
    }

    /// One of the routers on the LAN that a link leads to.
    pub fn across(ted: &Ted, id: LinkId, neighbor: &RouterId) -> Option<Self> {
        let link = ted.link(id)?;
        let is = |node: &NodeId| {
            let key = ted.node(*node).map(|node| node.key());
            key.is_some_and(|key| key.descriptor.igp_router_id.as_ref() == Some(neighbor))
        };
        let node = ted.links_from(link.to).map(|(_, link)| link.to).find(is)?;
        Some(across(ted, id, link, node, link.descriptor.topology))
    }
}

/// A set of first hops: a bit for each, by its place in the list.
pub(super) type Set = Box<[u64]>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FirstHops {
    list: Vec<FirstHop>,
    /// To a neighbor: all links to it that cost the least.
    direct: HashMap<u32, Set>,
    /// To a router behind a LAN of ours: all links to the LAN that cost the least.
    behind: HashMap<(u32, u32), Set>,
    /// What our LANs cost.
    lans: HashMap<u32, u32>,
}

impl FirstHops {
    pub(super) fn new(ted: &Ted, graph: &Graph, root: Option<NodeId>, topology: u16) -> Self {
        let mut hops = Self::default();
        let Some(root) = root else { return hops };
        let mut places: Vec<((u32, Option<u32>), usize)> = Vec::new();
        for (id, link) in ted.links_from(root) {
            let to = link.to;
            let cost = graph.cost_between(root.0, to.0);
            let cheapest = link.descriptor.topology == topology
                && link.attributes.igp_metric == Some(cost)
                && cost != UNUSABLE
                && !link.is_down()
                && to != root;
            if !cheapest {
                continue;
            }
            if !graph.is_pseudonode(to.0) {
                places.push(((to.0, None), hops.list.len()));
                hops.list.push(over(ted, id, link));
                continue;
            }
            hops.lans.insert(to.0, cost);
            for edge in graph.out(to.0) {
                if edge.cost != UNUSABLE && edge.node != root.0 {
                    places.push(((edge.node, Some(to.0)), hops.list.len()));
                    hops.list.push(across(ted, id, link, NodeId(edge.node), topology));
                }
            }
        }
        let words = hops.words();
        for ((node, lan), place) in places {
            let empty = || vec![0; words].into();
            let set: &mut Set = match lan {
                None => hops.direct.entry(node).or_insert_with(empty),
                Some(lan) => hops.behind.entry((lan, node)).or_insert_with(empty),
            };
            set[place / 64] |= 1 << (place % 64);
        }
        hops
    }

    /// How many words a set has.
    pub(super) fn words(&self) -> usize {
        self.list.len().div_ceil(64).max(1)
    }

    /// First hops that the step from our node to a neighbor adds.
    pub(super) fn direct(&self, neighbor: u32) -> Option<&[u64]> {
        self.direct.get(&neighbor).map(|set| &set[..])
    }

    /// First hops that the step from a pseudonode to a router adds, if the pseudonode is at this
    /// distance: they are ours if the pseudonode is a LAN of ours, and reached as such.
    pub(super) fn behind(&self, lan: u32, distance: u32, node: u32) -> Option<&[u64]> {
        if self.lans.get(&lan) != Some(&distance) {
            return None;
        }
        self.behind.get(&(lan, node)).map(|set| &set[..])
    }

    /// Where first hops are in another list; `None` for those that are not.
    pub(super) fn places_in(&self, other: &Self) -> Vec<Option<usize>> {
        let places: HashMap<&FirstHop, usize> =
            other.list.iter().enumerate().map(|(place, hop)| (hop, place)).collect();
        self.list.iter().map(|hop| places.get(hop).copied()).collect()
    }

    /// The first hops of a set.
    pub(super) fn resolve(&self, set: &[u64]) -> Arc<[FirstHop]> {
        let is_in = |place: &usize| set.get(place / 64).is_some_and(|w| w >> (place % 64) & 1 == 1);
        (0..self.list.len()).filter(is_in).map(|place| self.list[place]).collect()
    }
}

/// To the router at the other end of a link.
fn over(ted: &Ted, id: LinkId, link: &Link) -> FirstHop {
    let d = &link.descriptor;
    // Where the link does not tell the other end's addresses, the link back does.
    let swapped = d.identifiers.map(|(local, remote)| (remote, local));
    let mut back = ted.links_from(link.to).map(|(_, back)| back).filter(|back| {
        back.to == link.from
            && back.descriptor.topology == d.topology
            && (swapped.is_none() || back.descriptor.identifiers == swapped)
    });
    // With several, there is no telling which.
    let back = back.next().filter(|_| back.next().is_none());
    FirstHop {
        link: id,
        node: link.to,
        ipv6_local: d.ipv6_local,
        ipv6: d.ipv6_remote.or_else(|| back?.descriptor.ipv6_local),
        ipv4_local: d.ipv4_local,
        ipv4: d.ipv4_remote.or_else(|| back?.descriptor.ipv4_local),
    }
}

/// To a router on the LAN that a link of ours leads to.
fn across(ted: &Ted, id: LinkId, link: &Link, node: NodeId, topology: u16) -> FirstHop {
    let d = &link.descriptor;
    let mut theirs = ted.links_from(node).map(|(_, theirs)| theirs);
    let theirs = theirs.find(|l| l.to == link.to && l.descriptor.topology == topology);
    let theirs = theirs.map(|link| &link.descriptor);
    FirstHop {
        link: id,
        node,
        ipv6_local: d.ipv6_local,
        ipv6: theirs.and_then(|d| d.ipv6_local),
        ipv4_local: d.ipv4_local,
        ipv4: theirs.and_then(|d| d.ipv4_local),
    }
}
