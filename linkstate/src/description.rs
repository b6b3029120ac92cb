//! A topology that a person writes: `[[node]]` and `[[link]]`.
//!
//! ```toml
//! [[node]]
//! name = "r1"
//! locators = ["fc00:0:1::/48"]
//!
//! [[node]]
//! name = "r2"
//! locators = ["fc00:0:2::/48"]
//!
//! [[link]]
//! from = "r1"
//! to = "r2"
//! metric = 10
//! local = "fc00:12::1"
//! remote = "fc00:12::2"
//! ```

use std::collections::HashSet;
use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ted::{
    AdjacencySid, Behavior, EndpointBehavior, Event, Instance, LinkAttributes, LinkDescriptor,
    Locator, Measured, NodeAttributes, NodeDescriptor, NodeFlags, NodeKey, PrefixAttributes,
    PrefixDescriptor, Protocol, RouterId, SidAttributes, SidDescriptor,
};

/// Nodes and links.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Description {
    /// Routers.
    #[serde(default, rename = "node")]
    pub nodes: Vec<Node>,
    /// Links between them.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
}

/// A router.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Node {
    /// What links and segment lists call it.
    pub name: String,
    /// An address or a system ID; one is made of the name where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_id: Option<String>,
    /// Prefixes that its SIDs are taken from, reached by shortest paths.
    #[serde(default)]
    pub locators: Vec<Ipv6Net>,
    /// SIDs with behavior End; without any, the first address of each locator is one.
    #[serde(default)]
    pub end_sids: Vec<Ipv6Addr>,
    /// Prefixes that it leads to.
    #[serde(default)]
    pub prefixes: Vec<IpNet>,
    /// No paths lead through it.
    #[serde(default)]
    pub overload: bool,
}

/// A link, both directions at once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Link {
    /// Name of the node at one end.
    pub from: String,
    /// Name of the node at the other.
    pub to: String,
    /// Metric; a larger one is avoided.
    pub metric: u32,
    /// Metric of the way back; that of the way there, where it is not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_back: Option<u32>,
    /// Address of `from` on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Ipv6Addr>,
    /// Address of `to` on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Ipv6Addr>,
    /// Bytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<f32>,
    /// Delay in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<u32>,
    /// Shared risk link groups.
    #[serde(default)]
    pub srlgs: Vec<u32>,
    /// SIDs of `from` for the link (End.X).
    #[serde(default)]
    pub adjacency_sids: Vec<Ipv6Addr>,
    /// SIDs of `to` for the way back.
    #[serde(default)]
    pub adjacency_sids_back: Vec<Ipv6Addr>,
}

/// What is wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DescriptionError {
    /// Two nodes of one name.
    #[error("[[node]] {0} is there twice: give one of them another name")]
    NodeTwice(String),
    /// Two nodes of one router ID.
    #[error("[[node]] {0} has the router-id of another: give it one of its own")]
    RouterIdTwice(String),
    /// Something that is no router ID.
    #[error(
        "[[node]] {0}: router-id `{1}` is neither an address nor a system ID: \
         write it like 10.0.0.1 or 0000.0000.0001"
    )]
    RouterId(String, String),
    /// A link to nowhere.
    #[error("[[link]] from {0} to {1}: there is no [[node]] called {2}")]
    UnknownNode(String, String, String),
    /// A link from a node to itself.
    #[error("[[link]] from {0} to {0} leads nowhere: name another node")]
    Loop(String),
    /// Bandwidth that is none.
    #[error("[[link]] from {0} to {1}: bandwidth is not a number of bytes per second")]
    Bandwidth(String, String),
}

