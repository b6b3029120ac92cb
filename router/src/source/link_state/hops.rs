//! First hops of the topology, found among our interfaces.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use sidewinder_linkstate::spf::FirstHop;
use sidewinder_linkstate::ted::Ted;

use crate::control::ports::Ports;
use crate::control::rib::Hop;
use crate::kernel::View;

/// Where a first hop is: an interface of ours, and the router's addresses on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// The interface; `None` if none of ours is it.
    pub(super) interface: Option<Arc<str>>,
    v6: Option<Ipv6Addr>,
    v4: Option<std::net::Ipv4Addr>,
}

impl Place {
    /// The next hop of a route to `prefix`; `None` where no address of the router is known.
    pub(super) fn hop(&self, prefix: &IpNet) -> Option<Hop> {
        let (v6, v4) = (self.v6.map(IpAddr::V6), self.v4.map(IpAddr::V4));
        let address = match prefix {
            IpNet::V6(_) => v6?,
            // A router without IPv4 addresses on the link is reached by its IPv6 one (RFC 8950).
            IpNet::V4(_) => v4.or(v6)?,
        };
        let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if link_local && self.interface.is_none() {
            return None;
        }
        Some(Hop::new(address, self.interface.clone()))
    }

    /// The router's IPv6 address.
    pub(super) fn v6(&self) -> Option<Ipv6Addr> {
        self.v6
    }
}

/// What is known of where first hops are.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By first hop, and our identifier of its link.
    known: HashMap<(FirstHop, Option<u32>), Place>,
    links: Links,
    /// Some were forgotten.
    unsure: bool,
}

/// How many first hops are remembered.
const MEMORY: usize = 4096;

/// What of the kernel's view decides where a first hop is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Links {
    /// Our interfaces, by the kernel's index.
    names: HashMap<u32, Arc<str>>,
    /// Addresses, with the prefix that is on the link, and the index of the interface.
    addresses: Vec<(IpAddr, IpNet, u32)>,
    /// Link-local addresses of neighbours.
    neighbours: Vec<(u32, Ipv6Addr)>,
}

impl Places {
    /// Takes a new view of the kernel, and says whether first hops may be elsewhere now.
    pub(super) fn observe(&mut self, view: &View, ports: &Ports) -> bool {
        let links = Links::new(view, ports);
        if links == self.links {
            return false;
        }
        self.links = links;
        let Self { known, links, unsure } = self;
        let mut moved = std::mem::take(unsure);
        for ((hop, identifier), place) in known.iter_mut() {
            let now = links.find(hop, *identifier);
            moved |= now != *place;
            *place = now;
        }
        moved
    }

    /// The interface of a first hop.
    pub(super) fn interface(&self, ted: &Ted, hop: &FirstHop) -> Option<Arc<str>> {
        self.links.find(hop, identifier(ted, hop)).interface
    }

    /// Where a first hop is.
    pub(super) fn of(&mut self, ted: &Ted, hop: &FirstHop) -> &Place {
        let Self { known, links, unsure } = self;
        if known.len() > MEMORY {
            known.clear();
            *unsure = true;
        }
        let identifier = identifier(ted, hop);
        known.entry((*hop, identifier)).or_insert_with(|| links.find(hop, identifier))
    }
}

/// Our identifier of a first hop's link.
fn identifier(ted: &Ted, hop: &FirstHop) -> Option<u32> {
    Some(ted.link(hop.link)?.descriptor.identifiers?.0)
}

impl Links {
    fn new(view: &View, ports: &Ports) -> Self {
        let ours = ports.iter().filter_map(|(_, port)| Some((port.index?, Arc::clone(&port.name))));
        let names: HashMap<u32, Arc<str>> = ours.collect();
        let addresses = view
            .addresses
            .keys()
            .filter(|key| names.contains_key(&key.link))
            .filter_map(|key| {
                let net = IpNet::new(key.peer.unwrap_or(key.ip), key.prefix_len).ok()?;
                Some((key.ip, net.trunc(), key.link))
            })
            .collect();
        let link_local = |ip: &IpAddr| match ip {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(*v6),
            _ => None,
        };
        let neighbours = view
            .neighbours
            .iter()
            .filter(|((link, _), neighbour)| names.contains_key(link) && neighbour.usable)
            .filter_map(|((link, ip), _)| Some((*link, link_local(ip)?)))
            .collect();
        Self { names, addresses, neighbours }
    }

    /// By our own address on the link, by the prefix that the router's address is in, and last by
    /// the link's identifier, which on Linux is the interface's index.
    fn find(&self, hop: &FirstHop, identifier: Option<u32>) -> Place {
        let own = [hop.ipv6_local.map(IpAddr::V6), hop.ipv4_local.map(IpAddr::V4)];
        let theirs = [hop.ipv6.map(IpAddr::V6), hop.ipv4.map(IpAddr::V4)];
        let addressed = own.iter().chain(&theirs).any(Option::is_some);
        let is_ours = |address: IpAddr| {
            self.addresses.iter().find(|(own, ..)| *own == address).map(|(.., link)| *link)
        };
        let covers = |address: IpAddr| {
            let on = self.addresses.iter().filter(|(_, net, _)| {
                net.contains(&address) && net.prefix_len() > 10 && net.prefix_len() < 128
            });
            on.max_by_key(|(_, net, _)| net.prefix_len()).map(|(.., link)| *link)
        };
        let global =
            |address: &IpAddr| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let link = own
            .into_iter()
            .flatten()
            .find_map(is_ours)
            .or_else(|| theirs.into_iter().flatten().filter(global).find_map(covers));
        let link =
            link.or_else(|| identifier.filter(|id| !addressed && self.names.contains_key(id)));
        let v6 = hop.ipv6.or_else(|| self.only_neighbour(link?));
        let interface = link.and_then(|link| self.names.get(&link).cloned());
        Place { interface, v6, v4: hop.ipv4 }
    }

    /// The one router on a link whose addresses the topology does not tell.
    fn only_neighbour(&self, link: u32) -> Option<Ipv6Addr> {
        let mut on = self.neighbours.iter().filter(|(at, _)| *at == link).map(|(_, ip)| *ip);
        on.next().filter(|_| on.next().is_none())
    }
}
