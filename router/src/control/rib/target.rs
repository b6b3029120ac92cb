//! What a prefix leads to, in the words of the sources.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use sidewinder_config::{LocalSid, NextHop, Policy};
use sidewinder_dataplane::fib::entry::Discard;

/// A neighbour that packets are sent through, or an address that other routes lead to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// Its address.
    pub address: IpAddr,
    /// The interface it is on; `None`: the one whose prefix covers the address, or where the
    /// route that covers it leads.
    pub interface: Option<Arc<str>>,
    /// Share of the flows, relative to the other hops.
    pub weight: u32,
    /// Whether it is used only while all that are no backups are down.
    pub backup: bool,
}

impl Hop {
    /// A hop that is the only one.
    pub fn new(address: IpAddr, interface: Option<Arc<str>>) -> Self {
        Self { address, interface, weight: 1, backup: false }
    }

    /// The hop in words, as one of so many.
    pub fn among(&self, count: usize) -> String {
        let mut words = self.address.to_string();
        if let Some(interface) = &self.interface {
            words += &format!(" dev {interface}");
        }
        if count > 1 {
            words += &format!(" weight {}", self.weight);
        }
        if self.backup {
            words += " backup";
        }
        words
    }
}

impl From<&NextHop> for Hop {
    fn from(said: &NextHop) -> Self {
        Self {
            address: said.address,
            interface: said.interface.as_deref().map(Into::into),
            weight: u32::from(said.weight),
            backup: said.backup,
        }
    }
}

/// Where a prefix leads. Copies are cheap, and equal ones may share what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To a local SID's behavior; the SID is the prefix itself.
    Sid(Arc<LocalSid>),
    /// To a local SID that carries its policy itself, as [`Encap`](Self::Encap) does, and names it.
    Binding(Arc<LocalSid>, Arc<Policy>),
    /// Into the policy of this name.
    Policy(Arc<str>),
    /// Into the policy of this name, and through the neighbour where it has no way.
    Colored(Arc<str>, Arc<Hop>),
    /// Into a policy without a name, which all who say the same share: see [`inline`].
    Encap(Arc<Policy>),
    /// Through neighbours.
    Via(Arc<[Hop]>),
    /// To neighbours on this interface.
    OnLink(Arc<str>),
    /// To the host.
    Host,
    /// To nobody.
    Discard(Discard),
    /// Left to the kernel, which has a route of its own to it.
    Kernel(LeftToKernel),
}

/// A policy that a route carries itself, named after what it does.
pub fn inline(mut policy: Policy) -> Arc<Policy> {
    let lists: Vec<String> = policy
        .lists
        .iter()
        .map(|list| list.segs.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        .collect();
    policy.name = format!("{} {}", policy.behavior, lists.join(" | "));
    Arc::new(policy)
}

/// Why a prefix is left to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftToKernel {
    /// It leads to an interface that is not served by us.
    Interface(Arc<str>),
    /// A SID with an action that the data plane does not have.
    Action(Arc<str>),
    /// A SID with flavors that the data plane does not have.
    Flavors,
    /// An encapsulation that the data plane does not have.
    Encapsulation(Arc<str>),
    /// Some of its next hops encapsulate and others do not, or each in another way.
    MixedNextHops,
    /// It encapsulates, and there is no source address to do it with.
    NoEncapSource,
    /// It holds for certain sources or traffic classes only.
    Selective,
    /// It has a path MTU of its own, in bytes, that is below its link's.
    Mtu(u32),
    /// A SID that leads to a table whose routes are not here.
    Table(u32),
    /// A kind of route that has no counterpart here.
    Type(Arc<str>),
    /// A next-hop object of a kind that has no counterpart here.
    NextHopObject,
}

impl LeftToKernel {
    /// The word for it in output.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Interface(_) => "interface-not-served",
            Self::Action(_) => "action-not-supported",
            Self::Flavors => "flavors-not-supported",
            Self::Encapsulation(_) => "encapsulation-not-supported",
            Self::MixedNextHops => "mixed-next-hops",
            Self::NoEncapSource => "no-encap-source",
            Self::Selective => "selective-route",
            Self::Mtu(_) => "mtu-of-its-own",
            Self::Table(_) => "table-not-mirrored",
            Self::Type(_) => "type-not-supported",
            Self::NextHopObject => "next-hop-object-not-supported",
        }
    }
}

impl fmt::Display for LeftToKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name) => write!(f, "{name} is not served by Sidewinder"),
            Self::Action(action) => write!(f, "{action} is not supported"),
            Self::Flavors => f.write_str("its flavors are not supported"),
            Self::Encapsulation(kind) => write!(f, "encapsulation by {kind} is not supported"),
            Self::MixedNextHops => f.write_str("its next hops do not encapsulate alike"),
            Self::NoEncapSource => f.write_str("no address to encapsulate with: set encap-source"),
            Self::Selective => f.write_str("it is for certain sources or traffic classes"),
            Self::Mtu(mtu) => write!(f, "it has a path MTU of its own, {mtu} bytes"),
            Self::Table(table) => write!(f, "table {table} is not among the tables of the source"),
            Self::Type(kind) => write!(f, "routes of type {kind} are not supported"),
            Self::NextHopObject => f.write_str("its kind of next-hop object is not supported"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => write!(f, "sid {}", sid.behavior),
            Self::Binding(sid, policy) => write!(f, "sid {}, {}", sid.behavior, policy.name),
            Self::Policy(name) => write!(f, "policy {name}"),
            Self::Colored(name, hop) => write!(f, "policy {name}, or via {}", hop.among(1)),
            Self::Encap(policy) => f.write_str(&policy.name),
            Self::Via(hops) => {
                for (index, hop) in hops.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}via {}", hop.among(hops.len()))?;
                }
                Ok(())
            }
            Self::OnLink(interface) => write!(f, "dev {interface}"),
            Self::Host => f.write_str("host"),
            Self::Discard(Discard::Blackhole) => f.write_str("blackhole"),
            Self::Discard(Discard::Unreachable) => f.write_str("unreachable"),
            Self::Discard(Discard::Prohibit) => f.write_str("prohibit"),
            Self::Kernel(_) => f.write_str("kernel"),
        }
    }
}
