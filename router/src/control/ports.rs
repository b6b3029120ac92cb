//! The interfaces of the configuration as the kernel has them now, and who is on them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use sidewinder_config::Config;
use sidewinder_dataplane::fib::entry::PortIndex;
use sidewinder_dataplane::frame::MAX_PACKET;
use sidewinder_dataplane::wire::ethernet::{self, Mac};

use super::rib::{Hop, Key, Routes, Target};
use crate::kernel::View;

/// An interface, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The kernel's name of it.
    pub name: String,
    /// The kernel's index; `None` while there is no such interface.
    pub index: Option<u32>,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its MTU in bytes, no more than a frame takes.
    pub mtu: u16,
    /// Whether it is on and has carrier.
    pub up: bool,
    /// Number of the table its packets are looked up in.
    pub table: u32,
}

/// What is known of the world around: interfaces, addresses, neighbours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    ports: Vec<Port>,
    /// Prefixes on the ports, with the port; link-local ones are not among them.
    connected: BTreeMap<IpNet, PortIndex>,
    /// All addresses of the host.
    own: BTreeSet<IpAddr>,
    /// Ethernet addresses of neighbours: of the file, and of the kernel.
    neighbours: BTreeMap<(PortIndex, IpAddr), Mac>,
    /// Those of the file alone: the kernel need not resolve them.
    fixed: BTreeSet<(PortIndex, IpAddr)>,
}

impl Ports {
    /// What the file and the kernel say together.
    pub fn new(config: &Config, view: &View) -> Self {
        let mut found = Self::default();
        for interface in &config.interfaces {
            let link = view.link_named(&interface.name);
            let largest = MAX_PACKET - ethernet::HEADER_LEN;
            found.ports.push(Port {
                name: interface.name.clone(),
                index: link.map(|link| link.index),
                mac: link.and_then(|link| link.mac).unwrap_or_default(),
                mtu: link.map_or(0, |link| link.mtu.min(largest as u32)) as u16,
                up: link.is_some_and(|link| link.up),
                table: interface.table.0,
            });
        }
        found.own = view.own_addresses().collect();
        for (key, address) in &view.addresses {
            let Some(port) = found.by_link(key.link) else { continue };
            let Ok(prefix) = IpNet::new(key.peer.unwrap_or(key.ip), key.prefix_len) else {
                continue;
            };
            if !address.tentative
                && !is_link_local(key.ip)
                && prefix.prefix_len() < prefix.max_prefix_len()
            {
                found.connected.insert(prefix.trunc(), port);
            }
        }
        for ((link, ip), neighbour) in &view.neighbours {
            if let (Some(port), Some(mac), true) =
                (found.by_link(*link), neighbour.mac, neighbour.usable)
            {
                found.neighbours.insert((port, *ip), mac);
            }
        }
        for neighbor in &config.neighbors {
            if let Some(port) = found.by_name(&neighbor.interface) {
                found.neighbours.insert((port, neighbor.address), neighbor.mac.0);
                found.fixed.insert((port, neighbor.address));
            }
        }
        found
    }

    /// All ports, by index.
    pub fn iter(&self) -> impl Iterator<Item = (PortIndex, &Port)> {
        self.ports.iter().enumerate().map(|(index, port)| (index as PortIndex, port))
    }

    /// The port of this index.
    pub fn get(&self, port: PortIndex) -> Option<&Port> {
        self.ports.get(usize::from(port))
    }

    /// The port of the interface of this name.
    pub fn by_name(&self, name: &str) -> Option<PortIndex> {
        self.iter().find(|(_, port)| port.name == name).map(|(index, _)| index)
    }

    fn by_link(&self, link: u32) -> Option<PortIndex> {
        self.iter().find(|(_, port)| port.index == Some(link)).map(|(index, _)| index)
    }

