//! The inputs that the fuzzer has found worth keeping (`make fuzz`), tried again: on a stable
//! compiler, and in no time. What once made it fail is among them, by the name of what it was.

#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
};

mod support;

#[path = "../../fuzz/harness/dataplane/mod.rs"]
mod harness;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

/// Tries the inputs of a target, and what is near to each of them.
fn replay(target: &str, try_input: impl Fn(&[u8])) {
    let folder = folder(target);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut tried = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        let input = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("{}", path.display());
        try_input(&input);
        for at in (0..input.len()).step_by(1 + input.len() / 8) {
            let mut wrong = input.clone();
            wrong[at] ^= 1 << (at % 8);
            try_input(&wrong);
        }
        tried += 1;
    }
    assert!(tried >= 20, "{tried} inputs");
}

/// C-001, C-002: headers.
#[test]
fn parser() {
    replay("parser", harness::parser);
}

/// C-001: each behavior, and what is for its SID.
#[test]
fn behaviors() {
    replay("behaviors", harness::behaviors);
}

/// C-001, C-102: configurations, and packets.
#[test]
fn pipeline() {
    replay("pipeline", harness::pipeline);
}
