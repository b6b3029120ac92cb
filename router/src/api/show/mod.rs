//! What `show` shows: plain data, for JSON and for tables; a file for each thing that is shown. Routes,
//! which may be very many, are in [`routes`](super::routes).

use serde::{Deserialize, Serialize};
use sidewinder_dataplane::counters::Traffic;

use super::What;
use crate::control::daemon::Daemon;

mod drops;
mod interfaces;
mod neighbors;
mod policies;
mod rules;
mod sids;
mod sources;
mod workers;

pub use drops::{Drops, drops};
pub use interfaces::{Interface, interfaces};
pub use neighbors::{Neighbor, neighbors};
pub use policies::{List, Policy, policies};
pub use rules::{Rule, rules};
pub use sids::{Sid, Structure, sids};
pub use sources::{Source, sources};
pub use workers::{Worker, workers};

/// Packets and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl From<Traffic> for Count {
    fn from(traffic: Traffic) -> Self {
        Self { packets: traffic.packets, bytes: traffic.bytes }
    }
}

/// A part of the daemon's state, as JSON.
pub fn show(daemon: &Daemon, what: What) -> anyhow::Result<serde_json::Value> {
    Ok(match what {
        What::Interfaces => serde_json::to_value(interfaces(daemon))?,
        What::Workers => serde_json::to_value(workers(daemon))?,
        What::Sids => serde_json::to_value(sids(daemon))?,
        What::Routes => anyhow::bail!("routes are asked for piece by piece"),
        What::Policies => serde_json::to_value(policies(daemon))?,
        What::Rules => serde_json::to_value(rules(daemon))?,
        What::Neighbors => serde_json::to_value(neighbors(daemon))?,
        What::Sources => serde_json::to_value(sources(daemon))?,
        What::Topology => serde_json::to_value(daemon.link_state.topology())?,
        What::Drops => serde_json::to_value(drops(daemon))?,
    })
}

pub(crate) fn mac(mac: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}
