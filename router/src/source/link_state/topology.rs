//! The topology for those who look: as data, and as pictures.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sidewinder_linkstate::bgp::frame::Kind;
use sidewinder_linkstate::draw;
use sidewinder_linkstate::reason::Tally;
use sidewinder_linkstate::spf::FirstHop;
use sidewinder_linkstate::ted::{LinkId, Node, NodeId};

use super::{LinkState, description};
use crate::control::Control;
use crate::control::rib::{Source, Standing};
use crate::source::bgp_ls::{Ended, Status};

/// The topology.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Topology {
    /// Nodes.
    pub nodes: Vec<TopologyNode>,
    /// Links, each direction for itself.
    pub links: Vec<TopologyLink>,
}

/// A node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TopologyNode {
    /// Its name, or its router ID where it has none.
    pub name: String,
    /// Its router ID, if it has one.
    pub router_id: Option<String>,
    /// Where it is told: `isis-l2`, say.
    pub protocol: String,
    /// BGP-LS Instance-ID.
    pub instance: u64,
    /// Whether it is this router.
    pub own: bool,
    /// Whether it stands for a LAN.
    pub pseudonode: bool,
    /// Whether paths may not lead through it.
    pub overload: bool,
    /// Length of the shortest path to it.
    pub distance: Option<u32>,
    /// Its locators, with their algorithms.
    pub locators: Vec<Locator>,
    /// Its SIDs, and those of its links not among them.
    pub sids: Vec<Sid>,
    /// Other prefixes of it.
    pub prefixes: usize,
    /// Whether the session that told of it has ended.
    pub stale: bool,
}

/// A locator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Locator {
    /// The prefix.
    pub prefix: String,
    /// The algorithm that it is reached by.
    pub algorithm: u8,
}

/// A SID.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sid {
    /// The SID.
    pub sid: String,
    /// The code point of its behavior at IANA.
    pub code_point: u16,
    /// The algorithm of its locator.
    pub algorithm: u8,
    /// Lengths of block, node, function and argument in bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structure: Option<[u8; 4]>,
}

/// One direction of a link.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TopologyLink {
    /// Where it starts.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// Router ID of `from`, if it has one: names need not be unique.
    pub from_router_id: Option<String>,
    /// Router ID of `to`.
    pub to_router_id: Option<String>,
    /// Multi-Topology Identifier.
    pub topology: u16,
    /// Metric.
    pub metric: Option<u32>,
    /// Metric for traffic engineering.
    pub te_metric: Option<u32>,
    /// Bytes per second.
    pub bandwidth: Option<f32>,
    /// Delay in microseconds.
    pub delay: Option<u32>,
    /// Shared risk link groups.
    pub srlgs: Vec<u32>,
    /// Address of its start.
    pub local: Option<String>,
    /// Address of its end.
    pub remote: Option<String>,
    /// SIDs of its start for it.
    pub adjacency_sids: Vec<Sid>,
    /// Our interface, of our links.
    pub interface: Option<String>,
    /// Whether our interface is down, of our links.
    #[serde(default)]
    pub down: bool,
    /// Share of the bandwidth that is in use, where it is known.
    pub load: Option<f64>,
    /// Whether the session that told of it has ended.
    pub stale: bool,
}

fn name(node: &Node) -> String {
    node.name().map_or_else(|| node.key().to_string(), Into::into)
}

fn router_id(node: &Node) -> Option<String> {
    let key = node.key();
    (!description::is_nameless(key)).then(|| key.to_string())
}

impl LinkState {
    /// The topology as data.
    pub fn topology(&self) -> Topology {
        let nodes = self.ted.nodes().map(|(id, node)| self.node(id, node)).collect();
        let links = self.ted.links().map(|(id, _)| id).filter_map(|id| self.link(id)).collect();
        Topology { nodes, links }
    }

