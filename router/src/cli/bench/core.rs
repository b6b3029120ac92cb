//! `bench core`: the real pipeline on packets in memory, input and output left out.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};

use anyhow::{bail, ensure};
use serde::Serialize;

use super::environment::Environment;
use super::measure::{self, Speed};
use super::rig::{Rig, VECTOR};
use super::routes::{Prefix, Routes, destinations};
use super::scenario::Scenario;
use crate::cli::table::Table;

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
    /// Packets per measurement and worker.
    #[arg(long, value_name = "N", default_value_t = 2_000_000, value_parser = some)]
    packets: usize,
    /// Workers, each with a core of its own, on the same FIB; compared with one of them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: usize,
    /// Process the packets once and measure nothing: for a tool that counts instructions.
    #[arg(long, hide = true, conflicts_with_all = ["json", "workers"])]
    once: bool,
}

/// What was measured of a behavior.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Outcome {
    behavior: String,
    routes: usize,
    packet_bytes: usize,
    destinations: usize,
    workers: usize,
    /// Of each worker's packets, the mean over the workers.
    ns_per_packet: f64,
    cycles_per_packet: f64,
    /// Of all workers together.
    mpps: f64,
    /// Of the rounds, lowest and highest.
    mpps_range: [f64; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling: Option<Scaling>,
}

/// Several workers beside one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Scaling {
    ns_per_packet_by_worker: Vec<f64>,
    one_worker_mpps: f64,
    factor: f64,
    /// Of the rounds, lowest and highest.
    factor_range: [f64; 2],
}

#[derive(Debug, Serialize)]
struct Output {
    environment: Environment,
    results: Vec<Outcome>,
}

fn some(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("without packets there is nothing to measure".into()),
        other => other.map_err(|_| "not a number".into()),
    }
}

/// Measures, and prints.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let chosen = choose(&args.behavior)?;
    let cores = measure::cores(args.workers)?;
    let environment = Environment::here();
    let mut results = Vec::new();
    let (mut done, all) = (0, args.routes.len() * chosen.len());
    for routes in &args.routes {
        let routes = routes.load()?;
        for scenario in &chosen {
            done += 1;
            progress(&format!("{done}/{all}: {} with {} routes", scenario.name(), routes.len()));
            if args.once {
                once(*scenario, &routes, args.packets)?;
                continue;
            }
            let speed = measure::speed(*scenario, &routes, args.packets, &cores)?;
            results.push(Outcome::new(*scenario, routes.len(), &speed, environment.tsc_mhz));
        }
    }
    if args.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&Output { environment, results })?)?;
    } else if !args.once {
        print(&environment, results)?;
    }
    Ok(())
}

/// The scenarios of these names, or all.
fn choose(names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    if names.is_empty() {
        return Ok(Scenario::ALL.to_vec());
    }
    let mut chosen = Vec::new();
    for name in names {
        match Scenario::ALL.into_iter().find(|all| all.name().eq_ignore_ascii_case(name)) {
            Some(scenario) => chosen.push(scenario),
            None => bail!(
                "there is no measurement of `{name}`; there are {}",
                Scenario::ALL.map(Scenario::name).join(", ")
            ),
        }
    }
    Ok(chosen)
}

/// Says what is being done, on a line of its own where somebody reads along.
fn progress(what: &str) {
    if stderr().is_terminal() {
        eprint!("\r\x1b[K{what} … ");
    } else {
        eprintln!("{what} …");
    }
}

/// Has the packets processed once, and prints behavior, routes and packets.
fn once(scenario: Scenario, routes: &[Prefix], packets: usize) -> anyhow::Result<()> {
    ensure!(
        packets.is_multiple_of(VECTOR),
        "--once takes whole vectors: --packets must be a multiple of {VECTOR}"
    );
    let reader = scenario.fib(routes, 1).reader();
    Rig::new(0, reader, scenario.template(), destinations(routes, packets)?)?.pass(packets)?;
    println!("{}\t{}\t{packets}", scenario.name(), routes.len());
    Ok(())
}

impl Outcome {
    fn new(scenario: Scenario, routes: usize, speed: &Speed, tsc_mhz: f64) -> Self {
        let ns = speed.ns.iter().sum::<f64>() / speed.ns.len() as f64;
        Self {
            behavior: scenario.name(),
            routes,
            packet_bytes: scenario.template().packet_len(),
            destinations: speed.destinations,
            workers: speed.ns.len(),
            ns_per_packet: ns,
            cycles_per_packet: ns * tsc_mhz / 1000.0,
            mpps: speed.mpps,
            mpps_range: speed.mpps_range,
            scaling: speed.one_worker_mpps.map(|one| Scaling {
                ns_per_packet_by_worker: speed.ns.clone(),
                one_worker_mpps: one,
                factor: speed.mpps / one,
                factor_range: speed.factor_range,
            }),
        }
    }
}

fn print(environment: &Environment, results: Vec<Outcome>) -> std::io::Result<()> {
    let Environment { processor, tsc_mhz, burst, .. } = environment;
    if stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    let mut out = stdout();
    writeln!(out, "{processor}, cycles of {tsc_mhz:.0} MHz (TSC), bursts of {burst} packets")?;
    let scaled = results.iter().any(|result| result.scaling.is_some());
    let mut table = if scaled {
        Table::new([
            "behavior",
            "routes",
            "packet bytes",
            "ns/packet, each worker",
            "Mpps, all workers",
            "Mpps, one worker",
            "factor",
            "lowest to highest",
        ])
    } else {
        Table::new([
            "behavior",
            "routes",
            "packet bytes",
            "ns/packet",
            "cycles/packet",
            "Mpps",
            "lowest to highest",
        ])
    };
    for result in results {
        let [routes, bytes] = [result.routes, result.packet_bytes].map(|n| n.to_string());
        let range =
            |[low, high]: [f64; 2], digits: usize| format!("{low:.digits$} to {high:.digits$}");
        match result.scaling {
            Some(scaling) => {
                let each: Vec<String> =
                    scaling.ns_per_packet_by_worker.iter().map(|ns| format!("{ns:.1}")).collect();
                table.row([
                    result.behavior,
                    routes,
                    bytes,
                    each.join(" "),
                    format!("{:.1}", result.mpps),
                    format!("{:.1}", scaling.one_worker_mpps),
                    format!("{:.2}", scaling.factor),
                    range(scaling.factor_range, 2),
                ]);
            }
            None => table.row([
                result.behavior,
                routes,
                bytes,
                format!("{:.1}", result.ns_per_packet),
                format!("{:.1}", result.cycles_per_packet),
                format!("{:.1}", result.mpps),
                range(result.mpps_range, 1),
            ]),
        }
    }
    write!(out, "{table}")
}
