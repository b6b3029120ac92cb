//! `bench fib`: the look-up structure alone.

use std::hint::black_box;
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::bail;
use serde::Serialize;
use sidewinder_dataplane::fib::Change;
use sidewinder_dataplane::fib::entry::Entry;
use sidewinder_dataplane::fib::lpm::Lpm;
use sidewinder_dataplane::fib::nexthop::Health;
use sidewinder_dataplane::fib::simd::Path;
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
    /// One copy's; a writer has two.
    memory_bytes: usize,
    #[serde(flatten)]
    best: Rates,
    /// By the way that keys are compared, the one that is used first.
    paths: Vec<Measured>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updates: Option<Replay>,
}

/// Look-ups a second.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Rates {
    single_mlps: f64,
    batched_mlps: f64,
}

/// Look-ups with the vector units of a kind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Measured {
    path: &'static str,
    #[serde(flatten)]
    rates: Rates,
    /// Of a table as small as an SRv6 core's can be.
    ten_routes: Rates,
}

/// The replay of updates.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Replay {
    load_ms: f64,
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
    // Read first: what is wrong with the file is not told after all the rest.
    let changes = args.updates.as_deref().map(updates).transpose()?;
    eprintln!("{} routes: building …", routes.len());
    let (mut lpm, build_ms) = build(&routes);
    let keys = addresses(&routes);
    let few = Routes::Made(10).load()?;
    let (mut small, _) = build(&few);
    let small_keys = addresses(&few);
    let mut paths = Vec::new();
    for path in Path::available() {
        eprintln!("looking up with {} …", path.name());
        lpm.set_path(path);
        small.set_path(path);
        let (rates, ten_routes) = (rates(&lpm, &keys), rates(&small, &small_keys));
        paths.push(Measured { path: path.name(), rates, ten_routes });
    }
    let Some(best) = paths.first() else { bail!("no way to look up") };
    let outcome = Outcome {
        environment: Environment::here(),
        routes: routes.len(),
        build_ms,
        memory_bytes: lpm.bytes(),
        best: best.rates,
        paths,
        updates: changes.map(|changes| replay(&routes, &changes, &keys)),
    };
    if args.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&outcome)?)?;
    } else {
        write!(stdout(), "{}", tabulate(&outcome))?;
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
    for Measured { path, rates, ten_routes } in &outcome.paths {
        for (of, rates) in [("", rates), (", 10 routes", ten_routes)] {
            let [single, batched] = ["single", "batched"].map(|how| format!("{how}, {path}{of}"));
            row(&format!("look-up, {batched}"), format!("{:.1}", rates.batched_mlps), "million/s");
            row(&format!("look-up, {single}"), format!("{:.1}", rates.single_mlps), "million/s");
        }
    }
    if let Some(replay) = &outcome.updates {
        row("table loaded by a writer", format!("{:.1}", replay.load_ms), "ms");
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

/// A table of the routes, and the milliseconds that it took, in the order in which a writer that
/// gets them all at once adds them.
fn build(routes: &[Prefix]) -> (Lpm, f64) {
    let start = Instant::now();
    let mut routes: Vec<(usize, &Prefix)> = routes.iter().enumerate().collect();
    routes.sort_by_key(|(_, prefix)| *prefix);
    let mut lpm = Lpm::new();
    for (place, (key, len)) in routes {
        lpm.insert(*key, *len, Entry::forward(place as u32 & 0xff));
    }
    (lpm, start.elapsed().as_secs_f64() * 1000.0)
}

/// What is looked up: random addresses of random prefixes.
fn addresses(routes: &[Prefix]) -> Vec<u128> {
    let mut numbers = Numbers(3);
    (0..LOOKUPS).map(|_| numbers.address(routes)).collect()
}

fn rates(lpm: &Lpm, keys: &[u128]) -> Rates {
    Rates {
        single_mlps: rate(|| {
            for key in keys {
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
    }
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
    // Of 256 next hops, another one with every announcement: each is a change.
    let mut next_hop = 0;
    let mut change = |(announced, (key, len)): Update| {
        next_hop = (next_hop + 1) % 256;
        let entry = if announced { Entry::forward(next_hop) } else { Entry::NONE };
        Change::Route { table: 0, v4: false, key, len, entry }
    };
    let start = Instant::now();
    routes.iter().for_each(|prefix| writer.stage(change((true, *prefix))));
    writer.publish();
    let load_ms = start.elapsed().as_secs_f64() * 1000.0;
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
        load_ms,
        updates: updates.len(),
        versions: writer.version(),
        seconds,
        updates_per_second: updates.len() as f64 / seconds,
        lookups_meanwhile: done.into_inner(),
        memory_bytes: 2 * writer.live().tables[0].v6.bytes(),
    }
}