    fn node(&self, id: NodeId, node: &Node) -> TopologyNode {
        let key = node.key();
        let prefixes: Vec<_> = self.ted.prefixes_of(id).collect();
        let locators: Vec<_> = prefixes
            .iter()
            .filter_map(|prefix| {
                let locator = prefix.attributes.locator.as_ref()?;
                let prefix = prefix.descriptor.prefix.to_string();
                Some(Locator { prefix, algorithm: locator.algorithm })
            })
            .collect();
        let sids = self.ted.sids_of(id).map(|sid| {
            let endpoint = sid.attributes.endpoint;
            Sid {
                sid: sid.descriptor.sid.to_string(),
                code_point: endpoint.map_or(0, |endpoint| endpoint.behavior.0),
                algorithm: endpoint.map_or(0, |endpoint| endpoint.algorithm),
                structure: sid.attributes.structure.map(lengths),
            }
        });
        TopologyNode {
            name: name(node),
            router_id: router_id(node),
            protocol: key.instance.protocol.to_string(),
            instance: key.instance.identifier,
            own: self.trees.own.contains(&id),
            pseudonode: key.is_pseudonode(),
            overload: node.attributes().is_some_and(|attributes| attributes.flags.overload()),
            distance: self.trees.distance(id),
            prefixes: prefixes.len() - locators.len(),
            locators,
            sids: sids.collect(),
            stale: node.stale(),
        }
    }

    fn link(&self, id: LinkId) -> Option<TopologyLink> {
        let link = self.ted.link(id)?;
        let (from, to) = (self.ted.node(link.from)?, self.ted.node(link.to)?);
        let (d, a) = (&link.descriptor, &link.attributes);
        let address = |v6: Option<std::net::Ipv6Addr>, v4: Option<std::net::Ipv4Addr>| {
            v6.map(|v6| v6.to_string()).or(v4.map(|v4| v4.to_string()))
        };
        let sids = a.adjacency_sids.iter().map(|sid| Sid {
            sid: sid.sid.to_string(),
            code_point: sid.behavior.0,
            algorithm: sid.algorithm,
            structure: sid.structure.map(lengths),
        });
        Some(TopologyLink {
            from: name(from),
            to: name(to),
            from_router_id: router_id(from),
            to_router_id: router_id(to),
            topology: d.topology,
            metric: a.igp_metric,
            te_metric: a.te_metric,
            bandwidth: a.max_bandwidth,
            delay: a.delay.map(|delay| delay.value),
            srlgs: a.srlgs.clone(),
            local: address(d.ipv6_local, d.ipv4_local),
            remote: address(d.ipv6_remote, d.ipv4_remote),
            adjacency_sids: sids.collect(),
            interface: self.interface(id).map(|name| name.to_string()),
            down: link.is_down(),
            load: self.load_of(id),
            stale: link.stale(),
        })
    }

    /// Our interface to a link of ours.
    fn interface(&self, id: LinkId) -> Option<std::sync::Arc<str>> {
        let link = self.ted.link(id)?;
        if !self.trees.own.contains(&link.from) {
            return None;
        }
        self.places.interface(&self.ted, &FirstHop::over(&self.ted, id)?)
    }

    /// The share of a link that is in use: of ours what we send, of others what the feed tells.
    fn load_of(&self, id: LinkId) -> Option<f64> {
        let attributes = &self.ted.link(id)?.attributes;
        let bandwidth = f64::from(attributes.max_bandwidth.filter(|bandwidth| *bandwidth > 0.0)?);
        let ours = self.interface(id).and_then(|interface| self.load.rate(&interface));
        Some(ours.or(attributes.utilized.map(f64::from))? / bandwidth)
    }

    /// The topology as a picture.
    pub fn draw(&self, format: Format) -> String {
        let load = |id| self.load_of(id);
        let own = self.trees.own.first().copied();
        let options = draw::Options { own, topology: None, load: Some(&load) };
        match format {
            Format::Dot => draw::dot(&self.ted, &options),
            Format::Svg => draw::svg(&self.ted, &options),
        }
    }

    /// The state of the session, or `up` for a topology of the file, or `off`.
    pub fn state(&self) -> String {
        match &self.feed {
            Some((_, feed)) => feed.status().phase.name().into(),
            None if !self.written.is_empty() => "up".into(),
            None => "off".into(),
        }
    }

    /// NLRI that the session has announced so far.
    pub fn announced(&self) -> u64 {
        self.feed.as_ref().map_or(0, |(_, feed)| feed.status().counters.announced)
    }

    /// Bytes that have come from the peer so far.
    pub fn received(&self) -> u64 {
        self.feed.as_ref().map_or(0, |(_, feed)| feed.status().counters.bytes)
    }

