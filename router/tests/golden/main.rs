//! Golden cases: a configuration, packets in, packets out, counters; one folder each, in
//! `tests/golden`. `tests/golden/README.md` says how they are written.
//!
//! `GOLDEN=end/psp cargo test -p sidewinder --test golden` runs those whose path starts so.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

mod case;
mod describe;
mod encode;
mod machine;
mod run;
mod seeds;
mod syntax;

#[path = "../../../fuzz/harness/dataplane/encode.rs"]
mod inputs;

/// A test for each folder of cases, and the list of these folders.
macro_rules! folders {
    ($($name:ident,)*) => {
        const FOLDERS: &[&str] = &[$(stringify!($name),)*];
        $(
            #[test]
            fn $name() {
                run_all(stringify!($name));
            }
        )*
    };
}

folders! {
    compress,
    domain,
    end,
    end_b6_encaps,
    end_dt4,
    end_dt46,
    end_dt6,
    end_dx4,
    end_dx6,
    end_t,
    end_x,
    forwarding,
    h_encaps,
    h_encaps_red,
    h_insert,
    hmac,
    host,
    icmp,
    layer_2,
    next_csid,
    outer_errors,
    rules,
}

#[test]
fn every_folder_has_its_test() {
    let there: BTreeSet<String> = folders_in(&root()).iter().map(|path| name(path)).collect();
    let tested: BTreeSet<String> = FOLDERS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(there, tested);
}

/// A case whose title names nothing proves nothing.
#[test]
fn every_title_names_what_it_proves() {
    for folder in FOLDERS.iter().flat_map(|name| folders_in(&root().join(name))) {
        let case = case::Case::load(&folder.join("case.txt"))
            .unwrap_or_else(|what| panic!("{}: {what}", folder.display()));
        let named = case.title.contains("C-") && case.title.contains("RFC ");
        assert!(named, "{}: name the item of docs/conformance.md and the RFC", folder.display());
    }
}

fn run_all(name: &str) {
    let wanted = std::env::var("GOLDEN").unwrap_or_default();
    let mut failures = Vec::new();
    for folder in folders_in(&root().join(name)) {
        let path = folder.strip_prefix(root()).unwrap_or(&folder).display().to_string();
        if !path.starts_with(&wanted) {
            continue;
        }
        if let Err(what) = run::run(&folder) {
            failures.push(format!("--- {path}\n{what}"));
        }
    }
    assert!(failures.is_empty(), "{} failed\n{}", failures.len(), failures.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

fn folders_in(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder stays as it is").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
