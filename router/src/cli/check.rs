//! `check`.

use std::path::Path;

use crate::control::startup;

/// Checks a file; needs no privilege. The MTUs of the interfaces are looked at where they can be
/// read.
pub fn check(file: &Path) -> anyhow::Result<()> {
    startup::load(file, |text| eprintln!("{text}"))?;
    println!("{}: no errors", file.display());
    Ok(())
}
