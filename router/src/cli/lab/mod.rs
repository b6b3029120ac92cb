//! What `demo` and `bench veth` are built of: namespaces, daemons in them, and their end.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

pub mod daemon;
pub mod netns;
pub mod stop;

/// Programs that are needed, and their packages.
const TOOLS: [(&str, &str); 3] =
    [("ip", "iproute2"), ("ethtool", "ethtool"), ("setpriv", "util-linux")];

/// Says what is missing for `command` before anything is made.
pub fn check_machine(command: &str) -> anyhow::Result<()> {
    let this = std::env::current_exe().context("the path of this program is not known")?;
    ensure!(
        nix::unistd::geteuid().is_root(),
        "`{command}` makes network namespaces, which needs root: run `sudo {} {command}`",
        this.display()
    );
    for (tool, package) in TOOLS {
        ensure!(
            on_path(tool),
            "`{command}` needs the program `{tool}`: run `apt-get install {package}`, or \
             `make setup`"
        );
    }
    Ok(())
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(tool).is_file())
}

/// A folder that is deleted with all that is in it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A fresh folder for this process.
    pub fn new() -> anyhow::Result<Self> {
        let path = netns::folder();
        // Fails if it is there already, so that nobody else's files are used.
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is found by the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}
