//! A SID, and packets for it. See `harness/dataplane`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, unused_imports, reason = "this target tries a part of it")]
#[path = "../harness/dataplane/mod.rs"]
mod harness;

#[path = "../../dataplane/tests/support/mod.rs"]
mod support;

fuzz_target!(|data: &[u8]| {
    harness::behaviors(data);
});
