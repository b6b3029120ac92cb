//! Adjacencies and next-hop groups: who has which index, and how long.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use sidewinder_dataplane::fib::Change;
use sidewinder_dataplane::fib::entry::{AdjacencyId, GroupId, PortIndex};
use sidewinder_dataplane::fib::nexthop::{Adjacency, Group, Health, State};
use sidewinder_dataplane::fib::writer::Writer;

use super::ports::Ports;

/// Members of a group.
pub type Members = Vec<Member>;

/// A neighbour that a group sends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member {
    /// The port it is on.
    pub port: PortIndex,
    /// Its address.
    pub address: IpAddr,
    /// Its share of the flows, relative to the other members, or to the other backups.
    pub weight: u32,
    /// Whether it is used only while all that are no backups are down.
    pub backup: bool,
}

/// A group's members, and how many users it has.
#[derive(Debug)]
struct UsedGroup {
    members: Members,
    /// Of each member.
    adjacencies: Vec<AdjacencyId>,
    users: usize,
}

/// How long packets go to a neighbour that the kernel has forgotten. It has asked three times then.
const MEMORY: Duration = Duration::from_secs(3);

/// An index, and how many users it has.
#[derive(Debug)]
struct Used {
    id: u32,
    users: usize,
}

/// Hands out indices; those given back wait their turn, so that none is used again at once.
#[derive(Debug, Default)]
struct Ids {
    next: u32,
    free: VecDeque<u32>,
}

/// Indices given back that are kept aside before any is used again.
const ASIDE: usize = 1024;

impl Ids {
    fn take(&mut self) -> u32 {
        if self.free.len() > ASIDE
            && let Some(id) = self.free.pop_front()
        {
            return id;
        }
        self.next += 1;
        self.next - 1
    }

    fn give_back(&mut self, id: u32) {
        self.free.push_back(id);
    }
}

/// Every adjacency and group in use.
#[derive(Debug)]
pub struct NextHops {
    health: Arc<Health>,
    adjacencies: HashMap<(PortIndex, IpAddr), Used>,
    adjacency_ids: Ids,
    groups: HashMap<GroupId, UsedGroup, RandomState>,
    by_members: HashMap<Members, GroupId, RandomState>,
    group_ids: Ids,
    written: HashMap<AdjacencyId, Adjacency>,
    /// What each is as soon as all is published.
    states: HashMap<AdjacencyId, State, RandomState>,
    /// How many of them are unresolved.
    unresolved: usize,
    /// Since when the kernel knows nothing of a neighbour that it knew.
    pub(super) forgotten: HashMap<AdjacencyId, Instant>,
    /// States that hold only once the workers have the adjacency's new contents.
    after_publish: Vec<(AdjacencyId, State)>,
}

impl NextHops {
    /// None yet.
    pub fn new(health: Arc<Health>) -> Self {
        Self {
            health,
            adjacencies: HashMap::new(),
            adjacency_ids: Ids::default(),
            groups: HashMap::default(),
            by_members: HashMap::default(),
            group_ids: Ids::default(),
            written: HashMap::new(),
            states: HashMap::default(),
            unresolved: 0,
            forgotten: HashMap::new(),
            after_publish: Vec::new(),
        }
    }

    /// The group of these members, made if there is none. To be [released](Self::release).
    pub fn acquire(&mut self, members: Members, ports: &Ports, writer: &mut Writer) -> GroupId {
        if let Some(id) = self.by_members.get(&members).copied() {
            self.share(id);
            return id;
        }
        let mut adjacencies = Vec::with_capacity(members.len());
        let (mut primary, mut backups) = (Vec::new(), Vec::new());
        for Member { port, address, weight, backup } in &members {
            let id = self.acquire_adjacency(*port, *address, ports, writer);
            adjacencies.push(id);
            if *backup { &mut backups } else { &mut primary }.push((id, *weight));
        }
        let id = self.group_ids.take();
        writer.stage(Change::Group(id, Group::with_backups(&primary, &backups)));
        self.by_members.insert(members.clone(), id);
        self.groups.insert(id, UsedGroup { members, adjacencies, users: 1 });
        id
    }

