//! The poll loop: one thread, one core, one queue of every interface.

use std::{
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crossbeam::utils::CachePadded;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::{
    counters::WorkerCounters,
    fib::{Fib, entry::PortIndex, publish::Reader},
    frame::{Burst, FreeList},
    pipeline::{Context, Pipeline, fragment::Waiting},
    port::{Port, Punt, Umem},
    trace::Tap,
};

/// Rounds without a packet before an adaptive worker sleeps.
const PATIENCE: u32 = 256;

/// The longest sleep: the bound on what a lost wake-up can cost.
const SLEEP: Duration = Duration::from_millis(100);

/// How a worker waits for packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Polling {
    /// Polls for a while, then sleeps until something comes.
    #[default]
    Adaptive,
    /// Never sleeps: the shortest latency, and a core to itself.
    Busy,
}

/// What others have of a running worker: a way to wake it and to stop it.
#[derive(Debug, Clone)]
pub struct Handle {
    stop: Arc<AtomicBool>,
    wake: Arc<EventFd>,
}

impl Handle {
    /// A handle for a worker to be.
    pub fn new() -> nix::Result<Self> {
        let wake =
            EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { stop: Arc::default(), wake: Arc::new(wake) })
    }

    /// Ends a worker's sleep: there is a new version of the FIB to take.
    pub fn wake(&self) {
        // Fails only where the counter is full, and then the worker wakes anyhow.
        let _ = self.wake.write(1);
    }

    /// Asks a worker to end after its present round.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }
}

/// A worker: its ports, its packet memory, its view of the FIB.
#[derive(Debug)]
pub struct Worker<P: Port, U: Punt> {
    /// One per interface, in the order of the FIB's port indices.
    pub ports: Vec<P>,
    /// The memory of its packets.
    pub umem: Umem,
    /// Frames that are in no ring.
    pub free: FreeList,
    /// Its view of the FIB.
    pub fib: Reader<Fib>,
    /// The way to the host.
    pub punt: U,
    /// The pipeline.
    pub pipeline: Pipeline,
    /// What it counts.
    pub counters: Arc<CachePadded<WorkerCounters>>,
    /// The way by which traces come.
    tap: Arc<Tap>,
    /// How many came.
    tapped: u64,
    burst: Burst,
}

impl<P: Port, U: Punt> Worker<P, U> {
    /// Worker number `index`.
    pub fn new(
        index: usize,
        ports: Vec<P>,
        umem: Umem,
        free: FreeList,
        fib: Reader<Fib>,
        punt: U,
        counters: Arc<CachePadded<WorkerCounters>>,
    ) -> Self {
        let pipeline = Pipeline::new(index, ports.len(), Arc::clone(&counters));
        let (tap, tapped) = (Arc::default(), 0);
        Self { ports, umem, free, fib, punt, pipeline, counters, tap, tapped, burst: Burst::new() }
    }

    /// The way by which traces come, for the control thread.
    pub fn tap(&self) -> Arc<Tap> {
        Arc::clone(&self.tap)
    }

    /// Begins and ends traces as asked.
    #[cold]
    fn follow_tap(&mut self) {
        while let Some(order) = self.tap.take() {
            if let Some(ended) = self.pipeline.watch(order) {
                self.tap.give_back(ended);
            }
            self.tapped += 1;
        }
    }

    /// Works until it is told to stop.
    pub fn run(&mut self, handle: &Handle, polling: Polling) {
        let mut idle = 0;
        while !handle.stop.load(Ordering::Acquire) {
            idle = if self.round() { 0 } else { idle + 1 };
            if idle > PATIENCE && polling == Polling::Adaptive {
                P::wait(&mut self.ports, Some(handle.wake.as_fd()), SLEEP);
                let _ = handle.wake.read();
                idle = 0;
            }
        }
    }

    /// One round: a burst from every port, and the rings' housekeeping. Says whether there was
    /// anything to do.
    pub fn round(&mut self) -> bool {
        if self.tap.version() != self.tapped {
            self.follow_tap();
        }
        let fib = self.fib.current();
        let mut busy = false;
        for index in 0..self.ports.len() {
            self.ports[index].receive(&mut self.burst);
            if self.burst.is_empty() {
                continue;
            }
            busy = true;
            for (room, port) in self.pipeline.room.iter_mut().zip(&mut self.ports) {
                **room = port.room();
            }
            let mut context =
                Context { umem: &mut self.umem, fib, free: &mut self.free, punt: &mut self.punt };
            self.pipeline.process(index as u16, &mut self.burst, &mut context);
            for (port, out) in self.ports.iter_mut().zip(&mut self.pipeline.out) {
                if !out.is_empty() {
                    port.transmit(out);
                }
            }
            if !self.pipeline.fragments.is_empty() {
                let Self { ports, free, burst, pipeline, .. } = self;
                send_fragments(&mut pipeline.fragments, ports, burst, free);
            }
            self.counters.bursts.add(1);
        }
        for port in &mut self.ports {
            port.service(&mut self.free);
        }
        self.counters.rounds.add(1);
        if !busy {
            self.count_frames();
        }
        busy
    }

    /// Shows where the frames are. Between rounds they are in the rings or free, all of them.
    fn count_frames(&self) {
        self.counters.frames_free.set(self.free.len() as u64);
        let in_rings: usize = self.ports.iter().map(Port::held).sum();
        self.counters.frames_in_rings.set(in_rings as u64);
    }

    /// Frames that are where they belong: in the rings or free. Between rounds that is all of
    /// them.
    pub fn frames_held(&self) -> usize {
        self.free.len() + self.ports.iter().map(Port::held).sum::<usize>()
    }
}

/// Sends the fragments of packets whose first ones were sent with the burst, which is empty now.
#[cold]
fn send_fragments<P: Port>(
    fragments: &mut Waiting,
    ports: &mut [P],
    burst: &mut Burst,
    free: &mut FreeList,
) {
    let mut send = |port: PortIndex, burst: &mut Burst| {
        if let Some(port) = ports.get_mut(usize::from(port)) {
            port.transmit(burst);
        }
        // There was room for each. Should a port say otherwise now, no frame is lost.
        burst.drain(..).for_each(|packet| free.push(packet.frame));
    };
    let mut last = 0;
    for (port, packet) in fragments.drain() {
        if port != last || burst.is_full() {
            send(last, burst);
        }
        last = port;
        burst.push(packet);
    }
    send(last, burst);
}
