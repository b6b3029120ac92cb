//! The RIB: every source's opinion on every prefix, and which of them wins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use ipnet::{IpNet, Ipv6Net};
use sidewinder_dataplane::fib::entry::Discard;

/// Who says where a prefix leads. The order settles ties between equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A local SID.
    Sid,
    /// Addresses of our interfaces.
    Connected,
    /// The configuration file.
    Static,
    /// Neighbours that were found on our links.
    Neighbor,
}

impl Source {
    /// The administrative distance, as in FRR: the lowest wins.
    pub const fn distance(self) -> u8 {
        match self {
            Self::Sid | Self::Connected => 0,
            Self::Static => 1,
            // Whatever a source says of a single address was said on purpose.
            Self::Neighbor => 254,
        }
    }

    /// Its name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sid => "sid",
            Self::Connected => "connected",
            Self::Static => "static",
            Self::Neighbor => "neighbor",
        }
    }
}

/// A prefix of a table, which is numbered as in Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The table.
    pub table: u32,
    /// The prefix.
    pub prefix: IpNet,
}

/// A neighbour that packets are sent through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// The neighbour.
    pub address: IpAddr,
    /// The interface it is on; `None`: the one whose prefix covers the address.
    pub interface: Option<String>,
    /// Share of the flows, relative to the other hops.
    pub weight: u32,
}

/// Where a prefix leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To a local SID's behavior.
    Sid(Ipv6Net),
    /// Into a policy.
    Policy(String),
    /// Through neighbours.
    Via(Vec<Hop>),
    /// To neighbours on this interface, which the kernel finds.
    OnLink(String),
    /// To the host.
    Host,
    /// To nobody.
    Discard(Discard),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => write!(f, "sid {sid}"),
            Self::Policy(name) => write!(f, "policy {name}"),
            Self::Via(hops) => {
                for (index, hop) in hops.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}via {}", hop.address)?;
                    if let Some(interface) = &hop.interface {
                        write!(f, " dev {interface}")?;
                    }
                    if hops.len() > 1 {
                        write!(f, " weight {}", hop.weight)?;
                    }
                }
                Ok(())
            }
            Self::OnLink(interface) => write!(f, "dev {interface}"),
            Self::Host => f.write_str("host"),
            Self::Discard(Discard::Blackhole) => f.write_str("blackhole"),
            Self::Discard(Discard::Unreachable) => f.write_str("unreachable"),
            Self::Discard(Discard::Prohibit) => f.write_str("prohibit"),
        }
    }
}

/// One source's opinion on a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Whose opinion.
    pub source: Source,
    /// Where the prefix leads.
    pub target: Target,
    /// Since when.
    pub since: Instant,
}

/// What a source says, as a whole.
pub type Routes = BTreeMap<Key, Target>;

/// All opinions, and the prefixes whose best one may have changed.
#[derive(Debug, Default)]
pub struct Rib {
    routes: BTreeMap<Key, Vec<Route>>,
    dirty: BTreeSet<Key>,
}

impl Rib {
    /// Replaces all that a source said before. What stays the same keeps its age.
    pub fn replace(&mut self, source: Source, routes: &Routes, now: Instant) {
        let gone: Vec<Key> = self
            .routes
            .iter()
            .filter(|(key, opinions)| {
                !routes.contains_key(key) && opinions.iter().any(|route| route.source == source)
            })
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            self.withdraw(source, key);
        }
        for (key, target) in routes {
            self.announce(source, *key, target, now);
        }
    }

    fn announce(&mut self, source: Source, key: Key, target: &Target, now: Instant) {
        let opinions = self.routes.entry(key).or_default();
        match opinions.iter_mut().find(|route| route.source == source) {
            Some(route) if route.target == *target => return,
            Some(route) => {
                route.target = target.clone();
                route.since = now;
            }
            None => {
                opinions.push(Route { source, target: target.clone(), since: now });
                opinions.sort_by_key(|route| (route.source.distance(), route.source));
            }
        }
        self.dirty.insert(key);
    }

    fn withdraw(&mut self, source: Source, key: Key) {
        if let Some(opinions) = self.routes.get_mut(&key) {
            opinions.retain(|route| route.source != source);
            if opinions.is_empty() {
                self.routes.remove(&key);
            }
            self.dirty.insert(key);
        }
    }

    /// The opinion that wins.
    pub fn best(&self, key: &Key) -> Option<&Route> {
        self.routes.get(key)?.first()
    }

    /// Every opinion on every prefix, the winner first.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &[Route])> {
        self.routes.iter().map(|(key, opinions)| (key, &opinions[..]))
    }

    /// The prefixes whose best route may have changed since the last call.
    pub fn take_dirty(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.dirty)
    }

    /// Marks the prefixes whose best route `concerned` holds for.
    pub fn touch(&mut self, concerned: impl Fn(&Target) -> bool) {
        let touched = self
            .routes
            .iter()
            .filter(|(_, opinions)| opinions.first().is_some_and(|best| concerned(&best.target)))
            .map(|(key, _)| *key);
        self.dirty.extend(touched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(prefix: &str) -> Key {
        Key { table: 254, prefix: prefix.parse().unwrap() }
    }

    fn routes(entries: &[(&str, Target)]) -> Routes {
        entries.iter().map(|(prefix, target)| (key(prefix), target.clone())).collect()
    }

    #[test]
    fn the_lowest_distance_wins() {
        let mut rib = Rib::default();
        let now = Instant::now();
        let blackhole = Target::Discard(Discard::Blackhole);
        rib.replace(Source::Static, &routes(&[("fc00::/48", blackhole.clone())]), now);
        rib.replace(Source::Connected, &routes(&[("fc00::/48", Target::Host)]), now);
        assert_eq!(rib.best(&key("fc00::/48")).unwrap().target, Target::Host);
        assert_eq!(rib.take_dirty().len(), 1);
        rib.replace(Source::Connected, &Routes::new(), now);
        assert_eq!(rib.best(&key("fc00::/48")).unwrap().target, blackhole);
        rib.replace(Source::Static, &Routes::new(), now);
        assert!(rib.best(&key("fc00::/48")).is_none());
        assert_eq!(rib.take_dirty().len(), 1);
    }

    #[test]
    fn what_stays_the_same_is_not_touched() {
        let mut rib = Rib::default();
        let before = Instant::now();
        let said = routes(&[("fc00::/48", Target::Host), ("fc01::/48", Target::Host)]);
        rib.replace(Source::Static, &said, before);
        rib.take_dirty();
        rib.replace(Source::Static, &said, Instant::now());
        assert!(rib.take_dirty().is_empty());
        assert_eq!(rib.best(&key("fc00::/48")).unwrap().since, before);
    }
}
