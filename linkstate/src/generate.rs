//! Topologies for tests and measurements: an Internet provider's, with a core and sites.

use std::net::Ipv6Addr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv6Net};

use crate::ted::{
    AdjacencySid, Behavior, EndpointBehavior, Event, Instance, LinkAttributes, LinkDescriptor,
    Locator, NodeAttributes, NodeDescriptor, NodeKey, PrefixAttributes, PrefixDescriptor, Protocol,
    RouterId, SidAttributes, SidDescriptor, SidStructure,
};

/// Numbers that look like chance, and are the same every time.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A sequence of its own for every seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (SplitMix64).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One below `bound`, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound.max(1) as u64) as usize
    }
}

/// A topology: how many nodes, which are next to each other, and at what metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How many nodes.
    pub nodes: usize,
    /// Links, both directions at once: the two ends, and the metric.
    pub links: Vec<(usize, usize, u32)>,
}

impl Plan {
    /// A network of two levels: a tenth of the nodes is its core, in a ring with chords; the others
    /// are in sites, each node with two links to core nodes near to each other. What is left of
    /// `links` goes between nodes of the same site, and then anywhere in the core.
    pub fn provider(nodes: usize, links: usize, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let core = (nodes / 10).clamp(nodes.min(3), nodes);
        let mut plan = Self { nodes, links: Vec::with_capacity(links) };
        for node in 0..core {
            plan.link(node, (node + 1) % core, 10);
        }
        for node in core..nodes {
            let home = chance.below(core);
            plan.link(node, home, 100 + 10 * chance.below(5) as u32);
            plan.link(node, (home + 1) % core, 100 + 10 * chance.below(5) as u32);
        }
        // A site is ten nodes with numbers next to each other.
        let within = links.saturating_sub(plan.links.len()) / 2;
        for _ in 0..if nodes - core > 10 { within } else { 0 } {
            let one = core + chance.below(nodes - core);
            let other = (one + 1 + chance.below(9)).min(nodes - 1);
            plan.link(one, other, 50);
        }
        while plan.links.len() < links && core > 2 {
            let (one, other) = (chance.below(core), chance.below(core));
            plan.link(one, other, 10 + 10 * chance.below(9) as u32);
        }
        plan
    }

    fn link(&mut self, one: usize, other: usize, metric: u32) {
        if one != other {
            self.links.push((one, other, metric));
        }
    }

    /// What a feed tells of it: every node with a locator, a SID and a loopback, every direction of
    /// a link with an adjacency SID.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let nodes = (0..self.nodes).flat_map(|node| {
            [node_event(node), loopback_event(node), locator_event(node), sid_event(node)]
        });
        let links = self.links.iter().enumerate().flat_map(|(number, &(one, other, metric))| {
            let number = number as u32;
            [link_event(number, one, other, metric), link_event(number, other, one, metric)]
        });
        nodes.chain(links)
    }
}

/// The name of a node.
pub fn name(node: usize) -> String {
    format!("r{}", node + 1)
}

/// What names a node.
pub fn key(node: usize) -> NodeKey {
    let system_id = (node as u64 + 1).to_be_bytes();
    let descriptor = NodeDescriptor {
        asn: Some(65000),
        igp_router_id: RouterId::new(&system_id[2..]),
        ..Default::default()
    };
    NodeKey { instance: Instance { protocol: Protocol::ISIS_L2, identifier: 0 }, descriptor }
}

/// The locator of a node, in fc00::/16: /48, of which 32 bits tell the node.
pub fn locator(node: usize) -> Ipv6Net {
    Ipv6Net::new_assert(address(node, 0), 48)
}

fn address(node: usize, rest: u128) -> Ipv6Addr {
    Ipv6Addr::from(0xfc00 << 112 | (node as u128 + 1) << 80 | rest)
}

