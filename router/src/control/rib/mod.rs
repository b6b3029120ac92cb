//! The RIB: every source's opinion on every prefix, and which of them wins.
//!
//! Each source has its own sorted map, so that one source can be replaced, or marked stale and
//! swept, without a look at the others' routes. The best of a prefix is found when it is asked
//! for; what changed is noted, and taken by the control thread in one go.

use std::collections::{BTreeMap, btree_map};
use std::net::IpAddr;
use std::ops::Bound;
use std::time::Instant;

use ipnet::IpNet;

mod place;
mod source;
mod standing;
mod target;
#[cfg(test)]
mod tests;

use place::Place;
pub use source::Source;
pub use standing::Standing;
pub use target::{Hop, LeftToKernel, Target, inline};

/// A prefix of a table, which is numbered as in Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The table.
    pub table: u32,
    /// The prefix.
    pub prefix: IpNet,
}

impl Key {
    /// The number of the main table.
    pub const MAIN: u32 = 254;
}

/// What a source says of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// Administrative distance: between sources, the lowest wins.
    pub distance: u8,
    /// Cost in the source's own terms: the lowest wins.
    pub metric: u32,
    /// Where the prefix leads. Ways of equal cost are one target with several hops.
    pub target: Target,
}

impl Opinion {
    /// An opinion with the source's own distance, and no metric.
    pub const fn of(source: Source, target: Target) -> Self {
        Self { distance: source.distance(), metric: 0, target }
    }
}

/// An opinion, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is said.
    pub opinion: Opinion,
    /// Since when.
    pub since: Instant,
    /// The source has gone since, and this is kept for a while.
    pub stale: bool,
}

/// What a source says, as a whole.
pub type Routes = BTreeMap<Key, Opinion>;

/// Routes of one source, by prefix and metric; of a source with one opinion on a prefix, [`ONLY`].
type Said = BTreeMap<Place, Route>;

/// In the place of the metric where a source has one opinion: that another has another metric does
/// not move it.
const ONLY: u32 = 0;

/// All opinions, and the prefixes whose best one may have changed.
///
/// A source has one opinion on a prefix ([`announce`](Self::announce)), or, like the kernel, one
/// for each metric ([`announce_beside`](Self::announce_beside)), of which the lowest counts; none
/// does both.
#[derive(Debug)]
pub struct Rib {
    said: [Said; Source::ALL.len()],
    stale: [usize; Source::ALL.len()],
    /// Opinions by length of their prefix: IPv6, and IPv4.
    lengths: [[u32; 129]; 2],
    dirty: Vec<Key>,
}

impl Default for Rib {
    fn default() -> Self {
        Self {
            said: Default::default(),
            stale: Default::default(),
            lengths: [[0; 129]; 2],
            dirty: Vec::new(),
        }
    }
}

const fn family(prefix: &IpNet) -> usize {
    match prefix {
        IpNet::V6(_) => 0,
        IpNet::V4(_) => 1,
    }
}

impl Rib {
    /// Replaces all that a source said before. What stays the same keeps its age.
    pub fn replace(&mut self, source: Source, routes: &Routes, now: Instant) {
        let gone: Vec<Key> = self.said[source as usize]
            .keys()
            .map(|place| place.key())
            .filter(|key| !routes.contains_key(key))
            .collect();
        for key in gone {
            self.withdraw(source, key);
        }
        for (key, opinion) in routes {
            self.announce(source, *key, opinion.clone(), now);
        }
    }

    /// Notes a source's one opinion on a prefix, which replaces what it said of it before. An
    /// opinion that was said before is not stale any more.
    pub fn announce(&mut self, source: Source, key: Key, opinion: Opinion, now: Instant) {
        self.note(source, key, ONLY, opinion, now);
    }

    /// Notes an opinion beside those with other metrics that the source has on the prefix.
    pub fn announce_beside(&mut self, source: Source, key: Key, opinion: Opinion, now: Instant) {
        self.note(source, key, opinion.metric, opinion, now);
    }

