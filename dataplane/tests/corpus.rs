//! The inputs that the fuzzer has found worth keeping (`make fuzz`), tried again: on a stable
//! compiler, and in no time. What once made it fail is among them, by the name of what it was.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use sidewinder_dataplane::{behavior::TABLE, verdict::Reason};

mod support;

#[path = "../../fuzz/harness/dataplane/mod.rs"]
mod harness;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

/// The inputs of a target.
fn inputs(target: &str) -> impl Iterator<Item = Vec<u8>> {
    let folder = folder(target);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(paths.len() >= 20, "{} inputs", paths.len());
    paths.into_iter().map(|path| {
        println!("{}", path.display());
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    })
}

/// An input, and some that are near to it.
fn near(input: Vec<u8>) -> impl Iterator<Item = Vec<u8>> {
    let places = (0..input.len()).step_by(1 + input.len() / 8);
    let wrong: Vec<_> = places
        .map(|at| {
            let mut wrong = input.clone();
            wrong[at] ^= 1 << (at % 8);
            wrong
        })
        .collect();
    std::iter::once(input).chain(wrong)
}

/// C-001, C-002: headers.
#[test]
fn parser() {
    inputs("parser").flat_map(near).for_each(|input| harness::parser(&input));
}

/// C-001: packets for the SID of each behavior with each set of flavors.
#[test]
fn behaviors() {
    const FLAVORS: u8 = 16;
    for mut input in inputs("behaviors") {
        harness::behaviors(&input);
        if input.len() < 2 {
            continue;
        }
        let kept = input[1] & !(FLAVORS - 1);
        for behavior in 0..TABLE.len() as u8 {
            for set in 0..FLAVORS {
                (input[0], input[1]) = (behavior, kept | set);
                harness::behaviors(&input);
            }
        }
    }
}

/// C-001, C-102: configurations, and packets. Together they are dropped and answered for all that there
/// is to be dropped and answered for.
#[test]
fn pipeline() {
    let mut reasons = BTreeSet::new();
    for input in inputs("pipeline").flat_map(near) {
        reasons.extend(harness::pipeline(&input).reasons().map(|(reason, _)| reason));
    }
    let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !reasons.contains(reason)).collect();
    // An input has fewer packets than the host takes at once, and than there are frames.
    assert_eq!(missing, [&Reason::NoFrame, &Reason::PuntLimited]);
}
