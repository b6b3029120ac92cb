//! What workers read: tables, next hops, local SIDs, policies.
//!
//! A [`Fib`] is plain data. The control thread has two copies: workers read one while it changes
//! the other, and [`publish`] swaps them. A change is a [`Change`], applied to both in turn, so
//! that a packet sees all of a published set of changes or nothing of it.

use std::sync::Arc;

use crate::{
    behavior::{self, headend::SegmentList, insert::Insertion},
    counters::PacketCounters,
    hmac,
    wire::ethernet::Mac,
};

pub mod entry;
pub mod lpm;
mod memory;
pub mod nexthop;
mod node;
pub mod publish;
pub mod rules;
pub mod shares;
pub mod simd;
pub mod table;
mod tree;
pub mod writer;

use entry::{AdjacencyId, Entry, GroupId, PolicyId, PortIndex, SidId, TableIndex};
use nexthop::{Adjacency, Group, Health};
use rules::Rules;
use table::Table;

/// A local SID: what [`Action::Local`](entry::Action::Local) leads to.
#[derive(Debug, Clone)]
pub struct Sid {
    /// The SID's address; of a longer block, its first.
    pub address: u128,
    /// Bits of the address that are matched.
    pub prefix_len: u8,
    /// Which behavior: a row of [`behavior::TABLE`](crate::behavior::TABLE).
    pub behavior: crate::behavior::Behavior,
    /// The flavors of RFC 8986, section 4.16, and NEXT-CSID.
    pub flavors: crate::behavior::Flavors,
    /// How the address is divided, with NEXT-CSID.
    pub csid: crate::behavior::csid::Layout,
    /// Next hops of End.X, End.DX4 and End.DX6.
    pub group: GroupId,
    /// Table of End.T and End.DT*.
    pub table: TableIndex,
    /// Port of End.DX2.
    pub port: PortIndex,
    /// Policy of End.B6.Encaps and End.B6.Encaps.Red.
    pub policy: PolicyId,
    /// What it asks of packets' HMAC TLVs.
    pub hmac: behavior::hmac::Policy,
    /// Packets and bytes the behavior was applied to.
    pub counters: Arc<PacketCounters>,
}

/// A policy: what [`Action::Encap`](entry::Action::Encap) leads to.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its segment lists, ready to be pushed.
    pub lists: Vec<SegmentList>,
    /// Index into `lists`, as often as the list's weight says: see [`shares`].
    pub buckets: Vec<u16>,
    /// Table that the first segment is looked up in.
    pub table: TableIndex,
}

/// Which sources packets may have that come in by a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceCheck {
    /// Any.
    #[default]
    Off,
    /// None of the SR domain's.
    Domain,
    /// Those to which there is a way.
    Loose,
    /// Those to which there is a way by this port.
    Strict,
}

/// What a port needs to know of its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortSettings {
    /// The interface's own address: what frames must be sent to.
    pub mac: Mac,
    /// Table that packets from here are looked up in.
    pub table: TableIndex,
    /// The longest packet that leaves here, without its Ethernet header; 0: none.
    pub mtu: u16,
    /// The policy that all frames from here are steered into.
    pub policy: Option<PolicyId>,
    /// Whether it leads out of the SR domain.
    pub external: bool,
    /// Which sources packets from here may have.
    pub source_check: SourceCheck,
    /// Whether packets from here are steered by [`Fib::rules`].
    pub has_rules: bool,
}

impl PortSettings {
    /// Whether there is more to be done for a packet from here than to look it up. Frames that are
    /// cargo are none of the domain's packets before they are encapsulated.
    #[inline(always)]
    pub const fn is_special(&self) -> bool {
        let is_checked = self.external || !matches!(self.source_check, SourceCheck::Off);
        self.has_rules | (is_checked & self.policy.is_none())
    }
}

/// A prefix of IPv6 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    key: u128,
    mask: u128,
}

impl Prefix {
    /// The first `len` bits of `address`, at most 128.
    pub const fn new(address: u128, len: u8) -> Self {
        let mask = if len == 0 { 0 } else { u128::MAX << (128 - len as u32) };
        Self { key: address & mask, mask }
    }

    /// Whether the address is in it.
    #[inline(always)]
    pub const fn contains(self, address: u128) -> bool {
        address & self.mask == self.key
    }
}

/// What tells the SR domain from the rest: RFC 8754, section 5.1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Domain {
    /// SID blocks: nothing from outside goes there.
    pub blocks: Vec<Prefix>,
    /// Sources that packets to our SIDs may have; none: any.
    pub sources: Vec<Prefix>,
}

/// How the outer flow label of H.Encaps is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlowLabel {
    /// From the inner packet's addresses, protocol and ports (RFC 6438, section 4.1).
    #[default]
    Hash,
    /// The inner packet's own; 0 for IPv4.
    Copy,
    /// 0.
    Zero,
}

/// Settings of the node as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Source of ICMPv6 errors; 0: none are sent.
    pub icmp_source: u128,
    /// Source of ICMPv4 errors; 0: none are sent.
    pub icmp_source_v4: u32,
    /// ICMP errors per second and worker; 0: no limit.
    pub icmp_rate: u32,
    /// Hop limit, or TTL, of the errors that the node sends.
    pub hop_limit: u8,
    /// How outer flow labels are made.
    pub flow_label: FlowLabel,
    /// Traffic class of outer headers; none: the inner packet's.
    pub traffic_class: Option<u8>,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            icmp_source: 0,
            icmp_source_v4: 0,
            icmp_rate: 100,
            hop_limit: 64,
            flow_label: FlowLabel::Hash,
            traffic_class: None,
        }
    }
}

