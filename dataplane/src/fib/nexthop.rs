//! Adjacencies and next-hop groups.

use std::sync::atomic::{AtomicU8, Ordering};

use super::{
    Fib,
    entry::{AdjacencyId, PortIndex},
};
use crate::wire::ethernet::Mac;

/// A neighbour on an interface: all that a packet needs to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Adjacency {
    /// The port it is reached through.
    pub port: PortIndex,
    /// The longest packet in bytes, from the IP header on, that leaves without being looked at once
    /// more; see [`watched`](Self::watched).
    pub mtu: u16,
    /// Destination and source of its frames.
    pub l2: [u8; 12],
}

impl Adjacency {
    /// An adjacency through `port` to `neighbour`.
    pub fn new(port: PortIndex, neighbour: Mac, own: Mac, mtu: u16) -> Self {
        let mut l2 = [0; 12];
        l2[..6].copy_from_slice(&neighbour);
        l2[6..].copy_from_slice(&own);
        Self { port, mtu, l2 }
    }

    /// The same by a port that leads out of the SR domain: all packets are longer than its MTU, and
    /// none is before it was looked at. Others pay nothing for it.
    pub fn watched(port: PortIndex, neighbour: Mac, own: Mac) -> Self {
        Self::new(port, neighbour, own, 0)
    }

    /// Whether each packet is looked at once more.
    pub const fn is_watched(&self) -> bool {
        self.mtu == 0
    }

    /// The longest packet in bytes, from the IP header on.
    pub fn mtu_in(&self, fib: &Fib) -> u16 {
        if !self.is_watched() {
            return self.mtu;
        }
        fib.ports.get(usize::from(self.port)).map_or(0, |port| port.mtu)
    }
}

/// What an adjacency can do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Its link is down, or it is not in use.
    Down = 0,
    /// Its neighbour's address is not known yet.
    Unresolved = 1,
    /// Packets may go there.
    Up = 2,
}

/// The state of every adjacency, by index, shared by all versions of the FIB: one store protects
/// every prefix behind a failed link at once.
#[derive(Debug)]
pub struct Health {
    states: Box<[AtomicU8; Self::CAPACITY]>,
}

impl Health {
    /// Adjacencies there can be at most.
    pub const CAPACITY: usize = 1 << 16;

    /// The state of an adjacency.
    #[inline(always)]
    pub fn state(&self, id: AdjacencyId) -> State {
        match self.states.get(id as usize).map(|state| state.load(Ordering::Relaxed)) {
            Some(2) => State::Up,
            Some(1) => State::Unresolved,
            _ => State::Down,
        }
    }

    /// Whether packets may go there.
    #[inline(always)]
    pub fn is_up(&self, id: AdjacencyId) -> bool {
        self.states
            .get(id as usize)
            .is_some_and(|state| state.load(Ordering::Relaxed) == State::Up as u8)
    }

    /// Sets the state of an adjacency, for all workers at once.
    pub fn set(&self, id: AdjacencyId, state: State) {
        if let Some(slot) = self.states.get(id as usize) {
            slot.store(state as u8, Ordering::Relaxed);
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { states: Box::new([const { AtomicU8::new(State::Down as u8) }; Self::CAPACITY]) }
    }
}

/// Weighted adjacencies that share the traffic, flow by flow, and others that stand in for them when
/// all of them are down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The adjacency, where there is one only; else [`SEVERAL`].
    only: AdjacencyId,
    /// How many of the buckets are the primary ones'.
    primary: u32,
    /// Each adjacency as often as its weight says; behind them the backups likewise.
    buckets: Box<[AdjacencyId]>,
}

/// No adjacency has this number.
const SEVERAL: AdjacencyId = AdjacencyId::MAX;

impl Default for Group {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Group {
    /// Buckets at most; weights are scaled down to fit.
    pub const MAX_BUCKETS: usize = 256;

    /// A group of adjacencies with their weights. Weights of 0 count as 1.
    pub fn new(members: &[(AdjacencyId, u32)]) -> Self {
        Self::with_backups(members, &[])
    }

    /// The same with adjacencies that are used while every member is down.
    pub fn with_backups(members: &[(AdjacencyId, u32)], backups: &[(AdjacencyId, u32)]) -> Self {
        let mut buckets = spread(members);
        let only = if let [only] = *buckets { only } else { SEVERAL };
        let primary = buckets.len() as u32;
        buckets.extend(spread(backups));
        Self { only, primary, buckets: buckets.into() }
    }

    /// The adjacencies, each as often as its weight says.
    pub fn buckets(&self) -> &[AdjacencyId] {
        &self.buckets[..self.primary as usize]
    }

    /// The backups likewise.
    pub fn backups(&self) -> &[AdjacencyId] {
        &self.buckets[self.primary as usize..]
    }

    /// The adjacency for a flow. A member that is down is passed over, and only its own flows
    /// move. `hash` is asked for where there is a choice.
    #[inline(always)]
    pub fn pick(&self, health: &Health, hash: impl FnOnce() -> u32) -> Result<AdjacencyId, State> {
        if health.is_up(self.only) {
            return Ok(self.only);
        }
        if self.only != SEVERAL || self.primary == 0 {
            return self.pick_other(health, hash);
        }
        let hash = hash();
        let first = self.buckets[bucket(hash, self.primary as usize)];
        if health.is_up(first) { Ok(first) } else { self.pick_other(health, || hash) }
    }

