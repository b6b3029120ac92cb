//! The guest's root file system: a cpio archive that the kernel unpacks into memory.
//!
//! Written here and not by `cpio`: the format ("newc", `buffer-format.rst` in the kernel's
//! documentation) is a header of hexadecimal numbers, a name and the bytes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// A file that anyone may run.
const PROGRAM: u32 = 0o100_755;
const DIRECTORY: u32 = 0o040_755;

/// An archive that grows.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// Adds a directory, after those above it.
    pub fn directory(&mut self, path: &str) -> Result<()> {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above)?;
        }
        if self.directories.insert(path.to_owned()) {
            self.entry(path, DIRECTORY, b"")?;
        }
        Ok(())
    }

    /// Adds a file that may be run, after the directories above it.
    pub fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above)?;
        }
        self.entry(path, PROGRAM, bytes)
    }

    /// Adds a file of this machine, under another name.
    pub fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
        self.file(path, &bytes)
    }

    /// The whole archive.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, b"")?;
        Ok(self.bytes)
    }

    fn entry(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.entries += 1;
        let size = u32::try_from(bytes.len()).with_context(|| format!("{path} is too long"))?;
        let length = u32::try_from(path.len() + 1)?;
        self.bytes.extend(b"070701");
        // Inode, mode, owner, group, links, time, size, device and special device, length of the
        // name, checksum (not used).
        for field in [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, length, 0] {
            write!(self.bytes, "{field:08x}")?;
        }
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(bytes);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_directories_before_files() {
        let mut archive = Archive::default();
        archive.file("etc/name", b"guest\n").unwrap();
        archive.file("etc/more", b"").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("07070100000001000041ed"), "{text}");
        assert!(text.contains("etc/name\0\0guest\n\0\x00070701"), "{text:?}");
        assert!(text.trim_end_matches('\0').ends_with("TRAILER!!!"), "{text:?}");
        assert_eq!(text.matches("070701").count(), 4, "{text:?}");
    }
}
