//! `top`: live rates, a line a second.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::table::grouped;
use crate::api::show::Worker;
use crate::api::{Request, What, client};

/// What all workers did, in all.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    received: u64,
    forwarded: u64,
    punted: u64,
    replied: u64,
    dropped: u64,
}

/// Prints rates until interrupted, or until `count` lines are out.
pub fn top(socket: &Path, count: Option<u64>) -> anyhow::Result<()> {
    let mut before = totals(socket)?;
    let mut then = Instant::now();
    for line in 0..count.unwrap_or(u64::MAX) {
        if line.is_multiple_of(20) {
            println!(
                "{:>14}{:>14}{:>14}{:>14}{:>14}",
                "rx/s", "forwarded/s", "punted/s", "replied/s", "dropped/s"
            );
        }
        sleep(Duration::from_secs(1));
        let (now, at) = (totals(socket)?, Instant::now());
        let seconds = at.duration_since(then).as_secs_f64();
        let rate = |now: u64, before: u64| {
            grouped((now.saturating_sub(before) as f64 / seconds).round() as u64)
        };
        println!(
            "{:>14}{:>14}{:>14}{:>14}{:>14}",
            rate(now.received, before.received),
            rate(now.forwarded, before.forwarded),
            rate(now.punted, before.punted),
            rate(now.replied, before.replied),
            rate(now.dropped, before.dropped),
        );
        (before, then) = (now, at);
    }
    Ok(())
}

fn totals(socket: &Path) -> anyhow::Result<Totals> {
    let data = client::request(socket, &Request::Show { what: What::Workers })?;
    let workers: Vec<Worker> = serde_json::from_value(data)?;
    Ok(workers.iter().fold(Totals::default(), |sum, worker| Totals {
        received: sum.received + worker.received,
        forwarded: sum.forwarded + worker.forwarded,
        punted: sum.punted + worker.punted,
        replied: sum.replied + worker.replied,
        dropped: sum.dropped + worker.dropped,
    }))
}
