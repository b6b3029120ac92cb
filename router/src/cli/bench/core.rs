//! `bench core`: the real pipeline on packets in memory, input and output left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use crossbeam::utils::CachePadded;
use serde::Serialize;
use sidewinder_dataplane::counters::WorkerCounters;
use sidewinder_dataplane::frame::{BURST, Burst, Frame, FreeList, HEADROOM, PacketBuf};
use sidewinder_dataplane::pipeline::{Context, Pipeline};
use sidewinder_dataplane::port::Umem;
use sidewinder_dataplane::port::memory::CountingHost;
use sidewinder_dataplane::verdict::Reason;

use super::environment::Environment;
use super::routes::{Numbers, Prefix, Routes};
use super::scenario::Scenario;
use crate::cli::table::Table;

/// Packets that are laid out, then processed while the clock runs.
const VECTOR: usize = 256;

/// Different packets per measurement.
const FLOWS: usize = 4096;

/// Measurements of each behavior, of which the median is told.
const ROUNDS: usize = 7;

/// Arguments of `bench core`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Routes in the table: so many, or those of a file with a prefix a line (gzip accepted). May
    /// be given more than once.
    #[arg(long, value_name = "N|FILE", default_value = "10")]
    routes: Vec<Routes>,
    /// Measure these behaviors only (IPv6, End, End-PSP, End.X, End.DT6, …).
    #[arg(long, value_name = "NAME")]
    behavior: Vec<String>,
    /// Packets per measurement.
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    packets: usize,
}

/// What was measured of a behavior.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Outcome {
    behavior: String,
    routes: usize,
    packet_bytes: usize,
    ns_per_packet: f64,
    cycles_per_packet: f64,
    mpps: f64,
}

#[derive(Debug, Serialize)]
struct Output {
    environment: Environment,
    results: Vec<Outcome>,
}

/// Measures, and prints.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let chosen: Vec<Scenario> = Scenario::ALL
        .into_iter()
        .filter(|scenario| {
            args.behavior.is_empty()
                || args.behavior.iter().any(|name| name.eq_ignore_ascii_case(&scenario.name()))
        })
        .collect();
    let names = || Scenario::ALL.map(Scenario::name).join(", ");
    ensure!(!chosen.is_empty(), "no such behavior: there are {}", names());
    let environment = Environment::here();
    let mut results = Vec::new();
    for routes in &args.routes {
        let routes = routes.load()?;
        for scenario in &chosen {
            eprintln!("{} with {} routes …", scenario.name(), routes.len());
            results.push(measure(*scenario, &routes, args.packets, environment.tsc_mhz)?);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&Output { environment, results })?);
        return Ok(());
    }
    let Environment { processor, tsc_mhz, .. } = &environment;
    println!("{processor}, cycles of {tsc_mhz:.0} MHz");
    let mut table =
        Table::new(["behavior", "routes", "packet bytes", "ns/packet", "cycles/packet", "Mpps"]);
    for result in results {
        table.row([
            result.behavior,
            result.routes.to_string(),
            result.packet_bytes.to_string(),
            format!("{:.1}", result.ns_per_packet),
            format!("{:.1}", result.cycles_per_packet),
            format!("{:.1}", result.mpps),
        ]);
    }
    print!("{table}");
    Ok(())
}

fn measure(
    scenario: Scenario,
    routes: &[Prefix],
    packets: usize,
    tsc_mhz: f64,
) -> anyhow::Result<Outcome> {
    let mut bench = Rig::new(scenario, routes)?;
    bench.pass(packets / 10)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(bench.pass(packets / ROUNDS)?);
    }
    times.sort_by(f64::total_cmp);
    let ns = times[ROUNDS / 2];
    Ok(Outcome {
        behavior: scenario.name(),
        routes: routes.len(),
        packet_bytes: bench.packets[0].len(),
        ns_per_packet: ns,
        cycles_per_packet: ns * tsc_mhz / 1000.0,
        mpps: 1000.0 / ns,
    })
}

/// A pipeline with its FIB, and the packets it is fed.
struct Rig {
    umem: Umem,
    frames: Vec<Frame>,
    free: FreeList,
    pipeline: Pipeline,
    reader: sidewinder_dataplane::fib::publish::Reader<sidewinder_dataplane::fib::Fib>,
    packets: Vec<Vec<u8>>,
    next: usize,
    counters: Arc<CachePadded<WorkerCounters>>,
    /// Keeps the versions that the reader may ask for.
    _writer: sidewinder_dataplane::fib::writer::Writer,
}

impl Rig {
    fn new(scenario: Scenario, routes: &[Prefix]) -> anyhow::Result<Self> {
        let mut writer = scenario.fib(routes);
        let reader = writer.reader();
        let (umem, frames) = Umem::private(VECTOR as u32).context("no memory for packets")?;
        let counters = WorkerCounters::new(2);
        let mut numbers = Numbers(2);
        let packets =
            (0..FLOWS).map(|flow| scenario.packet(numbers.address(routes), flow as u16)).collect();
        Ok(Self {
            umem,
            frames,
            free: FreeList::new(Vec::with_capacity(VECTOR)),
            pipeline: Pipeline::new(0, 2, Arc::clone(&counters)),
            reader,
            packets,
            next: 0,
            counters,
            _writer: writer,
        })
    }

    /// Processes so many packets, and tells the nanoseconds for each.
    fn pass(&mut self, packets: usize) -> anyhow::Result<f64> {
        let vectors = packets.div_ceil(VECTOR).max(1);
        let mut elapsed = Duration::ZERO;
        let mut host = CountingHost::default();
        for _ in 0..vectors {
            let mut bursts = self.lay_out();
            let start = Instant::now();
            let fib = self.reader.current();
            let mut sent: [Burst; VECTOR / BURST] = Default::default();
            for (burst, sent) in bursts.iter_mut().zip(&mut sent) {
                self.pipeline.room.fill(BURST);
                let mut context =
                    Context { umem: &mut self.umem, fib, free: &mut self.free, punt: &mut host };
                self.pipeline.process(0, burst, &mut context);
                std::mem::swap(sent, &mut self.pipeline.out[1]);
            }
            elapsed += start.elapsed();
            let out: usize = sent.iter().map(|burst| burst.len()).sum();
            ensure!(
                out == VECTOR,
                "{} of {VECTOR} packets were dropped: {}",
                VECTOR - out,
                self.reasons()
            );
            self.frames.extend(
                sent.iter_mut().flat_map(|burst| burst.drain(..)).map(|packet| packet.frame),
            );
        }
        Ok(elapsed.as_nanos() as f64 / (vectors * VECTOR) as f64)
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

    /// Writes the next packets into frames.
    fn lay_out(&mut self) -> [Burst; VECTOR / BURST] {
        let mut bursts: [Burst; VECTOR / BURST] = Default::default();
        for burst in &mut bursts {
            while !burst.is_full() {
                let Some(frame) = self.frames.pop() else { break };
                let packet = &self.packets[self.next % FLOWS];
                self.next += 1;
                self.umem.bytes(&frame)[HEADROOM..HEADROOM + packet.len()].copy_from_slice(packet);
                burst.push(PacketBuf { frame, head: HEADROOM as u16, len: packet.len() as u16 });
            }
        }
        bursts
    }
}
