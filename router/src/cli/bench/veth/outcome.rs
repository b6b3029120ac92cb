//! What was measured, as it is printed in JSON.

use std::fs;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use sidewinder_dataplane::port::xdp::RING_SIZE;

use super::behavior::Behavior;
use super::rig::Trial;
use super::search::Found;
use super::{Cores, Router};
use crate::cli::bench::environment::Environment;

/// Loss at the highest rate below which it was not the router that limited it.
const UNTOUCHED: f64 = 0.001;

/// All that a run prints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Output {
    /// Where the figures come from.
    #[serde(rename = "environment")]
    pub setup: Setup,
    /// One per behavior and router.
    pub results: Vec<Outcome>,
}

/// What the figures depend on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setup {
    /// The machine.
    #[serde(flatten)]
    pub environment: Environment,
    /// The commit that the program was built from.
    pub commit: String,
    /// The kernel's clock source.
    pub clock: String,
    /// The interfaces' driver.
    pub driver: String,
    /// How Sidewinder's sockets get packets.
    pub mode: String,
    /// Descriptors in each of a socket's rings.
    pub ring_size: u32,
    /// The core that the generator is pinned to.
    pub generator_core: usize,
    /// The core that the routers are pinned to; sinks work there, too.
    pub router_core: usize,
    /// Measurements of each.
    pub rounds: u32,
    /// Length of the longest trials of a search.
    pub trial_seconds: f64,
    /// Whether this was to see that it works.
    pub quick: bool,
    /// Seconds since 1970.
    pub time: u64,
}

impl Setup {
    /// This machine, and how it was used.
    pub fn here(cores: Cores, rounds: u32, trial: Duration, quick: bool) -> Self {
        let clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let clock = fs::read_to_string(clock).unwrap_or_else(|_| "unknown".into());
        let time = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        Self {
            environment: Environment::here(),
            commit: option_env!("SIDEWINDER_COMMIT").unwrap_or("unknown").into(),
            clock: clock.trim().into(),
            driver: "veth".into(),
            mode: "copy".into(),
            ring_size: RING_SIZE,
            generator_core: cores.generator,
            router_core: cores.router,
            rounds,
            trial_seconds: trial.as_secs_f64(),
            quick,
            time,
        }
    }
}

/// A figure of all rounds, in Mpps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spread {
    /// The middle one, or the lower of two.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// In the order of the rounds.
    pub rounds: Vec<f64>,
}

impl Spread {
    /// Of packets per second; `None` without any.
    pub fn of(rates: &[f64]) -> Option<Self> {
        let rounds: Vec<f64> = rates.iter().map(|rate| rate / 1e6).collect();
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Self { median: sorted[(sorted.len() - 1) / 2], min, max, rounds })
    }
}

/// A router with a behavior.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// The behavior, as RFC 8986 names it; IPv6 is forwarded untouched.
    pub behavior: String,
    /// `sidewinder`, `linux`, or `linux-softirq`, which shares the generator's core.
    pub router: String,
    /// Bytes of the packets that were offered, Ethernet header included, without FCS.
    pub packet_bytes: usize,
    /// Delivered when as many were offered as could be (MRR). `None` where that tells about the
    /// generator: it was never enough for the router to lose any.
    pub mpps: Option<f64>,
    /// The same, of all rounds, whoever was the limit.
    pub delivered: Option<Spread>,
    /// Offered meanwhile.
    pub offered: Option<Spread>,
    /// Whether the generator was the limit at the highest rate.
    pub generator_limited: bool,
    /// Whether it was in a search: the rates without and with little loss may be higher.
    pub search_generator_limited: bool,
    /// The highest rate without loss (NDR).
    pub ndr: Option<Spread>,
    /// The highest rate with at most 0.5 % loss (PDR).
    pub pdr: Option<Spread>,
    /// Delays at parts of the highest rate without loss: of each part the round whose 99th
    /// percentile is the median of all rounds.
    pub latency: Vec<Latency>,
    #[serde(skip)]
    raw: Raw,
}

/// Packets per second, by round.
#[derive(Debug, Default)]
struct Raw {
    delivered: Vec<f64>,
    offered: Vec<f64>,
    loss: Vec<f64>,
    ndr: Vec<f64>,
    pdr: Vec<f64>,
    /// Of all parts and rounds.
    latency: Vec<Latency>,
}

