//! Policies on their way to the workers: those of the file, which have a name, and those that
//! routes carry themselves.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use sidewinder_config::{Headend, HmacKey, Policy, SegmentList, Structure};
use sidewinder_dataplane::behavior::headend::{self, Mode};
use sidewinder_dataplane::behavior::insert::{InsertedList, Insertion};
use sidewinder_dataplane::counters::PacketCounters;
use sidewinder_dataplane::fib::entry::{Entry, PolicyId};
use sidewinder_dataplane::fib::{self, Change, shares};

use super::rib::Key;
use super::{Control, InstalledSid};
use crate::source::static_;

/// A policy that workers know.
#[derive(Debug)]
pub struct InstalledPolicy {
    id: PolicyId,
    /// What its source says of it.
    pub said: Arc<Policy>,
    /// The segments of its lists as packets have them: packed, if the policy says so.
    pub written: Vec<Vec<Ipv6Addr>>,
    hop_limit: u8,
    /// What signs its segment lists, if they are signed.
    key: Option<HmacKey>,
    /// Whose the buckets of its flows are, by segment list.
    buckets: Vec<u16>,
    /// Packets and bytes, by segment list.
    pub counters: Vec<Arc<PacketCounters>>,
    /// Routes that lead into it, of one that routes carry themselves.
    users: usize,
}

/// Segments by the nodes that are named, or why there are none.
pub type Resolved = BTreeMap<Vec<String>, Result<Vec<Ipv6Addr>, String>>;

/// How SIDs with NEXT-CSID are divided, as the topology tells.
pub type Structures = BTreeMap<Ipv6Addr, Structure>;

impl Control {
    /// Takes the segments of lists that name nodes, and how SIDs are divided. What is different then has to be
    /// [reconciled](Self::reconcile).
    pub fn resolve_via(&mut self, via: Resolved, structures: Structures) {
        if via == self.via && structures == self.structures {
            return;
        }
        (self.via, self.structures) = (via, structures);
        self.first_segments = self.reach_first_segments();
        self.policies_changed();
    }

    /// The key that signs the segment lists of a policy; `None` where they are not signed.
    pub(super) fn key_of(&self, said: &Policy) -> Option<&HmacKey> {
        let id = said.hmac_key?;
        self.config.hmac_keys.iter().find(|key| key.id == id)
    }

    /// The index of the policy of this name.
    pub(super) fn policy_id(&self, name: &str) -> Option<PolicyId> {
        self.policies.get(name).map(|policy| policy.id)
    }

    /// The policy with this index, as workers know it.
    pub(super) fn policy_with(&self, id: PolicyId) -> Option<&Policy> {
        let mut known = self.policies.values().chain(self.inline.values());
        known.find(|policy| policy.id == id).map(|policy| &*policy.said)
    }

    /// The policy that a SID names: one of the file, or the one that it carries itself.
    pub fn policy_of(&self, sid: &InstalledSid) -> Option<&InstalledPolicy> {
        let name = static_::policy(&sid.said.behavior)?;
        let carried = || self.inline.values().find(|policy| sid.policy == Some(policy.id));
        self.policies.get(name).filter(|policy| sid.policy == Some(policy.id)).or_else(carried)
    }

    /// The entry of the policy of this name.
    pub(super) fn policy(&self, name: &str) -> Option<Entry> {
        self.policy_id(name).map(Entry::encap)
    }

    /// The index of a policy that a route carries itself. To be [released](Self::release_inline).
    pub(super) fn acquire_inline(&mut self, said: &Arc<Policy>) -> PolicyId {
        if let Some(found) = self.inline.get_mut(said) {
            found.users += 1;
            return found.id;
        }
        let mut installed = self.install_policy(said, None);
        installed.users = 1;
        let id = installed.id;
        self.inline.insert(Arc::clone(said), installed);
        id
    }

    /// Gives back what [`acquire_inline`](Self::acquire_inline) gave.
    pub(super) fn release_inline(&mut self, said: &Arc<Policy>) {
        let Some(found) = self.inline.get_mut(said) else { return };
        found.users -= 1;
        if found.users == 0
            && let Some(policy) = self.inline.remove(said)
        {
            self.remove_policy(&policy);
        }
    }

    /// Policies that routes carry themselves, by name.
    pub fn inline_policies(&self) -> impl Iterator<Item = &InstalledPolicy> {
        let mut inline: Vec<_> = self.inline.values().collect();
        inline.sort_by(|a, b| a.said.name.cmp(&b.said.name));
        inline.into_iter()
    }

