//! A virtual machine with a router in it, on emulated NICs whose driver grants zero-copy.
//!
//! ```text
//!           host                    QEMU             guest
//!   test ── UDP 127.0.0.1 ── virtio-net-pci ── virtio_net ── AF_XDP ── sidewinder
//! ```
//!
//! QEMU emulates the machine without the help of the processor (no KVM), and carries each Ethernet
//! frame of the guest's links as one UDP datagram: no privilege is needed, and nothing of this
//! machine's network is touched. It has the star's links (`lab::star`), with its addresses.

pub mod archive;
pub mod compare;
pub mod console;
pub mod image;
pub mod links;
pub mod plans;

use std::fmt::{Arguments, Write as _};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::command;
use crate::differential::subject;
use crate::lab::netns::Background;
use crate::lab::star::{LINKS, ROUTER_MACS};
use console::{Answer, Console};
use image::Image;
use links::{Addresses, Links};

/// The router's control socket in the guest.
const SOCKET: &str = "/run/sidewinder.sock";

/// How long the guest may take to start. It takes 3 to 5 seconds on an idle machine.
const BOOT_LIMIT: Duration = Duration::from_secs(90);

/// How long a command in the guest may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// How much of the guest's console a failed test shows.
const LOG_LINES: usize = 120;

/// QEMU may find a port taken that was free a moment ago.
const ATTEMPTS: usize = 3;

/// The MAC address of a NIC that has no link, and whose driver does not grant zero-copy.
pub const PLAIN_MAC: &str = "02:00:00:00:01:0f";

/// The name of that NIC.
pub const PLAIN: &str = "plain0";

/// Shows how a test gets on. Straight to the terminal: the test harness keeps what a test prints
/// until it fails, and emulation takes its time.
pub fn say(what: Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("vm: {what}\n").as_bytes());
}

/// A running guest. Dropping it ends QEMU.
#[derive(Debug)]
pub struct Vm {
    console: Console,
    links: Arc<Links>,
    _process: Background,
    dir: TempDir,
}

impl Vm {
    /// Boots a guest that has these configurations of the router, by name, and its interfaces ready.
    pub fn boot(configs: &[(&str, String)]) -> Result<Self> {
        let begin = Instant::now();
        let dir = tempfile::Builder::new().prefix("swvm-").tempdir()?;
        let image = Image::build(&dir, configs)?;
        let mut attempt = 1;
        let (process, console, links) = loop {
            match launch(&image, &dir) {
                Ok(started) => break started,
                Err(error) if attempt == ATTEMPTS => {
                    return Err(error.context(format!("the guest's console:\n{}", tail(&dir))));
                }
                Err(error) => say(format_args!("attempt {attempt}: {error:#}")),
            }
            attempt += 1;
        };
        let mut vm = Self { console, links: Arc::new(links), _process: process, dir };
        vm.set_up()?;
        say(format_args!("booted and set up in {:.1} s", begin.elapsed().as_secs_f32()));
        Ok(vm)
    }

    /// The other ends of the guest's links.
    pub fn links(&self) -> Arc<Links> {
        Arc::clone(&self.links)
    }

    /// Runs a line of shell in the guest; a failure is an error.
    pub fn run(&mut self, line: &str) -> Result<String> {
        let Answer { status, text } = self.ask(line)?;
        ensure!(status == 0, "`{line}` in the guest ended with {status}:\n{text}");
        Ok(text)
    }

    /// Runs a line of shell in the guest and returns how it ended.
    pub fn ask(&mut self, line: &str) -> Result<Answer> {
        self.console.ask(line, COMMAND_LIMIT)
    }

    /// Starts the router with the configuration of that name and waits until it answers.
    pub fn start(&mut self, config: &str) -> Result<()> {
        self.run(&format!("daemon start {config}")).map(drop)
    }

