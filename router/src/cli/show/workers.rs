//! Workers as a table.

use super::super::table::{Table, grouped};
use crate::api::show::Worker;

/// Workers as a table.
pub fn workers(workers: &[Worker]) -> Table {
    let mut table = Table::new([
        "worker",
        "core",
        "nice",
        "received",
        "forwarded",
        "punted",
        "replied",
        "dropped",
        "per burst",
        "free frames",
    ]);
    for worker in workers {
        table.row([
            worker.worker.to_string(),
            worker.core.map_or("any".into(), |core| core.to_string()),
            worker.nice.to_string(),
            grouped(worker.received),
            grouped(worker.forwarded),
            grouped(worker.punted),
            grouped(worker.replied),
            grouped(worker.dropped),
            format!("{:.1}", worker.packets_per_burst),
            format!("{} of {}", worker.frames_free, worker.frames),
        ]);
    }
    table
}
