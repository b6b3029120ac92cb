//! Sidewinder on a NIC whose driver grants zero-copy: `virtio_net`, emulated by QEMU.
//!
//! ```text
//!           host                    QEMU             guest
//!   test ── UDP 127.0.0.1 ── virtio-net-pci ── virtio_net ── AF_XDP ── sidewinder
//! ```
//!
//! `scripts/vm-image` prepares what the guest boots from; `make test-vm` runs it and then these.
//!
//! `zero_copy_is_granted_again_and_again`: with `zero-copy = "require"` on all three interfaces the
//! daemon starts and shows that the kernel granted it; stopped and started again, and after SIGKILL,
//! it gets the same queues with zero-copy again, and forwards. On a veth pair in the same guest it
//! is refused with an error that names interface, driver and remedy.
//!
//! `same_bytes_as_on_veth`: every behavior with every flavor, packets good and mangled: what comes
//! out of the guest, ICMP errors included, are the bytes that come out of the same daemon on veth
//! pairs in a namespace.
//!
//! `no_frame_is_lost`: 100 000 packets, of which each is forwarded, answered, given to the host or
//! dropped as it should be and counted once; then all frames are where they belong.
//!
//! `refused_on_veth`: the same refusal on this machine's own kernel.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sidewinder_tests::differential::side::{Ends, Side};
use sidewinder_tests::differential::subject::{self, FAR_HOST, HOST, ROUTER, SOURCES, Subject};
use sidewinder_tests::lab::star::{LINKS, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{Lab, Sidewinder as Daemon, serial, star};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer, Srh};
use sidewinder_tests::packet::{mac, tag};
use sidewinder_tests::skip::Need::{AfXdp, Root, Sidewinder, Tool, Vm as Machine};
use sidewinder_tests::vm::compare::{Comparison, QUIET};
use sidewinder_tests::vm::plans::{Plan, with_zero_copy};
use sidewinder_tests::vm::{PLAIN, Vm};

macro_rules! say {
    ($($what:tt)+) => { sidewinder_tests::vm::say(format_args!($($what)+)) };
}

/// Packets for each behavior.
const COUNT: u32 = 500;
/// Packets that no frame may be lost over.
const MANY: u32 = 100_000;
/// Packets on their way at a time: QEMU's UDP sockets hold them, so none is lost before the guest.
const WINDOW: usize = 64;
/// Times that the daemon is stopped and started.
const RESTARTS: usize = 5;

/// Descriptors of a NIC of QEMU's.
const DRIVER_RING: u64 = 256;

const SEED: u64 = 1;

#[test]
fn zero_copy_is_granted_again_and_again() -> Outcome {
    needs!(Sidewinder, Machine);
    let _turn = serial();
    let only = |name: &str| {
        format!(
            "[router]\nsocket = \"@SOCKET@\"\n\n\
             [[interface]]\nname = \"{name}\"\nzero-copy = \"require\"\n"
        )
    };
    let mut vm = Vm::boot(&[
        ("require", with_zero_copy(&subject::toml(), "require")),
        ("prefer", with_zero_copy(&subject::toml(), "prefer")),
        ("pair", only("pair0")),
        ("plain", only(PLAIN)),
    ])?;
    for turn in 0..RESTARTS {
        let begin = Instant::now();
        let mode = if turn == 3 { "prefer" } else { "require" };
        vm.start(mode)?;
        granted(&mut vm)?;
        let mut guest = Side::elsewhere(Box::new(vm.links()), QUIET)?;
        assert_eq!(guest.observe(&[])?, Some(vec![]), "packets out of nowhere");
        say!("start {turn} ({mode}): zero-copy granted, forwards, {:.1?}", begin.elapsed());
        if turn == 2 {
            vm.run(
                "kill -KILL $(cat /run/pid); while [ ! -e /run/status ]; do usleep 10000; done",
            )?;
        } else {
            vm.stop()?;
        }
    }
    vm.run("/tools/ip link add pair0 type veth peer name pair1 && /tools/ip link set pair0 up")?;
    for (config, interface, driver) in [("pair", "pair0", "veth"), ("plain", PLAIN, "virtio_net")] {
        let refused = vm.ask(&format!("sidewinder run -c /etc/sidewinder/{config}.toml"))?;
        say!("{}", refused.text.trim());
        assert_eq!(refused.status, 1, "{}", refused.text);
        is_refusal(&refused.text, interface, driver);
    }
    Ok(())
}

