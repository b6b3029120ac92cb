//! `bench fib`: the look-up structure alone.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;
use sidewinder_dataplane::fib::Change;
use sidewinder_dataplane::fib::entry::Entry;
use sidewinder_dataplane::fib::lpm::Lpm;
use sidewinder_dataplane::fib::nexthop::Health;
use sidewinder_dataplane::fib::writer::Writer;

use super::environment::Environment;
use super::routes::{Numbers, Prefix, Routes, Update, updates};
use crate::cli::table::Table;

/// Look-ups per measurement.
const LOOKUPS: usize = 1 << 22;

/// Look-ups that a worker asks for together.
const BATCH: usize = 64;

/// Measurements, of which the median is told.
const ROUNDS: usize = 5;

/// Changes that are published together.
const PER_VERSION: usize = 1024;

/// Arguments of `bench fib`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The table: a file with a prefix a line (gzip accepted), or a number of made routes.
    #[arg(value_name = "FILE")]
    routes: Routes,
    /// Updates to replay while workers read: `A PREFIX` or `W PREFIX` a line (gzip accepted).
    #[arg(long, value_name = "FILE")]
    updates: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Outcome {
    environment: Environment,
    routes: usize,
    build_ms: f64,
    memory_bytes: usize,
    single_mlps: f64,
    batched_mlps: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    updates: Option<Replay>,
}

/// The replay of updates.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Replay {
    updates: usize,
    versions: u64,
    seconds: f64,
    updates_per_second: f64,
    lookups_meanwhile: u64,
    memory_bytes: usize,
}

/// Measures, and prints.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let routes = args.routes.load()?;
    eprintln!("{} routes: building, looking up …", routes.len());
    let start = Instant::now();
    let lpm = build(&routes);
    let build_ms = start.elapsed().as_secs_f64() * 1000.0;
    let mut numbers = Numbers(3);
    let keys: Vec<u128> = (0..LOOKUPS).map(|_| numbers.address(&routes)).collect();
    let outcome = Outcome {
        environment: Environment::here(),
        routes: routes.len(),
        build_ms,
        memory_bytes: lpm.bytes(),
        single_mlps: rate(|| {
            for key in &keys {
                black_box(lpm.lookup(*key));
            }
        }),
        batched_mlps: rate(|| {
            let mut entries = [Entry::NONE; BATCH];
            for keys in keys.chunks(BATCH) {
                lpm.lookup_batch(keys, &mut entries[..keys.len()]);
                black_box(&entries);
            }
        }),
        updates: match &args.updates {
            Some(path) => Some(replay(&routes, &updates(path)?, &keys)),
            None => None,
        },
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        print!("{}", tabulate(&outcome));
    }
    Ok(())
}

fn tabulate(outcome: &Outcome) -> Table {
    let mut table = Table::new(["measure", "value", "unit"]);
    let mut row = |name: &str, value: String, unit: &str| {
        table.row([name.into(), value, unit.into()]);
    };
    row("routes", outcome.routes.to_string(), "");
    row("build", format!("{:.1}", outcome.build_ms), "ms");
    row("memory", format!("{:.1}", mebibytes(outcome.memory_bytes)), "MiB per copy, of two");
    row("look-up, single", format!("{:.1}", outcome.single_mlps), "million/s");
    row("look-up, batched", format!("{:.1}", outcome.batched_mlps), "million/s");
    if let Some(replay) = &outcome.updates {
        row("updates", replay.updates.to_string(), "");
        row("updates, time", format!("{:.2}", replay.seconds), "s");
        row("updates, rate", format!("{:.0}", replay.updates_per_second), "1/s");
        row("versions", replay.versions.to_string(), "");
        row("look-ups meanwhile", replay.lookups_meanwhile.to_string(), "");
        row("memory after", format!("{:.1}", mebibytes(replay.memory_bytes)), "MiB, both copies");
    }
    table
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

fn build(routes: &[Prefix]) -> Lpm {
    let mut lpm = Lpm::new();
    for (place, (key, len)) in routes.iter().enumerate() {
        lpm.insert(*key, *len, Entry::forward(place as u32 & 0xff));
    }
    lpm
}

/// Million look-ups a second, the median of some rounds.
fn rate(mut look_up_all: impl FnMut()) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            look_up_all();
            LOOKUPS as f64 / start.elapsed().as_secs_f64() / 1e6
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

/// Replays updates through the writer, while a worker looks up all the time.
fn replay(routes: &[Prefix], updates: &[Update], keys: &[u128]) -> Replay {
    eprintln!("replaying {} updates …", updates.len());
    let mut writer = Writer::new(Arc::new(Health::default()));
    writer.stage(Change::AddTable { number: 254 });
    let change = |(announced, (key, len)): Update| Change::Route {
        table: 0,
        v4: false,
        key,
        len,
        entry: if announced { Entry::forward(key as u32 & 0xff) } else { Entry::NONE },
    };
    routes.iter().for_each(|prefix| writer.stage(change((true, *prefix))));
    writer.publish();
    let reader = Mutex::new(writer.reader());
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut seconds = 0.0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let Ok(mut reader) = reader.lock() else { return };
            let mut entries = [Entry::NONE; BATCH];
            for keys in keys.chunks(BATCH).cycle() {
                let fib = reader.current();
                fib.tables[0].v6.lookup_batch(keys, &mut entries[..keys.len()]);
                black_box(&entries);
                done.fetch_add(keys.len() as u64, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let start = Instant::now();
        for updates in updates.chunks(PER_VERSION) {
            updates.iter().for_each(|update| writer.stage(change(*update)));
            while !writer.publish() {
                std::thread::yield_now();
            }
        }
        seconds = start.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
    });
    Replay {
        updates: updates.len(),
        versions: writer.version(),
        seconds,
        updates_per_second: updates.len() as f64 / seconds,
        lookups_meanwhile: done.into_inner(),
        memory_bytes: 2 * writer.live().tables[0].v6.bytes(),
    }
}
