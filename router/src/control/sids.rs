//! Local SIDs on their way from the RIB to the workers.

use std::sync::Arc;

use ipnet::IpNet;
use sidewinder_config::LocalSid;
use sidewinder_dataplane::counters::PacketCounters;
use sidewinder_dataplane::fib::entry::{Entry, GroupId, PolicyId, PortIndex, SidId};
use sidewinder_dataplane::fib::{self, Change};

use super::Control;
use super::resolve::Resolved;
use super::rib::{Key, Source, Standing};
use crate::source::static_;

/// A local SID that workers know.
#[derive(Debug)]
pub struct InstalledSid {
    id: SidId,
    /// What its source says of it.
    pub said: Arc<LocalSid>,
    /// Whose word it is.
    pub source: Source,
    group: Option<GroupId>,
    pub(super) policy: Option<PolicyId>,
    /// Packets and bytes.
    pub counters: Arc<PacketCounters>,
}

impl Control {
    /// Tells the workers of a SID, or of what changed about it. `policy` is that of a SID that has
    /// one, if there is one of its name. `None` where the prefix is none that can be a SID.
    pub(super) fn apply_sid(
        &mut self,
        key: Key,
        source: Source,
        said: &Arc<LocalSid>,
        policy: Option<Option<PolicyId>>,
    ) -> Option<(Entry, Standing)> {
        let IpNet::V6(prefix) = key.prefix else { return None };
        let behavior = static_::behavior(&said.behavior);
        let mut standing = Standing::Best;
        let group = static_::hops(&said.behavior).map(|hops| {
            let members = match self.resolve(Key::MAIN, &hops, &key) {
                Resolved::Members(members) => members,
                Resolved::Policy(_) | Resolved::Nowhere => {
                    standing = Standing::NextHopUnresolved;
                    Vec::new()
                }
            };
            self.nexthops.acquire(members, &self.ports, &mut self.writer)
        });
        let table = static_::table(&said.behavior).map_or(0, |table| self.table(table));
        let id_of_policy = policy.flatten();
        if policy.is_some() && id_of_policy.is_none() {
            standing = Standing::PolicyUnresolved;
        }
        let old = self.sids.remove(&key);
        let unchanged = old.as_ref().is_some_and(|old| {
            old.said == *said && old.group == group && old.policy == id_of_policy
        });
        let (id, counters) = match old {
            Some(old) => {
                old.group.into_iter().for_each(|group| self.nexthops.release(group));
                let same = old.said.behavior == said.behavior;
                let counters = if same { old.counters } else { PacketCounters::new(self.workers) };
                (old.id, counters)
            }
            None => {
                self.sids_changed = true;
                let id = self.free_sids.pop().unwrap_or_else(|| {
                    self.sid_ids += 1;
                    self.sid_ids - 1
                });
                (id, PacketCounters::new(self.workers))
            }
        };
        if !unchanged {
            let sid = fib::Sid {
                address: u128::from(prefix.addr()),
                prefix_len: prefix.prefix_len(),
                behavior,
                flavors: static_::flavors(said.flavors),
                csid: static_::csid(said.structure),
                hmac: static_::hmac(said.hmac),
                group: group.unwrap_or(0),
                table,
                port: static_::interface(&said.behavior)
                    .and_then(|name| self.ports.by_name(name))
                    .unwrap_or(PortIndex::MAX),
                policy: id_of_policy.unwrap_or(PolicyId::MAX),
                counters: Arc::clone(&counters),
            };
            self.writer.stage(Change::Sid(id, Some(sid)));
        }
        let said = Arc::clone(said);
        let installed = InstalledSid { id, said, source, group, policy: id_of_policy, counters };
        self.sids.insert(key, installed);
        Some((Entry::local(id), standing))
    }

    /// Has the workers forget a SID, if there is one.
    pub(super) fn remove_sid(&mut self, key: &Key) {
        if let Some(sid) = self.sids.remove(key) {
            self.sids_changed = true;
            self.writer.stage(Change::Sid(sid.id, None));
            sid.group.into_iter().for_each(|group| self.nexthops.release(group));
            self.free_sids.push(sid.id);
        }
    }
}
