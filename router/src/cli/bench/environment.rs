//! The machine that figures come from.

use std::fs;

use serde::{Deserialize, Serialize};
use sidewinder_dataplane::frame::{BURST, FRAME_SIZE};

/// What a figure depends on besides the code.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Environment {
    /// Version of Sidewinder.
    pub version: String,
    /// The processor's name.
    pub processor: String,
    /// Processors that the system has.
    pub processors: usize,
    /// Rate of the time-stamp counter, in MHz; what cycles are counted in.
    pub tsc_mhz: f64,
    /// The kernel's release.
    pub kernel: String,
    /// Packets that are processed together.
    pub burst: usize,
    /// Bytes of a frame.
    pub frame_bytes: usize,
    /// Huge pages that the system has reserved. What is measured in memory uses none of them.
    pub huge_pages_reserved: u64,
}

impl Environment {
    /// This machine.
    pub fn here() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            info.lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
        };
        // Linux calibrates BogoMIPS from the time-stamp counter: two per cycle.
        let bogomips: f64 =
            field("bogomips").and_then(|value| value.parse().ok()).unwrap_or_default();
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            processor: field("model name").unwrap_or_else(|| "unknown".into()),
            processors: info.lines().filter(|line| line.starts_with("processor")).count(),
            tsc_mhz: bogomips / 2.0,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .into(),
            burst: BURST,
            frame_bytes: FRAME_SIZE,
            huge_pages_reserved: fs::read_to_string("/proc/sys/vm/nr_hugepages")
                .ok()
                .and_then(|count| count.trim().parse().ok())
                .unwrap_or_default(),
        }
    }
}