impl Description {
    /// What a feed would tell of it, or all that is wrong with it.
    pub fn events(&self) -> Result<Vec<Event>, Vec<DescriptionError>> {
        let mut errors = Vec::new();
        let mut keys = std::collections::HashMap::new();
        let mut taken = HashSet::new();
        for node in &self.nodes {
            match node.key() {
                Ok(key) => {
                    if !taken.insert(key.clone()) && !keys.contains_key(&node.name[..]) {
                        errors.push(DescriptionError::RouterIdTwice(node.name.clone()));
                    }
                    if keys.insert(&node.name[..], key).is_some() {
                        errors.push(DescriptionError::NodeTwice(node.name.clone()));
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        let mut events = Vec::new();
        for node in &self.nodes {
            if let Some(key) = keys.get(&node.name[..]) {
                node.events(key, &mut events);
            }
        }
        let named: HashSet<&str> = self.nodes.iter().map(|node| &node.name[..]).collect();
        for (number, link) in self.links.iter().enumerate() {
            errors.extend(link.errors(&named));
            if let (Some(from), Some(to)) = (keys.get(&link.from[..]), keys.get(&link.to[..])) {
                link.events(number as u32, from, to, &mut events);
            }
        }
        if errors.is_empty() { Ok(events) } else { Err(errors) }
    }
}

impl Node {
    /// What names it in the TED.
    pub fn key(&self) -> Result<NodeKey, DescriptionError> {
        let igp_router_id = match &self.router_id {
            Some(text) => Some(
                RouterId::parse(text)
                    .ok_or_else(|| DescriptionError::RouterId(self.name.clone(), text.clone()))?,
            ),
            // The same name has the same one, wherever in the file it is (FNV-1a).
            None => RouterId::new(
                &self
                    .name
                    .bytes()
                    .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                    })
                    .to_be_bytes(),
            ),
        };
        let descriptor = NodeDescriptor { igp_router_id, ..NodeDescriptor::default() };
        Ok(NodeKey { instance: Instance { protocol: Protocol::STATIC, identifier: 0 }, descriptor })
    }

    fn events(&self, key: &NodeKey, out: &mut Vec<Event>) {
        let attributes = NodeAttributes {
            name: Some(self.name.clone().into()),
            flags: NodeFlags(if self.overload { NodeFlags::OVERLOAD } else { 0 }),
            srv6_flags: (!self.locators.is_empty()).then_some(0),
            ..NodeAttributes::default()
        };
        out.push(Event::Node(key.clone(), attributes.into()));
        let mut prefix = |prefix: IpNet, locator| {
            let (prefix, other) = (prefix.trunc(), Box::default());
            let descriptor = PrefixDescriptor { prefix, topology: 0, ospf_route_type: None, other };
            let attributes =
                PrefixAttributes { metric: Some(0), locator, ..PrefixAttributes::default() };
            let node = key.clone();
            let (descriptor, attributes) = (descriptor.into(), attributes.into());
            out.push(Event::Prefix { node, descriptor, attributes });
        };
        for &locator in &self.locators {
            let shortest = Locator { flags: 0, algorithm: 0, metric: 0, other: Vec::new() };
            prefix(locator.into(), Some(shortest));
        }
        self.prefixes.iter().for_each(|&net| prefix(net, None));
        let first: Vec<_> = self.locators.iter().map(Ipv6Net::network).collect();
        for &sid in if self.end_sids.is_empty() { &first } else { &self.end_sids } {
            let endpoint = EndpointBehavior { behavior: Behavior::END, flags: 0, algorithm: 0 };
            let attributes = SidAttributes { endpoint: Some(endpoint), ..SidAttributes::default() };
            let descriptor = SidDescriptor { sid, topology: 0, other: Box::default() };
            let node = key.clone();
            let (descriptor, attributes) = (descriptor.into(), attributes.into());
            out.push(Event::Sid { node, descriptor, attributes });
        }
    }
}

impl Link {
    fn errors(&self, named: &HashSet<&str>) -> Vec<DescriptionError> {
        let (from, to) = (self.from.clone(), self.to.clone());
        let unknown = [&self.from, &self.to].into_iter().filter(|name| !named.contains(&name[..]));
        let mut errors: Vec<_> = unknown
            .map(|name| DescriptionError::UnknownNode(from.clone(), to.clone(), name.clone()))
            .collect();
        if from == to {
            errors.push(DescriptionError::Loop(from.clone()));
        }
        if self.bandwidth.is_some_and(|b| !b.is_finite() || b < 0.0) {
            errors.push(DescriptionError::Bandwidth(from, to));
        }
        errors
    }

    fn events(&self, number: u32, from: &NodeKey, to: &NodeKey, out: &mut Vec<Event>) {
        let back = self.metric_back.unwrap_or(self.metric);
        // Parallel links are told apart by their number in the file.
        for (from, to, metric, local, remote, sids) in [
            (from, to, self.metric, self.local, self.remote, &self.adjacency_sids),
            (to, from, back, self.remote, self.local, &self.adjacency_sids_back),
        ] {
            let descriptor = LinkDescriptor {
                identifiers: Some((number + 1, number + 1)),
                ipv6_local: local,
                ipv6_remote: remote,
                ..LinkDescriptor::default()
            };
            let attributes = LinkAttributes {
                igp_metric: Some(metric),
                max_bandwidth: self.bandwidth,
                delay: self.delay.map(|value| Measured { anomalous: false, value }),
                srlgs: self.srlgs.clone(),
                adjacency_sids: sids.iter().map(|&sid| adjacency(sid)).collect(),
                ..LinkAttributes::default()
            };
            let (from, to) = (from.clone(), to.clone());
            let (descriptor, attributes) = (descriptor.into(), attributes.into());
            out.push(Event::Link { from, to, descriptor, attributes });
        }
    }
}

fn adjacency(sid: Ipv6Addr) -> AdjacencySid {
    AdjacencySid {
        sid,
        behavior: Behavior::END_X,
        flags: 0,
        algorithm: 0,
        weight: 0,
        neighbor: None,
        structure: None,
        other: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Tally;
    use crate::spf::Spf;
    use crate::ted::Ted;
    use crate::via;

    const TRIANGLE: &str = r#"
        [[node]]
        name = "r1"
        locators = ["fc00:0:1::/48"]
        [[node]]
        name = "r2"
        router-id = "10.0.0.2"
        locators = ["fc00:0:2::/48"]
        end-sids = ["fc00:0:2:e000::"]
        [[node]]
        name = "r3"
        locators = ["fc00:0:3::/48"]
        prefixes = ["10.3.0.0/16"]
        [[link]]
        from = "r1"
        to = "r2"
        metric = 10
        local = "fc00:12::1"
        remote = "fc00:12::2"
        [[link]]
        from = "r2"
        to = "r3"
        metric = 10
        metric-back = 30
        [[link]]
        from = "r1"
        to = "r3"
        metric = 100
    "#;

    fn ted() -> Ted {
        let description: Description = toml::from_str(TRIANGLE).unwrap();
        let (mut ted, mut tally) = (Ted::default(), Tally::default());
        description.events().unwrap().into_iter().for_each(|event| ted.apply(event, &mut tally));
        assert_eq!(tally.total(), 0);
        ted
    }

    #[test]
    fn a_triangle_in_toml_has_paths_and_segments() {
        let ted = ted();
        let [r1, r3] = ["r1", "r3"].map(|name| ted.find(name).unwrap());
        let key = |id| ted.node(id).unwrap().key().clone();
        let spf = Spf::new(&ted, key(r1), 0);
        let route = spf.route(&"10.3.0.0/16".parse().unwrap()).unwrap();
        assert_eq!((route.metric, route.hops.len()), (20, 1));
        assert_eq!(route.hops[0].ipv6, "fc00:12::2".parse().ok());
        assert_eq!(Spf::new(&ted, key(r3), 0).distance(r1), Some(40));
        let sids = via::resolve(&ted, &["r3", "10.0.0.2"]).unwrap();
        let sids: Vec<_> = sids.iter().map(|segment| segment.sid.to_string()).collect();
        assert_eq!(sids, ["fc00:0:3::", "fc00:0:2:e000::"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        let text = r#"
            node = [
                { name = "r1", router-id = "x" },
                { name = "r2" },
                { name = "r2" },
            ]
            link = [{ from = "r2", to = "r4", metric = 1 }, { from = "r2", to = "r2", metric = 1 }]
        "#;
        let description: Description = toml::from_str(text).unwrap();
        let errors: Vec<_> =
            description.events().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "[[node]] r1: router-id `x` is neither an address nor a system ID: \
                 write it like 10.0.0.1 or 0000.0000.0001",
                "[[node]] r2 is there twice: give one of them another name",
                "[[link]] from r2 to r4: there is no [[node]] called r4",
                "[[link]] from r2 to r2 leads nowhere: name another node",
            ]
        );
    }
}