    /// A flow whose member is down draws again, evenly over those that are up; where none is, over
    /// the backups.
    #[cold]
    fn pick_other(
        &self,
        health: &Health,
        hash: impl FnOnce() -> u32,
    ) -> Result<AdjacencyId, State> {
        let up = |all: &[AdjacencyId]| all.iter().filter(|id| health.is_up(**id)).count();
        let (all, count) = match up(self.buckets()) {
            0 => (self.backups(), up(self.backups())),
            count => (self.buckets(), count),
        };
        if count > 0 {
            let place = bucket(remix(hash()), count);
            let found = all.iter().filter(|id| health.is_up(**id)).nth(place).or(all.first());
            return found.copied().ok_or(State::Down);
        }
        Err(if self.buckets.iter().any(|id| health.state(*id) == State::Unresolved) {
            State::Unresolved
        } else {
            State::Down
        })
    }
}

/// Each item as often as its weight says, at most [`Group::MAX_BUCKETS`] in all, each at least
/// once.
pub fn spread<T: Copy>(items: &[(T, u32)]) -> Vec<T> {
    if let [(only, _)] = items {
        return vec![*only];
    }
    let total: u64 = items.iter().map(|(_, weight)| u64::from((*weight).max(1))).sum();
    let scale = (total as usize).max(Group::MAX_BUCKETS) as u64;
    let most = Group::MAX_BUCKETS as u64;
    items
        .iter()
        .flat_map(|(item, weight)| {
            let weight = u64::from((*weight).max(1));
            let share = if total <= most { weight } else { (weight * most / scale).max(1) };
            std::iter::repeat_n(*item, share as usize)
        })
        .collect()
}

/// The bucket of a hash: `hash` scaled to `0..count`.
#[inline(always)]
pub fn bucket(hash: u32, count: usize) -> usize {
    ((u64::from(hash) * count as u64) >> 32) as usize
}

fn remix(hash: u32) -> u32 {
    (u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(up: &[AdjacencyId]) -> Health {
        let health = Health::default();
        up.iter().for_each(|id| health.set(*id, State::Up));
        health
    }

    #[test]
    fn only_the_flows_of_a_failed_member_move() {
        let group = Group::new(&[(1, 1), (2, 1), (3, 2)]);
        let all = health(&[1, 2, 3]);
        let failed = health(&[1, 3]);
        for flow in 0..10_000u32 {
            let hash = remix(flow);
            let before = group.pick(&all, || hash).unwrap();
            let after = group.pick(&failed, || hash).unwrap();
            assert!(after != 2);
            if before != 2 {
                assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn weights_are_kept() {
        let group = Group::new(&[(1, 1), (2, 3)]);
        let all = health(&[1, 2]);
        let second =
            (0..100_000u32).filter(|flow| group.pick(&all, || remix(*flow)) == Ok(2)).count();
        assert!((74_000..76_000).contains(&second), "{second}");
        assert_eq!(spread(&[(1, 1000), (2, 3000)]).len(), 256);
        assert_eq!(spread(&[(1, 1), (2, 100_000)]).iter().filter(|id| **id == 1).count(), 1);
    }

    /// C-050: backups have nothing as long as one member is up, share all flows by weight when none
    /// is, and give them back at once.
    #[test]
    fn backups_stand_in_for_all() {
        let group = Group::with_backups(&[(1, 1), (2, 1)], &[(8, 1), (9, 3)]);
        let share = |health: &Health, id| {
            let picked = |flow: &u32| group.pick(health, || remix(*flow)) == Ok(id);
            (0..100_000u32).filter(picked).count()
        };
        let health = health(&[1, 2, 8, 9]);
        assert_eq!([8, 9].map(|id| share(&health, id)), [0, 0]);
        health.set(1, State::Down);
        assert_eq!(share(&health, 2), 100_000);
        health.set(2, State::Unresolved);
        assert!((74_000..76_000).contains(&share(&health, 9)));
        assert_eq!([1, 2].map(|id| share(&health, id)), [0, 0]);
        health.set(9, State::Down);
        assert_eq!(share(&health, 8), 100_000);
        health.set(8, State::Down);
        assert_eq!(group.pick(&health, || 0), Err(State::Unresolved));
        health.set(1, State::Up);
        assert_eq!(share(&health, 1), 100_000);
    }

    #[test]
    fn a_single_member_has_a_backup() {
        let group = Group::with_backups(&[(1, 7)], &[(9, 1)]);
        let health = health(&[1, 9]);
        let never = || -> u32 { panic!("there is no choice") };
        assert_eq!(group.pick(&health, never), Ok(1));
        health.set(1, State::Down);
        assert_eq!(group.pick(&health, || 5), Ok(9));
        let backup_alone = Group::with_backups(&[], &[(9, 1)]);
        assert_eq!(backup_alone.pick(&health, || 5), Ok(9));
    }

    #[test]
    fn says_why_nothing_is_left() {
        let group = Group::new(&[(1, 1), (2, 1)]);
        let health = Health::default();
        assert_eq!(group.pick(&health, || 0), Err(State::Down));
        health.set(2, State::Unresolved);
        assert_eq!(group.pick(&health, || 0), Err(State::Unresolved));
    }
}
