//! From the best routes of the RIB to the FIB's entries.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use ipnet::IpNet;
use sidewinder_config::Policy;
use sidewinder_dataplane::fib::Change;
use sidewinder_dataplane::fib::entry::{Entry, GroupId};
use sidewinder_dataplane::fib::table::left_aligned;
use sidewinder_dataplane::fib::writer::Writer;

use super::Control;
use super::resolve::{Resolved, floating};
use super::rib::{Hop, Key, Source, Standing, Target};
use super::steering::Side;
use crate::source::static_;

/// A prefix's best route, as workers know it.
#[derive(Debug)]
pub(super) struct InstalledRoute {
    pub(super) entry: Entry,
    pub(super) held: Held,
    /// Whose route it is.
    pub(super) source: Source,
    /// How it stands.
    pub(super) standing: Standing,
    /// Next hops whose place was found by their address.
    floats: Box<[std::net::IpAddr]>,
    /// Whether the route is a reason to take IPv4 from the kernel.
    wants_ipv4: bool,
    /// Whether it leads through neighbours, and into no policy of its own.
    forwarded: bool,
}

/// What a route holds, and gives back when it goes.
#[derive(Debug)]
pub(super) enum Held {
    Nothing,
    Group(GroupId),
    Inline(Arc<Policy>),
    /// A group without a neighbour that is known, and what packets go by until there is one.
    Waiting {
        group: GroupId,
        before: Box<Held>,
    },
}

/// Prefixes whose state is fetched together.
const TOGETHER: usize = 32;

/// What a target comes to.
struct Compiled {
    entry: Entry,
    held: Held,
    standing: Standing,
}

impl Compiled {
    const fn best(entry: Entry) -> Self {
        Self { entry, held: Held::Nothing, standing: Standing::Best }
    }

    fn forward(group: GroupId) -> Self {
        Self { held: Held::Group(group), ..Self::best(Entry::forward(group)) }
    }

    const fn not(standing: Standing) -> Self {
        Self { entry: Entry::NONE, held: Held::Nothing, standing }
    }
}

/// Groups that were found for next hops which routes share, by where those are in memory. Each
/// holds its group, and the next hops, which are not freed meanwhile.
pub(super) type SharedHops = HashMap<usize, (Arc<[Hop]>, GroupId), RandomState>;

impl Control {
    /// What workers know a prefix to lead to.
    pub(super) fn entry_of(&self, key: &Key) -> Option<Entry> {
        self.routes.get(key).map(|route| route.entry)
    }

    /// Brings the FIB's routes up to date with the RIB, and the policies with the routes.
    pub fn reconcile(&mut self) {
        // A policy may rest on a route that leads into another.
        const MAX_DEPTH: usize = 8;
        for _ in 0..MAX_DEPTH {
            self.reconcile_routes();
            if !self.follow_policies() {
                break;
            }
        }
        self.reconcile_routes();
        if self.sids_changed {
            self.apply_domain();
        }
    }

    fn reconcile_routes(&mut self) {
        while self.rib.is_dirty() {
            let dirty = self.rib.take_dirty();
            let mut links_changed = false;
            for keys in self.trackers.close(dirty).chunks(TOGETHER) {
                self.fetch(keys);
                for key in keys {
                    links_changed |= self.reconcile_one(*key);
                }
            }
            // Of other ports and neighbours, something else may come.
            for (_, group) in std::mem::take(&mut self.shared_hops).into_values() {
                self.nexthops.release(group);
            }
            // Prefixes on links that are there by a route: their neighbours are routes, too.
            if links_changed {
                self.apply_neighbours();
            }
        }
    }

    /// Brings into the cache what is known of prefixes. Their places in memory are all over it, and
    /// look-ups that do not wait for each other take as long as one.
    fn fetch(&self, keys: &[Key]) {
        let forwarded = keys.iter().filter(|key| self.routes.get(key).is_some_and(|r| r.forwarded));
        std::hint::black_box(forwarded.count());
        let has_route = |key: &&Key| {
            let (v4, bits, len) = numbers(key);
            self.tables.get(&key.table).is_some_and(|table| self.writer.has(*table, v4, bits, len))
        };
        std::hint::black_box(keys.iter().filter(has_route).count());
    }

