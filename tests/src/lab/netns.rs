//! One network namespace, with a name that no other process uses.

use std::fs::{self, File};
use std::path::Path;
use std::process::{self, Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};

use crate::command::{self, PATIENCE};

/// First part of every namespace's name; the process id and a counter follow.
const PREFIX: &str = "swtest";

/// A namespace that is deleted when this is dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
    file: File,
}

impl Netns {
    /// A fresh namespace whose name ends in `role`, its loopback up, IPv6 without duplicate address
    /// detection and autoconfiguration: addresses are ready when they are set.
    pub fn new(role: &str) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);

        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{role}", process::id());
        command::run(Command::new("ip").args(["netns", "add", &name]), PATIENCE)?;
        let file = File::open(Path::new("/run/netns").join(&name));
        let file = file.with_context(|| format!("opening the namespace {name}"))?;
        let netns = Self { name, file };
        for (key, value) in [("accept_dad", 0), ("accept_ra", 0), ("autoconf", 0)] {
            // `default` is what interfaces that are made later start with.
            netns.sysctl(&format!("net/ipv6/conf/all/{key}"), value)?;
            netns.sysctl(&format!("net/ipv6/conf/default/{key}"), value)?;
        }
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// The name that `ip netns` knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command line, split at spaces, that is to run in the namespace.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(line.split_whitespace());
        command
    }

    /// Runs a command line in the namespace and returns its output.
    pub fn run(&self, line: &str) -> Result<String> {
        command::run(&mut self.command(line), PATIENCE)
    }

    /// Runs `ip LINE` in the namespace.
    pub fn ip(&self, line: &str) -> Result<String> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]).args(line.split_whitespace());
        command::run(&mut command, PATIENCE)
    }

    /// Runs many lines of `ip` in one go; the first that fails ends it.
    pub fn ip_batch<S: AsRef<str>>(&self, lines: impl IntoIterator<Item = S>) -> Result<()> {
        let lines: Vec<String> = lines.into_iter().map(|l| l.as_ref().to_owned()).collect();
        let text = lines.join("\n") + "\n";
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, "-batch", "-"]);
        command::run_with(&mut command, &text, PATIENCE)?
            .success()
            .with_context(|| format!("one of these lines:\n{text}"))?;
        Ok(())
    }

    /// Starts a program that stays; it is killed with the returned guard, or with this process.
    pub fn spawn(&self, line: &str, output: Stdio) -> Result<Background> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.name]);
        command.args(line.split_whitespace());
        Background::start(&mut command, output)
    }

    /// Runs `work` on a thread of its own inside the namespace. Sockets that it opens stay in the
    /// namespace wherever they are used afterwards.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| -> nix::Result<T> {
                setns(&self.file, CloneFlags::CLONE_NEWNET)?;
                Ok(work())
            });
            match inside.join() {
                Ok(result) => result.with_context(|| format!("entering {}", self.name)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Sets a kernel setting of the namespace, by its path below `/proc/sys`.
    pub fn sysctl(&self, path: &str, value: impl ToString) -> Result<()> {
        let value = value.to_string();
        let file = Path::new("/proc/sys").join(path);
        // Which namespace's value /proc/sys shows depends on the thread that opens it.
        self.enter(|| fs::write(&file, value.as_bytes()))?
            .with_context(|| format!("setting {path} = {value} in {}", self.name))
    }

    /// How many packets have left by an interface, whoever sent them.
    pub fn sent(&self, interface: &str) -> Result<u64> {
        let text = self.ip(&format!("-j -s link show dev {interface}"))?;
        let links: serde_json::Value = serde_json::from_str(&text)?;
        let packets = links[0]["stats64"]["tx"]["packets"].as_u64();
        packets.with_context(|| format!("no packet count in {text}"))
    }

    /// Sets a kernel setting that not every kernel has.
    pub fn sysctl_if_present(&self, path: &str, value: impl ToString) {
        let _ = self.sysctl(path, value);
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let deleted = command::run(Command::new("ip").args(["netns", "del", &self.name]), PATIENCE);
        if let Err(error) = deleted {
            eprintln!("leaving a namespace behind: {error:#}");
        }
    }
}

/// A program that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Background {
    line: String,
    child: Child,
}

impl Background {
    /// Starts `command` with both outputs going to `output`.
    pub fn start(command: &mut Command, output: Stdio) -> Result<Self> {
        let line = command::describe(command);
        // Output goes to a file or nowhere; a pipe would have to be read by someone.
        let child = command.stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
        let child = child.spawn().with_context(|| format!("cannot start `{line}`"))?;
        Ok(Self { line, child })
    }

    /// Takes over a program that was started elsewhere.
    pub fn adopt(line: String, child: Child) -> Self {
        Self { line, child }
    }

    /// The process id. `setpriv` and `ip netns exec` become the program itself.
    pub fn pid(&self) -> nix::unistd::Pid {
        // A process id is a small positive number.
        nix::unistd::Pid::from_raw(self.child.id().cast_signed())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> Result<()> {
        nix::sys::signal::kill(self.pid(), signal)
            .with_context(|| format!("sending {signal} to `{}`", self.line))
    }

    /// Waits for the end; `None` when it has not come within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<process::ExitStatus>> {
        command::wait(&mut self.child, limit)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Fails when it has already ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Deletes the namespaces of earlier runs that were killed before they could clean up: those with
/// our prefix whose process is gone.
fn sweep() {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('-');
        let (prefix, owner) = (parts.next(), parts.next());
        let owner = owner.and_then(|pid| pid.parse::<u32>().ok());
        let (Some(PREFIX), Some(owner)) = (prefix, owner) else { continue };
        if !Path::new("/proc").join(owner.to_string()).exists() {
            let _ = command::run(Command::new("ip").args(["netns", "del", &name]), PATIENCE);
        }
    }
}
