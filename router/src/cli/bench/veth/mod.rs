//! `bench veth`: Sidewinder and Linux between a generator and a sink, on this machine.
//!
//! Every router has three namespaces of its own, and is measured in turn with the others: what else
//! the machine does meets all of them alike.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use self::behavior::Behavior;
use self::rig::{Rig, Trial};
use self::search::{Search, Settings, Shown};
use crate::cli::lab::netns;
use crate::cli::lab::stop::Stop;
use crate::cli::lab::{Folder, check_machine};

mod behavior;
mod outcome;
mod plot;
mod report;
mod rig;
mod search;

pub use outcome::{Latency, Outcome, Output, Setup, Spread};

/// Arguments of `bench veth`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Measure these behaviors only: IPv6 (forwarded untouched), End, End.X, End.DT6, H.Encaps-1,
    /// H.Encaps-3.
    #[arg(long, value_name = "NAME")]
    behavior: Vec<String>,
    /// Measure these routers only: sidewinder, linux (on a core of its own), linux-softirq (on the
    /// generator's core).
    #[arg(long, value_name = "NAME")]
    router: Vec<Router>,
    /// Write a page with tables and plots, and the figures as JSON, into this folder.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// How often each router is measured.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long the longest trials of a search are.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.2, value_parser = seconds)]
    duration: f64,
    /// A few seconds for each behavior: enough to see that it works, not for figures to quote.
    #[arg(long, conflicts_with_all = ["rounds", "duration"])]
    quick: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.02..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.02 to 600".into()),
    }
}

/// Who forwards, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Router {
    /// The daemon, its worker on a core of its own.
    Sidewinder,
    /// The kernel, its receiving thread (threaded NAPI) on a core of its own.
    Linux,
    /// The kernel as it is by default here: in the softirq of the generator, on its core.
    LinuxSoftirq,
}

impl Router {
    /// All, in the order of their turns.
    const ALL: [Self; 3] = [Self::Sidewinder, Self::Linux, Self::LinuxSoftirq];

    /// Its name in output and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sidewinder => "sidewinder",
            Self::Linux => "linux",
            Self::LinuxSoftirq => "linux-softirq",
        }
    }

    /// Whether a search makes sense: where generator and router share a core, the generator gets what
    /// the router leaves it, and nothing is lost at any rate.
    fn has_own_core(self) -> bool {
        self != Self::LinuxSoftirq
    }
}

/// Who works where.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    /// The generator.
    pub generator: usize,
    /// The router, and what it hands packets to.
    pub router: usize,
}

impl Cores {
    fn choose() -> anyhow::Result<Self> {
        let allowed = core_affinity::get_core_ids().unwrap_or_default();
        match allowed[..] {
            [generator, router, ..] => Ok(Self { generator: generator.id, router: router.id }),
            _ => bail!(
                "a generator and a router on one core would measure each other: this process may use \
                 {} core, and two are needed",
                allowed.len()
            ),
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: u32,
    /// Rounds of delays: more and shorter ones, since a pause of the machine spoils a percentile.
    delay_rounds: u32,
    /// Trials of a search at most.
    trial: Duration,
    /// Trials at the highest rate.
    flood: Duration,
    /// Trials that delays are taken from.
    latency: Duration,
    /// How narrow a search is.
    width: f64,
}

impl Plan {
    fn of(args: &Args) -> Self {
        if args.quick {
            let trial = Duration::from_millis(60);
            let (flood, latency) = (2 * trial, 3 * trial);
            return Self { rounds: 1, delay_rounds: 1, trial, flood, latency, width: 0.05 };
        }
        let trial = Duration::from_secs_f64(args.duration);
        let (rounds, delay_rounds) = (args.rounds, 2 * args.rounds - 1);
        Self { rounds, delay_rounds, trial, flood: 2 * trial, latency: 2 * trial, width: 0.01 }
    }
}

/// Measures, and prints.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let behaviors = chosen(&args.behavior)?;
    let routers: Vec<Router> = Router::ALL
        .into_iter()
        .filter(|router| args.router.is_empty() || args.router.contains(router))
        .collect();
    check_machine("bench veth")?;
    if let Some(folder) = &args.report {
        // Not after minutes.
        std::fs::create_dir_all(folder)
            .with_context(|| format!("--report {}: cannot be a folder", folder.display()))?;
    }
    let cores = Cores::choose()?;
    let plan = Plan::of(args);
    let stop = Stop::on_signals()?;
    let measured = measure(&routers, &behaviors, cores, plan, &stop);
    let results = match measured {
        // Whatever went wrong, it was because the user wanted to leave.
        Err(_) if stop.requested() => bail!("interrupted: nothing is left behind"),
        other => other?,
    };
    let setup = Setup::here(cores, plan.rounds, plan.trial, args.quick);
    let output = Output { setup, results };
    if let Some(folder) = &args.report {
        report::write(&output, folder)?;
    }
    if args.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&output)?)?;
    } else {
        write!(stdout(), "{}", report::text(&output))?;
    }
    Ok(())
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Behavior>> {
    for name in names {
        ensure!(
            Behavior::ALL.iter().any(|behavior| behavior.name().eq_ignore_ascii_case(name)),
            "no such behavior: {name}; there are {}",
            Behavior::ALL.map(Behavior::name).join(", ")
        );
    }
    let wanted = |behavior: &Behavior| {
        names.is_empty() || names.iter().any(|name| name.eq_ignore_ascii_case(behavior.name()))
    };
    Ok(Behavior::ALL.into_iter().filter(wanted).collect())
}

