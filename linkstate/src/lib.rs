//! The traffic engineering database: the topology as a link-state feed tells it.
//!
//! Nodes, and the links between them with what shortest-path and traffic-engineering computations
//! ask for. What is computed on it lives beside this model.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

/// Name of a node, unique in the topology.
pub type NodeId = String;

/// A router.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Node {
    /// Prefixes that its SIDs are taken from (RFC 8986, section 3.1).
    #[serde(default)]
    pub locators: Vec<Locator>,
}

/// A prefix that a node's SIDs are taken from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Locator {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The algorithm it is reached by; 0: shortest path (RFC 9350).
    #[serde(default)]
    pub algorithm: u8,
    /// Metric of the locator itself.
    #[serde(default)]
    pub metric: u32,
}

/// One direction of a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Link {
    /// Where it starts.
    pub from: NodeId,
    /// Where it ends.
    pub to: NodeId,
    /// Metric of the routing protocol; a larger one is avoided.
    pub metric: u32,
    /// Bytes per second.
    #[serde(default)]
    pub bandwidth: Option<f64>,
    /// Delay in microseconds (RFC 8570, section 4.1).
    #[serde(default)]
    pub delay: Option<u32>,
    /// Address of the near end.
    #[serde(default)]
    pub local: Option<Ipv6Addr>,
    /// Address of the far end.
    #[serde(default)]
    pub remote: Option<Ipv6Addr>,
    /// SIDs of the near node for this link (End.X).
    #[serde(default)]
    pub adjacency_sids: Vec<Ipv6Addr>,
}

/// Nodes and links.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// By name.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Directed; between two nodes there may be several.
    pub links: Vec<Link>,
}

impl Topology {
    /// Links that a path may use: both nodes are there, and the link is announced in both
    /// directions (RFC 1195, annex C.1.4: the two-way connectivity check).
    pub fn usable_links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| {
            self.nodes.contains_key(&link.from)
                && self.nodes.contains_key(&link.to)
                && self.links.iter().any(|back| back.from == link.to && back.to == link.from)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: &str, to: &str) -> Link {
        Link {
            from: from.into(),
            to: to.into(),
            metric: 10,
            bandwidth: None,
            delay: None,
            local: None,
            remote: None,
            adjacency_sids: Vec::new(),
        }
    }

    #[test]
    fn a_link_needs_both_nodes_and_both_directions() {
        let mut topology = Topology::default();
        for name in ["r1", "r2", "r3"] {
            topology.nodes.insert(name.into(), Node::default());
        }
        topology.links =
            vec![link("r1", "r2"), link("r2", "r1"), link("r1", "r3"), link("r3", "r4")];
        let usable: Vec<_> = topology.usable_links().map(|l| (&*l.from, &*l.to)).collect();
        assert_eq!(usable, [("r1", "r2"), ("r2", "r1")]);
    }
}