    /// Stops the router. It must end with exit status 0.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.run("daemon stop")?;
        ensure!(status.trim() == "0", "the router ended with {status}");
        Ok(())
    }

    /// What the router shows of itself.
    pub fn show(&mut self, what: &str) -> Result<serde_json::Value> {
        let text = self.run(&format!("sidewinder show {what} --json --socket {SOCKET}"))?;
        serde_json::from_str(&text).with_context(|| format!("show {what} printed {text}"))
    }

    /// Everything that the guest's kernel and the router have printed.
    pub fn log(&self) -> String {
        fs::read(self.dir.path().join("console"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Names, switches and addresses, as the router's namespace has them in the laboratory.
    fn set_up(&mut self) -> Result<()> {
        // The settings come first: an interface takes its own from them when it appears.
        let mut lines = String::new();
        for (path, value) in SETTINGS {
            // Not every kernel has all of them.
            let _ = write!(lines, "echo {value} 2>/dev/null >/proc/sys/net/{path}; ");
        }
        self.run(&format!("{lines} true"))?;
        self.run("for name in $(cat /modules/list); do insmod /modules/$name.ko || exit 1; done")?;
        self.run("/tools/ip link set lo up")?;
        let links = LINKS.iter().zip(ROUTER_MACS);
        for (link, mac) in links.chain([(&PLAIN, PLAIN_MAC)]) {
            self.run(&format!(
                "for d in /sys/class/net/*; do [ $(cat $d/address) = {mac} ] && dev=${{d##*/}}; done; \
                 /tools/ip link set $dev name {link} && /tools/ip link set {link} up"
            ))?;
        }
        for line in subject::addresses() {
            self.run(&format!("/tools/ip {line}"))?;
        }
        Ok(())
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // The test harness shows this only for a test that failed, and then it is what one wants.
        eprintln!("--- the guest's console:\n{}\n---", tail(&self.dir));
        // QEMU is killed as the field is dropped: there is nothing in the guest to be saved.
    }
}

/// What the laboratory sets in the router's namespace (`lab::netns`, `lab::linux`).
const SETTINGS: [(&str, u32); 15] = [
    ("ipv6/conf/all/accept_dad", 0),
    ("ipv6/conf/default/accept_dad", 0),
    ("ipv6/conf/all/accept_ra", 0),
    ("ipv6/conf/default/accept_ra", 0),
    ("ipv6/conf/all/autoconf", 0),
    ("ipv6/conf/default/autoconf", 0),
    ("ipv4/ip_forward", 1),
    ("ipv6/conf/all/forwarding", 1),
    ("ipv6/conf/default/forwarding", 1),
    ("ipv6/icmp/ratelimit", 0),
    ("ipv4/icmp_ratelimit", 0),
    ("ipv6/auto_flowlabels", 0),
    ("ipv4/icmp_msgs_per_sec", 1_000_000),
    ("ipv4/icmp_msgs_burst", 1_000_000),
    ("ipv4/conf/all/rp_filter", 0),
];

/// Starts QEMU and waits until the guest listens.
fn launch(image: &Image, dir: &TempDir) -> Result<(Background, Console, Links)> {
    let (links, addresses) = Links::new(LINKS.len())?;
    let errors = fs::File::create(dir.path().join("qemu"))?;
    let mut command = qemu(image, dir, &addresses);
    let line = command::describe(&command);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn();
    let mut child = child.with_context(|| format!("cannot start `{line}`"))?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    // From here on it is killed with the guard.
    let process = Background::adopt(line, child);
    let (input, output) = pipes.context("no pipes to QEMU")?;
    let console = Console::new(input, output);
    console.ready(BOOT_LIMIT).with_context(|| {
        let said = fs::read_to_string(dir.path().join("qemu")).unwrap_or_default();
        format!("the guest did not start; QEMU said: {said}")
    })?;
    Ok((process, console, links))
}

fn qemu(image: &Image, dir: &TempDir, addresses: &[Addresses]) -> Command {
    // A machine must not outlive a test that was killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    // Emulation only: the same on every machine, and the build needs AVX2, which `max` has.
    command.args(["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]);
    command.args(["-smp", "2", "-m", "1024"]);
    command.arg("-serial").arg(format!("file:{}", dir.path().join("console").display()));
    command.args(["-serial", "stdio"]);
    command.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.root);
    command.args(["-append", "console=ttyS0 quiet panic=-1"]);
    for (number, (Addresses { guest, host }, mac)) in addresses.iter().zip(ROUTER_MACS).enumerate()
    {
        command.arg("-netdev");
        command.arg(format!("socket,id=n{number},udp={host},localaddr={guest}"));
        // Only a device that the driver addresses by the DMA API gets zero-copy: that is
        // `iommu_platform`, which legacy devices do not have.
        command.arg("-device").arg(format!(
            "virtio-net-pci,netdev=n{number},mac={mac},iommu_platform=on,disable-legacy=on"
        ));
    }
    command.arg("-device").arg(format!("virtio-net-pci,mac={PLAIN_MAC}"));
    command
}

fn tail(dir: &TempDir) -> String {
    let log = fs::read(dir.path().join("console")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