/// A node.
pub fn node_event(node: usize) -> Event {
    let attributes = NodeAttributes {
        name: Some(name(node).into()),
        srv6_flags: Some(0),
        ..NodeAttributes::default()
    };
    Event::Node(key(node), attributes.into())
}

fn prefix_event(node: usize, prefix: Ipv6Net, attributes: PrefixAttributes) -> Event {
    let prefix = IpNet::V6(prefix);
    let other = Box::default();
    let descriptor = PrefixDescriptor { prefix, topology: 0, ospf_route_type: None, other };
    Event::Prefix { node: key(node), descriptor: descriptor.into(), attributes: attributes.into() }
}

fn loopback_event(node: usize) -> Event {
    let address = Ipv6Addr::from(0xfd00 << 112 | (node as u128 + 1));
    let attributes = PrefixAttributes { metric: Some(0), ..PrefixAttributes::default() };
    prefix_event(node, Ipv6Net::new_assert(address, 128), attributes)
}

/// The locator of a node.
pub fn locator_event(node: usize) -> Event {
    let locator_of = Locator { flags: 0, algorithm: 0, metric: 0, other: Vec::new() };
    let attributes = PrefixAttributes {
        metric: Some(0),
        locator: Some(locator_of),
        ..PrefixAttributes::default()
    };
    prefix_event(node, locator(node), attributes)
}

const STRUCTURE: SidStructure = SidStructure { block: 16, node: 32, function: 16, argument: 0 };

fn sid_event(node: usize) -> Event {
    let behavior = Behavior::END;
    let attributes = SidAttributes {
        endpoint: Some(EndpointBehavior { behavior, flags: 0, algorithm: 0 }),
        structure: Some(STRUCTURE),
        ..SidAttributes::default()
    };
    let sid = address(node, 1 << 64);
    let descriptor = SidDescriptor { sid, topology: 0, other: Box::default() };
    Event::Sid { node: key(node), descriptor: descriptor.into(), attributes: attributes.into() }
}

/// Which of the links between two nodes: `number` is a link's own, whatever its direction.
pub fn link_descriptor(number: u32, from: usize, to: usize) -> Arc<LinkDescriptor> {
    let end = |node: usize| address(node, 0xffff << 64 | u128::from(number));
    let descriptor = LinkDescriptor {
        ipv6_local: Some(end(from)),
        ipv6_remote: Some(end(to)),
        ..LinkDescriptor::default()
    };
    descriptor.into()
}

/// One direction of a link.
pub fn link_event(number: u32, from: usize, to: usize, metric: u32) -> Event {
    let sid = AdjacencySid {
        sid: address(from, (0xe000 << 64) + (u128::from(number) << 32)),
        behavior: Behavior::END_X,
        flags: 0,
        algorithm: 0,
        weight: 0,
        neighbor: None,
        structure: Some(STRUCTURE),
        other: Vec::new(),
    };
    let attributes = LinkAttributes {
        igp_metric: Some(metric),
        max_bandwidth: Some(1.25e9),
        adjacency_sids: vec![sid],
        ..LinkAttributes::default()
    };
    let descriptor = link_descriptor(number, from, to);
    Event::Link { from: key(from), to: key(to), descriptor, attributes: attributes.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Tally;
    use crate::ted::Ted;

    #[test]
    fn a_provider_has_what_was_asked_for() {
        for (nodes, links) in [(3, 3), (10, 12), (100, 300), (1000, 5000)] {
            let plan = Plan::provider(nodes, links, 7);
            assert_eq!(plan, Plan::provider(nodes, links, 7));
            let (mut ted, mut tally) = (Ted::default(), Tally::default());
            plan.events().for_each(|event| ted.apply(event, &mut tally));
            assert_eq!(ted.nodes().count(), nodes);
            assert_eq!(ted.links().count(), 2 * plan.links.len());
            assert!(plan.links.len() >= links.min(2 * nodes), "{}", plan.links.len());
            assert_eq!(tally.total(), 0);
        }
    }
}