    /// Says whether a prefix became one on a link, or ceased to be.
    fn reconcile_one(&mut self, key: Key) -> bool {
        let best = self.rib.best(&key);
        let best = best.map(|(source, route)| (source, route.opinion.target.clone()));
        let on_link = match &best {
            Some((_, Target::OnLink(interface))) => self.ports.by_name(interface),
            _ => None,
        };
        // As it is of most: nothing but the FIB knows of such a route.
        let forwarded = matches!(best, Some((_, Target::Via(_))))
            && self.routes.get(&key).is_some_and(|route| route.forwarded);
        let before = match on_link {
            _ if forwarded => None,
            Some(port) => self.on_link.insert(key, port),
            None => self.on_link.remove(&key),
        };
        if !forwarded && !matches!(best, Some((_, Target::Sid(_) | Target::Binding(..)))) {
            self.remove_sid(&key);
        }
        let installed = best.map(|(source, target)| {
            let floats: Vec<_> = match &target {
                Target::Via(hops) => floating(hops),
                Target::Colored(_, hop) => floating(std::slice::from_ref(hop.as_ref())),
                Target::Sid(sid) => floating(&static_::hops(&sid.behavior).unwrap_or_default()),
                _ => Vec::new(),
            };
            let Compiled { entry, held, standing } = self.compile(key, source, &target);
            if !forwarded {
                self.steer.note(&key, Some(Side::of(&target)));
            }
            let wants_ipv4 = matches!(key.prefix, IpNet::V4(_))
                && matches!(source, Source::Static | Source::Kernel | Source::LinkState)
                && !matches!(target, Target::Kernel(_) | Target::Host);
            let forwarded = matches!(target, Target::Via(_));
            let floats = floats.into();
            let route =
                InstalledRoute { entry, held, source, standing, floats, wants_ipv4, forwarded };
            self.or_as_before(key, route)
        });
        if installed.is_none() {
            self.steer.note(&key, None);
            self.awaiting.remove(&key);
        }
        self.install(key, installed);
        before != on_link
    }

    fn compile(&mut self, key: Key, source: Source, target: &Target) -> Compiled {
        match target {
            Target::Sid(said) => {
                let named = static_::policy(&said.behavior).map(|name| self.policy_id(name));
                match self.apply_sid(key, source, said, named) {
                    Some((entry, standing)) => Compiled { standing, ..Compiled::best(entry) },
                    None => Compiled::not(Standing::NextHopUnresolved),
                }
            }
            Target::Binding(said, policy) => {
                let id = self.acquire_inline(policy);
                let held = Held::Inline(Arc::clone(policy));
                match self.apply_sid(key, source, said, Some(Some(id))) {
                    Some((entry, standing)) => Compiled { entry, held, standing },
                    None => Compiled { held, ..Compiled::not(Standing::NextHopUnresolved) },
                }
            }
            Target::Policy(name) => match self.policy(name) {
                Some(entry) => Compiled::best(entry),
                None if self.config.policy(name).is_some() => {
                    Compiled::not(Standing::PolicyUnresolved)
                }
                None => Compiled::not(Standing::PolicyUnknown),
            },
            Target::Colored(name, hop) => match self.policy(name) {
                Some(entry) => Compiled::best(entry),
                None => self.compile_hops(key, source, std::slice::from_ref(hop.as_ref())),
            },
            Target::Encap(policy) => {
                let entry = Entry::encap(self.acquire_inline(policy));
                let held = Held::Inline(Arc::clone(policy));
                Compiled { entry, held, standing: Standing::Best }
            }
            Target::Via(hops) => match self.group_of_shared(key, hops) {
                Some(group) => Compiled::forward(group),
                None => self.compile_hops(key, source, hops),
            },
            // The kernel finds neighbours in its own prefixes only.
            Target::OnLink(interface) => match self.ports.by_name(interface) {
                None => Compiled::not(Standing::InterfaceUnknown),
                // The one address of the prefix is the neighbour.
                Some(_) if key.prefix.prefix_len() == key.prefix.max_prefix_len() => {
                    let interface = Some(Arc::clone(interface));
                    let hop = Hop::new(key.prefix.addr(), interface);
                    self.compile_hops(key, source, &[hop])
                }
                Some(_) if matches!(source, Source::Connected | Source::Kernel) => {
                    Compiled::best(Entry::ON_LINK)
                }
                Some(port) => Compiled::best(Entry::solicit(port)),
            },
            Target::Host => Compiled::best(Entry::HOST),
            Target::Discard(discard) => Compiled::best(Entry::discard(*discard)),
            Target::Kernel(_) => Compiled {
                entry: Entry::LEFT,
                held: Held::Nothing,
                standing: Standing::LeftToKernel,
            },
        }
    }

