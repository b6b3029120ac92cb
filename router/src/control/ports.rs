//! The interfaces of the configuration as the kernel has them now, and who is on them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use sidewinder_config::Config;
use sidewinder_dataplane::fib::entry::PortIndex;
use sidewinder_dataplane::frame::MAX_PACKET;
use sidewinder_dataplane::wire::ethernet::{self, Mac};

use super::is_external;
use super::rib::{Hop, Key, Opinion, Routes, Source, Target};
use crate::kernel::View;

/// An interface, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The kernel's name of it.
    pub name: Arc<str>,
    /// The kernel's index; `None` while there is no such interface.
    pub index: Option<u32>,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its MTU in bytes, no more than a frame takes.
    pub mtu: u16,
    /// Whether it is on and has carrier.
    pub up: bool,
    /// Whether there is another interface of that name than at the start, where the sockets are.
    pub replaced: bool,
    /// Number of the table its packets are looked up in.
    pub table: u32,
    /// Whether what leaves by it is looked at once more: SIDs stay in the domain.
    pub watched: bool,
}

/// What is known of the world around: interfaces, addresses, neighbours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    ports: Vec<Port>,
    /// Prefixes on the ports by table, with the port; link-local ones are not among them.
    connected: BTreeMap<Key, PortIndex>,
    /// Addresses of the ports.
    addresses: BTreeSet<(PortIndex, IpAddr)>,
    /// All addresses of the host.
    own: BTreeSet<IpAddr>,
    /// Ethernet addresses of neighbours: of the file, and of the kernel.
    neighbours: BTreeMap<(PortIndex, IpAddr), Mac>,
    /// Those of the file alone: the kernel need not resolve them.
    fixed: BTreeSet<(PortIndex, IpAddr)>,
    /// Neighbours that the kernel looks for and that do not answer.
    failed: BTreeSet<(PortIndex, IpAddr)>,
}

