//! FRR as the routing daemons of a namespace.
//!
//! `scripts/frr-root` fetches FRR into a root of its own. Each router has its daemons in mount and
//! process namespaces of their own, with a directory for sockets, logs and configuration, so that
//! many run beside each other and nothing is left of one that was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{self, PATIENCE};
use crate::lab::Netns;
use crate::lab::netns::Background;

pub mod feed;
pub mod isis;
pub mod ways;

const ROUTER: &str = include_str!("router.sh");

/// How long daemons may take to open their sockets.
const START_LIMIT: Duration = Duration::from_secs(15);

/// The daemons that are started.
const DAEMONS: [&str; 5] = ["mgmtd", "zebra", "staticd", "isisd", "bgpd"];

/// Where `scripts/frr-root` leaves what it prepares.
fn prepared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/frr")
}

/// Why there is no FRR, if there is none.
pub fn missing() -> Option<String> {
    let dir = prepared();
    if dir.join("root/ready").exists() {
        return None;
    }
    Some(match fs::read_to_string(dir.join("missing")) {
        Ok(reason) => {
            let words: Vec<&str> = reason.split_whitespace().collect();
            format!("no FRR: {}", words.join(" ").trim_start_matches("error: "))
        }
        Err(_) => "needs FRR: run `scripts/frr-root` first".into(),
    })
}

/// The daemons of one router. They end when this is dropped.
#[derive(Debug)]
pub struct Frr {
    netns: String,
    name: String,
    root: PathBuf,
    state: TempDir,
    _daemons: Background,
}

impl Frr {
    /// Starts the daemons in a namespace, and gives them a configuration.
    pub fn start(netns: &Netns, name: &str, config: &str) -> Result<Self> {
        let root = prepared().join("root").canonicalize()?;
        let state = tempfile::Builder::new().prefix("swtest-frr-").tempdir()?;
        // The daemons run as a user of their own, who looks into this directory.
        for dir in ["run", "log", "etc"] {
            fs::create_dir(state.path().join(dir))?;
        }
        let etc = state.path().join("etc").join(name);
        fs::create_dir(&etc)?;
        fs::write(etc.join("vtysh.conf"), "")?;
        fs::write(state.path().join("router.sh"), ROUTER)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", netns.name()]);
        command.args(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh"]);
        command.arg(state.path().join("router.sh")).arg(&root).arg(state.path()).arg(name);
        let daemons = Background::start(&mut command, Stdio::null())?;
        let frr = Self {
            netns: netns.name().to_owned(),
            name: name.to_owned(),
            root,
            state,
            _daemons: daemons,
        };
        frr.wait_for_sockets()?;
        frr.wait_for_zebra()?;
        frr.configure(config)?;
        Ok(frr)
    }

    /// Gives the daemons more lines of configuration.
    pub fn configure(&self, lines: &str) -> Result<()> {
        fs::write(self.state.path().join("etc").join(&self.name).join("frr.conf"), lines)?;
        self.run(&["-f", &format!("/etc/frr/{}/frr.conf", self.name)]).map(drop)
    }

    /// bgpd refuses to tell the topology before it has found zebra, by which isisd gives it that; and
    /// when it is asked again, it takes the line and tells nothing.
    fn wait_for_zebra(&self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let clients = self.vtysh(&["show zebra client summary"])?;
            let Some(daemon) = ["static", "isis", "bgp"].into_iter().find(|d| !clients.contains(d))
            else {
                return Ok(());
            };
            if Instant::now() > deadline {
                bail!("{daemon}d of {} does not find zebra:\n{clients}", self.name);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn wait_for_sockets(&self) -> Result<()> {
        let dir = self.state.path().join("run/frr").join(&self.name);
        let deadline = Instant::now() + START_LIMIT;
        while let Some(daemon) =
            DAEMONS.iter().find(|daemon| !dir.join(format!("{daemon}.vty")).exists())
        {
            if Instant::now() > deadline {
                bail!("{daemon} of {} does not start:\n{}", self.name, self.log(daemon));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Runs commands of FRR's shell, and returns what it prints.
    pub fn vtysh(&self, commands: &[&str]) -> Result<String> {
        let arguments: Vec<&str> = commands.iter().flat_map(|command| ["-c", command]).collect();
        self.run(&arguments)
    }

    /// What FRR's shell prints as JSON.
    pub fn json(&self, command: &str) -> Result<Value> {
        let text = self.vtysh(&[command])?;
        serde_json::from_str(&text).with_context(|| format!("`{command}` of FRR printed:\n{text}"))
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns, "unshare", "--mount", "sh"]);
        command.arg(self.state.path().join("router.sh"));
        command.arg(&self.root).arg(self.state.path()).arg(&self.name);
        command.args(["/usr/bin/vtysh", "-N", &self.name]).args(arguments);
        command::run(&mut command, PATIENCE)
    }

    /// What a daemon has printed, and its log.
    pub fn log(&self, daemon: &str) -> String {
        let read = |ending: &str| {
            let file = format!("log/{}-{daemon}.{ending}", self.name);
            fs::read_to_string(self.state.path().join(file)).unwrap_or_default()
        };
        read("out") + &read("log")
    }
}
