//! Topologies of real networks: of the Internet Topology Zoo, SNDlib and others, as the package TopoHub
//! has them.

use std::fs;
use std::path::{Path, PathBuf};

/// Kinds of networks that are real.
const REAL: [&str; 3] = ["backbone", "sndlib", "topozoo"];

/// Where `scripts/topologies` leaves what it prepares.
fn prepared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/topologies")
}

/// A file in JSON for each network: `nodes` with an `id`, `edges` with `source`, `target` and `dist`, which
/// is the length in kilometres.
pub fn files() -> Vec<PathBuf> {
    let of = |kind| fs::read_dir(prepared().join("topohub/data").join(kind));
    let files = REAL.into_iter().filter_map(|kind| of(kind).ok()).flatten();
    let mut files: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    files.sort();
    files
}

/// Why there are none, if there are none.
pub fn missing() -> Option<String> {
    if !files().is_empty() {
        return None;
    }
    Some(match fs::read_to_string(prepared().join("missing")) {
        Ok(reason) => format!("no public topologies: {}", crate::skip::in_a_line(&reason)),
        Err(_) => "needs public topologies: run `scripts/topologies` first".into(),
    })
}
