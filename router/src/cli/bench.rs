//! `bench`.
/// Measurements.
#[derive(Debug, clap::Subcommand)]
pub enum Bench {}
/// Runs.
pub fn run(bench: Bench) -> anyhow::Result<()> {
    match bench {}
}
