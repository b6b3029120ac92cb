//! Network namespaces, and running programs in them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::thread;

use anyhow::{Context as _, bail};
use nix::sched::{CloneFlags, setns};

/// Every namespace is called this, the id of the process that made it, and its node.
const PREFIX: &str = "sw";

/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";

/// Folders are called this, and the id of the process that made them.
const FOLDER_PREFIX: &str = "sidewinder-lab-";

/// A namespace that is deleted when this is dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
    file: File,
}

impl Netns {
    /// A fresh namespace for a node, with its loopback up and addresses usable at once: there is
    /// nobody to have the same ones.
    pub fn new(node: &str) -> anyhow::Result<Self> {
        let name = format!("{PREFIX}-{}-{node}", process::id());
        execute(command("ip").args(["netns", "add", &name]), "")?;
        let opened = File::open(Path::new(FOLDER).join(&name));
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                delete(&name);
                return Err(error).with_context(|| format!("cannot open the namespace {name}"));
            }
        };
        let netns = Self { name, file };
        for scope in ["all", "default"] {
            for key in ["accept_dad", "accept_ra", "autoconf"] {
                netns.set(&format!("ipv6/conf/{scope}/{key}"), "0")?;
            }
        }
        netns.ip(&["link set lo up"])?;
        Ok(netns)
    }

    /// The name that `ip netns` knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs lines of `ip` in it; the first that fails ends it.
    pub fn ip(&self, lines: &[impl AsRef<str>]) -> anyhow::Result<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(line.as_ref());
            text.push('\n');
        }
        execute(command("ip").args(["-n", &self.name, "-batch", "-"]), &text)
    }

    /// A program to be run in it, which dies with this process.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = command("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.name]).arg(program);
        command
    }

    /// Sets a kernel setting, by its path below `/proc/sys/net`.
    pub fn set(&self, path: &str, value: &str) -> anyhow::Result<()> {
        let file = Path::new("/proc/sys/net").join(path);
        // Whose setting a file in /proc/sys/net is depends on the thread that opens it.
        self.enter(|| fs::write(&file, value))?
            .with_context(|| format!("cannot set {path} in {}: is IPv6 off?", self.name))
    }

    /// Does something on a thread inside it. Sockets that are opened there stay there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET)?;
                nix::Result::Ok(work())
            });
            match inside.join() {
                Ok(result) => result.with_context(|| format!("cannot enter {}", self.name)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

/// Runs a program to its end.
pub fn execute(command: &mut Command, input: &str) -> anyhow::Result<()> {
    let line = [command.get_program()].into_iter().chain(command.get_args());
    let line = line.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends early says why on stderr.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().with_context(|| format!("waiting for `{line}`"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let input = input.trim_end();
    let input = if input.is_empty() { String::new() } else { format!(" with\n{input}\n") };
    bail!("`{line}`{input} failed ({}): {}", output.status, said.trim_end())
}

/// A program that does not get the terminal's Ctrl-C: this process decides when it ends.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.process_group(0);
    command
}

/// The folder for the files of this process.
pub fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("{FOLDER_PREFIX}{}", process::id()))
}

/// Deletes the namespaces and files of processes that were killed before they could.
pub fn sweep() {
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    for name in names(Path::new(FOLDER)) {
        let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('-'));
        let owner = rest.and_then(|rest| rest.split('-').next());
        if owner.is_some_and(is_gone) {
            delete(&name);
        }
    }
    for name in names(&std::env::temp_dir()) {
        if name.strip_prefix(FOLDER_PREFIX).is_some_and(is_gone) {
            // Someone else's file of that name is none of our business.
            let _ = fs::remove_dir_all(std::env::temp_dir().join(name));
        }
    }
}

/// Whether this is the number of a process that does not exist.
fn is_gone(pid: &str) -> bool {
    pid.parse::<u32>().is_ok_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

fn delete(name: &str) {
    if let Err(error) = execute(command("ip").args(["netns", "del", name]), "") {
        // Not eprintln: a closed terminal must not keep the rest from being cleaned up.
        let _ = writeln!(io::stderr(), "warning: a namespace is left behind: {error:#}");
    }
}
