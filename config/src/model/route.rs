//! What the file says of routes and next hops.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Table;

/// `[[route]]`: where packets to a prefix go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destinations, IPv4 or IPv6, host bits zero.
    pub prefix: IpNet,
    /// Table it is in.
    pub table: Table,
    /// What is done with packets to it.
    pub action: RouteAction,
}

/// What a route does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAction {
    /// Encapsulate by the policy of this name.
    Policy(String),
    /// Encapsulate by the policy of this name, which is for the next hop and a color, while it has a
    /// way; else send through the next hop (RFC 9256, 8.4).
    Colored(String, NextHop),
    /// Send through one of these; one or more.
    Via(Vec<NextHop>),
    /// Destinations are neighbours on this interface.
    OnLink(String),
    /// Drop, silently.
    Blackhole,
    /// Drop, and answer Destination Unreachable: no route.
    Unreachable,
    /// Drop, and answer Destination Unreachable: administratively prohibited.
    Prohibit,
    /// Deliver to this host's kernel.
    Local,
}

/// A neighbour that packets are sent through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The neighbour; never IPv4 for an IPv6 route; link-local only together with an interface.
    pub address: IpAddr,
    /// Where it is; `None`: found by looking the address up.
    pub interface: Option<String>,
    /// Share of the flows, 1 to 255, relative to the other next hops.
    pub weight: u8,
    /// Whether it is used only while all that are no backups are down.
    pub backup: bool,
}

impl NextHop {
    /// The only next hop.
    pub fn new(address: impl Into<IpAddr>, interface: Option<String>) -> Self {
        Self { address: address.into(), interface, weight: 1, backup: false }
    }
}
