//! Keeps the XDP programs' maps equal to what the control thread knows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use sidewinder_config::Steer as Mode;
use sidewinder_dataplane::port::xdp::steer::{Steer, SteerMode};

use super::rib::{Key, Source, Target};
use super::{Control, is_external};

/// The steer programs of all interfaces, and what is in their maps.
#[derive(Debug)]
pub struct Steering {
    /// One per interface, in the order of the file.
    pub programs: Vec<Steer>,
    /// What is in the maps of each.
    maps: Vec<Maps>,
    ipv4: bool,
}

/// What is in the maps of a program.
#[derive(Debug, Default)]
struct Maps {
    hosts: BTreeSet<IpAddr>,
    steered: BTreeSet<IpNet>,
}

impl Steering {
    /// Attaches a program to every interface. Packets still take their usual way, until sockets
    /// are registered.
    pub fn attach(control: &Control) -> anyhow::Result<Self> {
        let programs = control
            .config
            .interfaces
            .iter()
            .map(|interface| {
                let mode = match interface.steer {
                    _ if interface.policy.is_some() => SteerMode::Frames,
                    Mode::All => SteerMode::All,
                    Mode::Sids => SteerMode::Sids,
                };
                Ok(Steer::attach(&interface.name, mode)?)
            })
            .collect::<anyhow::Result<_>>()?;
        let maps = control.config.interfaces.iter().map(|_| Maps::default()).collect();
        let mut steering = Self { programs, maps, ipv4: false };
        steering.follow(control)?;
        Ok(steering)
    }

    /// Writes what changed into the maps.
    pub fn follow(&mut self, control: &Control) -> anyhow::Result<()> {
        let hosts = hosts(control);
        let steered = steered(control);
        let ipv4 = control.rib.iter().any(|(key, routes)| {
            matches!(key.prefix, IpNet::V4(_))
                && routes.first().is_some_and(|best| best.source == Source::Static)
        });
        let blocks = control.blocks();
        let interfaces = &control.config.interfaces;
        for ((program, maps), interface) in
            self.programs.iter_mut().zip(&mut self.maps).zip(interfaces)
        {
            let (mut hosts, mut steered) = (hosts.clone(), steered.clone());
            if is_external(interface) {
                // What is for a SID block from there must come here, where it is dropped.
                hosts.retain(|host| !blocks.iter().any(|block| is_in(*host, block)));
                steered.extend(blocks.iter().map(|block| IpNet::V6(*block)));
            }
            for (address, own) in changes(&maps.hosts, &hosts) {
                program.set_host(*address, own)?;
            }
            for (prefix, ours) in changes(&maps.steered, &steered) {
                program.set_steered(prefix.network(), prefix.prefix_len(), ours)?;
            }
            if ipv4 != self.ipv4 {
                program.set_ipv4(ipv4)?;
            }
            *maps = Maps { hosts, steered };
        }
        self.ipv4 = ipv4;
        Ok(())
    }
}

fn is_in(host: IpAddr, block: &Ipv6Net) -> bool {
    matches!(host, IpAddr::V6(host) if block.contains(&host))
}

/// What was added (`true`) and what is gone (`false`).
fn changes<'a, T: Ord>(
    old: &'a BTreeSet<T>,
    new: &'a BTreeSet<T>,
) -> impl Iterator<Item = (&'a T, bool)> {
    let added = new.difference(old).map(|item| (item, true));
    added.chain(old.difference(new).map(|item| (item, false)))
}

/// The host's own addresses and its IPv4 subnets' broadcast addresses, except what is a local SID.
fn hosts(control: &Control) -> BTreeSet<IpAddr> {
    let broadcasts = control.ports.connected().keys().filter_map(|key| match key.prefix {
        IpNet::V4(prefix) if prefix.prefix_len() < 31 => Some(IpAddr::V4(prefix.broadcast())),
        _ => None,
    });
    let own = control.ports.own_addresses().iter().copied();
    own.chain(broadcasts)
        .filter(|address| {
            let key = Key { table: Key::MAIN, prefix: (*address).into() };
            !matches!(control.rib.best(&key).map(|best| &best.target), Some(Target::Sid(_)))
        })
        .collect()
}

/// Local SIDs and the prefixes that policies steer.
fn steered(control: &Control) -> BTreeSet<IpNet> {
    control
        .rib
        .iter()
        .filter(|(_, routes)| {
            routes
                .first()
                .is_some_and(|best| matches!(best.target, Target::Sid(_) | Target::Policy(_)))
        })
        .map(|(key, _)| key.prefix)
        .collect()
}