impl Outcome {
    /// Before the first round.
    pub fn new(behavior: Behavior, router: Router) -> Self {
        Self {
            behavior: behavior.name().into(),
            router: router.name().into(),
            packet_bytes: behavior.offered().len(),
            mpps: None,
            delivered: None,
            offered: None,
            generator_limited: false,
            search_generator_limited: false,
            ndr: None,
            pdr: None,
            latency: Vec::new(),
            raw: Raw::default(),
        }
    }

    /// What came of as many packets as possible.
    pub fn flooded(&mut self, delivered: f64, offered: f64, loss: f64) {
        self.raw.delivered.push(delivered);
        self.raw.offered.push(offered);
        self.raw.loss.push(loss);
    }

    /// What a search found.
    pub fn searched(&mut self, partial: Option<Found>, none: Option<Found>) {
        // What loses nothing loses no more than 0.5 % either, whatever an earlier search met with.
        let rates = || partial.iter().chain(&none).map(|found| found.rate);
        self.raw.pdr.extend(rates().reduce(f64::max));
        self.raw.ndr.extend(none.map(|found| found.rate));
        self.search_generator_limited |=
            [partial, none].iter().flatten().any(|found| found.generator_limited);
    }

    /// After the last round.
    pub fn summarize(&mut self) {
        self.delivered = Spread::of(&self.raw.delivered);
        self.offered = Spread::of(&self.raw.offered);
        self.ndr = Spread::of(&self.raw.ndr);
        self.pdr = Spread::of(&self.raw.pdr);
        // In the softirq of the generator, the generator goes as fast as the router: the two together
        // are what is measured.
        let shared = self.router == Router::LinuxSoftirq.name();
        let lost = self.raw.loss.iter().any(|loss| *loss > UNTOUCHED);
        self.generator_limited |= !shared && !lost;
        let known = !self.generator_limited;
        self.mpps = self.delivered.as_ref().filter(|_| known).map(|spread| spread.median);
    }

    /// Takes note of delays of a round.
    pub fn delayed(&mut self, latency: Latency) {
        self.raw.latency.push(latency);
    }

    /// After the last round of delays.
    pub fn summarize_delays(&mut self) {
        let mut rounds = std::mem::take(&mut self.raw.latency);
        while let Some(load) = rounds.first().map(|first| first.load) {
            let (same, others) = rounds.into_iter().partition(|latency| latency.load == load);
            self.latency.extend(Latency::median(same));
            rounds = others;
        }
    }

    /// The highest rate without loss, in packets per second; where there is none, the highest with
    /// little.
    pub fn loss_free(&self) -> Option<f64> {
        let spread = self.ndr.as_ref().or(self.pdr.as_ref());
        spread.map(|spread| spread.median * 1e6)
    }
}

/// Delays at one rate, in microseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Latency {
    /// The rate, as a part of the highest without loss.
    pub load: f64,
    /// The rate that was really offered.
    pub offered_mpps: f64,
    /// Packets that delays were taken of.
    pub packets: u64,
    /// Packets that were lost meanwhile.
    pub lost: u64,
    /// The lowest.
    pub min_us: f64,
    /// Half of the packets took no longer.
    pub p50_us: f64,
    /// Nine of ten.
    pub p90_us: f64,
    /// 99 of a hundred.
    pub p99_us: f64,
    /// 999 of a thousand.
    #[serde(rename = "p99.9-us")]
    pub p999_us: f64,
    /// The highest.
    pub max_us: f64,
    /// 99 of a hundred, in every round.
    pub p99_us_rounds: Vec<f64>,
    /// Percentiles and delays, for a plot; up to 99.9999 %.
    pub curve: Vec<(f64, f64)>,
}

