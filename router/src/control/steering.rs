//! Keeps the XDP programs' maps equal to what the control thread knows.
//!
//! A prefix is ours where it leads to a SID or into a policy (which matters to programs that take
//! nothing else), and the kernel's where its best route says so. The longest prefix counts, and
//! the maps hold no prefixes but these; so a prefix that is the kernel's is in them only where
//! nothing else is beneath it. Otherwise its packets come to the workers, who punt them.
//!
//! On the border of the SR domain, all of the SID blocks is ours: it comes to the workers, who drop
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::Context as _;
use ipnet::{IpNet, Ipv6Net};
use sidewinder_config::Steer as Mode;
use sidewinder_dataplane::port::promiscuous::Promiscuous;
use sidewinder_dataplane::port::xdp::steer::{Owner, Steer, SteerMode};

use super::rib::{Key, Rib, Target};
use super::{Control, is_external};

/// The steer programs of all interfaces, and what is in their maps.
#[derive(Debug)]
pub struct Steering {
    /// One per interface, in the order of the file.
    pub programs: Vec<Steer>,
    /// Interfaces whose frames are cargo for the other end of a wire, whomever they are for.
    _wires: Vec<Promiscuous>,
    /// What each has been told.
    told: Vec<Told>,
    ipv4: bool,
    encapsulates: bool,
}

