//! Routes whose new neighbour is still to be found: until it is, they lead where they led before.
//!
//! A route moves to a link that came back before anything was sent over it, so its neighbour is not
//! resolved yet; the kernel would keep packets until it is, and we would lose them. The way before is
//! the better answer: at worst packets are lost there, as they would be without a neighbour. It is a
//! matter of milliseconds, and a neighbour that does not answer is not waited for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sidewinder_dataplane::fib::entry::Action;
use sidewinder_dataplane::fib::nexthop::State;

use super::Control;
use super::reconcile::{Held, InstalledRoute};
use super::rib::{Key, Standing};

/// How long a neighbour is waited for at least: the kernel asks for it twice.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Prefixes that wait, and since when.
pub(super) type Awaiting = BTreeMap<Key, Instant>;

impl Control {
    /// The route itself, or, where it has to wait for its neighbour, what it leads to until then.
    pub(super) fn or_as_before(&mut self, key: Key, mut route: InstalledRoute) -> InstalledRoute {
        // Mostly, and then it costs nothing.
        if self.nexthops.are_resolved() && self.awaiting.is_empty() {
            return route;
        }
        let waits = match (&route.held, self.routes.get(&key)) {
            // A SID that is one no longer has gone already.
            (Held::Group(_), Some(old)) if matches!(old.entry.action(), Action::Local(_)) => false,
            (Held::Group(group), Some(old)) => {
                self.nexthops.state(*group) == State::Unresolved && self.leads_on(&old.held)
            }
            _ => false,
        };
        if !waits {
            self.awaiting.remove(&key);
            return route;
        }
        if self.awaiting.entry(key).or_insert_with(Instant::now).elapsed() > PATIENCE {
            return route;
        }
        let Some(old) = self.routes.get_mut(&key) else { return route };
        let before = match std::mem::replace(&mut old.held, Held::Nothing) {
            Held::Waiting { group, before } => {
                old.held = Held::Group(group);
                before
            }
            held => Box::new(held),
        };
        if let Held::Group(group) = route.held {
            route.held = Held::Waiting { group, before };
        }
        route.entry = old.entry;
        route.standing = Standing::NeighborAwaited;
        route
    }

    /// Whether packets get anywhere by what a route holds.
    fn leads_on(&self, held: &Held) -> bool {
        match held {
            Held::Group(group) => self.nexthops.state(*group) == State::Up,
            Held::Waiting { before, .. } => self.leads_on(before),
            Held::Inline(_) => true,
            Held::Nothing => false,
        }
    }

    /// Looks after routes that wait: their neighbour may be there, or the way before may be gone.
    pub(super) fn touch_awaiting(&mut self) {
        let done: Vec<Key> = self
            .awaiting
            .keys()
            .filter(|key| match self.routes.get(key).map(|route| &route.held) {
                Some(Held::Waiting { group, before }) => {
                    self.nexthops.state(*group) != State::Unresolved || !self.leads_on(before)
                }
                _ => true,
            })
            .copied()
            .collect();
        self.rib.touch(done.into_iter());
    }

    /// Waits no longer where the neighbour does not answer. Says whether something is to be
    /// published.
    pub fn end_of_patience(&mut self) -> bool {
        let forgotten = self.nexthops.are_late();
        if forgotten {
            self.nexthops.refresh(&self.ports, &mut self.writer);
            self.touch_awaiting();
        }
        let now = Instant::now();
        let is_late = |since: &Instant| now.duration_since(*since) > PATIENCE;
        let late: Vec<Key> =
            self.awaiting.iter().filter(|(_, since)| is_late(since)).map(|(key, _)| *key).collect();
        if late.is_empty() && !forgotten {
            return false;
        }
        self.rib.touch(late.into_iter());
        self.reconcile();
        self.awaiting.retain(|_, since| !is_late(since));
        true
    }
}