impl Latency {
    /// Of a trial at that part of the highest rate.
    pub fn of(load: f64, trial: &Trial) -> anyhow::Result<Self> {
        let mut histogram = Histogram::<u64>::new(3)?;
        for (nanoseconds, count) in &trial.delays {
            histogram.record_n(*nanoseconds, *count)?;
        }
        let at = |percentile: f64| histogram.value_at_percentile(percentile) as f64 / 1e3;
        let mut curve: Vec<(f64, f64)> = Vec::new();
        for step in histogram.iter_quantiles(4) {
            let percentile = step.quantile_iterated_to() * 100.0;
            if percentile > 99.9999 {
                break;
            }
            curve.push((percentile, step.value_iterated_to() as f64 / 1e3));
        }
        Ok(Self {
            load,
            offered_mpps: trial.offered.rate() / 1e6,
            packets: histogram.len(),
            lost: trial.offered.sent.saturating_sub(trial.delivered),
            min_us: histogram.min() as f64 / 1e3,
            p50_us: at(50.0),
            p90_us: at(90.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            max_us: histogram.max() as f64 / 1e3,
            p99_us_rounds: vec![at(99.0)],
            curve,
        })
    }

    /// The round whose 99th percentile is the median: one pause of the machine in one round is not
    /// the router's.
    fn median(mut rounds: Vec<Self>) -> Option<Self> {
        let p99_us_rounds = rounds.iter().map(|round| round.p99_us).collect();
        rounds.sort_by(|a, b| a.p99_us.total_cmp(&b.p99_us));
        let middle = rounds.len().checked_sub(1)? / 2;
        Some(Self { p99_us_rounds, ..rounds.swap_remove(middle) })
    }
}

#[cfg(test)]
mod tests {
    use sidewinder_dataplane::port::xdp::generator::Offered;

    use super::*;

    #[test]
    fn the_spread_of_some_rounds() {
        assert_eq!(Spread::of(&[]), None);
        let spread = Spread::of(&[3e6, 1e6, 2e6]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (2.0, 1.0, 3.0));
        assert_eq!(spread.rounds, [3.0, 1.0, 2.0]);
        assert_eq!(Spread::of(&[2e6, 1e6]).unwrap().median, 1.0);
    }

    #[test]
    fn a_generator_that_was_too_slow_gives_no_figure() {
        let mut outcome = Outcome::new(Behavior::End, Router::Sidewinder);
        outcome.flooded(2e6, 2e6, 0.0);
        outcome.summarize();
        assert!(outcome.generator_limited);
        assert_eq!(outcome.mpps, None);
        let mut outcome = Outcome::new(Behavior::End, Router::Sidewinder);
        outcome.flooded(2e6, 4e6, 0.5);
        outcome.summarize();
        assert_eq!(outcome.mpps, Some(2.0));
        // On one core, the generator's pace is the router's.
        let mut outcome = Outcome::new(Behavior::End, Router::LinuxSoftirq);
        outcome.flooded(2e6, 2e6, 0.0);
        outcome.summarize();
        assert_eq!(outcome.mpps, Some(2.0));
    }

    #[test]
    fn the_round_in_the_middle_is_told() {
        let offered = Offered { sent: 100, forgone: 0, elapsed: Duration::from_secs(1) };
        let trial = |us: u64| Trial { offered, delivered: 100, delays: vec![(us * 1000, 100)] };
        let mut outcome = Outcome::new(Behavior::End, Router::Sidewinder);
        for us in [70, 2000, 60] {
            outcome.delayed(Latency::of(0.1, &trial(us / 10)).unwrap());
            outcome.delayed(Latency::of(0.5, &trial(us)).unwrap());
        }
        outcome.summarize_delays();
        let [tenth, half] = &*outcome.latency else { panic!("{:?}", outcome.latency) };
        assert_eq!((tenth.load, half.load), (0.1, 0.5));
        let near = |is: f64, should: f64| (is / should - 1.0).abs() < 0.01;
        assert!(near(half.p99_us, 70.0) && near(tenth.p99_us, 7.0));
        assert!(near(half.p99_us_rounds[1], 2000.0) && half.p99_us_rounds.len() == 3);
    }

    #[test]
    fn percentiles_of_delays() {
        let delays = (1..=1000).map(|n| (n * 1000, 10)).collect();
        let offered = Offered { sent: 10_100, forgone: 0, elapsed: Duration::from_secs(1) };
        let trial = Trial { offered, delivered: 10_000, delays };
        let latency = Latency::of(0.5, &trial).unwrap();
        assert_eq!((latency.packets, latency.lost), (10_000, 100));
        for (is, should) in
            [(latency.p50_us, 500.0), (latency.p99_us, 990.0), (latency.max_us, 1000.0)]
        {
            assert!((is / should - 1.0).abs() < 0.002, "{is} for {should}");
        }
        assert!(latency.curve.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].1 <= w[1].1));
        assert!(latency.curve.len() > 20);
    }
}