    fn note(&mut self, source: Source, key: Key, metric: u32, opinion: Opinion, now: Instant) {
        match self.said[source as usize].entry(Place::new(&key, metric)) {
            btree_map::Entry::Occupied(mut found) => {
                let route = found.get_mut();
                if std::mem::take(&mut route.stale) {
                    self.stale[source as usize] -= 1;
                }
                if route.opinion == opinion {
                    return;
                }
                route.opinion = opinion;
                route.since = now;
            }
            btree_map::Entry::Vacant(room) => {
                room.insert(Route { opinion, since: now, stale: false });
                self.lengths[family(&key.prefix)][usize::from(key.prefix.prefix_len())] += 1;
            }
        }
        self.dirty.push(key);
    }

    /// Removes what a source said of a prefix.
    pub fn withdraw(&mut self, source: Source, key: Key) {
        let said = self.said[source as usize].range(Place::all(&key));
        let metrics: Vec<u32> = said.map(|(place, _)| place.metric()).collect();
        for metric in metrics {
            self.withdraw_metric(source, key, metric);
        }
    }

    /// Removes what a source said of a prefix with this metric. Says whether there was something.
    pub fn withdraw_metric(&mut self, source: Source, key: Key, metric: u32) -> bool {
        let place = Place::new(&key, metric);
        let Some(route) = self.said[source as usize].remove(&place) else { return false };
        self.stale[source as usize] -= usize::from(route.stale);
        self.lengths[family(&key.prefix)][usize::from(key.prefix.prefix_len())] -= 1;
        self.dirty.push(key);
        true
    }

    /// Marks all that a source said as stale: it stays in force, until it is
    /// [announced](Self::announce) again or [swept](Self::sweep_stale).
    pub fn mark_stale(&mut self, source: Source) {
        self.mark_stale_where(source, |_| true);
    }

    /// Marks what a source said of some prefixes as stale.
    pub fn mark_stale_where(&mut self, source: Source, concerned: impl Fn(&Key) -> bool) {
        let mut marked = 0;
        for (place, route) in &mut self.said[source as usize] {
            if !route.stale && concerned(&place.key()) {
                route.stale = true;
                marked += 1;
            }
        }
        self.stale[source as usize] += marked;
    }

    /// Removes what is still stale of a source. Says prefix and metric of what that was.
    pub fn sweep_stale(&mut self, source: Source) -> Vec<(Key, u32)> {
        if self.stale[source as usize] == 0 {
            return Vec::new();
        }
        let said = self.said[source as usize].iter().filter(|(_, route)| route.stale);
        let stale: Vec<_> = said.map(|(place, route)| (*place, route.opinion.metric)).collect();
        for (place, _) in &stale {
            self.withdraw_metric(source, place.key(), place.metric());
        }
        stale.into_iter().map(|(place, metric)| (place.key(), metric)).collect()
    }

    /// How many routes a source has, and how many of them are stale.
    pub fn count(&self, source: Source) -> (usize, usize) {
        (self.said[source as usize].len(), self.stale[source as usize])
    }

    /// What a source says of a prefix, the lowest metric first.
    pub fn of(&self, source: Source, key: &Key) -> impl Iterator<Item = &Route> {
        self.said[source as usize].range(Place::all(key)).map(|(_, route)| route)
    }

    /// What a source says of a prefix with this metric.
    pub fn with_metric(&self, source: Source, key: &Key, metric: u32) -> Option<&Route> {
        self.said[source as usize].get(&Place::new(key, metric))
    }

    /// What a source says of a prefix, with the lowest metric, of which this is the place.
    fn first_of(&self, source: Source, lowest: Place) -> Option<&Route> {
        let said = &self.said[source as usize];
        match source {
            _ if said.is_empty() => None,
            Source::Kernel => {
                let (place, route) = said.range(lowest..).next()?;
                place.is_of(lowest).then_some(route)
            }
            // The others have one opinion: that is found quicker.
            _ => said.get(&lowest),
        }
    }

    /// The opinion that wins. Within a source the metric decides (the kernel's own choice among
    /// its routes is followed so, whoever made them); between sources distance, metric, and the
    /// order of [`Source`].
    pub fn best(&self, key: &Key) -> Option<(Source, &Route)> {
        let lowest = Place::new(key, ONLY);
        Source::ALL
            .into_iter()
            .filter_map(|source| Some((source, self.first_of(source, lowest)?)))
            .min_by_key(|(source, route)| (route.opinion.distance, route.opinion.metric, *source))
    }

