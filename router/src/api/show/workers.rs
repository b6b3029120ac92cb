//! Workers, and what they have done.

use serde::{Deserialize, Serialize};
use sidewinder_dataplane::frame::FRAME_SIZE;

use crate::control::daemon::Daemon;

/// A worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Worker {
    /// Its number.
    pub worker: usize,
    /// The core it is pinned to.
    pub core: Option<usize>,
    /// Its niceness: -20 of a pinned one, where the system allows that.
    pub nice: i32,
    /// Whether its packet memory is on huge pages.
    pub huge_pages: bool,
    /// Bytes of its packet memory.
    pub memory: usize,
    /// Packets that came in.
    pub received: u64,
    /// Packets that went on.
    pub forwarded: u64,
    /// Fragments that were sent beside the first of each packet that was cut.
    #[serde(default)]
    pub fragments: u64,
    /// Packets that were given to the host.
    pub punted: u64,
    /// Packets that were answered.
    pub replied: u64,
    /// Packets that were dropped.
    pub dropped: u64,
    /// Packets per burst, over all bursts.
    pub packets_per_burst: f64,
    /// Rounds of the poll loop.
    pub rounds: u64,
    /// Frames of its packet memory. At rest they are free or in rings, all of them.
    pub frames: u64,
    /// Frames that hold no packet and are in no ring.
    pub frames_free: u64,
    /// Frames in the rings and in the driver's hands.
    pub frames_in_rings: u64,
}

/// The workers.
pub fn workers(daemon: &Daemon) -> Vec<Worker> {
    daemon
        .workers
        .iter()
        .enumerate()
        .map(|(index, worker)| {
            let counters = &worker.counters;
            let received = counters.received.iter().map(|port| port.get().packets).sum();
            let bursts = counters.bursts.get();
            Worker {
                worker: index,
                core: worker.core,
                nice: worker.nice,
                huge_pages: worker.huge_pages,
                memory: worker.memory,
                received,
                forwarded: counters.forwarded.get(),
                fragments: counters.fragments.get(),
                punted: counters.punted.get(),
                replied: counters.replied.get(),
                dropped: counters.dropped.get(),
                packets_per_burst: received as f64 / bursts.max(1) as f64,
                rounds: counters.rounds.get(),
                frames: (worker.memory / FRAME_SIZE) as u64,
                frames_free: counters.frames_free.get(),
                frames_in_rings: counters.frames_in_rings.get(),
            }
        })
        .collect()
}
