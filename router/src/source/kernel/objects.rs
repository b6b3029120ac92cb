//! Next-hop objects of the kernel, and the routes that point to them.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::control::rib::Key;
use crate::kernel::route::{Leg, Object};

/// What makes a route of the kernel a different one: prefix and metric.
pub type Id = (Key, u32);

/// What an object comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Ways that share the flows.
    Legs(Vec<Leg>),
    /// Dropped without a word.
    Blackhole,
    /// Nothing for routes, or not known.
    Nothing,
}

/// The objects by number.
#[derive(Debug, Default)]
pub struct Objects {
    objects: HashMap<u32, Object>,
    /// The groups that an object is in.
    groups: HashMap<u32, BTreeSet<u32>>,
    /// The routes that point to an object.
    users: HashMap<u32, HashSet<Id>>,
    /// The object that a route points to.
    used: HashMap<Id, u32>,
    /// Path MTUs of their own, of routes that point to one.
    mtus: HashMap<Id, u32>,
    /// Those that were told since the last [`forget`](Self::forget).
    told: HashSet<u32>,
}

impl Objects {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Notes an object. Says which routes it concerns.
    pub fn set(&mut self, id: u32, object: Object) -> Vec<Id> {
        self.told.insert(id);
        if self.objects.get(&id) == Some(&object) {
            return Vec::new();
        }
        self.take_out(id);
        if let Object::Group(members) = &object {
            for (member, _) in members {
                self.groups.entry(*member).or_default().insert(id);
            }
        }
        self.objects.insert(id, object);
        let groups = self.groups.get(&id).into_iter().flatten();
        let concerned = std::iter::once(&id).chain(groups);
        concerned.filter_map(|id| self.users.get(id)).flatten().copied().collect()
    }

    /// Forgets an object. Says which routes pointed to it: the kernel has removed them.
    pub fn remove(&mut self, id: u32) -> Vec<Id> {
        self.take_out(id);
        self.objects.remove(&id);
        self.users.get(&id).into_iter().flatten().copied().collect()
    }

    fn take_out(&mut self, id: u32) {
        if let Some(Object::Group(members)) = self.objects.get(&id) {
            for (member, _) in members {
                if let Some(groups) = self.groups.get_mut(member) {
                    groups.remove(&id);
                    if groups.is_empty() {
                        self.groups.remove(member);
                    }
                }
            }
        }
    }

    /// All are told anew from here on.
    pub fn begin(&mut self) {
        self.told.clear();
    }

    /// Forgets what was not told since [`begin`](Self::begin).
    pub fn sweep(&mut self) {
        let gone: Vec<u32> =
            self.objects.keys().filter(|id| !self.told.contains(id)).copied().collect();
        for id in gone {
            self.remove(id);
        }
    }

    /// Notes where a route points to, and its own path MTU; `None`: to no object.
    pub fn point_with(&mut self, route: Id, object: Option<u32>, mtu: Option<u32>) {
        self.point(route, object);
        if let (Some(_), Some(mtu)) = (object, mtu) {
            self.mtus.insert(route, mtu);
        }
    }

    /// Notes where a route points to; `None`: to no object.
    pub fn point(&mut self, route: Id, object: Option<u32>) {
        self.mtus.remove(&route);
        let before = match object {
            Some(object) => self.used.insert(route, object),
            // Most tables have no objects.
            None if self.used.is_empty() => None,
            None => self.used.remove(&route),
        };
        if before == object {
            return;
        }
        if let Some(before) = before
            && let Some(users) = self.users.get_mut(&before)
        {
            users.remove(&route);
            if users.is_empty() {
                self.users.remove(&before);
            }
        }
        if let Some(object) = object {
            self.users.entry(object).or_default().insert(route);
        }
    }

    /// The object that a route points to.
    pub fn of(&self, route: &Id) -> Option<u32> {
        self.used.get(route).copied()
    }

    /// The path MTU of a route that points to an object, if it has one of its own.
    pub fn mtu_of(&self, route: &Id) -> Option<u32> {
        self.mtus.get(route).copied()
    }

    /// What an object comes to.
    pub fn meaning(&self, id: u32) -> Meaning {
        match self.objects.get(&id) {
            Some(Object::Leg(leg)) => Meaning::Legs(vec![leg.clone()]),
            Some(Object::Blackhole) => Meaning::Blackhole,
            Some(Object::Group(members)) => {
                let mut legs = Vec::with_capacity(members.len());
                for (member, weight) in members {
                    match self.objects.get(member) {
                        Some(Object::Leg(leg)) => legs.push(Leg { weight: *weight, ..leg.clone() }),
                        // The only member of its group.
                        Some(Object::Blackhole) => return Meaning::Blackhole,
                        Some(Object::Group(_) | Object::Fdb) | None => {}
                    }
                }
                if legs.is_empty() { Meaning::Nothing } else { Meaning::Legs(legs) }
            }
            Some(Object::Fdb) | None => Meaning::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(n: u8) -> Id {
        (Key { table: 254, prefix: format!("2001:db8:{n}::/48").parse().unwrap() }, 20)
    }

    fn leg(link: u32, weight: u32) -> Leg {
        Leg { link, gateway: None, weight, encap: None }
    }

    #[test]
    fn a_change_concerns_those_who_point_to_it_and_to_its_groups() {
        let mut objects = Objects::default();
        assert_eq!(objects.set(1, Object::Leg(leg(7, 1))), []);
        objects.set(2, Object::Leg(leg(8, 1)));
        objects.set(10, Object::Group(vec![(1, 1), (2, 3)]));
        objects.point(route(1), Some(1));
        objects.point(route(2), Some(10));
        objects.point(route(3), Some(2));
        assert_eq!(objects.meaning(10), Meaning::Legs(vec![leg(7, 1), leg(8, 3)]));
        let mut concerned = objects.set(1, Object::Leg(leg(9, 1)));
        concerned.sort();
        assert_eq!(concerned, [route(1), route(2)]);
        assert_eq!(objects.set(1, Object::Leg(leg(9, 1))), [], "no change");
        // The group is told to be smaller before its member goes.
        assert_eq!(objects.set(10, Object::Group(vec![(2, 3)])), [route(2)]);
        assert_eq!(objects.remove(1), [route(1)]);
        assert_eq!(
            objects.set(1, Object::Leg(leg(3, 1))),
            [route(1)],
            "the group is not concerned"
        );
        objects.point(route(1), None);
        assert_eq!(objects.remove(1), []);
        assert_eq!(objects.meaning(1), Meaning::Nothing);
    }

    #[test]
    fn what_is_not_told_again_is_forgotten() {
        let mut objects = Objects::default();
        for id in 1..=3 {
            objects.set(id, Object::Blackhole);
        }
        objects.begin();
        objects.set(2, Object::Blackhole);
        objects.sweep();
        assert_eq!(objects.len(), 1);
        assert_eq!(objects.meaning(2), Meaning::Blackhole);
    }
}
