//! A router: this same program, run as a daemon in a namespace.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use super::netns::Netns;
use super::stop::Stop;
use crate::api::show::{Drops, Interface, Policy, Sid, Worker};
use crate::api::{Request, What, client};

/// How long a daemon may take to answer on its control socket.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How much of its log is shown when it fails.
const LOG_LINES: usize = 30;

/// A running daemon; dropping it stops it.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    socket: PathBuf,
    log: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts the router of that name, with its files in `folder`. What it is told is made when it
    /// is known where its control socket is to be.
    pub fn start(
        name: &'static str,
        netns: &Netns,
        folder: &Path,
        configuration: impl FnOnce(&Path) -> String,
    ) -> anyhow::Result<Self> {
        let file = |ending: &str| folder.join(format!("{name}.{ending}"));
        let (config, log, socket) = (file("toml"), file("log"), file("sock"));
        fs::write(&config, configuration(&socket))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let child = netns
            .command(program)
            .args(["run", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, socket, log, child })
    }

    /// Waits until it answers.
    pub fn wait_ready(&mut self, stop: &Stop) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while client::request(&self.socket, &Request::Show { what: What::Workers }).is_err() {
            self.check()?;
            if stop.wait(Duration::from_millis(20)) {
                bail!("interrupted");
            }
            if Instant::now() > deadline {
                bail!("{} does not answer; its log:\n{}", self.name, self.log());
            }
        }
        Ok(())
    }

    /// Fails if it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!("{} ended ({status}); its log:\n{}", self.name, self.log())
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What its counters say now.
    pub fn snapshot(&self) -> anyhow::Result<Snapshot> {
        Ok(Snapshot {
            router: self.name,
            interfaces: self.ask(What::Interfaces)?,
            workers: self.ask(What::Workers)?,
            sids: self.ask(What::Sids)?,
            policies: self.ask(What::Policies)?,
            drops: self.ask(What::Drops)?,
        })
    }

    fn ask<T: DeserializeOwned>(&self, what: What) -> anyhow::Result<Vec<T>> {
        let answer = client::request(&self.socket, &Request::Show { what });
        let answer = answer.with_context(|| format!("asking {}", self.name))?;
        Ok(serde_json::from_value(answer)?)
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Asks it to stop; dropping it waits for that.
    pub fn terminate(&self) {
        // `setpriv` and `ip netns exec` have become the daemon: the process is still the same.
        // Fails if it has already ended.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.terminate();
        let deadline = Instant::now() + STOP_LIMIT;
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A router's counters at one time, or by how much they grew.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The router's name.
    pub router: &'static str,
    /// As `show interfaces`.
    pub interfaces: Vec<Interface>,
    /// As `show workers`.
    pub workers: Vec<Worker>,
    /// As `show sids`.
    pub sids: Vec<Sid>,
    /// As `show policies`.
    pub policies: Vec<Policy>,
    /// As `show drops`.
    pub drops: Vec<Drops>,
}

impl Snapshot {
    /// What was counted since `before`. Nothing of it is added or taken away meanwhile, except
    /// that a drop reason appears when it first occurs.
    pub fn since(&self, before: &Self) -> Self {
        let mut grown = self.clone();
        for (now, then) in grown.interfaces.iter_mut().zip(&before.interfaces) {
            now.received.packets -= then.received.packets;
            now.received.bytes -= then.received.bytes;
            now.sent.packets -= then.sent.packets;
            now.sent.bytes -= then.sent.bytes;
            now.kernel_dropped -= then.kernel_dropped;
            now.ring_full -= then.ring_full;
            now.no_frame -= then.no_frame;
        }
        for (now, then) in grown.workers.iter_mut().zip(&before.workers) {
            now.received -= then.received;
            now.forwarded -= then.forwarded;
            now.fragments -= then.fragments;
            now.punted -= then.punted;
            now.replied -= then.replied;
            now.dropped -= then.dropped;
        }
        for (now, then) in grown.sids.iter_mut().zip(&before.sids) {
            now.packets -= then.packets;
            now.bytes -= then.bytes;
        }
        for (now, then) in grown.policies.iter_mut().zip(&before.policies) {
            for (now, then) in now.lists.iter_mut().zip(&then.lists) {
                now.packets -= then.packets;
                now.bytes -= then.bytes;
            }
        }
        for now in &mut grown.drops {
            if let Some(then) = before.drops.iter().find(|then| then.reason == now.reason) {
                now.dropped -= then.dropped;
                now.replied -= then.replied;
            }
        }
        grown.drops.retain(|drops| drops.dropped + drops.replied > 0);
        grown
    }

    /// A sum over the workers.
    pub fn sum(&self, part: impl Fn(&Worker) -> u64) -> u64 {
        self.workers.iter().map(part).sum()
    }

    /// Packets that the kernel could not hand over: no free frame, or a full ring.
    pub fn missed(&self) -> u64 {
        self.interfaces.iter().map(|i| i.kernel_dropped + i.ring_full).sum()
    }
}
