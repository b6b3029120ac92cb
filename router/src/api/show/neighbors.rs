//! Neighbours that packets are sent to.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sidewinder_dataplane::fib::nexthop::State;

use super::mac;
use crate::control::daemon::Daemon;

/// A neighbour that packets are sent to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Neighbor {
    /// Its address.
    pub address: IpAddr,
    /// The interface it is on.
    pub interface: String,
    /// Its Ethernet address.
    pub mac: Option<String>,
    /// `up`, `unresolved` or `down`.
    pub state: String,
    /// Whether the file gives its Ethernet address.
    pub fixed: bool,
}

/// The neighbours that packets are sent to.
pub fn neighbors(daemon: &Daemon) -> Vec<Neighbor> {
    let ports = &daemon.control.ports;
    let mut shown: Vec<_> = daemon
        .control
        .nexthops
        .iter()
        .map(|(port, address, state)| Neighbor {
            address,
            interface: ports.get(port).map_or_else(String::new, |port| port.name.to_string()),
            mac: ports.mac_of(port, address).map(mac),
            state: match state {
                State::Up => "up",
                State::Unresolved => "unresolved",
                State::Down => "down",
            }
            .into(),
            fixed: ports.is_fixed(port, address),
        })
        .collect();
    shown.sort_by(|a, b| (&a.interface, a.address).cmp(&(&b.interface, b.address)));
    shown
}
