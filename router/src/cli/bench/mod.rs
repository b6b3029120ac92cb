//! `bench`: packet rates.

pub mod core;
pub mod environment;
pub mod scenario;

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub enum Bench {
    /// The pipeline alone, on packets in memory: cycles and nanoseconds per packet.
    Core(core::Args),
}

/// Measures.
pub fn run(bench: Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Core(args) => core::run(&args),
    }
}
