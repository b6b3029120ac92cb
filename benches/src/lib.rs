//! Micro benchmarks: `cargo bench -p sidewinder-benches`. And the table of the instruction-count gate:
//! `make bench-gate`.

#![forbid(unsafe_code)]

/// Numbers that look random, the same in every run.
pub fn numbers(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
