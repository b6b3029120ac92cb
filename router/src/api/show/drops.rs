//! Reasons for which packets are dropped or answered.

use serde::{Deserialize, Serialize};
use sidewinder_dataplane::verdict::Reason;

use crate::control::daemon::Daemon;

/// A reason for which packets are dropped or answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drops {
    /// Its name.
    pub reason: String,
    /// Packets dropped for it.
    pub dropped: u64,
    /// Packets answered for it.
    pub replied: u64,
}

/// Every reason that occurred.
pub fn drops(daemon: &Daemon) -> Vec<Drops> {
    Reason::ALL
        .iter()
        .map(|reason| {
            let sum = |read: fn(&crate::control::workers::Running, usize) -> u64| {
                daemon.workers.iter().map(|worker| read(worker, *reason as usize)).sum()
            };
            Drops {
                reason: reason.name().into(),
                dropped: sum(|worker, at| worker.counters.drops[at].get()),
                replied: sum(|worker, at| worker.counters.replies[at].get()),
            }
        })
        .filter(|drops| drops.dropped + drops.replied > 0)
        .collect()
}
