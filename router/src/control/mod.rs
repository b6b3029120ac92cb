//! What the control thread knows, and how it becomes what the workers read.
//!
//! Sources fill the [`rib`]; its best routes, the local SIDs and the policies are compiled into
//! [`Change`]s for the FIB; [`Control::publish`] hands all of them to the workers at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::{IpNet, Ipv6Net};
use sidewinder_config::{Config, LocalSid, Policy};
use sidewinder_dataplane::behavior::headend::{Mode, SegmentList};
use sidewinder_dataplane::counters::PacketCounters;
use sidewinder_dataplane::fib::entry::{Entry, GroupId, PolicyId, PortIndex, SidId, TableIndex};
use sidewinder_dataplane::fib::nexthop::{Health, spread};
use sidewinder_dataplane::fib::table::left_aligned;
use sidewinder_dataplane::fib::writer::Writer;
use sidewinder_dataplane::fib::{self, Change, Domain, FlowLabel, Node, PortSettings};

use crate::kernel::View;
use crate::source::static_;

pub mod daemon;
pub mod host;
pub mod nexthops;
pub mod offline;
pub mod ports;
pub mod rib;
pub mod startup;
pub mod steering;
pub mod workers;

#[cfg(test)]
mod tests;

use nexthops::{Members, NextHops};
pub use offline::{OfflineLink, offline};
use ports::Ports;
use rib::{Hop, Key, Rib, Source, Target};

/// A local SID that workers know.
#[derive(Debug)]
pub struct InstalledSid {
    id: SidId,
    /// What the file says of it.
    pub said: LocalSid,
    group: Option<GroupId>,
    policy: Option<PolicyId>,
    /// Packets and bytes.
    pub counters: Arc<PacketCounters>,
}

/// A policy that workers know.
#[derive(Debug)]
pub struct InstalledPolicy {
    id: PolicyId,
    /// What the file says of it.
    pub said: Policy,
    hop_limit: u8,
    /// Packets and bytes, by segment list.
    pub counters: Vec<Arc<PacketCounters>>,
}