#[test]
fn same_bytes_as_on_veth() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Machine, Tool("ethtool"));
    let _turn = serial();
    let plans = Plan::all();
    let configs: Vec<_> =
        plans.iter().map(|plan| (plan.name.as_str(), plan.toml("require"))).collect();
    let mut vm = Vm::boot(&configs)?;
    let mut wrong = Vec::new();
    for plan in &plans {
        let begin = Instant::now();
        vm.start(&plan.name)?;
        granted(&mut vm)?;
        let mut guest = Side::elsewhere(Box::new(vm.links()), QUIET)?;
        let mut veth = Side::configured(&plan.toml("never"))?;
        let same = Comparison::run(&plan.name, &mut veth, &mut guest, plan.cases(SEED, COUNT)?)?;
        say!("{same}, {:.1} s", begin.elapsed().as_secs_f32());
        match same.all_the_same() {
            Err(error) => wrong.push(format!("{error:#}")),
            Ok(()) if same.forwarded < COUNT / 10 => wrong.push(format!("too few good: {same}")),
            Ok(()) => {}
        }
        Census::after(&mut vm, u64::from(same.forwarded))?.holds()?;
        vm.stop()?;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn no_frame_is_lost() -> Outcome {
    needs!(Sidewinder, Machine);
    let _turn = serial();
    let toml = with_zero_copy(&load_toml(), "require");
    let busy = toml.replace("[router]\n", "[router]\npoll = \"busy\"\n");
    let mut vm = Vm::boot(&[("adaptive", toml), ("busy", busy)])?;
    for polling in ["adaptive", "busy"] {
        vm.start(polling)?;
        granted(&mut vm)?;
        // A packet on every link: from here on the drivers' rings are full.
        load(&vm, 1000)?;
        let before = Census::after(&mut vm, 1000)?;
        let begin = Instant::now();
        let sent = load(&vm, MANY)?;
        let elapsed = begin.elapsed();
        let after = Census::after(&mut vm, before.packets[0] + u64::from(MANY))?;
        say!("{polling}: before {before:?}");
        say!("{polling}: after {after:?}");
        say!(
            "{polling}: {MANY} packets in {:.1} s, {:.0} a second",
            elapsed.as_secs_f32(),
            f64::from(MANY) / elapsed.as_secs_f64()
        );
        before.holds()?;
        after.holds()?;
        let counted: [u64; 5] =
            std::array::from_fn(|fate| after.packets[fate] - before.packets[fate]);
        assert_eq!(counted[0], u64::from(MANY), "received");
        assert_eq!(counted[1..], sent, "forwarded, punted, replied, dropped");
        // A driver may keep what it has sent until it sends again.
        let kept = after.in_rings.abs_diff(before.in_rings);
        assert!(kept <= LINKS.len() as u64 * DRIVER_RING, "{kept} more frames in rings");
        for interface in vm.show("interfaces")?.as_array().context("no list")? {
            for key in ["kernel-dropped", "ring-full"] {
                assert_eq!(interface[key], 0, "{key} in {interface:#}");
            }
            // Where packets leave, the driver has to be woken after all; out1 sends nothing here.
            let busy_polls = polling == "busy" && interface["name"] == LINKS[2];
            assert_eq!(interface["busy-poll"], busy_polls, "{polling}: {interface:#}");
        }

        // More than it can take: what gets lost is QEMU's to lose, frames are not.
        flood(&vm, MANY)?;
        let flooded = Census::after(&mut vm, after.packets[0])?;
        say!("{polling}: flooded {flooded:?}");
        flooded.holds()?;
        load(&vm, 1000)?;
        vm.stop()?;
    }
    Ok(())
}

#[test]
fn refused_on_veth() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab: Lab = star::nodes()?;
    star::wire(&lab)?;
    let toml = with_zero_copy(&subject::toml(), "require");
    let mut daemon = Daemon::prepare(lab.node("router"), &toml)?;
    daemon.launch_unready()?;
    let status = daemon.process().wait(Duration::from_secs(10))?;
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{}", daemon.log());
    is_refusal(&daemon.log(), LINKS[0], "veth");
    Ok(())
}