    /// Brings the policies in line with the file.
    pub(super) fn apply_policies(&mut self) {
        let wanted: BTreeMap<String, Policy> = self
            .config
            .policies
            .iter()
            .filter_map(|said| Some((said.name.clone(), self.resolved(said)?)))
            .collect();
        let gone: Vec<String> =
            self.policies.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some(policy) = self.policies.remove(&name) {
                self.remove_policy(&policy);
            }
        }
        let hop_limit = self.config.router.encap_hop_limit;
        let changed: Vec<Arc<Policy>> = wanted
            .into_values()
            .filter(|said| {
                let old = self.policies.get(&said.name);
                let written = |old: &InstalledPolicy| {
                    said.lists
                        .iter()
                        .zip(&old.written)
                        .all(|(list, old)| self.written(said, list) == *old)
                };
                old.is_none_or(|old| {
                    *old.said != *said
                        || old.hop_limit != hop_limit
                        || old.key.as_ref() != self.key_of(said)
                        || !written(old)
                })
            })
            .map(Arc::new)
            .collect();
        for said in changed {
            let old = self.policies.remove(&said.name);
            let installed = self.install_policy(&said, old);
            self.policies.insert(said.name.clone(), installed);
        }
        let late: Vec<Arc<Policy>> = self
            .inline
            .values()
            .filter(|policy| policy.hop_limit != hop_limit)
            .map(|policy| Arc::clone(&policy.said))
            .collect();
        for said in late {
            let old = self.inline.remove(&said);
            let installed = self.install_policy(&said, old);
            self.inline.insert(said, installed);
        }
    }

    fn remove_policy(&mut self, policy: &InstalledPolicy) {
        self.writer.stage(match policy.said.behavior {
            Headend::HInsert => Change::Insertion(policy.id, None),
            _ => Change::Policy(policy.id, None),
        });
        self.free_policies.push(policy.id);
    }

    fn install_policy(
        &mut self,
        said: &Arc<Policy>,
        old: Option<InstalledPolicy>,
    ) -> InstalledPolicy {
        let hop_limit = self.config.router.encap_hop_limit;
        let id =
            old.as_ref().map(|old| old.id).or_else(|| self.free_policies.pop()).unwrap_or_else(
                || {
                    self.policy_ids += 1;
                    self.policy_ids - 1
                },
            );
        // A segment list that stays keeps its counters and its flows; one that names nodes does so
        // whatever its segments are.
        let old_place = |list: &SegmentList| {
            let same = |other: &SegmentList| {
                other.via == list.via && (other.segs == list.segs || !list.via.is_empty())
            };
            old.as_ref().and_then(|old| old.said.lists.iter().position(same))
        };
        let places: Vec<Option<usize>> = said.lists.iter().map(old_place).collect();
        let counters: Vec<_> = places
            .iter()
            .map(|place| {
                let before = old.as_ref().zip(*place);
                let before = before.and_then(|(old, place)| old.counters.get(place).cloned());
                before.unwrap_or_else(|| PacketCounters::new(self.workers))
            })
            .collect();
        let new_place = |owner: &u16| {
            let place = places.iter().position(|place| *place == Some(usize::from(*owner)))?;
            Some(place as u16)
        };
        let before: Vec<_> = old.iter().flat_map(|old| &old.buckets).map(new_place).collect();
        let weights: Vec<_> = said.lists.iter().map(|list| u32::from(list.weight)).collect();
        let buckets = shares::divide(&weights, &before);
        let table = self.tables.get(&Key::MAIN).copied().unwrap_or(0);
        let key = self.key_of(said).cloned();
        let written: Vec<_> = said.lists.iter().map(|list| self.written(said, list)).collect();
        let was_other = old.as_ref().is_some_and(|old| {
            (old.said.behavior == Headend::HInsert) != (said.behavior == Headend::HInsert)
        });
        if said.behavior == Headend::HInsert {
            let lists = insertions(&written, &counters);
            let policy = Insertion { lists, buckets: buckets.clone(), table };
            self.writer.stage(Change::Insertion(id, Some(policy)));
        } else {
            let lists = compile(said, &written, hop_limit, key.as_ref(), &counters);
            let policy = fib::Policy { lists, buckets: buckets.clone(), table };
            self.writer.stage(Change::Policy(id, Some(policy)));
        }
        // An index is one or the other.
        if was_other {
            self.writer.stage(match said.behavior {
                Headend::HInsert => Change::Policy(id, None),
                _ => Change::Insertion(id, None),
            });
        }
        let users = old.map_or(0, |old| old.users);
        let said = Arc::clone(said);
        InstalledPolicy { id, said, written, hop_limit, key, buckets, counters, users }
    }
}

fn insertions(written: &[Vec<Ipv6Addr>], counters: &[Arc<PacketCounters>]) -> Vec<InsertedList> {
    let lists = written.iter().zip(counters);
    lists
        .map(|(list, counters)| {
            let segs: Vec<u128> = list.iter().map(|seg| u128::from(*seg)).collect();
            InsertedList::new(&segs, Arc::clone(counters))
        })
        .collect()
}

fn compile(
    said: &Policy,
    written: &[Vec<Ipv6Addr>],
    hop_limit: u8,
    key: Option<&HmacKey>,
    counters: &[Arc<PacketCounters>],
) -> Vec<headend::SegmentList> {
    let key = key.map(static_::hmac_key);
    let mode = if said.behavior.is_reduced() { Mode::EncapsRed } else { Mode::Encaps };
    let lists = written.iter().zip(counters);
    lists
        .map(|(list, counters)| {
            let segs: Vec<u128> = list.iter().map(|seg| u128::from(*seg)).collect();
            let (source, counters) = (said.source.into(), Arc::clone(counters));
            match &key {
                Some(key) => {
                    headend::SegmentList::signed(key, mode, &segs, source, hop_limit, counters)
                }
                None => headend::SegmentList::new(mode, &segs, source, hop_limit, counters),
            }
        })
        .collect()
}