/// A route that workers know.
#[derive(Debug)]
struct InstalledRoute {
    entry: Entry,
    group: Option<GroupId>,
}

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
    /// Local SIDs, by prefix.
    pub sids: BTreeMap<Ipv6Net, InstalledSid>,
    /// Policies, by name.
    pub policies: BTreeMap<String, InstalledPolicy>,
    /// Adjacencies and groups.
    pub nexthops: NextHops,
    /// The FIB's writer.
    pub writer: Writer,
    /// When the configuration was last applied.
    pub configured: Instant,
    workers: usize,
    tables: BTreeMap<u32, TableIndex>,
    routes: HashMap<Key, InstalledRoute>,
    port_settings: Vec<PortSettings>,
    node: Option<Node>,
    domain: Domain,
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
    /// Neighbors added, changed or removed.
    pub neighbors: usize,
    /// Whether anything of [router], or of an interface or a locator, changed.
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
            nexthops: NextHops::new(Arc::clone(&health)),
            writer: Writer::new(health),
            configured: Instant::now(),
            workers,
            tables: BTreeMap::new(),
            routes: HashMap::new(),
            port_settings: Vec::new(),
            node: None,
            domain: Domain::default(),
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
            neighbors: differences(&old.neighbors, &config.neighbors, |neighbor| {
                (neighbor.address, &neighbor.interface)
            }),
            settings: old.router != config.router
                || old.interfaces != config.interfaces
                || old.locators != config.locators,
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

    /// Whether a prefix's route is in the FIB.
    pub fn is_installed(&self, key: &Key) -> bool {
        self.routes.contains_key(key)
    }

    fn apply(&mut self) {
        let now = Instant::now();
        self.apply_domain();
        self.apply_policies();
        self.apply_sids();
        let sids = self
            .sids
            .keys()
            .map(|sid| (Key { table: Key::MAIN, prefix: IpNet::V6(*sid) }, Target::Sid(*sid)))
            .collect();
        self.rib.replace(Source::Sid, &sids, now);
        self.rib.replace(Source::Static, &static_::routes(&self.config), now);
        self.apply_ports(true);
        self.reconcile();
    }

    /// Interfaces and neighbours; `moved` where prefixes moved between interfaces.
    fn apply_ports(&mut self, moved: bool) {
        self.apply_node();
        let settings: Vec<_> = self
            .ports
            .iter()
            .map(|(_, port)| (port.mac, port.table, if port.up { port.mtu } else { 0 }))
            .collect();
        for (index, (mac, table, mtu)) in settings.into_iter().enumerate() {
            let policy = self.config.interfaces.get(index).and_then(|interface| {
                // Until its policy is there, its frames are dropped.
                let name = interface.policy.as_ref()?;
                Some(self.policies.get(name).map_or(PolicyId::MAX, |policy| policy.id))
            });
            let external = self.config.interfaces.get(index).is_some_and(is_external);
            let table = self.table(table);
            let settings = PortSettings { mac, table, mtu, policy, external };
            if self.port_settings.get(index) != Some(&settings) {
                self.port_settings.truncate(index);
                self.port_settings.push(settings);
                self.writer.stage(Change::Port(index as u16, settings));
            }
        }
        self.nexthops.refresh(&self.ports, &mut self.writer);
        let now = Instant::now();
        self.rib.replace(Source::Connected, &self.ports.connected_routes(), now);
        self.rib.replace(Source::Neighbor, &self.ports.neighbour_routes(), now);
        if moved {
            let floats = |hops: &[Hop]| hops.iter().any(|hop| hop.interface.is_none());
            self.rib.touch(|target| matches!(target, Target::Via(hops) if floats(hops)));
            self.apply_sids();
        }
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

    fn apply_domain(&mut self) {
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

    /// The SID blocks: of the locators, and SIDs that are in none of these.
    pub fn blocks(&self) -> BTreeSet<Ipv6Net> {
        let of_locators = self.config.locators.iter().filter_map(|locator| {
            Some(Ipv6Net::new(locator.prefix.network(), locator.block_bits).ok()?.trunc())
        });
        let mut blocks: BTreeSet<Ipv6Net> = of_locators.collect();
        for sid in &self.config.sids {
            if !blocks.iter().any(|block| block.contains(&sid.sid)) {
                blocks.insert(sid.sid);
            }
        }
        blocks
    }

    fn apply_policies(&mut self) {
        let config = &self.config;
        let gone: Vec<String> =
            self.policies.keys().filter(|name| config.policy(name).is_none()).cloned().collect();
        for name in gone {
            if let Some(policy) = self.policies.remove(&name) {
                self.writer.stage(Change::Policy(policy.id, None));
                self.free_policies.push(policy.id);
            }
        }
        let hop_limit = config.router.encap_hop_limit;
        let table = self.tables.get(&Key::MAIN).copied().unwrap_or(0);
        for said in &config.policies {
            let old = self.policies.get(&said.name);
            if old.is_some_and(|old| old.said == *said && old.hop_limit == hop_limit) {
                continue;
            }
            let id =
                old.map(|old| old.id).or_else(|| self.free_policies.pop()).unwrap_or_else(|| {
                    self.policy_ids += 1;
                    self.policy_ids - 1
                });
            // A segment list that stays keeps its counters.
            let counters: Vec<_> = said
                .lists
                .iter()
                .map(|list| {
                    let before = old.and_then(|old| {
                        let same =
                            |other: &&sidewinder_config::SegmentList| other.segs == list.segs;
                        let index = old.said.lists.iter().position(|other| same(&other))?;
                        old.counters.get(index).cloned()
                    });
                    before.unwrap_or_else(|| PacketCounters::new(self.workers))
                })
                .collect();
            let policy = compile_policy(said, hop_limit, table, &counters);
            self.writer.stage(Change::Policy(id, Some(policy)));
            let installed = InstalledPolicy { id, said: said.clone(), hop_limit, counters };
            self.policies.insert(said.name.clone(), installed);
        }
    }

    fn apply_sids(&mut self) {
        let said: BTreeMap<Ipv6Net, LocalSid> =
            self.config.sids.iter().map(|sid| (sid.sid, sid.clone())).collect();
        let gone: Vec<Ipv6Net> =
            self.sids.keys().filter(|sid| !said.contains_key(sid)).copied().collect();
        for sid in gone {
            if let Some(sid) = self.sids.remove(&sid) {
                self.writer.stage(Change::Sid(sid.id, None));
                sid.group.into_iter().for_each(|group| self.nexthops.release(group));
                self.free_sids.push(sid.id);
            }
        }
        for (prefix, said) in said {
            self.apply_sid(prefix, said);
        }
    }

    fn apply_sid(&mut self, prefix: Ipv6Net, said: LocalSid) {
        let behavior = static_::behavior(&said.behavior);
        let group = static_::hop(&said.behavior).map(|hop| {
            let members = self.members(&[hop], Key::MAIN);
            self.nexthops.acquire(members, &self.ports, &mut self.writer)
        });
        let table = static_::table(&said.behavior).map_or(0, |table| self.table(table));
        let policy =
            static_::policy(&said.behavior).and_then(|name| Some(self.policies.get(name)?.id));
        let old = self.sids.remove(&prefix);
        let unchanged = old
            .as_ref()
            .is_some_and(|old| old.said == said && old.group == group && old.policy == policy);
        let (id, counters) = match old {
            Some(old) => {
                old.group.into_iter().for_each(|group| self.nexthops.release(group));
                let same = old.said.behavior == said.behavior;
                let counters = if same { old.counters } else { PacketCounters::new(self.workers) };
                (old.id, counters)
            }
            None => {
                let id = self.free_sids.pop().unwrap_or_else(|| {
                    self.sid_ids += 1;
                    self.sid_ids - 1
                });
                (id, PacketCounters::new(self.workers))
            }
        };
        if !unchanged {
            let sid = fib::Sid {
                address: u128::from(prefix.addr()),
                prefix_len: prefix.prefix_len(),
                behavior,
                flavors: static_::flavors(said.flavors),
                csid: static_::csid(said.structure),
                group: group.unwrap_or(0),
                table,
                port: static_::interface(&said.behavior)
                    .and_then(|name| self.ports.by_name(name))
                    .unwrap_or(PortIndex::MAX),
                policy: policy.unwrap_or(PolicyId::MAX),
                counters: Arc::clone(&counters),
            };
            self.writer.stage(Change::Sid(id, Some(sid)));
        }
        self.sids.insert(prefix, InstalledSid { id, said, group, policy, counters });
    }

    /// Brings the FIB's routes up to date with the RIB.
    fn reconcile(&mut self) {
        for key in self.rib.take_dirty() {
            let target = self.rib.best(&key).map(|route| route.target.clone());
            let (entry, group) = match target {
                None => (Entry::NONE, None),
                Some(target) => self.compile(&key, &target),
            };
            self.install(key, entry, group);
        }
    }

    fn compile(&mut self, key: &Key, target: &Target) -> (Entry, Option<GroupId>) {
        let entry = match target {
            Target::Sid(sid) => self.sids.get(sid).map_or(Entry::NONE, |sid| Entry::local(sid.id)),
            Target::Policy(name) => {
                self.policies.get(name).map_or(Entry::NONE, |policy| Entry::encap(policy.id))
            }
            Target::Via(hops) => {
                let members = self.members(hops, key.table);
                if members.is_empty() {
                    return (Entry::NONE, None);
                }
                let group = self.nexthops.acquire(members, &self.ports, &mut self.writer);
                return (Entry::forward(group), Some(group));
            }
            // The kernel finds neighbours in its own prefixes only.
            Target::OnLink(_) if self.ports.connected().contains_key(key) => Entry::ON_LINK,
            Target::OnLink(interface) => {
                self.ports.by_name(interface).map_or(Entry::NONE, Entry::solicit)
            }
            Target::Host => Entry::HOST,
            Target::Discard(discard) => Entry::discard(*discard),
        };
        (entry, None)
    }

    fn install(&mut self, key: Key, entry: Entry, group: Option<GroupId>) {
        let old = match entry {
            Entry::NONE => self.routes.remove(&key),
            entry => self.routes.insert(key, InstalledRoute { entry, group }),
        };
        if old.as_ref().map_or(Entry::NONE, |old| old.entry) != entry {
            let table = self.table(key.table);
            let (v4, bits) = match key.prefix {
                IpNet::V6(prefix) => (false, u128::from(prefix.network())),
                IpNet::V4(prefix) => (true, left_aligned(prefix.network().into())),
            };
            let len = key.prefix.prefix_len();
            self.writer.stage(Change::Route { table, v4, key: bits, len, entry });
        }
        old.and_then(|old| old.group).into_iter().for_each(|group| self.nexthops.release(group));
    }

    /// The hops whose port is known.
    fn members(&self, hops: &[Hop], table: u32) -> Members {
        hops.iter()
            .filter_map(|hop| Some((self.ports.of_hop(hop, table)?, hop.address, hop.weight)))
            .collect()
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

/// Whether an interface leads out of the SR domain.
pub fn is_external(interface: &sidewinder_config::Interface) -> bool {
    interface.domain == sidewinder_config::Domain::External
}

fn compile_policy(
    said: &Policy,
    hop_limit: u8,
    table: TableIndex,
    counters: &[Arc<PacketCounters>],
) -> fib::Policy {
    let mode = if said.behavior.is_reduced() { Mode::EncapsRed } else { Mode::Encaps };
    let lists = said
        .lists
        .iter()
        .zip(counters)
        .map(|(list, counters)| {
            let segs: Vec<u128> = list.segs.iter().map(|seg| u128::from(*seg)).collect();
            SegmentList::new(mode, &segs, said.source.into(), hop_limit, Arc::clone(counters))
        })
        .collect();
    let weights: Vec<_> = said
        .lists
        .iter()
        .enumerate()
        .map(|(index, list)| (index as u16, u32::from(list.weight)))
        .collect();
    fib::Policy { lists, buckets: spread(&weights), table }
}
