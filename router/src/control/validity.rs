//! Which of a policy's segment lists can be used, and which candidate path is the active one: RFC 9256,
//! sections 2.9, 2.10 and 5.1.
//!
//! A list is valid where its nodes are found, and where a route leads to its first segment and a next
//! hop of it is there. A path is valid with one list that is. What holds is found out again whenever
//! routes or next hops have changed. A policy with a single list has nothing else to use, and uses it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use sidewinder_config::{Policy, RouteAction, SegmentList};
use sidewinder_dataplane::fib::entry::{Action, Entry};

use super::Control;
use super::rib::Key;
use crate::source::static_;

/// First segments, and why packets cannot be sent to some of them.
pub type FirstSegments = BTreeMap<Ipv6Addr, Option<&'static str>>;

/// How a segment list stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validity {
    /// Packets take it.
    Active,
    /// It could be used, and a path with a higher preference is.
    Standby,
    /// It cannot be used, for this reason.
    Invalid(String),
}

impl Control {
    /// Looks whether first segments can still be reached. Says whether policies are different for it:
    /// the routes into them are to be reconciled then.
    pub(super) fn follow_policies(&mut self) -> bool {
        let found = self.reach_first_segments();
        if found == self.first_segments {
            return false;
        }
        self.first_segments = found;
        self.policies_changed();
        true
    }

    /// Has policies, and all that leads into them, be made anew.
    pub(super) fn policies_changed(&mut self) {
        self.apply_policies();
        self.apply_port_settings();
        let into_policies = |action: &RouteAction| {
            matches!(action, RouteAction::Policy(_) | RouteAction::Colored(..))
        };
        let steered = self.config.routes.iter().filter(|route| into_policies(&route.action));
        let steered = steered.map(|route| Key { table: route.table.0, prefix: route.prefix });
        let sids = self.config.sids.iter();
        let binding = sids.filter(|sid| static_::policy(&sid.behavior).is_some());
        let binding = binding.map(|sid| Key { table: Key::MAIN, prefix: sid.sid.into() });
        self.rib.touch(steered.chain(binding));
    }

    pub(super) fn reach_first_segments(&self) -> FirstSegments {
        let policies = self.config.policies.iter().filter(|policy| policy.has_choice());
        let first = policies
            .flat_map(|policy| policy.lists.iter().filter_map(|list| self.first(policy, list)));
        first.map(|first| (first, self.reach(first).err())).collect()
    }

    /// Whether packets can be sent to a first segment.
    fn reach(&self, first: Ipv6Addr) -> Result<(), &'static str> {
        let entry = |key: &Key| self.entry_of(key).filter(|entry| *entry != Entry::NONE);
        // Not by the default route, which leads to everywhere.
        let fits = |key: &Key| key.prefix.prefix_len() > 0 && entry(key).is_some();
        let route = self.rib.longest(Key::MAIN, first.into(), fits);
        match route.and_then(|(key, ..)| entry(&key)).map(Entry::action) {
            None | Some(Action::NoRoute) => Err("no route leads to its first segment"),
            Some(Action::Forward(group)) if !self.nexthops.is_usable(group) => {
                Err("every next hop of its first segment is down")
            }
            Some(Action::Discard(_)) => Err("a route discards what is for its first segment"),
            Some(Action::Forward(_) | Action::Local(_) | Action::Encap(_) | Action::Punt(_)) => {
                Ok(())
            }
        }
    }

    /// The segments of a list, or why there are none.
    fn segments<'a>(&'a self, list: &'a SegmentList) -> Result<&'a Vec<Ipv6Addr>, &'a str> {
        if list.via.is_empty() {
            return Ok(&list.segs);
        }
        self.found(&list.via)
    }

    /// The segments of nodes, or why there are none.
    fn found(&self, via: &[String]) -> Result<&Vec<Ipv6Addr>, &str> {
        match self.via.get(via) {
            Some(Ok(segments)) => Ok(segments),
            Some(Err(why)) => Err(why),
            None => Err("the topology is not known yet"),
        }
    }

    /// Why a list that names nodes has no segments.
    pub fn unresolved(&self, via: &[String]) -> Option<&str> {
        self.found(via).err()
    }

    /// Where packets that take a list go first.
    fn first(&self, policy: &Policy, list: &SegmentList) -> Option<Ipv6Addr> {
        let segs = self.segments(list).ok()?.clone();
        self.written(policy, &SegmentList { segs, ..list.clone() }).first().copied()
    }

    /// The segments of a list as packets have them: packed, if the policy says so, as far as it is
    /// known how they are divided.
    pub fn written(&self, policy: &Policy, list: &SegmentList) -> Vec<Ipv6Addr> {
        if !policy.compress {
            return list.segs.clone();
        }
        let said = |at: usize| list.structures.get(at).copied().flatten();
        let of = |(at, seg)| said(at).or_else(|| self.structures.get(seg).copied());
        let structures: Vec<_> = list.segs.iter().enumerate().map(of).collect();
        sidewinder_config::pack(&list.segs, &structures)
    }

    /// Why a list of a policy cannot be used.
    fn invalid(&self, policy: &Policy, list: &SegmentList) -> Option<String> {
        if let Err(why) = self.segments(list) {
            return Some(why.to_owned());
        }
        if !policy.has_choice() {
            return None;
        }
        match self.first(policy, list).and_then(|first| self.first_segments.get(&first)) {
            Some(None) => None,
            Some(Some(why)) => Some((*why).to_owned()),
            None => Some("it is not known yet where its first segment is".to_owned()),
        }
    }

    /// How each list of a policy stands, in their order.
    pub fn validities(&self, policy: &Policy) -> Vec<Validity> {
        let invalid: Vec<_> = policy.lists.iter().map(|list| self.invalid(policy, list)).collect();
        let preference =
            |list: &SegmentList| policy.paths.get(list.path).map_or(0, |path| path.preference);
        let valid = policy.lists.iter().zip(&invalid).filter(|(_, why)| why.is_none());
        let best = valid.map(|(list, _)| preference(list)).max();
        let lists = policy.lists.iter().zip(invalid);
        lists
            .map(|(list, why)| match why {
                Some(why) => Validity::Invalid(why),
                None if Some(preference(list)) == best => Validity::Active,
                None => Validity::Standby,
            })
            .collect()
    }

    /// A policy with the lists that packets take, and the segments of their nodes; `None` if there are
    /// none, or the key that they are to be signed with is not there.
    pub(super) fn resolved(&self, said: &Policy) -> Option<Policy> {
        if said.hmac_key.is_some() && self.key_of(said).is_none() {
            return None;
        }
        let mut policy = said.clone();
        let lists = std::mem::take(&mut policy.lists).into_iter().zip(self.validities(said));
        for (mut list, validity) in lists {
            if validity == Validity::Active
                && let Ok(segments) = self.segments(&list)
            {
                list.segs = segments.clone();
                policy.lists.push(list);
            }
        }
        (!policy.lists.is_empty()).then_some(policy)
    }
}