    /// One more user of a group that is in use. To be [released](Self::release), too.
    pub fn share(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.users += 1;
        }
    }

    /// Gives a group back.
    pub fn release(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.users -= 1;
        if group.users > 0 {
            return;
        }
        let Some(UsedGroup { members, .. }) = self.groups.remove(&id) else { return };
        self.by_members.remove(&members);
        for Member { port, address, .. } in members {
            self.release_adjacency(port, address);
        }
        self.group_ids.give_back(id);
    }

    fn acquire_adjacency(
        &mut self,
        port: PortIndex,
        address: IpAddr,
        ports: &Ports,
        writer: &mut Writer,
    ) -> AdjacencyId {
        if let Some(adjacency) = self.adjacencies.get_mut(&(port, address)) {
            adjacency.users += 1;
            return adjacency.id;
        }
        let id = self.adjacency_ids.take();
        self.adjacencies.insert((port, address), Used { id, users: 1 });
        let state = self.write(id, port, address, ports, writer);
        // At once: the workers' FIB does not lead there yet, and the next one may as soon as it is
        // published.
        self.health.set(id, state);
        id
    }

    fn release_adjacency(&mut self, port: PortIndex, address: IpAddr) {
        let Some(adjacency) = self.adjacencies.get_mut(&(port, address)) else { return };
        adjacency.users -= 1;
        if adjacency.users == 0 {
            let id = adjacency.id;
            self.adjacencies.remove(&(port, address));
            self.written.remove(&id);
            let state = self.states.remove(&id);
            self.unresolved -= usize::from(state == Some(State::Unresolved));
            self.forgotten.remove(&id);
            // Its state stays: a worker may be in the middle of a round with the FIB that leads there.
            self.adjacency_ids.give_back(id);
        }
    }

    /// Follows changes of interfaces and neighbours. What goes down does so at once, for all
    /// workers; what comes up waits for [`published`](Self::published).
    pub fn refresh(&mut self, ports: &Ports, writer: &mut Writer) {
        let all: Vec<_> =
            self.adjacencies.iter().map(|(key, adjacency)| (*key, adjacency.id)).collect();
        for ((port, address), id) in all {
            self.write(id, port, address, ports, writer);
        }
    }

    fn write(
        &mut self,
        id: AdjacencyId,
        port: PortIndex,
        address: IpAddr,
        ports: &Ports,
        writer: &mut Writer,
    ) -> State {
        let Some(found) = ports.get(port) else { return State::Down };
        let mac = ports.mac_of(port, address);
        let in_doubt = found.up && mac.is_none() && !ports.has_failed(port, address);
        let state = match mac {
            _ if !found.up => State::Down,
            None if in_doubt && self.is_remembered(id) => State::Up,
            None => State::Unresolved,
            Some(_) => State::Up,
        };
        if state != State::Up {
            self.health.set(id, state);
        }
        if !in_doubt || state != State::Up {
            self.forgotten.remove(&id);
        }
        if let Some(mac) = mac {
            let adjacency = if found.watched {
                Adjacency::watched(port, mac, found.mac)
            } else {
                Adjacency::new(port, mac, found.mac, found.mtu)
            };
            if self.written.insert(id, adjacency) != Some(adjacency) {
                writer.stage(Change::Adjacency(id, adjacency));
            }
        }
        self.after_publish.push((id, state));
        let before = self.states.insert(id, state);
        self.unresolved += usize::from(state == State::Unresolved);
        self.unresolved -= usize::from(before == Some(State::Unresolved));
        state
    }

    /// Whether packets may go to a neighbour that the kernel has just forgotten, as it does where
    /// its table is flushed: to where they went before, until it answers or does not.
    fn is_remembered(&mut self, id: AdjacencyId) -> bool {
        self.states.get(&id) == Some(&State::Up)
            && self.forgotten.entry(id).or_insert_with(Instant::now).elapsed() < MEMORY
    }

    /// Whether a neighbour that is forgotten has not been found again for too long: all is to be
    /// [refreshed](Self::refresh).
    pub fn are_late(&self) -> bool {
        self.forgotten.values().any(|since| since.elapsed() >= MEMORY)
    }

    /// Whether all neighbours are known, but for those behind links that are down.
    pub fn are_resolved(&self) -> bool {
        self.unresolved == 0
    }

    /// What the group can do as soon as all is published: what the best of its members can.
    pub fn state(&self, id: GroupId) -> State {
        let members = self.groups.get(&id).into_iter().flat_map(|group| &group.adjacencies);
        let states = members.filter_map(|id| self.states.get(id).copied());
        states.max_by_key(|state| *state as u8).unwrap_or(State::Down)
    }

    /// Whether there is somebody to send packets of a group to, known or yet to be found.
    pub fn is_usable(&self, id: GroupId) -> bool {
        self.state(id) != State::Down
    }

    /// To be called when all that was staged is published.
    pub fn published(&mut self) {
        for (id, state) in self.after_publish.drain(..) {
            self.health.set(id, state);
        }
    }

    /// Every neighbour that somebody sends packets to, and its state.
    pub fn iter(&self) -> impl Iterator<Item = (PortIndex, IpAddr, State)> {
        self.adjacencies
            .iter()
            .map(|((port, address), used)| (*port, *address, self.health.state(used.id)))
    }
}
