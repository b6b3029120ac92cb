//! What the control thread knows, and how it becomes what the workers read.
//!
//! Sources fill the [`rib`]; its best routes, the local SIDs and the policies are compiled into
//! [`Change`]s for the FIB; [`Control::publish`] hands all of them to the workers at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use ipnet::{IpNet, Ipv6Net};
use sidewinder_config::{Config, HmacKey, Policy};
use sidewinder_dataplane::fib::entry::{PolicyId, PortIndex, SidId, TableIndex};
use sidewinder_dataplane::fib::nexthop::Health;
use sidewinder_dataplane::fib::writer::Writer;
use sidewinder_dataplane::fib::{self, Change, Domain, FlowLabel, Node, PortSettings, SourceCheck};
use sidewinder_dataplane::hmac;

use crate::kernel::View;
use crate::source::static_;

mod awaited;
pub mod daemon;
pub mod host;
pub mod nexthops;
pub mod offline;
pub mod policies;
pub mod ports;
mod reconcile;
pub mod resolve;
pub mod rib;
pub mod rules;
pub mod sids;
pub mod startup;
pub mod steering;
pub mod trace;
pub mod validity;
pub mod workers;

#[cfg(test)]
pub(crate) mod tests;

use nexthops::NextHops;
pub use offline::{OfflineLink, offline};
pub use policies::InstalledPolicy;
use ports::Ports;
use reconcile::{InstalledRoute, SharedHops};
use resolve::Trackers;
use rib::{Key, Opinion, Rib, Route, Routes, Source, Standing, Target};
pub use sids::InstalledSid;

/// The control thread's knowledge.
#[derive(Debug)]
pub struct Control {
    /// The configuration in force.
    pub config: Config,
    /// Interfaces, addresses, neighbours.
    pub ports: Ports,
    /// The kernel's index of each interface that sockets were opened on.
    pub bound: BTreeMap<String, u32>,
    /// Every source's routes.
    pub rib: Rib,
    /// Local SIDs.
    pub sids: BTreeMap<Key, InstalledSid>,
    /// Policies of the file, by name.
    pub policies: BTreeMap<String, InstalledPolicy>,
    /// Segments of lists that name nodes, or why there are none.
    via: policies::Resolved,
    /// How SIDs of policies are divided.
    structures: policies::Structures,
    /// First segments of lists that policies may choose from, and why some cannot be reached.
    first_segments: validity::FirstSegments,
    /// Policies that routes carry themselves.
    inline: HashMap<Arc<Policy>, InstalledPolicy>,
    /// Rules.
    pub rules: rules::InstalledRules,
    /// Adjacencies and groups.
    pub nexthops: NextHops,
    /// The FIB's writer.
    pub writer: Writer,
    /// When the configuration was last applied.
    pub configured: Instant,
    workers: usize,
    tables: BTreeMap<u32, TableIndex>,
    routes: HashMap<Key, InstalledRoute, RandomState>,
    /// Of the routes that are being reconciled.
    shared_hops: SharedHops,
    /// Routes that are the best, by source.
    installed: [usize; Source::ALL.len()],
    /// Routes that are a reason to take IPv4 from the kernel.
    ipv4_routes: usize,
    /// Prefixes on the links of ports.
    on_link: BTreeMap<Key, PortIndex>,
    trackers: Trackers,
    /// Prefixes whose new neighbour is still to be found.
    awaiting: awaited::Awaiting,
    steer: steering::Sides,
    port_settings: Vec<PortSettings>,
    node: Option<Node>,
    domain: Domain,
    /// The keys that workers know.
    hmac_keys: Vec<HmacKey>,
    /// Whether SIDs came or went since the domain was last applied.
    sids_changed: bool,
    sid_ids: u32,
    policy_ids: u32,
    free_sids: Vec<SidId>,
    free_policies: Vec<PolicyId>,
}