impl Steering {
    /// Attaches a program to every interface. Packets still take their usual way, until sockets
    /// are registered.
    pub fn attach(control: &mut Control) -> anyhow::Result<Self> {
        let programs = control
            .config
            .interfaces
            .iter()
            .map(|interface| {
                let mode = match interface.steer {
                    _ if control.config.takes_frames(interface) => SteerMode::Frames,
                    Mode::All => SteerMode::All,
                    Mode::Sids => SteerMode::Sids,
                };
                Ok(Steer::attach(&interface.name, mode)?)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let wires = control
            .config
            .interfaces
            .iter()
            .filter(|interface| control.config.takes_frames(interface))
            .map(|interface| {
                Promiscuous::new(&interface.name).with_context(|| {
                    format!("{} cannot be made to take frames to every address", interface.name)
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let told = programs.iter().map(|_| Told::default()).collect();
        let mut steering = Self { programs, _wires: wires, told, ipv4: false, encapsulates: false };
        steering.follow(control)?;
        Ok(steering)
    }

    /// Writes what changed into the maps.
    pub fn follow(&mut self, control: &mut Control) -> anyhow::Result<()> {
        let dirty = std::mem::take(&mut control.steer.dirty);
        let hosts = hosts(control);
        let ipv4 = control.ipv4_routes > 0 || control.rules_want_ipv4();
        let encapsulates = !control.policies.is_empty();
        let interfaces = &control.config.interfaces;
        let all_blocks =
            if interfaces.iter().any(is_external) { control.blocks() } else { BTreeSet::new() };
        let none = BTreeSet::new();
        for ((index, program), told) in self.programs.iter_mut().enumerate().zip(&mut self.told) {
            let table = control.ports.get(index as u16).map_or(Key::MAIN, |port| port.table);
            let some_left = told.left > 0;
            let external = interfaces.get(index).is_some_and(is_external);
            let blocks = if external { &all_blocks } else { &none };
            let mut hosts = hosts.clone();
            hosts.retain(|host| !blocks.iter().any(|block| is_in(*host, block)));
            for address in hosts.difference(&told.hosts) {
                program.set_host(*address, true)?;
            }
            let mut dirty = dirty.clone();
            if told.blocks != *blocks {
                // What is beneath them may be the kernel's now, or not any more.
                dirty.extend(told.blocks.symmetric_difference(blocks).map(|net| IpNet::V6(*net)));
                dirty.extend(control.steer.prefixes());
                told.blocks.clone_from(blocks);
            }
            for prefix in &dirty {
                let owner = match control.steer.owner(*prefix, table, &control.rib) {
                    None if is_block(prefix, blocks) => Some(Owner::Ours),
                    Some(_) if is_beneath(prefix, blocks) => Some(Owner::Ours),
                    owner => owner,
                };
                if told.note(*prefix, owner) {
                    program.set_owner(prefix.network(), prefix.prefix_len(), owner)?;
                }
            }
            for address in told.hosts.difference(&hosts) {
                program.set_host(*address, false)?;
            }
            told.hosts = hosts;
            // Where none is, packets are not looked up for it.
            if (told.left > 0) != some_left {
                program.set_some_left(told.left > 0)?;
            }
            if ipv4 != self.ipv4 {
                program.set_ipv4(ipv4)?;
            }
            if encapsulates != self.encapsulates {
                program.set_encapsulates(encapsulates)?;
            }
        }
        self.ipv4 = ipv4;
        self.encapsulates = encapsulates;
        Ok(())
    }
}

fn is_in(host: IpAddr, block: &Ipv6Net) -> bool {
    matches!(host, IpAddr::V6(host) if block.contains(&host))
}

fn is_block(prefix: &IpNet, blocks: &BTreeSet<Ipv6Net>) -> bool {
    matches!(prefix, IpNet::V6(prefix) if blocks.contains(prefix))
}

fn is_beneath(prefix: &IpNet, blocks: &BTreeSet<Ipv6Net>) -> bool {
    matches!(prefix, IpNet::V6(prefix) if blocks.iter().any(|block| block.contains(prefix)))
}

/// What a program has been told of prefixes.
#[derive(Debug, Default)]
struct Told {
    hosts: BTreeSet<IpAddr>,
    /// The blocks that are ours on the border.
    blocks: BTreeSet<Ipv6Net>,
    owners: BTreeMap<IpNet, Owner>,
    /// How many of them are the kernel's.
    left: usize,
}

impl Told {
    /// Notes whose a prefix is; says whether that is news.
    fn note(&mut self, prefix: IpNet, owner: Option<Owner>) -> bool {
        let before = match owner {
            Some(owner) => self.owners.insert(prefix, owner),
            None => self.owners.remove(&prefix),
        };
        self.left += usize::from(owner == Some(Owner::Kernel));
        self.left -= usize::from(before == Some(Owner::Kernel));
        before != owner
    }
}

/// On which side of the steer programs a prefix is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A SID, or steered into a policy.
    Ours,
    /// Left to the kernel.
    Left,
    /// Anything else: forwarded, say.
    Other,
}

impl Side {
    /// The side of a route.
    pub(super) fn of(target: &Target) -> Self {
        match target {
            Target::Sid(_)
            | Target::Binding(..)
            | Target::Policy(_)
            | Target::Colored(..)
            | Target::Encap(_) => Self::Ours,
            Target::Kernel(_) => Self::Left,
            Target::Via(_) | Target::OnLink(_) | Target::Host | Target::Discard(_) => Self::Other,
        }
    }
}

/// The prefixes that the programs are told of, and those to tell them of.
#[derive(Debug, Default)]
pub(super) struct Sides {
    /// Prefixes that are ours or left, by table.
    sides: BTreeMap<(IpNet, u32), Side>,
    /// How many are left to the kernel; and how many of each length.
    left: usize,
    left_by_length: BTreeMap<u8, usize>,
    dirty: BTreeSet<IpNet>,
}

impl Sides {
    /// Notes the side of a prefix; `None`: there is no route to it any more.
    pub(super) fn note(&mut self, key: &Key, side: Option<Side>) {
        let place = (key.prefix, key.table);
        let len = key.prefix.prefix_len();
        let before = match side {
            Some(side @ (Side::Ours | Side::Left)) => self.sides.insert(place, side),
            Some(Side::Other) | None => self.sides.remove(&place),
        };
        for (side, one) in [(before, -1_isize), (side, 1)] {
            if side == Some(Side::Left) {
                self.left = self.left.saturating_add_signed(one);
                let count = self.left_by_length.entry(len).or_default();
                *count = count.saturating_add_signed(one);
            }
        }
        if before != side.filter(|side| *side != Side::Other) {
            self.dirty.insert(key.prefix);
        }
        // What is over it may be told of now, or not any more.
        for (shorter, _) in self.left_by_length.range(..len).filter(|(_, count)| **count > 0) {
            let Ok(prefix) = IpNet::new(key.prefix.addr(), *shorter) else { continue };
            let prefix = prefix.trunc();
            if self.sides.get(&(prefix, key.table)) == Some(&Side::Left) {
                self.dirty.insert(prefix);
            }
        }
    }

    /// The prefixes that are ours or left.
    fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.sides.keys().map(|(prefix, _)| *prefix)
    }

    /// How many prefixes are left to the kernel.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Whose a prefix is, to the program of an interface with this table.
    fn owner(&self, prefix: IpNet, table: u32, rib: &Rib) -> Option<Owner> {
        let mut sides = self.sides.range((prefix, 0)..=(prefix, u32::MAX));
        if sides.any(|(_, side)| *side == Side::Ours) {
            return Some(Owner::Ours);
        }
        let left = self.sides.get(&(prefix, table)) == Some(&Side::Left);
        let known = |key: Key| self.sides.contains_key(&(key.prefix, key.table));
        (left && rib.beneath(Key { table, prefix }).all(known)).then_some(Owner::Kernel)
    }
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
            !control.sids.contains_key(&key)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use sidewinder_dataplane::fib::entry::Discard;

    use super::super::rib::{LeftToKernel, Opinion, Source};
    use super::*;

    fn set(sides: &mut Sides, rib: &mut Rib, prefix: &str, target: Option<Target>) {
        let key = Key { table: Key::MAIN, prefix: prefix.parse().unwrap() };
        sides.note(&key, target.as_ref().map(Side::of));
        match target {
            Some(target) => {
                let opinion = Opinion::of(Source::Kernel, target);
                rib.announce(Source::Kernel, key, opinion, Instant::now());
            }
            None => rib.withdraw(Source::Kernel, key),
        }
    }

    fn owner(sides: &Sides, rib: &Rib, prefix: &str) -> Option<Owner> {
        sides.owner(prefix.parse().unwrap(), Key::MAIN, rib)
    }

    #[test]
    fn a_prefix_is_left_only_where_nothing_else_is_beneath() {
        let (mut sides, mut rib) = (Sides::default(), Rib::default());
        let kernels = Some(Target::Kernel(LeftToKernel::Flavors));
        set(&mut sides, &mut rib, "::/0", kernels.clone());
        set(&mut sides, &mut rib, "fc00::/16", kernels);
        assert_eq!(owner(&sides, &rib, "::/0"), Some(Owner::Kernel));
        set(&mut sides, &mut rib, "fc00:1::/32", Some(Target::Policy("p".into())));
        assert_eq!(owner(&sides, &rib, "::/0"), Some(Owner::Kernel), "the map has what is beneath");
        assert_eq!(owner(&sides, &rib, "fc00:1::/32"), Some(Owner::Ours));
        sides.dirty.clear();
        let forwarded = Target::Discard(Discard::Blackhole);
        set(&mut sides, &mut rib, "2001:db8::/32", Some(forwarded));
        assert_eq!(owner(&sides, &rib, "::/0"), None);
        assert_eq!(owner(&sides, &rib, "fc00::/16"), Some(Owner::Kernel));
        assert_eq!(sides.dirty, ["::/0".parse().unwrap()].into());
        set(&mut sides, &mut rib, "2001:db8::/32", None);
        assert_eq!(owner(&sides, &rib, "::/0"), Some(Owner::Kernel));
        assert_eq!(sides.left, 2);
        assert_eq!(sides.owner("::/0".parse().unwrap(), 7, &rib), None, "another table");
    }
}