    /// The longest prefix of a table that covers an address and that `fits`, with its best route.
    pub fn longest(
        &self,
        table: u32,
        address: IpAddr,
        fits: impl Fn(&Key) -> bool,
    ) -> Option<(Key, Source, &Route)> {
        let full = IpNet::from(address);
        let lengths = &self.lengths[family(&full)];
        (0..=full.prefix_len()).rev().filter(|len| lengths[usize::from(*len)] > 0).find_map(|len| {
            let prefix = IpNet::new(address, len).ok()?.trunc();
            let key = Key { table, prefix };
            let (source, route) = self.best(&key).filter(|_| fits(&key))?;
            Some((key, source, route))
        })
    }

    /// The prefixes that cover this one and are shorter, the longest first. They need not be
    /// there.
    pub fn covering(&self, key: Key) -> impl Iterator<Item = Key> {
        let lengths = &self.lengths[family(&key.prefix)];
        (0..key.prefix.prefix_len()).rev().filter(|len| lengths[usize::from(*len)] > 0).filter_map(
            move |len| {
                let prefix = IpNet::new(key.prefix.addr(), len).ok()?.trunc();
                Some(Key { table: key.table, prefix })
            },
        )
    }

    /// The prefixes that this one covers and that are longer; one that several sources know comes
    /// as often.
    pub fn beneath(&self, key: Key) -> impl Iterator<Item = Key> {
        let last = IpNet::from(key.prefix.broadcast());
        let last = Place::new(&Key { table: key.table, prefix: last }, u32::MAX);
        let range = Place::new(&key, 0)..=last;
        self.said
            .iter()
            .flat_map(move |said| said.range(range.clone()).map(|(place, _)| place.key()))
            .filter(move |other| other.prefix.prefix_len() > key.prefix.prefix_len())
    }

    /// Every prefix in order, with every opinion on it, the winner first.
    pub fn iter(&self) -> impl Iterator<Item = (Key, Vec<(Source, &Route)>)> {
        self.behind(None)
    }

    /// The same of the prefixes that come behind one.
    pub fn behind(&self, key: Option<Key>) -> impl Iterator<Item = (Key, Vec<(Source, &Route)>)> {
        let begin = key.map_or(Bound::Unbounded, |key| Bound::Excluded(Place::new(&key, u32::MAX)));
        let range = (begin, Bound::Unbounded);
        let mut sources: Vec<_> = Source::ALL
            .into_iter()
            .map(|source| (source, self.said[source as usize].range(range).peekable()))
            .collect();
        std::iter::from_fn(move || {
            let next = |routes: &mut std::iter::Peekable<btree_map::Range<'_, Place, Route>>| {
                routes.peek().map(|(place, _)| place.key())
            };
            let key = sources.iter_mut().filter_map(|(_, routes)| next(routes)).min()?;
            let mut opinions = Vec::new();
            for (source, routes) in &mut sources {
                let mut place = 0;
                while let Some((_, route)) = routes.next_if(|(other, _)| other.key() == key) {
                    opinions.push((place, *source, route));
                    place += 1;
                }
            }
            // What a source says itself to be second choice is behind everybody's first.
            opinions.sort_by_key(|(place, source, route)| {
                (*place, route.opinion.distance, route.opinion.metric, *source)
            });
            let opinions = opinions.into_iter().map(|(_, source, route)| (source, route));
            Some((key, opinions.collect()))
        })
    }

    /// Notes that something else changed about these prefixes.
    pub fn touch(&mut self, keys: impl Iterator<Item = Key>) {
        self.dirty.extend(keys);
    }

    /// Whether something changed since the last call of [`take_dirty`](Self::take_dirty).
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The prefixes whose best route may have changed since the last call, in order.
    pub fn take_dirty(&mut self) -> Vec<Key> {
        let mut dirty = std::mem::take(&mut self.dirty);
        // Mostly, they come in order.
        dirty.sort();
        dirty.dedup();
        dirty
    }
}