/// What a reload changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// Routes added, changed or removed.
    pub routes: usize,
    /// SIDs added, changed or removed.
    pub sids: usize,
    /// Policies added, changed or removed.
    pub policies: usize,
    /// Rules added, changed or removed.
    pub rules: usize,
    /// Neighbors added, changed or removed.
    pub neighbors: usize,
    /// Nodes and links of the topology added, changed or removed.
    pub topology: usize,
    /// Whether anything of [router], or of an interface, a locator or a source, changed.
    pub settings: bool,
}

/// Adds up how two lists differ, by key: what is new, what is gone, what says something else.
fn differences<'a, K: Ord, V: PartialEq + 'a>(
    old: &'a [V],
    new: &'a [V],
    key: impl Fn(&'a V) -> K,
) -> usize {
    let old: BTreeMap<K, &V> = old.iter().map(|item| (key(item), item)).collect();
    let new: BTreeMap<K, &V> = new.iter().map(|item| (key(item), item)).collect();
    let gone = old.keys().filter(|key| !new.contains_key(key)).count();
    gone + new.iter().filter(|(key, item)| old.get(key) != Some(item)).count()
}

impl Control {
    /// The knowledge of a file and a view of the kernel, staged for so many workers. Workers get
    /// it by [`publish`](Self::publish).
    pub fn new(config: Config, view: &View, workers: usize) -> Self {
        let health = Arc::new(Health::default());
        let bound = BTreeMap::new();
        let ports = Ports::new(&config, view, &bound);
        let mut control = Self {
            config,
            ports,
            bound,
            rib: Rib::default(),
            sids: BTreeMap::new(),
            policies: BTreeMap::new(),
            via: policies::Resolved::new(),
            structures: policies::Structures::new(),
            first_segments: validity::FirstSegments::new(),
            inline: HashMap::new(),
            rules: rules::InstalledRules::default(),
            nexthops: NextHops::new(Arc::clone(&health)),
            writer: Writer::new(health),
            configured: Instant::now(),
            workers,
            tables: BTreeMap::new(),
            routes: HashMap::default(),
            shared_hops: SharedHops::default(),
            installed: Default::default(),
            ipv4_routes: 0,
            on_link: BTreeMap::new(),
            trackers: Trackers::default(),
            awaiting: awaited::Awaiting::new(),
            steer: steering::Sides::default(),
            port_settings: Vec::new(),
            node: None,
            domain: Domain::default(),
            hmac_keys: Vec::new(),
            sids_changed: false,
            sid_ids: 0,
            policy_ids: 0,
            free_sids: Vec::new(),
            free_policies: Vec::new(),
        };
        control.table(Key::MAIN);
        control.apply();
        control
    }

    /// Takes a new configuration, and says how it differs. Interfaces and workers must be the
    /// same: see [`startup::needs_restart`].
    pub fn configure(&mut self, config: Config, view: &View) -> Difference {
        let old = &self.config;
        let difference = Difference {
            routes: differences(&old.routes, &config.routes, |route| (route.table, route.prefix)),
            sids: differences(&old.sids, &config.sids, |sid| sid.sid),
            policies: differences(&old.policies, &config.policies, |policy| &policy.name),
            rules: differences(&old.rules, &config.rules, |rule| {
                (rule.on.to_string(), rule.to_string())
            }),
            neighbors: differences(&old.neighbors, &config.neighbors, |neighbor| {
                (neighbor.address, &neighbor.interface)
            }),
            topology: differences(&old.nodes, &config.nodes, |node| &node.name)
                + differences(&old.links, &config.links, |link| {
                    (&link.from, &link.to, link.local, link.remote)
                }),
            settings: old.router != config.router
                || old.sources != config.sources
                || old.interfaces != config.interfaces
                || old.locators != config.locators
                || old.hmac_keys != config.hmac_keys,
        };
        self.config = config;
        self.configured = Instant::now();
        self.ports = Ports::new(&self.config, view, &self.bound);
        self.apply();
        difference
    }

    /// Takes a new view of the kernel, and tells how ports changed.
    pub fn observe(&mut self, view: &View) -> Vec<String> {
        let ports = Ports::new(&self.config, view, &self.bound);
        if ports == self.ports {
            return Vec::new();
        }
        let changes = self.ports.changes(&ports);
        let moved = ports.connected() != self.ports.connected();
        self.ports = ports;
        self.apply_ports(moved);
        self.reconcile();
        changes
    }

    /// Hands all that is staged to the workers. `false`: not yet, call again soon.
    pub fn publish(&mut self) -> bool {
        let published = self.writer.publish();
        if published {
            self.nexthops.published();
        }
        published
    }

    /// Prepares the next [`publish`](Self::publish), where nobody waits.
    pub fn catch_up(&mut self) -> bool {
        self.writer.catch_up()
    }

    /// Neighbours that the kernel is to resolve for us: link and address.
    pub fn wanted_neighbours(&self) -> BTreeSet<(u32, IpAddr)> {
        self.nexthops
            .iter()
            .filter(|(port, address, _)| !self.ports.is_fixed(*port, *address))
            .filter_map(|(port, address, _)| Some((self.ports.get(port)?.index?, address)))
            .collect()
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// How a route stands that is in this place among the opinions on its prefix, whose best is
    /// `best`.
    pub fn standing(
        &self,
        key: &Key,
        place: usize,
        (source, route): (Source, &Route),
        best: (Source, &Route),
    ) -> Standing {
        if place == 0 {
            return self
                .routes
                .get(key)
                .map_or(Standing::NextHopUnresolved, |route| route.standing);
        }
        if source == best.0 {
            return Standing::WorseMetric;
        }
        match (route.opinion.distance, route.opinion.metric) {
            (distance, _) if distance != best.1.opinion.distance => Standing::WorseDistance,
            (_, metric) if metric != best.1.opinion.metric => Standing::WorseMetric,
            _ => Standing::WorseSource,
        }
    }

    /// How many prefixes are left to the kernel.
    pub fn left_to_kernel(&self) -> usize {
        self.steer.left()
    }

    /// How many of a source's routes are the best.
    pub fn installed(&self, source: Source) -> usize {
        self.installed[source as usize]
    }

    fn apply(&mut self) {
        let now = Instant::now();
        self.apply_hmac_keys();
        self.first_segments = self.reach_first_segments();
        self.apply_policies();
        let sids: Routes = self
            .config
            .sids
            .iter()
            .map(|sid| {
                let key = Key { table: Key::MAIN, prefix: sid.sid.into() };
                (key, Opinion::of(Source::Sid, Target::Sid(Arc::new(sid.clone()))))
            })
            .collect();
        self.rib.replace(Source::Sid, &sids, now);
        self.rib.replace(Source::Static, &static_::routes(&self.config), now);
        self.apply_ports(true);
        self.forget_rules();
        self.reconcile();
        self.apply_domain();
    }

    /// Interfaces and neighbours; `moved` where prefixes moved between interfaces.
    fn apply_ports(&mut self, moved: bool) {
        self.apply_node();
        self.apply_port_settings();
        self.nexthops.refresh(&self.ports, &mut self.writer);
        self.touch_awaiting();
        self.rib.replace(Source::Connected, &self.ports.connected_routes(), Instant::now());
        self.apply_neighbours();
        if moved {
            self.rib.touch(self.trackers.all());
        }
    }

    /// What workers are to know of each port itself.
    fn apply_port_settings(&mut self) {
        let settings: Vec<_> = self
            .ports
            .iter()
            .map(|(_, port)| (port.mac, port.table, if port.up { port.mtu } else { 0 }))
            .collect();
        for (index, (mac, table, mtu)) in settings.into_iter().enumerate() {
            let policy = self.config.interfaces.get(index).and_then(|interface| {
                // Until its policy is there, its frames are dropped.
                let name = interface.policy.as_ref()?;
                let takes_frames = self.config.takes_frames(interface);
                takes_frames.then(|| self.policy_id(name).unwrap_or(PolicyId::MAX))
            });
            let has_rules = self.apply_rules(index);
            let interface = self.config.interfaces.get(index);
            let external = interface.is_some_and(is_external);
            let source_check = source_check(interface);
            let table = self.table(table);
            let settings =
                PortSettings { mac, table, mtu, policy, external, source_check, has_rules };
            if self.port_settings.get(index) != Some(&settings) {
                self.port_settings.truncate(index);
                self.port_settings.push(settings);
                self.writer.stage(Change::Port(index as u16, settings));
            }
        }
    }

    /// The routes to neighbours: each that is known, in the prefixes that are on its link.
    fn apply_neighbours(&mut self) {
        let routes = self.ports.neighbour_routes(&self.on_link);
        self.rib.replace(Source::Neighbor, &routes, Instant::now());
    }

    fn apply_node(&mut self) {
        let router = &self.config.router;
        let source = router.icmp_source.or_else(|| self.ports.some_address());
        let rate = router.icmp_rate;
        let node = Node {
            icmp_source: source.map_or(0, u128::from),
            icmp_source_v4: self.ports.some_address_v4().map_or(0, u32::from),
            // Each worker keeps its own bucket: its share, and never nothing.
            icmp_rate: if rate == 0 { 0 } else { (rate / self.workers.max(1) as u32).max(1) },
            hop_limit: 64,
            flow_label: match router.encap_flow_label {
                sidewinder_config::FlowLabel::Hash => FlowLabel::Hash,
                sidewinder_config::FlowLabel::Copy => FlowLabel::Copy,
                sidewinder_config::FlowLabel::Zero => FlowLabel::Zero,
            },
            traffic_class: router.encap_traffic_class,
        };
        if self.node.replace(node) != Some(node) {
            self.writer.stage(Change::Node(node));
        }
    }

    fn apply_hmac_keys(&mut self) {
        if self.hmac_keys != self.config.hmac_keys {
            self.hmac_keys.clone_from(&self.config.hmac_keys);
            let keys = hmac::Keys::new(self.hmac_keys.iter().map(static_::hmac_key).collect());
            self.writer.stage(Change::HmacKeys(Arc::new(keys)));
        }
    }

    fn apply_domain(&mut self) {
        self.sids_changed = false;
        let prefix =
            |prefix: &Ipv6Net| fib::Prefix::new(u128::from(prefix.network()), prefix.prefix_len());
        let domain = Domain {
            blocks: self.blocks().iter().map(prefix).collect(),
            sources: self.config.router.sid_sources.iter().map(prefix).collect(),
        };
        if self.domain != domain {
            self.domain = domain.clone();
            self.writer.stage(Change::Domain(domain));
        }
    }

    /// The SID blocks: of the locators, and the SIDs of any source that are in none of these.
    pub fn blocks(&self) -> BTreeSet<Ipv6Net> {
        let of_locators = self.config.locators.iter().filter_map(|locator| {
            Some(Ipv6Net::new(locator.prefix.network(), locator.block_bits).ok()?.trunc())
        });
        let of_file = self.config.sids.iter().map(|sid| sid.sid);
        let installed = self.sids.keys().filter_map(|key| match key.prefix {
            IpNet::V6(prefix) => Some(prefix),
            IpNet::V4(_) => None,
        });
        let all: Vec<Ipv6Net> = of_locators.chain(of_file).chain(installed).collect();
        Ipv6Net::aggregate(&all).into_iter().collect()
    }

    /// The index of a table, which is made if it is new.
    fn table(&mut self, number: u32) -> TableIndex {
        let next = self.tables.len() as TableIndex;
        let writer = &mut self.writer;
        *self.tables.entry(number).or_insert_with(|| {
            writer.stage(Change::AddTable { number });
            next
        })
    }
}

/// Which sources packets from an interface may have.
fn source_check(interface: Option<&sidewinder_config::Interface>) -> SourceCheck {
    match interface.map(|interface| interface.source_check) {
        Some(sidewinder_config::SourceCheck::Domain) => SourceCheck::Domain,
        Some(sidewinder_config::SourceCheck::Loose) => SourceCheck::Loose,
        Some(sidewinder_config::SourceCheck::Strict) => SourceCheck::Strict,
        Some(sidewinder_config::SourceCheck::Off) | None => SourceCheck::Off,
    }
}

/// Whether an interface leads out of the SR domain.
pub fn is_external(interface: &sidewinder_config::Interface) -> bool {
    interface.domain == sidewinder_config::Domain::External
}