    /// NLRI that the session has withdrawn so far.
    pub fn withdrawn(&self) -> u64 {
        self.feed.as_ref().map_or(0, |(_, feed)| feed.status().counters.withdrawn)
    }

    /// Routes that lead nowhere, since links of ours are on no interface.
    fn without_next_hop(&self, control: &Control) -> usize {
        let is_unresolved = |prefix: &&IpNet| {
            let key = super::key(**prefix);
            control.rib.best(&key).is_some_and(|best| {
                best.0 == Source::LinkState
                    && control.standing(&key, 0, best, best) == Standing::NextHopUnresolved
            })
        };
        self.lost.len() + self.elsewhere.iter().filter(is_unresolved).count()
    }

    /// What there is to know of the source, by name.
    pub fn details(&self, control: &Control) -> Map<String, Value> {
        let count = |iterator: &mut dyn Iterator<Item = ()>| iterator.count();
        let own = self
            .trees
            .own
            .iter()
            .filter_map(|id| self.ted.node(*id))
            .map(|node| format!("{} ({})", name(node), node.key().instance.protocol));
        let skipped = self.sids.skipped.iter().map(|(sid, (code_point, why))| {
            json!({ "sid": sid.to_string(), "code-point": code_point, "why": why.name() })
        });
        let mut details = Map::new();
        let mut put = |name: &str, value| details.insert(name.into(), value);
        if let Some((_, feed)) = &self.feed {
            put("session", session(&feed.status()));
        }
        put("own-nodes", own.collect());
        put("nodes", count(&mut self.ted.nodes().map(drop)).into());
        put("links", count(&mut self.ted.links().map(drop)).into());
        put("prefixes", count(&mut self.ted.prefixes().map(drop)).into());
        put("sids", count(&mut self.ted.sids().map(drop)).into());
        put("stale", self.ted.stale().into());
        let runs = self.trees.runs;
        put(
            "spf",
            json!({
                "full": runs.full, "incremental": runs.incremental, "nothing": runs.nothing,
                "last-microseconds": self.took.as_micros() as u64,
            }),
        );
        put("routes-without-next-hop", self.without_next_hop(control).into());
        put("sids-skipped", skipped.collect());
        put("topology-errors", errors(&self.tally));
        details
    }
}

fn lengths(structure: sidewinder_linkstate::ted::SidStructure) -> [u8; 4] {
    [structure.block, structure.node, structure.function, structure.argument]
}

fn errors(tally: &Tally) -> Value {
    tally.iter().map(|(reason, count)| (reason.name().to_owned(), Value::from(count))).collect()
}

fn session(status: &Status) -> Value {
    let kinds = [
        ("open", Kind::Open),
        ("update", Kind::Update),
        ("notification", Kind::Notification),
        ("keepalive", Kind::Keepalive),
        ("route-refresh", Kind::RouteRefresh),
    ];
    let counters = &status.counters;
    let received: Map<_, _> = kinds
        .iter()
        .map(|(name, kind)| ((*name).into(), counters.received(*kind).into()))
        .collect();
    let sent: Map<_, _> =
        kinds.iter().map(|(name, kind)| ((*name).into(), counters.sent(*kind).into())).collect();
    let ends: Map<_, _> = Ended::ALL
        .iter()
        .map(|ended| (ended.name().to_owned(), Value::from(status.ends[*ended as usize])))
        .filter(|(_, count)| *count != 0)
        .collect();
    json!({
        "state": status.phase.name(),
        "seconds": status.since.elapsed().as_secs(),
        "peer": status.peer.map(|peer| peer.to_string()),
        "peer-identifier": status.identifier.map(|identifier| identifier.to_string()),
        "hold-time": status.hold_time.as_secs(),
        "established": status.established,
        "received": received,
        "sent": sent,
        "received-bytes": counters.bytes,
        "nlri-announced": counters.announced,
        "nlri-withdrawn": counters.withdrawn,
        "errors": errors(&status.tally),
        "ends": ends,
        "last-end": status.last.as_ref().map(|(_, words)| words),
        "last-end-seconds-ago": status.last.as_ref().map(|(at, _)| at.elapsed().as_secs()),
    })
}

/// How the topology is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For Graphviz.
    Dot,
    /// For a browser.
    Svg,
}
