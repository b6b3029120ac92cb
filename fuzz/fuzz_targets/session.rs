//! Everything a peer could say after hello. See `harness/session.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../harness/session.rs"]
mod harness;

fuzz_target!(|data: &[u8]| harness::session(data));
