//! Micro benchmarks: `cargo bench -p sidewinder-benches`.

#![forbid(unsafe_code)]