/// An error that names the interface and its driver, and says what to do.
fn is_refusal(said: &str, interface: &str, driver: &str) {
    let what = format!("{interface} does not grant zero-copy (driver {driver}: ");
    assert!(said.contains(&what) && said.contains("set zero-copy = \"prefer\""), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Whether the daemon in the guest says that it got zero-copy, by the driver, on all links.
fn granted(vm: &mut Vm) -> anyhow::Result<()> {
    let shown = vm.show("interfaces")?;
    let interfaces = shown.as_array().context("no list of interfaces")?;
    ensure!(interfaces.len() == LINKS.len(), "{shown:#}");
    for (interface, link) in interfaces.iter().zip(LINKS) {
        ensure!(
            interface["name"] == link
                && interface["driver"] == "virtio_net"
                && interface["mode"] == "driver"
                && interface["zero-copy"] == true,
            "no zero-copy on {link}: {interface:#}"
        );
    }
    Ok(())
}

/// What `show workers` counts, of the only worker.
#[derive(Debug)]
struct Census {
    /// Received, forwarded, punted, replied, dropped.
    packets: [u64; 5],
    frames: u64,
    free: u64,
    in_rings: u64,
}

impl Census {
    fn take(vm: &mut Vm) -> anyhow::Result<Self> {
        let shown = vm.show("workers")?;
        let count = |key: &str| shown[0][key].as_u64().with_context(|| format!("{key} in {shown}"));
        Ok(Self {
            packets: [
                count("received")?,
                count("forwarded")?,
                count("punted")?,
                count("replied")?,
                count("dropped")?,
            ],
            frames: count("frames")?,
            free: count("frames-free")?,
            in_rings: count("frames-in-rings")?,
        })
    }

    /// The same, once every packet that was sent has been counted: `received` of them.
    fn after(vm: &mut Vm, received: u64) -> anyhow::Result<Self> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let census = Self::take(vm)?;
            let settled = census.packets[0] >= received && census.holds().is_ok();
            // What has not settled by then fails in the caller's checks.
            if settled || Instant::now() > deadline {
                return Ok(census);
            }
        }
    }

    /// Every packet counted once, every frame where it belongs.
    fn holds(&self) -> anyhow::Result<()> {
        let [received, fates @ ..] = self.packets;
        ensure!(received == fates.iter().sum::<u64>(), "in is not out: {self:?}");
        ensure!(self.frames > 0 && self.free + self.in_rings == self.frames, "lost: {self:?}");
        Ok(())
    }
}

/// Every fate that a packet can have, in one configuration.
fn load_toml() -> String {
    let sid = |function: &str, lines: &str| {
        format!("[[sid]]\nsid = \"fc00:0:1:{function}::\"\n{lines}\n\n")
    };
    [
        subject::toml(),
        sid("e", "behavior = \"End\""),
        sid("d6", "behavior = \"End.DT6\"\ntable = \"main\""),
        Subject::Encaps(3).toml(),
        "[[route]]\nprefix = \"2001:db8:dead::/48\"\naction = \"blackhole\"\n".into(),
    ]
    .join("\n")
}

