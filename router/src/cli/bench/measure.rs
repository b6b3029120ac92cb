//! Workers on cores of their own, timed side by side.

use std::sync::{Arc, Barrier};
use std::thread;

use anyhow::{anyhow, ensure};
use core_affinity::CoreId;
use sidewinder_dataplane::fib::writer::Writer;

use super::rig::Rig;
use super::routes::{Prefix, destinations};
use super::scenario::{Scenario, Template};

/// Measurements, of which the median is told.
const ROUNDS: usize = 7;

/// Different destinations at least; and at most, which is more than any cache holds entries for.
const DESTINATIONS: (usize, usize) = (4096, 1 << 20);

/// How fast a scenario is.
#[derive(Debug)]
pub struct Speed {
    /// Nanoseconds per packet of each worker.
    pub ns: Vec<f64>,
    /// Million packets a second of all workers together.
    pub mpps: f64,
    /// Lowest and highest of the rounds that `mpps` is the median of.
    pub mpps_range: [f64; 2],
    /// The same of one worker alone, where there are several.
    pub one_worker_mpps: Option<f64>,
    /// The lowest and highest ratio of the two, round by round.
    pub factor_range: [f64; 2],
    /// Different destinations.
    pub destinations: usize,
}

/// Cores for so many workers. The last ones: interrupts tend to be on the first.
pub fn cores(workers: usize) -> anyhow::Result<Vec<CoreId>> {
    ensure!(workers > 0, "without a worker there is nothing to measure: --workers 1 at least");
    let mut cores = core_affinity::get_core_ids().unwrap_or_default();
    ensure!(
        workers <= cores.len(),
        "{workers} workers need a core each, and this process may use {}: give --workers {} at \
         most",
        cores.len(),
        cores.len()
    );
    Ok(cores.split_off(cores.len() - workers))
}

/// Measures a scenario with a worker on each of `cores`; where these are several, with one alone as
/// well.
pub fn speed(
    scenario: Scenario,
    routes: &[Prefix],
    packets: usize,
    cores: &[CoreId],
) -> anyhow::Result<Speed> {
    let destinations = destinations(routes, routes.len().clamp(DESTINATIONS.0, DESTINATIONS.1))?;
    let mut bench = Bench {
        writer: scenario.fib(routes, cores.len()),
        template: scenario.template(),
        destinations,
    };
    let mut all = bench.rigs(cores)?;
    let alone = &cores[..1];
    let mut one = bench.rigs(if cores.len() > 1 { alone } else { &[] })?;
    round(&mut one, alone, packets / 10)?;
    round(&mut all, cores, packets / 10)?;
    let (mut times, mut rates) = (Vec::new(), Vec::new());
    // In turn, so that what else the machine does meets both.
    for _ in 0..ROUNDS {
        rates.push(total(&round(&mut one, alone, packets / ROUNDS)?));
        times.push(round(&mut all, cores, packets / ROUNDS)?);
    }
    let totals: Vec<f64> = times.iter().map(|ns| total(ns)).collect();
    Ok(Speed {
        mpps_range: range(totals.iter().copied()),
        factor_range: range(totals.iter().zip(&rates).map(|(all, one)| all / one)),
        ns: (0..cores.len()).map(|worker| median(times.iter().map(|ns| ns[worker]))).collect(),
        mpps: median(totals.into_iter()),
        one_worker_mpps: (!one.is_empty()).then(|| median(rates.into_iter())),
        destinations: bench.destinations.len(),
    })
}

/// What is measured.
struct Bench {
    writer: Writer,
    template: Template,
    destinations: Arc<[u128]>,
}

impl Bench {
    /// A rig for each core.
    fn rigs(&mut self, cores: &[CoreId]) -> anyhow::Result<Vec<Rig>> {
        (0..cores.len())
            .map(|worker| {
                let destinations = Arc::clone(&self.destinations);
                Rig::new(worker, self.writer.reader(), self.template.clone(), destinations)
            })
            .collect()
    }
}

/// Has every rig process so many packets on its core, begun together.
fn round(rigs: &mut [Rig], cores: &[CoreId], packets: usize) -> anyhow::Result<Vec<f64>> {
    let start = &Barrier::new(rigs.len());
    thread::scope(|scope| {
        let workers: Vec<_> = rigs
            .iter_mut()
            .zip(cores)
            .map(|(rig, core)| {
                scope.spawn(move || {
                    let pinned = core_affinity::set_for_current(*core);
                    start.wait();
                    ensure!(pinned, "a worker cannot be pinned to core {}", core.id);
                    rig.pass(packets)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow!("a worker did not finish"))?)
            .collect()
    })
}

/// Million packets a second of workers with these nanoseconds per packet.
fn total(ns: &[f64]) -> f64 {
    ns.iter().map(|ns| 1000.0 / ns).sum()
}

fn range(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    [values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max)]
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
