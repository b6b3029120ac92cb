//! A running Sidewinder.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::Netns;
use super::netns::Background;
use crate::command::{self, Finished, PATIENCE};
use crate::skip::sidewinder_binary;

/// How long a daemon may take to answer on its control socket.
const START_LIMIT: Duration = Duration::from_secs(15);

/// How much of a daemon's log a failed test shows.
const LOG_LINES: usize = 200;

/// The daemon in a namespace, with its configuration, its control socket and its log.
#[derive(Debug)]
pub struct Sidewinder {
    netns: String,
    binary: PathBuf,
    dir: TempDir,
    process: Option<Background>,
}

impl Sidewinder {
    /// Starts a daemon in `netns` with the configuration `toml` and waits until it answers. The
    /// text `@SOCKET@` in it becomes the path of a control socket of its own.
    pub fn start(netns: &Netns, toml: &str) -> Result<Self> {
        let mut daemon = Self::prepare(netns, toml)?;
        daemon.launch()?;
        Ok(daemon)
    }

    /// Writes the configuration, and starts nothing yet.
    pub fn prepare(netns: &Netns, toml: &str) -> Result<Self> {
        let binary = sidewinder_binary().map_err(anyhow::Error::msg)?;
        let dir = tempfile::Builder::new().prefix("swtest-").tempdir()?;
        let daemon = Self { netns: netns.name().to_owned(), binary, dir, process: None };
        daemon.configure(toml)?;
        Ok(daemon)
    }

    /// Starts the daemon and waits until its control socket answers.
    pub fn launch(&mut self) -> Result<()> {
        self.launch_unready()?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let ended = self.process().wait(Duration::ZERO)?;
            if let Some(status) = ended {
                bail!("the daemon ended with {status}; its log:\n{}", self.log());
            }
            if self.ask("show interfaces --json")?.status.success() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the daemon does not answer after {START_LIMIT:?}; its log:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the daemon and does not wait for it.
    pub fn launch_unready(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.path("log"))?;
        let mut command = Command::new("setpriv");
        // A daemon must not outlive a test that was killed.
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.netns]);
        command.arg(&self.binary).args(["run", "-c"]).arg(self.path("config.toml"));
        let line = command::describe(&command);
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start `{line}`"))?;
        self.process = Some(Background::adopt(line, child));
        Ok(())
    }

    /// Writes a new configuration, which the daemon reads when it is told to.
    pub fn configure(&self, toml: &str) -> Result<()> {
        let socket = self.socket();
        let text = toml.replace("@SOCKET@", &socket.to_string_lossy());
        // Written aside and moved: the daemon never reads half a file.
        fs::write(self.path("config.new"), text)?;
        fs::rename(self.path("config.new"), self.path("config.toml"))?;
        Ok(())
    }

    /// Writes a file beside the configuration that nobody else may read.
    pub fn secret(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        // Never there with another mode.
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(file.write_all(text.as_bytes())?)
    }

    /// Writes a new configuration and has it applied.
    pub fn reload(&self, toml: &str) -> Result<String> {
        self.configure(toml)?;
        self.command("reload")
    }

    /// Runs `sidewinder LINE` against this daemon; a failure is an error.
    pub fn command(&self, line: &str) -> Result<String> {
        self.ask(line)?.success().with_context(|| format!("the daemon's log:\n{}", self.log()))
    }

    /// Runs `sidewinder LINE` against this daemon and returns how it ended.
    pub fn ask(&self, line: &str) -> Result<Finished> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns]).arg(&self.binary);
        command.args(line.split_whitespace()).arg("--socket").arg(self.socket());
        command::run_with(&mut command, "", PATIENCE)
    }

    /// The running process. Asking before a launch is a mistake in the test.
    pub fn process(&mut self) -> &mut Background {
        self.process.as_mut().expect("the daemon was not launched")
    }

    /// Sends a signal and waits for the end.
    pub fn stop(&mut self, signal: Signal) -> Result<ExitStatus> {
        self.process().signal(signal)?;
        match self.process().wait(Duration::from_secs(10))? {
            Some(status) => Ok(status),
            None => bail!("the daemon still runs after {signal}; its log:\n{}", self.log()),
        }
    }

    /// Everything that the daemon has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The path of its control socket.
    pub fn socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    /// The path of its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// The binary that runs.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Sidewinder {
    fn drop(&mut self) {
        // The test harness shows this only for a test that failed, and then it is what one wants.
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        eprintln!("--- log of the daemon in {}:\n{}\n---", self.netns, tail.join("\n"));
    }
}

/// Whether `toml` passes `sidewinder check`; otherwise what it says.
pub fn check(toml: &str) -> Result<(), String> {
    let binary = sidewinder_binary()?;
    let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    fs::write(file.path(), toml.replace("@SOCKET@", "/run/none.sock"))
        .map_err(|error| error.to_string())?;
    let mut command = Command::new(binary);
    command::run(command.arg("check").arg(file.path()), PATIENCE)
        .map(drop)
        .map_err(|error| format!("{error:#}"))
}
