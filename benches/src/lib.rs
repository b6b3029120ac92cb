//! Micro benchmarks: `cargo bench -p sidewinder-benches`. And the table of the instruction-count gate:
//! `make bench-gate`.

#![forbid(unsafe_code)]