/// One version of what workers read.
#[derive(Debug, Clone, Default)]
pub struct Fib {
    /// Routing tables.
    pub tables: Vec<Table>,
    /// Next-hop groups.
    pub groups: Vec<Group>,
    /// Adjacencies.
    pub adjacencies: Vec<Adjacency>,
    /// Local SIDs.
    pub sids: Vec<Option<Sid>>,
    /// Policies.
    pub policies: Vec<Option<Policy>>,
    /// Policies of H.Insert; by the same indices, which are none of [`policies`](Self::policies).
    pub insertions: Vec<Option<Insertion>>,
    /// Ports, by index; the same in every worker.
    pub ports: Vec<PortSettings>,
    /// Rules for packets that come in by a port, by its index.
    pub rules: Vec<Rules>,
    /// The node's settings.
    pub node: Node,
    /// The SR domain.
    pub domain: Domain,
    /// The keys of HMAC TLVs.
    pub hmac_keys: Arc<hmac::Keys>,
    /// Which adjacencies are up. Outside of the versions: a store takes effect at once.
    pub health: Arc<Health>,
}

/// One step from a version of the [`Fib`] to the next.
#[derive(Debug, Clone)]
pub enum Change {
    /// Adds an empty table, whose index is the number of tables before.
    AddTable {
        /// The number the kernel knows it by.
        number: u32,
    },
    /// Sets what a prefix leads to; [`Entry::NONE`] removes it.
    Route {
        /// Table of the route.
        table: TableIndex,
        /// Whether it is an IPv4 route, with a [left-aligned](table::left_aligned) key.
        v4: bool,
        /// The prefix, left-aligned.
        key: u128,
        /// Bits of the prefix.
        len: u8,
        /// What it leads to.
        entry: Entry,
    },
    /// Sets a next-hop group.
    Group(GroupId, Group),
    /// Sets an adjacency.
    Adjacency(AdjacencyId, Adjacency),
    /// Sets or removes a SID.
    Sid(SidId, Option<Sid>),
    /// Sets or removes a policy.
    Policy(PolicyId, Option<Policy>),
    /// Sets or removes a policy of H.Insert.
    Insertion(PolicyId, Option<Insertion>),
    /// Sets a port's settings.
    Port(PortIndex, PortSettings),
    /// Sets the rules for what comes in by a port.
    Rules(PortIndex, Rules),
    /// Sets the node's settings.
    Node(Node),
    /// Sets what the SR domain is.
    Domain(Domain),
    /// Sets the keys of HMAC TLVs.
    HmacKeys(Arc<hmac::Keys>),
}

impl Fib {
    /// An empty version with this health of adjacencies.
    pub fn new(health: Arc<Health>) -> Self {
        Self { health, ..Self::default() }
    }

    /// The number of one of the adjacencies, by where it lies.
    pub(crate) fn id_of(&self, adjacency: &Adjacency) -> AdjacencyId {
        let (first, this) =
            (self.adjacencies.as_ptr().addr(), std::ptr::from_ref(adjacency).addr());
        (this.wrapping_sub(first) / size_of::<Adjacency>()) as AdjacencyId
    }

    /// Applies a change. `fallback` is what [`lpm::Lpm::remove`] asks for, where the change
    /// removes a route.
    pub(crate) fn apply(&mut self, change: Change, fallback: Option<(u8, Entry)>) {
        match change {
            Change::AddTable { number } => {
                self.tables.push(Table { number, ..Table::default() });
            }
            Change::Route { table, v4, key, len, entry } => {
                let Some(table) = self.tables.get_mut(usize::from(table)) else { return };
                let lpm = if v4 { &mut table.v4 } else { &mut table.v6 };
                match entry {
                    Entry::NONE => lpm.remove(key, len, fallback),
                    entry => lpm.insert(key, len, entry),
                }
            }
            Change::Group(id, group) => put(&mut self.groups, id, group),
            Change::Adjacency(id, adjacency) => put(&mut self.adjacencies, id, adjacency),
            Change::Sid(id, sid) => put(&mut self.sids, id, sid),
            Change::Policy(id, policy) => set(&mut self.policies, id, policy),
            Change::Insertion(id, policy) => set(&mut self.insertions, id, policy),
            Change::Port(id, settings) => put(&mut self.ports, u32::from(id), settings),
            Change::Rules(id, rules) => {
                let index = usize::from(id);
                if index >= self.rules.len() {
                    self.rules.resize(index + 1, Rules::NONE);
                }
                self.rules[index] = rules;
            }
            Change::Node(node) => self.node = node,
            Change::Domain(domain) => self.domain = domain,
            Change::HmacKeys(keys) => self.hmac_keys = keys,
        }
    }
}

impl Fib {
    /// Applies all changes from one to another that is a route to a later prefix of the same table,
    /// length and entry: those to every prefix in between.
    pub(crate) fn insert_run(&mut self, first: &Change, last: &Change) {
        let (Change::Route { table, v4, key, len, entry }, Change::Route { key: end, .. }) =
            (first, last)
        else {
            return;
        };
        let Some(table) = self.tables.get_mut(usize::from(*table)) else { return };
        let lpm = if *v4 { &mut table.v4 } else { &mut table.v6 };
        lpm.insert_run(*key, *end, *len, *entry);
    }
}

/// [`put`] of something that may be missing: what is in between is.
fn set<T: Clone>(items: &mut Vec<Option<T>>, index: u32, item: Option<T>) {
    let index = index as usize;
    if index >= items.len() {
        items.resize(index + 1, None);
    }
    items[index] = item;
}

fn put<T: Clone>(items: &mut Vec<T>, index: u32, item: T) {
    let index = index as usize;
    if index >= items.len() {
        items.resize(index + 1, item);
    } else {
        items[index] = item;
    }
}
