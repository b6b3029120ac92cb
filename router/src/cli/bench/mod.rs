//! `bench`: packet rates.

pub mod core;
pub mod environment;
pub mod fib;
pub mod measure;
pub mod rig;
pub mod routes;
pub mod scenario;
pub mod veth;

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub enum Bench {
    /// The pipeline alone, on packets in memory: cycles and nanoseconds per packet.
    Core(core::Args),
    /// The look-up structure alone: look-ups and changes per second, memory.
    Fib(fib::Args),
    /// Sidewinder and Linux on virtual links, side by side: packets per second and delays. Needs root.
    Veth(veth::Args),
}

/// Measures.
pub fn run(bench: Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Core(args) => core::run(&args),
        Bench::Fib(args) => fib::run(&args),
        Bench::Veth(args) => veth::run(&args),
    }
}
