//! The router under test: the real worker loop, on ports in memory, with a whole configuration.

use std::sync::Arc;

use crossbeam::utils::CachePadded;
use sidewinder::api::trace::Traced;
use sidewinder::control::{Control, OfflineLink, offline, trace};
use sidewinder_config::Config;
use sidewinder_dataplane::{
    counters::{TrafficCounter, WorkerCounters},
    fib::{Fib, entry::PortIndex, nexthop::State},
    frame::{FreeList, HEADROOM, PacketBuf},
    port::{
        Umem,
        memory::{MemoryHost, MemoryPort},
    },
    trace::{Filter, Kind, Ring, Session},
    verdict::Reason,
    worker::Worker,
};

use crate::case::Case;

/// Frames of the worker's memory.
const FRAMES: u32 = 512;

/// Places in each port's rings; half of them hold frames to receive into.
const RING: usize = 128;

/// The router, and the other ends of its ports.
pub struct Machine {
    worker: Worker<MemoryPort, MemoryHost>,
    /// What the worker's trace goes to.
    ring: Arc<Ring>,
    control: Control,
}

/// What the worker has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub received: u64,
    pub sent: u64,
    pub forwarded: u64,
    pub punted: u64,
    pub replied: u64,
    pub dropped: u64,
    pub replies: [u64; Reason::COUNT],
    pub drops: [u64; Reason::COUNT],
}

/// MAC address of the interface with this place in the configuration.
pub const fn own_mac(index: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, index as u8 + 1]
}

impl Machine {
    /// The router of a configuration, with its interfaces as the case says.
    pub fn new(config: &Config, case: &Case) -> Result<Self, String> {
        let links: Vec<OfflineLink> = config
            .interfaces
            .iter()
            .enumerate()
            .map(|(index, interface)| OfflineLink {
                name: interface.name.clone(),
                index: index as u32 + 1,
                mac: own_mac(index),
                mtu: mtu(case, &interface.name),
            })
            .collect();
        let mut control = offline(config, &links, 1);
        for name in &case.down {
            let port = config
                .interfaces
                .iter()
                .position(|interface| interface.name == *name)
                .ok_or_else(|| format!("there is no {name}"))?;
            take_down(&control, port as PortIndex);
        }
        let (umem, frames) = Umem::private(FRAMES).map_err(|error| error.to_string())?;
        let ports: Vec<_> = links.iter().map(|_| MemoryPort::new(RING)).collect();
        let counters = WorkerCounters::new(ports.len());
        let free = FreeList::new(frames);
        let reader = control.writer.reader();
        let host = MemoryHost::default();
        let mut worker = Worker::new(0, ports, umem, free, reader, host, counters);
        let ring = Ring::new(RING, u64::MAX);
        worker.tap().begin(Kind::Trace, Session::new(Filter::default(), Arc::clone(&ring)));
        // The ports take frames to receive into.
        worker.round();
        Ok(Self { worker, ring, control })
    }

    /// What the worker reads.
    pub fn fib(&self) -> &Fib {
        self.control.writer.live()
    }

    /// Takes what was traced of the packets since the last time.
    pub fn traced(&mut self) -> Vec<Traced> {
        let describe = || self.ring.take(|record| trace::describe(record, 1, &self.control));
        std::iter::from_fn(describe).collect()
    }

    /// Puts a frame on the wire to an interface.
    pub fn offer(&mut self, port: usize, bytes: &[u8]) -> Result<(), String> {
        let port = &mut self.worker.ports[port];
        let frame = port.take_fill().ok_or("no frame to receive into")?;
        self.worker.umem.bytes(&frame)[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        let len = bytes.len() as u16;
        port.offer(PacketBuf { frame, head: HEADROOM as u16, len });
        Ok(())
    }

    /// Lets the worker do one round.
    pub fn round(&mut self) {
        self.worker.round();
    }

    /// Takes the frames that were sent by an interface off the wire.
    pub fn sent(&mut self, port: usize) -> Vec<Vec<u8>> {
        let Worker { ports, umem, .. } = &mut self.worker;
        let mut packets = Vec::new();
        while let Some(packet) = ports[port].take_sent() {
            let start = usize::from(packet.head);
            packets.push(
                umem.bytes_ref(&packet.frame)[start..start + usize::from(packet.len)].to_vec(),
            );
            ports[port].complete(packet.frame);
        }
        packets
    }

    /// Takes the packets that the host was given.
    pub fn punted(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.worker.punt.packets)
    }

    /// Whether all frames are where they belong.
    pub fn frames_are_conserved(&self) -> bool {
        self.worker.frames_held() == FRAMES as usize
    }

    /// What the worker has counted so far.
    pub fn counts(&self) -> Counts {
        let counters = &self.worker.counters;
        let packets = |ports: &[CachePadded<TrafficCounter>]| {
            ports.iter().map(|port| port.get().packets).sum()
        };
        Counts {
            received: packets(&counters.received),
            sent: packets(&counters.sent),
            forwarded: counters.forwarded.get(),
            punted: counters.punted.get(),
            replied: counters.replied.get(),
            dropped: counters.dropped.get(),
            replies: std::array::from_fn(|reason| counters.replies[reason].get()),
            drops: std::array::from_fn(|reason| counters.drops[reason].get()),
        }
    }
}

fn mtu(case: &Case, name: &str) -> u32 {
    case.mtus.iter().find(|(other, _)| other == name).map_or(1500, |(_, mtu)| *mtu)
}

/// What the control thread does when a link goes down.
fn take_down(control: &Control, port: PortIndex) {
    let fib = control.writer.live();
    for (id, adjacency) in fib.adjacencies.iter().enumerate() {
        if adjacency.port == port {
            fib.health.set(id as u32, State::Down);
        }
    }
}
