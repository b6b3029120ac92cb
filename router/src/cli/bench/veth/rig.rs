//! A router between a generator and a sink, each in a namespace of its own.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use core_affinity::CoreId;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use sidewinder_dataplane::port::xdp::generator::{Generator, Offered};
use sidewinder_dataplane::port::xdp::sink::{Expectation, Sink};

use super::behavior::{self, Behavior, MACS};
use super::{Cores, Router};
use crate::cli::lab::Folder;
use crate::cli::lab::daemon::Daemon;
use crate::cli::lab::netns::{self, Netns};
use crate::cli::lab::stop::Stop;

/// How long nothing must arrive for a trial to be over, and how long that may take.
const QUIET: Duration = Duration::from_millis(4);
const QUIET_LIMIT: Duration = Duration::from_millis(500);

/// What became of the packets of a trial.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What the generator did.
    pub offered: Offered,
    /// Packets that arrived, as they should be.
    pub delivered: u64,
    /// Delays in nanoseconds and how many had them, where that was asked for.
    pub delays: Vec<(u64, u64)>,
}

impl Trial {
    /// The part of the packets that was lost.
    pub fn loss(&self) -> f64 {
        1.0 - self.delivered as f64 / self.offered.sent.max(1) as f64
    }

    /// Packets delivered per second.
    pub fn rate(&self) -> f64 {
        self.delivered as f64 / self.offered.elapsed.as_secs_f64()
    }
}

/// One router with its generator and sink; dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Rig {
    // Dropped in this order: the programs, the router, and the namespaces that they are in.
    generator: Generator,
    sink: Sink,
    daemon: Option<Daemon>,
    from: Netns,
    _through: Netns,
    _to: Netns,
    router: Router,
    cores: Cores,
}

impl Rig {
    /// Makes the namespaces and links, and starts the router.
    pub fn build(
        router: Router,
        cores: Cores,
        folder: &Folder,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let name = router.name();
        let from = Netns::new(&format!("{name}-generator"))?;
        let through = Netns::new(name)?;
        let to = Netns::new(&format!("{name}-sink"))?;
        through.set("ipv6/conf/all/forwarding", "1")?;
        through.set("ipv6/conf/default/forwarding", "1")?;
        if router != Router::Sidewinder {
            for scope in ["all", "default"] {
                through.set(&format!("ipv6/conf/{scope}/seg6_enabled"), "1").context(
                    "this kernel has no SRv6 to compare with: it needs CONFIG_IPV6_SEG6_LWTUNNEL \
                     (`--router sidewinder` measures without it)",
                )?;
            }
        }
        link((&from, "g0", 0), (&through, "r0", 1))?;
        link((&through, "r1", 2), (&to, "s0", 3))?;
        through.ip(&behavior::ADDRESSES)?;
        let daemon = match router {
            Router::Sidewinder => {
                let told = |socket: &_| behavior::configuration(cores.router, socket);
                let mut daemon = Daemon::start(name, &through, folder.path(), told)?;
                daemon.wait_ready(stop)?;
                Some(daemon)
            }
            Router::Linux | Router::LinuxSoftirq => {
                // Without GRO or an XDP program at the other end, nothing can be sent into a link
                // the way the generator does it.
                netns::execute(through.command("ethtool").args(["-K", "r0", "gro", "on"]), "")?;
                if router == Router::Linux {
                    thread_receiver(&through, "r0", cores.router)?;
                }
                let source = ["sr", "tunsrc", "set", "fc00:0:1::1"];
                netns::execute(through.command("ip").args(source), "")?;
                through.ip(&behavior::LINUX).context(
                    "this kernel's SRv6 lacks a behavior (`--router sidewinder` measures without \
                     it)",
                )?;
                None
            }
        };
        let generator = from.enter(|| Generator::attach("g0"))??;
        let sink = to.enter(|| Sink::attach("s0"))??;
        Ok(Self { generator, sink, daemon, from, _through: through, _to: to, router, cores })
    }

    /// Which router it is.
    pub fn router(&self) -> Router {
        self.router
    }

