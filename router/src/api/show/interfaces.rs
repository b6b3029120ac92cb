//! Interfaces, as the kernel has them and as workers serve them.

use serde::{Deserialize, Serialize};
use sidewinder_dataplane::counters::Traffic;
use sidewinder_dataplane::port::xdp::link;
use sidewinder_dataplane::port::xdp::steer::AttachMode;

use super::{Count, mac};
use crate::control::daemon::Daemon;

/// An interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Interface {
    /// The kernel's name of it.
    pub name: String,
    /// The kernel's index of it.
    pub index: Option<u32>,
    /// Ethernet address.
    pub mac: String,
    /// MTU in bytes, no more than a frame takes.
    pub mtu: u16,
    /// Whether it is on and has carrier, and is the one that is served.
    pub up: bool,
    /// Whether it is another interface of the same name than at the start: the daemon has to be
    /// started again.
    pub replaced: bool,
    /// The driver's name.
    pub driver: String,
    /// Where the XDP program is attached: `driver` or `generic`.
    pub mode: String,
    /// Whether the kernel said that all its sockets are without copies.
    pub zero_copy: bool,
    /// Whether the kernel leaves its queues to the workers (preferred busy polling): with
    /// `poll = "busy"`, on drivers that send without being woken.
    #[serde(default)]
    pub busy_poll: bool,
    /// The queues that are served.
    pub queues: Vec<u32>,
    /// Table that its packets are looked up in.
    pub table: String,
    /// Its side of the SR domain's border: `internal` or `external`.
    pub domain: String,
    /// The policy that its frames are steered into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Packets that came in.
    pub received: Count,
    /// Packets handed over for sending.
    pub sent: Count,
    /// Packets that the kernel dropped because they were longer than a frame.
    pub kernel_dropped: u64,
    /// Packets that the kernel dropped because the worker was too slow.
    pub ring_full: u64,
    /// Times the kernel had no frame to receive into.
    pub no_frame: u64,
}

/// The interfaces, in the order of the file.
pub fn interfaces(daemon: &Daemon) -> Vec<Interface> {
    let describe = |(port, found): (u16, &crate::control::ports::Port)| {
        let at = usize::from(port);
        let (mut received, mut sent) = (Traffic::default(), Traffic::default());
        let (mut kernel_dropped, mut ring_full, mut no_frame) = (0, 0, 0);
        let mut queues = Vec::new();
        let (mut zero_copy, mut busy_poll) = (true, !daemon.workers.is_empty());
        for worker in &daemon.workers {
            received += worker.counters.received.get(at).map(|c| c.get()).unwrap_or_default();
            sent += worker.counters.sent.get(at).map(|c| c.get()).unwrap_or_default();
            if let Some((granted, served)) = worker.sockets.get(at) {
                zero_copy &= granted;
                queues.extend(served);
            }
            busy_poll &= worker.monitors.get(at).is_some_and(|m| m.busy_polls().unwrap_or(false));
            if let Some(Ok(kernel)) = worker.monitors.get(at).map(|m| m.statistics()) {
                kernel_dropped += kernel.rx_dropped;
                ring_full += kernel.rx_ring_full;
                no_frame += kernel.rx_fill_ring_empty;
            }
        }
        let mode = match daemon.steering.programs.get(at).map(|program| program.mode()) {
            Some(AttachMode::Driver) => "driver",
            Some(AttachMode::Generic) => "generic",
            None => "none",
        };
        let said = daemon.control.config.interface(&found.name);
        Interface {
            name: found.name.to_string(),
            index: found.index,
            mac: mac(found.mac),
            mtu: found.mtu,
            up: found.up,
            replaced: found.replaced,
            driver: link::driver(&found.name),
            mode: mode.into(),
            zero_copy,
            busy_poll,
            queues,
            table: sidewinder_config::Table(found.table).to_string(),
            domain: said.map(|said| said.domain).unwrap_or_default().to_string(),
            policy: said.and_then(|said| said.policy.clone()),
            received: received.into(),
            sent: sent.into(),
            kernel_dropped,
            ring_full,
            no_frame,
        }
    };
    daemon.control.ports.iter().map(describe).collect()
}
