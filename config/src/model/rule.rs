//! What the file says of packets that are steered by more than their destination.

use std::fmt;

use ipnet::IpNet;

use super::{Config, Interface, Table};

/// `[[rule]]`: packets that are steered into a policy, whatever the routes say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Which packets are looked at.
    pub on: RuleScope,
    /// Prefix of the source; `None`: any.
    pub source: Option<IpNet>,
    /// Prefix of the destination, of the same family.
    pub destination: Option<IpNet>,
    /// Protocol of the upper layer.
    pub protocol: Option<u8>,
    /// First and last source port.
    pub source_ports: Option<(u16, u16)>,
    /// First and last destination port.
    pub destination_ports: Option<(u16, u16)>,
    /// Differentiated services code point, 0 to 63.
    pub dscp: Option<u8>,
    /// What is done with them.
    pub action: RuleAction,
}

/// Where packets come from that a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RuleScope {
    /// From this interface.
    Interface(String),
    /// From the interfaces with this table.
    Table(Table),
}

/// What a rule does with a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// Encapsulate by the policy of this name.
    Policy(String),
    /// What the routes say: the rules behind this one are not for it.
    Route,
}

impl Rule {
    /// The most rules that an interface may have, with those of its table.
    pub const MAX: usize = 64;

    /// The rule that an interface with a policy for packets stands for.
    fn of_interface(interface: &Interface, policy: &str) -> Self {
        Self {
            on: RuleScope::Interface(interface.name.clone()),
            source: None,
            destination: None,
            protocol: None,
            source_ports: None,
            destination_ports: None,
            dscp: None,
            action: RuleAction::Policy(policy.to_owned()),
        }
    }

    /// The only family of packets that it is for; `None`: both. `true`: IPv6.
    pub fn is_v6(&self) -> Option<bool> {
        let prefix = self.source.or(self.destination)?;
        Some(matches!(prefix, IpNet::V6(_)))
    }
}

impl Config {
    /// The rules for packets from an interface, in the order in which they are tried: its own, those
    /// of its table, and its policy.
    pub fn rules_of(&self, interface: &Interface) -> Vec<Rule> {
        if self.takes_frames(interface) {
            return Vec::new();
        }
        let on = |scope: &RuleScope| match scope {
            RuleScope::Interface(name) => *name == interface.name,
            RuleScope::Table(_) => false,
        };
        let table = |scope: &RuleScope| *scope == RuleScope::Table(interface.table);
        let own = self.rules.iter().filter(|rule| on(&rule.on));
        let of_table = self.rules.iter().filter(|rule| table(&rule.on));
        let last = interface.policy.as_ref().map(|policy| Rule::of_interface(interface, policy));
        own.chain(of_table).cloned().chain(last).collect()
    }

    /// Whether all frames of an interface, whatever they are, are steered into a policy.
    pub fn takes_frames(&self, interface: &Interface) -> bool {
        let policy = interface.policy.as_deref().and_then(|name| self.policy(name));
        policy.is_some_and(|policy| policy.behavior.is_l2())
    }
}

impl fmt::Display for RuleScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name) => f.pad(name),
            Self::Table(table) => write!(f, "table {table}"),
        }
    }
}

/// The packets that it is for, in words.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |(first, last): (u16, u16)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let words = [
            self.source.map(|prefix| format!("from {prefix}")),
            self.destination.map(|prefix| format!("to {prefix}")),
            self.protocol.map(|protocol| match protocol {
                6 => "tcp".to_owned(),
                17 => "udp".to_owned(),
                132 => "sctp".to_owned(),
                1 => "icmp".to_owned(),
                58 => "icmpv6".to_owned(),
                other => format!("protocol {other}"),
            }),
            self.source_ports.map(|ports| format!("source port {}", range(ports))),
            self.destination_ports.map(|ports| format!("destination port {}", range(ports))),
            self.dscp.map(|dscp| format!("DSCP {dscp}")),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        f.pad(&if words.is_empty() { "all".to_owned() } else { words.join(" ") })
    }
}