    /// Offers packets, so many a second or as many as can be, and counts what arrives.
    pub fn trial(
        &mut self,
        behavior: Behavior,
        rate: Option<f64>,
        duration: Duration,
        delays: bool,
    ) -> anyhow::Result<Trial> {
        let expectation = behavior.delivered(self.router);
        self.sink.expect(&expectation, delays)?;
        self.generator.set_packet(&behavior.offered())?;
        let (generator, core) = (&mut self.generator, self.cores.generator);
        let offered = self.from.enter(|| {
            ensure!(
                core_affinity::set_for_current(CoreId { id: core }),
                "the generator cannot be pinned to core {core}: this process may not use it"
            );
            Ok(generator.run(rate, duration)?)
        })??;
        if let Some(daemon) = &mut self.daemon {
            daemon.check()?;
        }
        let delivered = self.settle()?;
        if let Some(wrong) = self.sink.wrong()? {
            bail!("{}", describe_wrong(self.router, behavior, &wrong, &expectation));
        }
        ensure!(
            delivered > 0 || offered.sent == 0,
            "{}: nothing of {} packets for {} arrived{}",
            self.router.name(),
            offered.sent,
            behavior.name(),
            self.reasons()
        );
        let delays = if delays { self.sink.delays()? } else { Vec::new() };
        Ok(Trial { offered, delivered, delays })
    }

    /// Waits for the last packets, and says how many arrived in all.
    fn settle(&self) -> anyhow::Result<u64> {
        let start = Instant::now();
        let mut last = self.sink.counts()?;
        loop {
            std::thread::sleep(QUIET);
            let now = self.sink.counts()?;
            if now == last || start.elapsed() > QUIET_LIMIT {
                return Ok(now.delivered);
            }
            last = now;
        }
    }

    /// What the router says that it dropped packets for.
    fn reasons(&self) -> String {
        let Some(snapshot) = self.daemon.as_ref().and_then(|daemon| daemon.snapshot().ok()) else {
            return String::new();
        };
        let reasons: Vec<String> = snapshot
            .drops
            .iter()
            .map(|drops| format!("{} {}", drops.dropped + drops.replied, drops.reason))
            .collect();
        if reasons.is_empty() {
            "; the router saw none".into()
        } else {
            format!("; the router dropped: {}", reasons.join(", "))
        }
    }
}

/// Joins two namespaces by a virtual link: namespace, interface, and number of its MAC.
fn link(left: (&Netns, &str, usize), right: (&Netns, &str, usize)) -> anyhow::Result<()> {
    left.0.ip(&[format!(
        "link add {} address {} type veth peer name {} address {} netns {}",
        left.1,
        mac(left.2),
        right.1,
        mac(right.2),
        right.0.name()
    )])?;
    for (netns, interface, _) in [left, right] {
        netns.ip(&[format!("link set {interface} up")])?;
    }
    Ok(())
}

fn mac(number: usize) -> String {
    MACS[number].map(|byte| format!("{byte:02x}")).join(":")
}

/// Gives what an interface receives to a kernel thread on that core, instead of whichever core its
/// sender is on.
fn thread_receiver(netns: &Netns, interface: &str, core: usize) -> anyhow::Result<()> {
    let before = receivers(interface);
    // /sys shows the interfaces of the namespace that it was mounted in, so it is mounted anew.
    let line = format!("echo 1 > /sys/class/net/{interface}/threaded");
    netns::execute(netns.command("sh").args(["-c", &line]), "")
        .context("this kernel has no threaded NAPI, which needs Linux 5.12")?;
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        let new: Vec<i32> = receivers(interface).difference(&before).copied().collect();
        if let [thread] = new[..] {
            let mut set = CpuSet::new();
            set.set(core)?;
            return sched_setaffinity(Pid::from_raw(thread), &set)
                .context("pinning the kernel's receiving thread");
        }
        ensure!(
            Instant::now() < deadline,
            "the kernel's receiving thread (napi/{interface}-…) is not there: is /proc of another \
             PID namespace?"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The kernel threads that receive for interfaces of that name, in whichever namespace.
fn receivers(interface: &str) -> BTreeSet<i32> {
    let prefix = format!("napi/{interface}-");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            name.starts_with(&prefix).then_some(pid)
        })
        .collect()
}

fn describe_wrong(
    router: Router,
    behavior: Behavior,
    wrong: &[u8],
    expected: &Expectation,
) -> String {
    let hex = |bytes: &[u8]| {
        let words: Vec<String> = bytes
            .chunks(16)
            .map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "))
            .collect();
        words.join("\n  ")
    };
    let place = wrong
        .iter()
        .zip(&expected.bytes)
        .zip(&expected.mask)
        .position(|((wrong, right), mask)| (wrong ^ right) & mask != 0);
    let place = place.map_or("in its length".into(), |at| format!("at byte {at}"));
    format!(
        "{} does not do {}: a packet differs {place} from what has to arrive\nit is\n  {}\nand should \
         be\n  {}",
        router.name(),
        behavior.name(),
        hex(wrong),
        hex(&expected.bytes)
    )
}
