//! ExaBGP, whose reading of BGP-LS is compared with ours.

use std::fs;
use std::path::{Path, PathBuf};

use crate::skip::on_path;

/// Where `scripts/exabgp` leaves what it prepares.
fn prepared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/exabgp")
}

/// The program: what the script has fetched, or what is on the search path.
pub fn program() -> Option<PathBuf> {
    let fetched = prepared().join("venv/bin/exabgp");
    if fetched.exists() { Some(fetched) } else { on_path("exabgp") }
}

/// Why there is no ExaBGP, if there is none.
pub fn missing() -> Option<String> {
    if program().is_some() {
        return None;
    }
    Some(match fs::read_to_string(prepared().join("missing")) {
        Ok(reason) => format!("no ExaBGP: {}", crate::skip::in_a_line(&reason)),
        Err(_) => "needs ExaBGP: run `scripts/exabgp` first".into(),
    })
}
