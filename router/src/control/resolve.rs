//! Next hops: from an address to the neighbours that it means.
//!
//! A next hop is on the interface that it names, or on the one whose prefix covers its address. One
//! that is on no link of ours is where the route that covers it leads, and so on. Who depends on
//! which address is noted ([`Trackers`]), so that a change of the route below is a change of all
//! that rests on it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use super::Control;
use super::nexthops::{Member, Members};
use super::rib::{Hop, Key, Target};

/// Routes that may rest on one another.
const MAX_DEPTH: usize = 8;

/// Parts that a share is divided into.
const FINE: u64 = 256;

/// What next hops come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Neighbours, at least one.
    Members(Members),
    /// The route that covers the only next hop leads into a policy.
    Policy(Target),
    /// Nowhere that is known.
    Nowhere,
}

/// Which prefixes depend on where an address is.
#[derive(Debug, Default)]
pub struct Trackers(BTreeMap<IpAddr, BTreeSet<Key>>);

impl Trackers {
    /// Notes that a prefix depends on these addresses.
    pub fn add(&mut self, key: Key, addresses: &[IpAddr]) {
        for address in addresses {
            self.0.entry(*address).or_default().insert(key);
        }
    }

    /// Takes back what [`add`](Self::add) noted.
    pub fn remove(&mut self, key: &Key, addresses: &[IpAddr]) {
        for address in addresses {
            if let Some(keys) = self.0.get_mut(address) {
                keys.remove(key);
                if keys.is_empty() {
                    self.0.remove(address);
                }
            }
        }
    }

    /// Every prefix that depends on an address.
    pub fn all(&self) -> impl Iterator<Item = Key> {
        self.0.values().flatten().copied()
    }

    /// Adds to a list of prefixes those that depend on one of them.
    pub fn close(&self, mut keys: Vec<Key>) -> Vec<Key> {
        if self.0.is_empty() {
            return keys;
        }
        let mut seen: HashSet<Key> = keys.iter().copied().collect();
        let mut next = 0;
        while let Some(key) = keys.get(next) {
            next += 1;
            // No next hop is resolved by the default route.
            if key.prefix.prefix_len() == 0 {
                continue;
            }
            let covered = key.prefix.network()..=key.prefix.broadcast();
            let dependent: Vec<Key> = self
                .0
                .range(covered)
                .flat_map(|(_, keys)| keys)
                .filter(|key| seen.insert(**key))
                .copied()
                .collect();
            keys.extend(dependent);
        }
        keys
    }
}

/// Addresses whose place is to be found.
pub fn floating(hops: &[Hop]) -> Vec<IpAddr> {
    hops.iter().filter(|hop| hop.interface.is_none()).map(|hop| hop.address).collect()
}

impl Control {
    /// Where next hops of a route to `key` are.
    pub(super) fn resolve(&self, table: u32, hops: &[Hop], key: &Key) -> Resolved {
        self.resolve_at(table, hops, key, 0)
    }

    fn resolve_at(&self, table: u32, hops: &[Hop], key: &Key, depth: usize) -> Resolved {
        let mut found: Vec<(&Hop, Members)> = Vec::with_capacity(hops.len());
        for hop in hops {
            match self.resolve_hop(table, hop, key, depth) {
                resolved @ (Resolved::Members(_) | Resolved::Policy(_)) if hops.len() == 1 => {
                    return resolved;
                }
                Resolved::Members(members) => found.push((hop, members)),
                Resolved::Policy(_) | Resolved::Nowhere => {}
            }
        }
        // A hop's share is divided among the neighbours that it means.
        let scale = if found.iter().all(|(_, members)| members.len() == 1) { 1 } else { FINE };
        let members: Members = found
            .into_iter()
            .flat_map(|(hop, members)| {
                let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
                members.into_iter().map(move |member| {
                    let part = u64::from(hop.weight) * scale * u64::from(member.weight);
                    let part = part / total.max(1);
                    let weight = u32::try_from(part).unwrap_or(u32::MAX).max(1);
                    Member { weight, backup: member.backup || hop.backup, ..member }
                })
            })
            .collect();
        if members.is_empty() { Resolved::Nowhere } else { Resolved::Members(members) }
    }

    fn resolve_hop(&self, table: u32, hop: &Hop, key: &Key, depth: usize) -> Resolved {
        let Hop { address, weight, backup, .. } = *hop;
        let on = |port| Resolved::Members(vec![Member { port, address, weight, backup }]);
        let linked = self.ports.of_hop(hop, table);
        if hop.interface.is_some() {
            return linked.map_or(Resolved::Nowhere, on);
        }
        if let Some(port) = linked
            && self.ports.get(port).is_some_and(|port| port.up)
        {
            return on(port);
        }
        // Not by itself, nor by the default route, which leads to everywhere.
        let fits = |other: &Key| other != key && other.prefix.prefix_len() > 0;
        let beneath = self.rib.longest(table, hop.address, fits);
        let resolved = match beneath.map(|(key, _, route)| (key, &route.opinion.target)) {
            Some((_, Target::OnLink(interface))) => {
                self.ports.by_name(interface).map_or(Resolved::Nowhere, on)
            }
            Some((key, Target::Via(hops))) if depth < MAX_DEPTH => {
                self.resolve_at(table, hops, &key, depth + 1)
            }
            Some((_, target @ (Target::Policy(_) | Target::Colored(..) | Target::Encap(_)))) => {
                Resolved::Policy(target.clone())
            }
            _ => Resolved::Nowhere,
        };
        match (resolved, linked) {
            // There is no way round the link that is down.
            (Resolved::Nowhere, Some(port)) => on(port),
            (resolved, _) => resolved,
        }
    }
}