impl Ports {
    /// What the file and the kernel say together. `bound` is the kernel's index of each interface
    /// that sockets were opened on.
    pub fn new(config: &Config, view: &View, bound: &BTreeMap<String, u32>) -> Self {
        let mut found = Self::default();
        for interface in &config.interfaces {
            let link = view.link_named(&interface.name);
            let largest = MAX_PACKET - ethernet::HEADER_LEN;
            let replaced = match (link, bound.get(&interface.name)) {
                (Some(link), Some(index)) => link.index != *index,
                _ => false,
            };
            found.ports.push(Port {
                name: interface.name.as_str().into(),
                index: link.map(|link| link.index),
                mac: link.and_then(|link| link.mac).unwrap_or_default(),
                mtu: link.map_or(0, |link| link.mtu.min(largest as u32)) as u16,
                up: link.is_some_and(|link| link.up) && !replaced,
                replaced,
                table: interface.table.0,
                watched: is_external(interface) && !interface.let_sids_out,
            });
        }
        found.own = view.own_addresses().collect();
        for (key, address) in &view.addresses {
            let Some(port) = found.by_link(key.link) else { continue };
            if address.tentative || is_link_local(key.ip) {
                continue;
            }
            found.addresses.insert((port, key.ip));
            let Ok(prefix) = IpNet::new(key.peer.unwrap_or(key.ip), key.prefix_len) else {
                continue;
            };
            if prefix.prefix_len() < prefix.max_prefix_len() {
                found.connected.insert(found.key(port, prefix.trunc()), port);
            }
        }
        for ((link, ip), neighbour) in &view.neighbours {
            let Some(port) = found.by_link(*link) else { continue };
            match neighbour.mac {
                Some(mac) if neighbour.usable => {
                    found.neighbours.insert((port, *ip), mac);
                }
                // One that is not kept resolved is about to be forgotten, which says nothing of it:
                // the kernel lets go of it first.
                _ if neighbour.managed && !neighbour.usable => {
                    found.failed.insert((port, *ip));
                }
                _ => {}
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

    /// What is different with the ports in `new`, in words.
    pub fn changes(&self, new: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (old, new) in self.ports.iter().zip(&new.ports) {
            let name = &new.name;
            if new.replaced && !old.replaced {
                changes.push(format!(
                    "{name} is another interface than at the start, and is not served: restart"
                ));
            } else if old.up != new.up {
                changes.push(format!("{name} is {}", if new.up { "up" } else { "down" }));
            }
            if old.mac != new.mac {
                changes.push(format!("{name} has another Ethernet address"));
            }
            if old.mtu != new.mtu {
                changes.push(format!("{name} has an MTU of {} bytes", new.mtu));
            }
        }
        changes
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
        self.iter().find(|(_, port)| *port.name == *name).map(|(index, _)| index)
    }

    /// The port of the link with this index of the kernel's.
    pub fn by_link(&self, link: u32) -> Option<PortIndex> {
        self.iter().find(|(_, port)| port.index == Some(link)).map(|(index, _)| index)
    }

    /// A prefix in the table of a port.
    fn key(&self, port: PortIndex, prefix: IpNet) -> Key {
        Key { table: self.get(port).map_or(Key::MAIN, |port| port.table), prefix }
    }

    /// The port that a next hop is on: as it says, or the one whose prefix covers its address, in
    /// `table` if there is one.
    pub fn of_hop(&self, hop: &Hop, table: u32) -> Option<PortIndex> {
        if let Some(name) = &hop.interface {
            return self.by_name(name);
        }
        self.connected
            .iter()
            .filter(|(key, _)| key.prefix.contains(&hop.address))
            .max_by_key(|(key, _)| (key.table == table, key.prefix.prefix_len()))
            .map(|(_, port)| *port)
    }

    /// The Ethernet address of a neighbour, if it is known.
    pub fn mac_of(&self, port: PortIndex, address: IpAddr) -> Option<Mac> {
        self.neighbours.get(&(port, address)).copied()
    }

    /// Whether the kernel looks for the neighbour, and gets no answer.
    pub fn has_failed(&self, port: PortIndex, address: IpAddr) -> bool {
        self.failed.contains(&(port, address))
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
    pub fn connected(&self) -> &BTreeMap<Key, PortIndex> {
        &self.connected
    }

    /// A global IPv6 address of one of the ports: the source of ICMPv6 errors where the file names
    /// none (RFC 4443, section 2.2).
    pub fn some_address(&self) -> Option<Ipv6Addr> {
        self.addresses.iter().find_map(|(_, address)| match address {
            IpAddr::V6(address) => Some(*address),
            IpAddr::V4(_) => None,
        })
    }

    /// An IPv4 address of one of the ports: the source of ICMPv4 errors.
    pub fn some_address_v4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|(_, address)| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
    }

    /// The routes that follow from addresses: the prefixes on the ports, and the host's own
    /// addresses; those of a port in its table, and all of them in the main table.
    pub fn connected_routes(&self) -> Routes {
        let mut routes = Routes::new();
        let opinion = |target| Opinion::of(Source::Connected, target);
        for (key, port) in &self.connected {
            if let Some(found) = self.get(*port)
                && found.up
            {
                routes.insert(*key, opinion(Target::OnLink(Arc::clone(&found.name))));
            }
        }
        for address in &self.own {
            if !is_link_local(*address) && !address.is_loopback() {
                let key = Key { table: Key::MAIN, prefix: (*address).into() };
                routes.insert(key, opinion(Target::Host));
            }
        }
        for (port, address) in &self.addresses {
            routes.insert(self.key(*port, (*address).into()), opinion(Target::Host));
        }
        routes
    }

    /// The routes that follow from neighbours: each that is known, in the prefixes that are on its
    /// link. Those are the prefixes of addresses, and `on_link`.
    pub fn neighbour_routes(&self, on_link: &BTreeMap<Key, PortIndex>) -> Routes {
        let mut routes = Routes::new();
        let both = [&self.connected, on_link];
        let tables: BTreeSet<u32> =
            both.iter().flat_map(|on| on.keys().map(|key| key.table)).collect();
        let lengths: BTreeSet<u8> =
            both.iter().flat_map(|on| on.keys().map(|key| key.prefix.prefix_len())).collect();
        for (port, address) in self.neighbours.keys() {
            let Some(found) = self.get(*port).filter(|found| found.up) else { continue };
            for table in &tables {
                let on_its_link = lengths.iter().any(|len| {
                    IpNet::new(*address, *len).is_ok_and(|prefix| {
                        let key = Key { table: *table, prefix: prefix.trunc() };
                        both.iter().any(|on| on.get(&key) == Some(port))
                    })
                });
                if on_its_link {
                    let interface = Some(Arc::clone(&found.name));
                    let hop = Hop::new(*address, interface);
                    let key = Key { table: *table, prefix: (*address).into() };
                    let target = Target::Via([hop].into());
                    routes.insert(key, Opinion::of(Source::Neighbor, target));
                }
            }
        }
        routes
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(address) => address.is_unicast_link_local(),
        IpAddr::V4(address) => Ipv4Addr::is_link_local(&address),
    }
}