    /// The port that a next hop is on: as it says, or the one whose prefix covers its address.
    pub fn of_hop(&self, hop: &Hop) -> Option<PortIndex> {
        if let Some(name) = &hop.interface {
            return self.by_name(name);
        }
        self.connected
            .iter()
            .filter(|(prefix, _)| prefix.contains(&hop.address))
            .max_by_key(|(prefix, _)| prefix.prefix_len())
            .map(|(_, port)| *port)
    }

    /// The Ethernet address of a neighbour, if it is known.
    pub fn mac_of(&self, port: PortIndex, address: IpAddr) -> Option<Mac> {
        self.neighbours.get(&(port, address)).copied()
    }

    /// Whether the file gives the neighbour's Ethernet address.
    pub fn is_fixed(&self, port: PortIndex, address: IpAddr) -> bool {
        self.fixed.contains(&(port, address))
    }

    /// All neighbours whose Ethernet address is known.
    pub fn neighbours(&self) -> impl Iterator<Item = (PortIndex, IpAddr, Mac)> {
        self.neighbours.iter().map(|((port, ip), mac)| (*port, *ip, *mac))
    }

    /// All addresses of the host.
    pub fn own_addresses(&self) -> &BTreeSet<IpAddr> {
        &self.own
    }

    /// The prefixes on the ports.
    pub fn connected(&self) -> &BTreeMap<IpNet, PortIndex> {
        &self.connected
    }

    /// A global IPv6 address of one of the ports: the source of ICMP errors where the file names
    /// none (RFC 4443, section 2.2).
    pub fn some_address(&self) -> Option<Ipv6Addr> {
        self.own.iter().find_map(|address| match address {
            IpAddr::V6(address)
                if !address.is_loopback() && !is_link_local(IpAddr::V6(*address)) =>
            {
                Some(*address)
            }
            _ => None,
        })
    }

    /// An IPv4 address of one of the ports, else of the host: the source of ICMPv4 errors.
    pub fn some_address_v4(&self) -> Option<Ipv4Addr> {
        let on_port = |address: &Ipv4Addr| {
            self.connected.keys().any(|prefix| prefix.contains(&IpAddr::V4(*address)))
        };
        let all: Vec<Ipv4Addr> = self
            .own
            .iter()
            .filter_map(|address| match address {
                IpAddr::V4(address) if !address.is_loopback() && !address.is_link_local() => {
                    Some(*address)
                }
                _ => None,
            })
            .collect();
        all.iter().find(|address| on_port(address)).or(all.first()).copied()
    }

    /// The routes that follow from addresses and neighbours: the host's own addresses, the
    /// prefixes on the ports, and each known neighbour in them.
    pub fn routes(&self) -> Routes {
        let mut routes = Routes::new();
        let tables: BTreeSet<u32> =
            self.ports.iter().map(|port| port.table).chain([Key::MAIN]).collect();
        for (prefix, port) in &self.connected {
            let Some(found) = self.get(*port) else { continue };
            if found.up {
                let key = Key { table: found.table, prefix: *prefix };
                routes.insert(key, Target::OnLink(found.name.clone()));
            }
        }
        for (port, address) in self.neighbours.keys() {
            let Some(found) = self.get(*port) else { continue };
            let covered =
                self.connected.iter().any(|(prefix, on)| on == port && prefix.contains(address));
            if found.up && covered {
                let hop = Hop { address: *address, interface: Some(found.name.clone()), weight: 1 };
                let key = Key { table: found.table, prefix: (*address).into() };
                routes.insert(key, Target::Via(vec![hop]));
            }
        }
        for address in &self.own {
            if !is_link_local(*address) && !address.is_loopback() {
                for table in &tables {
                    routes.insert(Key { table: *table, prefix: (*address).into() }, Target::Host);
                }
            }
        }
        routes
    }
}

impl Key {
    /// The number of the main table.
    pub const MAIN: u32 = 254;
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(address) => address.is_unicast_link_local(),
        IpAddr::V4(address) => Ipv4Addr::is_link_local(&address),
    }
}
