//! What the guest boots: the kernel that `scripts/vm-image` has fetched, and a root file system made
//! of its modules, busybox, `ip` and the router.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::archive::Archive;
use crate::command::{self, PATIENCE};
use crate::skip::{on_path, sidewinder_binary};

const INIT: &str = include_str!("init.sh");
const DAEMON: &str = include_str!("daemon.sh");

/// What runs the guest, and what its file system is made with.
const TOOLS: [&str; 5] = ["qemu-system-x86_64", "setpriv", "strip", "ldd", "ip"];

/// Where `scripts/vm-image` leaves what it prepares.
fn prepared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/vm")
}

/// Why there is no virtual machine, if there is none.
pub fn missing() -> Option<String> {
    let dir = prepared();
    if let Ok(reason) = fs::read_to_string(dir.join("missing")) {
        let words: Vec<&str> = reason.split_whitespace().collect();
        let reason = words.join(" ");
        return Some(format!("no virtual machine: {}", reason.trim_start_matches("error: ")));
    }
    let there = |name: &str| dir.join(name).exists();
    if !(there("vmlinuz") && there("busybox") && there("modules.list")) {
        return Some("needs the guest's kernel: run `scripts/vm-image` first".into());
    }
    let tool = TOOLS.into_iter().find(|tool| on_path(tool).is_none())?;
    Some(format!("needs `{tool}`"))
}

/// A kernel and a root file system for it.
#[derive(Debug)]
pub struct Image {
    /// The kernel.
    pub kernel: PathBuf,
    /// The archive.
    pub root: PathBuf,
}

impl Image {
    /// Makes the root file system in `dir`, with these configurations of the router by name.
    pub fn build(dir: &TempDir, configs: &[(&str, String)]) -> Result<Self> {
        let prepared = prepared();
        let mut root = Archive::default();
        for name in ["dev", "proc", "sys"] {
            root.directory(name)?;
        }
        root.file("init", INIT.as_bytes())?;
        root.file("tools/daemon", DAEMON.as_bytes())?;
        root.copy("bin/busybox", &prepared.join("busybox"))?;
        let list = fs::read_to_string(prepared.join("modules.list"))?;
        root.file("modules/list", list.as_bytes())?;
        for module in list.lines() {
            let name = format!("modules/{module}.ko");
            root.copy(&name, &prepared.join(&name))?;
        }
        // Nine tenths of a build are for debuggers, and would be copied at every boot.
        let binary = sidewinder_binary().map_err(anyhow::Error::msg)?;
        let slim = dir.path().join("sidewinder");
        let mut strip = Command::new("strip");
        command::run(strip.arg("-g").arg("-o").arg(&slim).arg(&binary), PATIENCE)?;
        root.copy("tools/sidewinder", &slim)?;
        // Called by its path: busybox has an `ip` of its own, which knows less.
        let ip = on_path("ip").context("no `ip`")?;
        root.copy("tools/ip", &ip)?;
        for library in libraries(&[&binary, &ip])? {
            let name = library.to_string_lossy().trim_start_matches('/').to_owned();
            root.copy(&name, &library)?;
        }
        for (name, toml) in configs {
            let toml = toml.replace("@SOCKET@", super::SOCKET);
            root.file(&format!("etc/sidewinder/{name}.toml"), toml.as_bytes())?;
        }
        let path = dir.path().join("root.cpio");
        fs::write(&path, root.finish()?)?;
        Ok(Self { kernel: prepared.join("vmlinuz"), root: path })
    }
}

/// The shared libraries of these programs, and the loader, by their paths here.
fn libraries(programs: &[&Path]) -> Result<BTreeSet<PathBuf>> {
    let said = command::run(Command::new("ldd").args(programs), PATIENCE)?;
    // "\tlibz.so.1 => /lib/libz.so.1 (0x…)", "\t/lib64/ld-linux-x86-64.so.2 (0x…)", and headings.
    let paths = said.lines().filter(|line| line.starts_with('\t')).filter_map(|line| {
        line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from)
    });
    Ok(paths.collect())
}