/// Builds the routers, and measures every behavior with each of them, round by round.
fn measure(
    routers: &[Router],
    behaviors: &[Behavior],
    cores: Cores,
    plan: Plan,
    stop: &Stop,
) -> anyhow::Result<Vec<Outcome>> {
    netns::sweep();
    let folder = Folder::new()?;
    let mut rigs = Vec::new();
    for &router in routers {
        eprintln!("{}: namespaces, links, router …", router.name());
        rigs.push(Rig::build(router, cores, &folder, stop)?);
    }
    let mut outcomes = Vec::new();
    for &behavior in behaviors {
        let mut about: Vec<Outcome> =
            rigs.iter().map(|rig| Outcome::new(behavior, rig.router())).collect();
        for round in 1..=plan.rounds {
            for (rig, outcome) in rigs.iter_mut().zip(&mut about) {
                eprint!("{} · {} · round {round}", behavior.name(), rig.router().name());
                let said = rates(rig, behavior, plan, stop, outcome);
                eprintln!();
                said?;
            }
        }
        about.iter_mut().for_each(Outcome::summarize);
        for round in 1..=plan.delay_rounds {
            for (rig, outcome) in rigs.iter_mut().zip(&mut about) {
                eprint!("{} · {} · delays, round {round}", behavior.name(), rig.router().name());
                let said = delays(rig, behavior, plan, stop, outcome);
                eprintln!();
                said?;
            }
        }
        about.iter_mut().for_each(Outcome::summarize_delays);
        outcomes.append(&mut about);
    }
    Ok(outcomes)
}

/// One round: the highest rate, and the highest rates with little and with no loss.
fn rates(
    rig: &mut Rig,
    behavior: Behavior,
    plan: Plan,
    stop: &Stop,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    // The first packets find cold caches and sleeping threads.
    trial(rig, behavior, None, plan.flood / 8, false, stop)?;
    let flood = trial(rig, behavior, None, plan.flood, false, stop)?;
    eprint!(" · {:.3} of {:.3} Mpps", flood.rate() / 1e6, flood.offered.rate() / 1e6);
    outcome.flooded(flood.rate(), flood.offered.rate(), flood.loss());
    if !rig.router().has_own_core() {
        return Ok(());
    }
    let settings = Settings { duration: plan.trial, width: plan.width };
    let mut search = Search::new(settings, |rate, duration| {
        let trial = trial(rig, behavior, Some(rate), duration, false, stop)?;
        Ok(Shown { offered: trial.offered.rate(), loss: trial.loss() })
    });
    let partial = search.find(0.005, flood.rate())?;
    let none = search.find(0.0, partial.map_or(flood.rate(), |found| found.rate))?;
    for (name, found) in [("0.5 % loss", partial), ("no loss", none)] {
        match found {
            Some(found) => eprint!(" · {name} {:.3}", found.rate / 1e6),
            None => eprint!(" · {name}: at no rate"),
        }
    }
    eprint!(" · {} trials", search.trials());
    outcome.searched(partial, none);
    Ok(())
}

/// How long packets take at a tenth, a half and nine tenths of the highest loss-free rate.
fn delays(
    rig: &mut Rig,
    behavior: Behavior,
    plan: Plan,
    stop: &Stop,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let Some(full) = outcome.loss_free() else { return Ok(()) };
    for part in [0.1, 0.5, 0.9] {
        let trial = trial(rig, behavior, Some(full * part), plan.latency, true, stop)?;
        let latency = Latency::of(part, &trial)?;
        eprint!(" · {:.0} %: {:.1} us", part * 100.0, latency.p50_us);
        outcome.delayed(latency);
    }
    Ok(())
}

fn trial(
    rig: &mut Rig,
    behavior: Behavior,
    rate: Option<f64>,
    duration: Duration,
    delays: bool,
    stop: &Stop,
) -> anyhow::Result<Trial> {
    if stop.requested() {
        bail!("interrupted");
    }
    rig.trial(behavior, rate, duration, delays)
}