    fn compile_hops(&mut self, key: Key, source: Source, hops: &[Hop]) -> Compiled {
        match self.resolve(key.table, hops, &key) {
            Resolved::Members(members) => {
                Compiled::forward(self.nexthops.acquire(members, &self.ports, &mut self.writer))
            }
            Resolved::Policy(target) => self.compile(key, source, &target),
            Resolved::Nowhere => Compiled::not(Standing::NextHopUnresolved),
        }
    }

    /// The group of next hops that several routes share, each of which names its interface: what
    /// these come to is the same for all of the routes. `None`: they are not such ones.
    fn group_of_shared(&mut self, key: Key, hops: &Arc<[Hop]>) -> Option<GroupId> {
        // The route's own, and the one at hand.
        const ALONE: usize = 2;
        if Arc::strong_count(hops) <= ALONE || hops.iter().any(|hop| hop.interface.is_none()) {
            return None;
        }
        let place = Arc::as_ptr(hops).addr();
        if let Some((_, group)) = self.shared_hops.get(&place) {
            self.nexthops.share(*group);
            return Some(*group);
        }
        let Resolved::Members(members) = self.resolve(key.table, hops, &key) else { return None };
        let group = self.nexthops.acquire(members, &self.ports, &mut self.writer);
        self.nexthops.share(group);
        self.shared_hops.insert(place, (Arc::clone(hops), group));
        Some(group)
    }

    fn install(&mut self, key: Key, installed: Option<InstalledRoute>) {
        let entry = installed.as_ref().map_or(Entry::NONE, |route| route.entry);
        if let Some(route) = &installed {
            self.trackers.add(key, &route.floats);
            self.installed[route.source as usize] += 1;
            self.ipv4_routes += usize::from(route.wants_ipv4);
        }
        let old = match installed {
            Some(route) => self.routes.insert(key, route),
            None => self.routes.remove(&key),
        };
        if old.as_ref().map_or(Entry::NONE, |old| old.entry) != entry {
            let table = self.table(key.table);
            stage(&mut self.writer, table, &key, entry);
        }
        let Some(old) = old else { return };
        if !old.floats.is_empty() {
            let now = self.routes.get(&key).map_or(&[][..], |route| &route.floats);
            let gone: Vec<_> =
                old.floats.iter().filter(|address| !now.contains(address)).copied().collect();
            self.trackers.remove(&key, &gone);
        }
        self.installed[old.source as usize] -= 1;
        self.ipv4_routes -= usize::from(old.wants_ipv4);
        self.let_go(old.held);
    }

    fn let_go(&mut self, held: Held) {
        match held {
            Held::Nothing => {}
            Held::Group(group) => self.nexthops.release(group),
            Held::Inline(policy) => self.release_inline(&policy),
            Held::Waiting { group, before } => {
                self.nexthops.release(group);
                self.let_go(*before);
            }
        }
    }
}

/// A prefix as the FIB has it: whether it is of IPv4, left-aligned bits, and how many.
fn numbers(key: &Key) -> (bool, u128, u8) {
    let (v4, bits) = match key.prefix {
        IpNet::V6(prefix) => (false, u128::from(prefix.network())),
        IpNet::V4(prefix) => (true, left_aligned(prefix.network().into())),
    };
    (v4, bits, key.prefix.prefix_len())
}

fn stage(writer: &mut Writer, table: u16, key: &Key, entry: Entry) {
    let (v4, bits, len) = numbers(key);
    writer.stage(Change::Route { table, v4, key: bits, len, entry });
}