/// What a packet of the load is for: the place of its fate in a [`Census`], and the link that
/// something comes out on.
fn fate(id: u32) -> (usize, Option<usize>) {
    match id % 8 {
        5 => (2, Some(0)),
        6 => (3, None),
        7 => (1, None),
        _ => (0, Some(1)),
    }
}

fn load_frame(id: u32) -> anyhow::Result<Vec<u8>> {
    let source = tag::address(SOURCES.parse()?, id);
    let to = |address: &str| -> anyhow::Result<Ipv6> { Ok(Ipv6::new(source, address.parse()?)) };
    let payload = [tag::tag(id).to_vec(), vec![0xa5; id as usize * 13 % 1200]].concat();
    let udp = Layer::Udp(4000, 4000, payload);
    let (end, next): (Ipv6Addr, Ipv6Addr) = ("fc00:0:1:e::".parse()?, "fc00:0:2:e::".parse()?);
    let layers = match id % 8 {
        0 | 1 => vec![Layer::Ipv6(to(HOST)?), udp],
        2 => {
            let srh = Srh::starting(&[end, next]);
            vec![Layer::Ipv6(to("fc00:0:1:e::")?), Layer::Srh(srh), udp]
        }
        3 => vec![Layer::Ipv6(to("fc00:0:1:d6::")?), Layer::Ipv6(to(HOST)?), udp],
        4 => vec![Layer::Ipv6(to(FAR_HOST)?), udp],
        5 => vec![Layer::Ipv6(Ipv6 { hops: 1, ..to(HOST)? }), udp],
        6 => vec![Layer::Ipv6(to("2001:db8:dead::1")?), udp],
        _ => vec![Layer::Ipv6(to("fc00:0:1:d6::")?), Layer::Ipv6(to(ROUTER)?), udp],
    };
    Ok(build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers))
}

/// Sends `count` packets, no more than a window at a time, and waits for all that has to come out.
/// Returns how many had which fate: forwarded, punted, replied, dropped.
fn load(vm: &Vm, count: u32) -> anyhow::Result<[u64; 4]> {
    let links = vm.links();
    let mut fates = [0; 4];
    // Whether a packet has come out.
    let mut seen = vec![false; count as usize];
    let mut under_way = 0;
    let mut next = 0;
    while next < count || under_way > 0 {
        while next < count && under_way < WINDOW {
            links.put(0, &load_frame(next)?)?;
            let (place, out) = fate(next);
            fates[place] += 1;
            under_way += usize::from(out.is_some());
            next += 1;
        }
        let Some((link, frame)) = links.take(Instant::now() + Duration::from_secs(5))? else {
            break;
        };
        // Multicast is what the guest's kernel says by itself.
        let Some(id) = tag::find(&frame).filter(|_| frame[0] & 1 == 0) else { continue };
        let seen =
            seen.get_mut(id as usize).with_context(|| format!("packet {id} was not sent"))?;
        ensure!(fate(id).1 == Some(link), "packet {id} came out on {}", LINKS[link]);
        ensure!(!*seen, "packet {id} came out twice");
        *seen = true;
        under_way -= 1;
    }
    let lost: Vec<u32> =
        (0..next).filter(|id| fate(*id).1.is_some() && !seen[*id as usize]).collect();
    ensure!(lost.is_empty(), "{} packets were lost, the first {:?}", lost.len(), lost.first());
    Ok(fates)
}

/// Sends `count` packets as fast as it can, and takes what comes until nothing more does.
fn flood(vm: &Vm, count: u32) -> anyhow::Result<()> {
    let links = vm.links();
    for id in 0..count {
        links.put(0, &load_frame(id)?)?;
        while links.take(Instant::now())?.is_some() {}
    }
    while links.take(Instant::now() + Duration::from_millis(300))?.is_some() {}
    Ok(())
}
