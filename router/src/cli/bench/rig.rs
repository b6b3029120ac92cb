//! A pipeline on packets in memory: its FIB, and the vectors that it is fed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use crossbeam::utils::CachePadded;
use sidewinder_dataplane::counters::WorkerCounters;
use sidewinder_dataplane::fib::Fib;
use sidewinder_dataplane::fib::publish::Reader;
use sidewinder_dataplane::frame::{BURST, Burst, Frame, FreeList, HEADROOM, PacketBuf};
use sidewinder_dataplane::pipeline::{Context, Pipeline};
use sidewinder_dataplane::port::Umem;
use sidewinder_dataplane::port::memory::CountingHost;
use sidewinder_dataplane::verdict::Reason;

use super::scenario::Template;

/// Bursts that are laid out, then processed while the clock runs.
const BURSTS: usize = 4;

/// Packets of a vector. As few as fit into the cache with their frames: where they come from is
/// input, which is left out.
pub const VECTOR: usize = BURSTS * BURST;

/// One worker's pipeline, with packets for it.
#[derive(Debug)]
pub struct Rig {
    umem: Umem,
    frames: Vec<Frame>,
    free: FreeList,
    pipeline: Pipeline,
    reader: Reader<Fib>,
    host: CountingHost,
    counters: Arc<CachePadded<WorkerCounters>>,
    template: Template,
    destinations: Arc<[u128]>,
    /// The packet to be laid out next.
    next: usize,
    /// The vector that waits.
    bursts: [Burst; BURSTS],
    /// The vector that was processed.
    sent: [Burst; BURSTS],
}

impl Rig {
    /// The pipeline of worker number `worker`. It begins somewhere else in the destinations than
    /// other workers.
    pub fn new(
        worker: usize,
        reader: Reader<Fib>,
        template: Template,
        destinations: Arc<[u128]>,
    ) -> anyhow::Result<Self> {
        let (umem, frames) = Umem::private(VECTOR as u32).context("no memory for packets")?;
        let counters = WorkerCounters::new(2);
        Ok(Self {
            umem,
            frames,
            free: FreeList::new(Vec::with_capacity(VECTOR)),
            pipeline: Pipeline::new(worker, 2, Arc::clone(&counters)),
            reader,
            host: CountingHost::default(),
            counters,
            template,
            next: worker * destinations.len() / 3,
            destinations,
            bursts: Default::default(),
            sent: Default::default(),
        })
    }

    /// Processes so many packets, in whole vectors, and tells the nanoseconds for each.
    pub fn pass(&mut self, packets: usize) -> anyhow::Result<f64> {
        let vectors = packets.div_ceil(VECTOR).max(1);
        let elapsed = self.run(vectors)?;
        Ok(elapsed.as_nanos() as f64 / (vectors * VECTOR) as f64)
    }

    /// Processes so many vectors, and tells how long that took.
    pub fn run(&mut self, vectors: usize) -> anyhow::Result<Duration> {
        let mut elapsed = Duration::ZERO;
        for _ in 0..vectors {
            self.lay_out();
            let start = Instant::now();
            self.process();
            elapsed += start.elapsed();
            self.collect()?;
        }
        Ok(elapsed)
    }

    /// Writes the next vector into frames.
    fn lay_out(&mut self) {
        for burst in &mut self.bursts {
            while !burst.is_full() {
                let Some(frame) = self.frames.pop() else { break };
                let destination = self.destinations[self.next % self.destinations.len()];
                let bytes = &mut self.umem.bytes(&frame)[HEADROOM..];
                let len = self.template.write(bytes, destination, self.next as u16);
                self.next += 1;
                burst.push(PacketBuf { frame, head: HEADROOM as u16, len: len as u16 });
            }
        }
    }

    /// Processes the vector that was laid out: what is measured. `scripts/bench-gate` counts
    /// instructions between its entry and its return, so it stays a function.
    #[inline(never)]
    fn process(&mut self) {
        let fib = self.reader.current();
        for (burst, sent) in self.bursts.iter_mut().zip(&mut self.sent) {
            self.pipeline.room.iter_mut().for_each(|room| **room = BURST);
            let mut context =
                Context { umem: &mut self.umem, fib, free: &mut self.free, punt: &mut self.host };
            self.pipeline.process(0, burst, &mut context);
            std::mem::swap(sent, &mut self.pipeline.out[1]);
        }
    }

    /// Takes the frames of the processed vector back; all of its packets must have been sent.
    fn collect(&mut self) -> anyhow::Result<()> {
        let out: usize = self.sent.iter().map(|burst| burst.len()).sum();
        ensure!(
            out == VECTOR,
            "{} of {VECTOR} packets were dropped: {}",
            VECTOR - out,
            self.reasons()
        );
        let packets = self.sent.iter_mut().flat_map(|burst| burst.drain(..));
        self.frames.extend(packets.map(|packet| packet.frame));
        Ok(())
    }

    /// Why packets were dropped.
    fn reasons(&self) -> String {
        let reasons: Vec<&str> = Reason::ALL
            .iter()
            .filter(|reason| self.counters.drops[**reason as usize].get() > 0)
            .map(|reason| reason.name())
            .collect();
        reasons.join(", ")
    }
}
