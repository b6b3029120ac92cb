//! The kernel as a source of routes: what `ip route` says is what Sidewinder does.
//!
//! ```text
//!            in0 +----------------------------+ out0
//!   world -------| Sidewinder and its kernel, |------- world
//!                | which does not forward     |------- world
//!                +----------------------------+ out1
//! ```
//!
//! The kernel has the routes and forwards nothing (but in `left_to_the_kernel`), so what comes out
//! has gone through the fast path.
//!
//! `every_kind_of_route`: routes, next-hop objects and SRv6 encapsulations of every kind are added,
//! changed and removed; each is shown, and does what it says.
//!
//! `takes_effect_at_once`: from the command to the first packet that it moves, for a plain route and
//! for a SID, many times over.
//!
//! `a_storm_hurts_nobody`: tens of thousands of changes while packets to other prefixes flow.
//!
//! `left_to_the_kernel`: what leads elsewhere goes through the kernel, and past the workers.
//!
//! `a_link_goes_down`: its share of the flows moves at once, and its routes follow the kernel's, also
//! those that the kernel removes without a word, and its next-hop objects.
//!
//! `a_link_goes_down_in_silence`: the same where the kernel is told to be silent of IPv6, too.
//!
//! `an_mtu_changes`: a link's, and with it what the kernel keeps to for its routes.
//!
//! `killed_and_started_again`: the kernel has kept the routes.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;
use sidewinder_tests::lab::linux;
use sidewinder_tests::lab::load::Load;
use sidewinder_tests::lab::star::{self, LINKS, WORLD_MACS};
use sidewinder_tests::lab::{Netns, Sidewinder as Daemon, serial};
use sidewinder_tests::mirror::{
    BEST, LEFT, SHOWN, SOURCE, address, lab, plain, segment, shown, toml, wait_until, ways,
};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

/// Packets per second: far below what the set-up carries.
const RATE: u32 = 10_000;

#[test]
fn every_kind_of_route() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let (router, world) = (lab.node("router"), lab.node("world"));
    // There before the daemon is.
    router.ip("-6 route add 2001:db8:f0::/48 via 2001:db8:1::9 proto isis metric 20")?;
    let daemon = Daemon::start(router, &(toml(&LINKS) + SOURCE))?;
    let to = |destination: &'static str| move |number| plain(number, destination);

    wait_until(&daemon, "2001:db8:f0::/48", &[("via 2001:db8:1::9 dev out0", BEST)])?;
    assert_eq!(ways(world, 1, to("2001:db8:f0::1"))?.0, ["out0"].into());

    // Added, changed, with a second one that counts more, and removed one by one.
    router.ip("-6 route add 2001:db8:f1::/48 via fe80::b dev out0")?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("via fe80::b dev out0", BEST)])?;
    assert_eq!(ways(world, 1, to("2001:db8:f1::1"))?.0, ["out0"].into());
    router.ip("-6 route replace 2001:db8:f1::/48 via fe80::c dev out1")?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("via fe80::c dev out1", BEST)])?;
    router.ip("-6 route add 2001:db8:f1::/48 via fe80::b dev out0 metric 7")?;
    wait_until(
        &daemon,
        "2001:db8:f1::/48",
        &[("via fe80::b dev out0", BEST), ("via fe80::c dev out1", "worse-metric")],
    )?;
    assert_eq!(ways(world, 1, to("2001:db8:f1::1"))?.0, ["out0"].into());
    router.ip("-6 route del 2001:db8:f1::/48 metric 7")?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("via fe80::c dev out1", BEST)])?;
    assert_eq!(ways(world, 1, to("2001:db8:f1::1"))?.0, ["out1"].into());
    router.ip("-6 route del 2001:db8:f1::/48")?;
    wait_until(&daemon, "2001:db8:f1::/48", &[])?;
    assert!(ways(world, 1, to("2001:db8:f1::1"))?.0.is_disjoint(&["out0", "out1"].into()));

    // Several ways: at once, one more, one less.
    router.ip("-6 route add 2001:db8:f2::/48 nexthop via fe80::b dev out0 weight 2 \
         nexthop via fe80::c dev out1")?;
    let both = "via fe80::b dev out0 weight 2, via fe80::c dev out1 weight 1";
    wait_until(&daemon, "2001:db8:f2::/48", &[(both, BEST)])?;
    assert_eq!(ways(world, 100, to("2001:db8:f2::1"))?.0, ["out0", "out1"].into());
    router.ip("-6 route del 2001:db8:f2::/48 via fe80::b dev out0")?;
    wait_until(&daemon, "2001:db8:f2::/48", &[("via fe80::c dev out1", BEST)])?;
    router.ip("-6 route append 2001:db8:f2::/48 via 2001:db8:1::9 dev out0")?;
    let both = "via 2001:db8:1::9 dev out0 weight 1, via fe80::c dev out1 weight 1";
    wait_until(&daemon, "2001:db8:f2::/48", &[(both, BEST)])?;
    assert_eq!(ways(world, 100, to("2001:db8:f2::1"))?.0, ["out0", "out1"].into());

    // Next-hop objects: a change of the object is a change of the route; groups and members.
    router.ip_batch([
        "nexthop add id 1 via fe80::b dev out0",
        "nexthop add id 2 via fe80::c dev out1",
        "nexthop add id 10 group 1/2,3",
        "route add 2001:db8:f3::/48 nhid 1",
        "route add 2001:db8:f4::/48 nhid 10",
    ])?;
    wait_until(&daemon, "2001:db8:f3::/48", &[("via fe80::b dev out0", BEST)])?;
    let both = "via fe80::b dev out0 weight 1, via fe80::c dev out1 weight 3";
    wait_until(&daemon, "2001:db8:f4::/48", &[(both, BEST)])?;
    assert_eq!(ways(world, 100, to("2001:db8:f4::1"))?.0, ["out0", "out1"].into());
    router.ip("nexthop replace id 1 via fe80::c dev out1")?;
    wait_until(&daemon, "2001:db8:f3::/48", &[("via fe80::c dev out1", BEST)])?;
    assert_eq!(ways(world, 100, to("2001:db8:f4::1"))?.0, ["out1"].into());
    router.ip("nexthop del id 2")?;
    wait_until(&daemon, "2001:db8:f4::/48", &[("via fe80::c dev out1", BEST)])?;
    router.ip("nexthop del id 1")?;
    wait_until(&daemon, "2001:db8:f3::/48", &[])?;
    wait_until(&daemon, "2001:db8:f4::/48", &[])?;

    // To nobody.
    for kind in ["blackhole", "unreachable", "prohibit"] {
        router.ip(&format!("-6 route replace {kind} 2001:db8:f5::/48"))?;
        wait_until(&daemon, "2001:db8:f5::/48", &[(kind, BEST)])?;
        // An answer goes back by in0.
        let expected: BTreeSet<_> = if kind == "blackhole" { [].into() } else { ["in0"].into() };
        router.ip("-6 route replace 2001:db8:0:a::/64 via fe80::a dev in0")?;
        wait_until(&daemon, "2001:db8:0:a::/64", &[("via fe80::a dev in0", BEST)])?;
        assert_eq!(ways(world, 1, to("2001:db8:f5::1"))?.0, expected, "{kind}");
        router.ip(&format!("-6 route del {kind} 2001:db8:f5::/48"))?;
    }

    // IPv4, by IPv4 and by IPv6.
    router.ip("route add 198.51.100.0/24 via 192.0.1.9")?;
    wait_until(&daemon, "198.51.100.0/24", &[("via 192.0.1.9 dev out0", BEST)])?;
    router.ip("route replace 198.51.100.0/24 via inet6 fe80::c dev out1")?;
    wait_until(&daemon, "198.51.100.0/24", &[("via fe80::c dev out1", BEST)])?;
    router.ip("route append 198.51.100.0/24 via 192.0.1.9")?;
    router.ip("route del 198.51.100.0/24 via inet6 fe80::c dev out1")?;
    wait_until(&daemon, "198.51.100.0/24", &[("via 192.0.1.9 dev out0", BEST)])?;

    // Encapsulation.
    router.ip("-6 route add fc00:0:2::/48 via fe80::b dev out0")?;
    for (mode, behavior, len) in
        [("encap", "H.Encaps", 80), ("encap.red", "H.Encaps.Red", 64), ("inline", "H.Insert", 56)]
    {
        let segs = "fc00:0:2:e::,fc00:0:3:d6::";
        router.ip(&format!(
            "-6 route replace 2001:db8:e0::/48 encap seg6 mode {mode} segs {segs} dev out0"
        ))?;
        wait_until(&daemon, "2001:db8:e0::/48", &[(&format!("{behavior} {segs}"), BEST)])?;
        let (links, frame) = ways(world, 1, to("2001:db8:e0::1"))?;
        assert_eq!(links, ["out0"].into());
        assert_eq!(frame.len(), plain(0, "::1").len() + len, "{mode}");
        assert_eq!(frame[14 + 24..14 + 40], address("fc00:0:2:e::").octets(), "{mode}");
    }

    // Local SIDs.
    router.ip("-6 route add fc00:0:1:e::/64 encap seg6local action End dev in0")?;
    wait_until(&daemon, "fc00:0:1:e::/64", &[("sid End", BEST)])?;
    let end = |number| segment(number, "fc00:0:1:e::1", "fc00:0:2:e::");
    let (links, frame) = ways(world, 1, end)?;
    assert_eq!(links, ["out0"].into());
    assert_eq!(frame[14 + 24..14 + 40], address("fc00:0:2:e::").octets());
    router.ip("-6 route replace fc00:0:1:e::/64 encap seg6local action End flavors psp dev in0")?;
    let shorter = frame.len() - 40;
    let deadline = Instant::now() + SHOWN;
    while ways(world, 1, end)?.1.len() != shorter {
        assert!(Instant::now() < deadline, "the SRH is still there");
    }
    router.ip("-6 route add fc00:0:1:ee:: encap seg6local action End.X nh6 fe80::c dev out1")?;
    wait_until(&daemon, "fc00:0:1:ee::/128", &[("sid End.X", BEST)])?;
    let end_x = |number| segment(number, "fc00:0:1:ee::", "fc00:0:2:e::");
    assert_eq!(ways(world, 1, end_x)?.0, ["out1"].into());
    for (action, sid) in [
        ("End.T table 254", "sid End.T"),
        ("End.DX6 nh6 2001:db8:2::9", "sid End.DX6"),
        ("End.DX4 nh4 192.0.2.9", "sid End.DX4"),
        ("End.DT6 table 254", "sid End.DT6"),
    ] {
        router.ip(&format!(
            "-6 route replace fc00:0:1:d:: encap seg6local action {action} dev in0"
        ))?;
        wait_until(&daemon, "fc00:0:1:d::/128", &[(sid, BEST)])?;
    }
    router.ip("-6 route del fc00:0:1:d::")?;
    wait_until(&daemon, "fc00:0:1:d::/128", &[])?;
    router.ip("-6 route add fc00:0:1:b6:: encap seg6local action End.B6 \
         srh segs fc00:0:2:e::,fc00:0:3:e:: dev in0")?;
    wait_until(&daemon, "fc00:0:1:b6::/128", &[("kernel", LEFT)])?;
    router.ip("-6 route del fc00:0:1:b6::")?;

    // What the data plane does not have.
    router.ip("-6 route add 2001:db8:e1::/48 via fe80::b dev out0 mtu 1300")?;
    wait_until(&daemon, "2001:db8:e1::/48", &[("kernel", LEFT)])?;
    let sources: Vec<Value> = serde_json::from_str(&daemon.command("show sources --json")?)?;
    let kernel = sources.iter().find(|source| source["source"] == "kernel");
    let left = kernel.map(|kernel| kernel["details"]["left-to-kernel"].clone());
    assert_eq!(left, Some(Value::from(1)), "{sources:?}");
    Ok(())
}

/// `ip -batch`, waiting for lines: the time that a program takes to start is not the route's.
struct Ip(Child);

impl Ip {
    fn start(netns: &Netns) -> Result<Self> {
        let mut command = Command::new("ip");
        command.args(["-n", netns.name(), "-6", "-force", "-batch", "-"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        Ok(Self(child))
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.0.stdin.as_mut().context("no pipe to `ip`")?;
        stdin.write_all(format!("{line}\n").as_bytes())?;
        Ok(stdin.flush()?)
    }
}

impl Drop for Ip {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn takes_effect_at_once() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    const TURNS: usize = 100;
    /// Of a hundred changes on a machine with other work, a few may be late.
    const LATE: usize = 5;
    let lab = lab()?;
    let router = lab.node("router");
    router.ip("-6 route add 2001:db8:f1::/48 via fe80::b dev out0")?;
    router.ip("-6 route add fc00:0:1:ee:: encap seg6local action End.X nh6 fe80::b dev out0")?;
    let _daemon = Daemon::start(router, &(toml(&LINKS) + SOURCE))?;
    let mut ip = Ip::start(router)?;
    for (name, make, line) in [
        (
            "a route",
            (|number| plain(number, "2001:db8:f1::1")) as fn(u32) -> Vec<u8>,
            "route replace 2001:db8:f1::/48 via",
        ),
        (
            "a SID",
            |number| segment(number, "fc00:0:1:ee::", "fc00:0:2:e::"),
            "route replace fc00:0:1:ee:: encap seg6local action End.X nh6",
        ),
    ] {
        let (load, said) = Load::run(lab.node("world"), RATE, make, || {
            let mut said = Vec::new();
            thread::sleep(Duration::from_millis(100));
            for turn in 0..TURNS {
                let (link, hop) =
                    if turn % 2 == 0 { (2, "fe80::c dev out1") } else { (1, "fe80::b dev out0") };
                said.push((Instant::now(), link));
                ip.say(&format!("{line} {hop}"))?;
                thread::sleep(Duration::from_millis(30));
            }
            Ok(said)
        })?;
        assert_eq!(load.lost(), [0u32; 0], "{name}");
        let mut took: Vec<Duration> = said
            .iter()
            .filter_map(|(begun, link)| {
                let moved = |arrival: &&_| {
                    let arrival: &sidewinder_tests::lab::load::Arrival = arrival;
                    arrival.at >= *begun && arrival.link == *link
                };
                load.received.iter().find(moved).map(|arrival| arrival.at - *begun)
            })
            .collect();
        took.sort();
        println!(
            "{name}: from the command to the first packet, {TURNS} times: median {:.2?}, 95 of 100 \
             within {:.2?}, longest {:.2?}",
            took[TURNS / 2],
            took[TURNS - LATE],
            took[TURNS - 1]
        );
        assert_eq!(took.len(), TURNS);
        assert!(took[TURNS - 1 - LATE] < Duration::from_millis(10), "{name}: {took:?}");
    }
    Ok(())
}

#[test]
fn a_storm_hurts_nobody() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    const ROUTES: u32 = 20_000;
    const ENCAPSULATED: usize = 2_000;
    let lab = lab()?;
    let router = lab.node("router");
    router.ip("-6 route add 2001:db8:f1::/48 via fe80::b dev out0")?;
    router.ip("-6 route add fc00:0:1:ee:: encap seg6local action End.X nh6 fe80::c dev out1")?;
    let daemon = Daemon::start(router, &(toml(&LINKS) + SOURCE))?;
    let lines = |verb: &'static str, hop: &'static str| {
        (0..ROUTES)
            .map(move |n| format!("route {verb} fd00:{:x}:{:x}::/48 {hop}", n >> 8, n & 0xff))
    };
    let make = |number| match number % 2 {
        0 => plain(number, "2001:db8:f1::1"),
        _ => segment(number, "fc00:0:1:ee::", "fc00:0:2:e::"),
    };
    let (load, took) = Load::run(lab.node("world"), RATE, make, || {
        let begun = Instant::now();
        router.ip_batch(lines("add", "via fe80::b dev out0"))?;
        router.ip_batch(lines("replace", "via fe80::c dev out1"))?;
        // Not all: each takes memory of every processor, which the kernel runs out of for a while.
        let encap = lines("replace", "encap seg6 mode encap segs fc00:0:2:e:: dev out1");
        router.ip_batch(encap.take(ENCAPSULATED))?;
        router.ip_batch(lines("del", ""))?;
        let took = begun.elapsed();
        wait_until(&daemon, "fd00:4e:1f::/48", &[])?;
        Ok(took)
    })?;
    let lost = load.lost();
    let changes = 3 * ROUTES as usize + ENCAPSULATED;
    println!("{changes} changes in {took:.1?}, {} packets", load.sent.len());
    assert!(lost.is_empty(), "{} packets lost of {}", lost.len(), load.sent.len());
    assert!(load.received.iter().all(|arrival| arrival.link == 1 + arrival.number as usize % 2));
    let sources: Vec<Value> = serde_json::from_str(&daemon.command("show sources --json")?)?;
    let kernel = sources.iter().find(|source| source["source"] == "kernel");
    let routes = kernel.map(|kernel| kernel["routes"].clone());
    // The two above, and the prefixes of the links.
    assert_eq!(routes, Some(Value::from(2 + 2 * LINKS.len())), "{sources:?}");
    let policies = daemon.command("show policies --json")?;
    assert_eq!(policies.trim(), "[]", "policies are gone with their routes");
    Ok(())
}

#[test]
fn left_to_the_kernel() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = star::nodes()?;
    let (router, world) = (lab.node("router"), lab.node("world"));
    linux::forwarding(router)?;
    star::wire(&lab)?;
    router.ip_batch(star::neighbors())?;
    router.ip("-6 route add 2001:db8:f1::/48 via fe80::b dev out0")?;
    router.ip("-6 route add 2001:db8:f2::/48 via fe80::c dev out1")?;
    router.ip("-6 route add default via fe80::c dev out1")?;
    // Without out1.
    let daemon = Daemon::start(router, &(toml(&LINKS[..2]) + SOURCE))?;
    let punted = || -> Result<u64> {
        let workers: Vec<Value> = serde_json::from_str(&daemon.command("show workers --json")?)?;
        Ok(workers.iter().filter_map(|worker| worker["punted"].as_u64()).sum())
    };
    wait_until(&daemon, "2001:db8:f2::/48", &[("kernel", LEFT)])?;
    let before = punted()?;
    assert_eq!(ways(world, 10, |n| plain(n, "2001:db8:f2::1"))?.0, ["out1"].into());
    assert_eq!(punted()?, before, "the steer program leaves them to the kernel");
    assert_eq!(ways(world, 10, |n| plain(n, "2001:db8:f1::1"))?.0, ["out0"].into());
    // The default route has routes of ours beneath: its packets come to the workers.
    assert_eq!(ways(world, 10, |n| plain(n, "2001:db8:1234::1"))?.0, ["out1"].into());
    assert_eq!(punted()?, before + 10);
    // A longer prefix of ours takes its own back; when it goes, all is the kernel's.
    router.ip("-6 route add 2001:db8:f2:7::/64 via fe80::b dev out0")?;
    wait_until(&daemon, "2001:db8:f2:7::/64", &[("via fe80::b dev out0", BEST)])?;
    assert_eq!(ways(world, 10, |n| plain(n, "2001:db8:f2:7::1"))?.0, ["out0"].into());
    assert_eq!(ways(world, 10, |n| plain(n, "2001:db8:f2::1"))?.0, ["out1"].into());
    assert_eq!(punted()?, before + 20);
    router.ip("-6 route del 2001:db8:f2:7::/64")?;
    wait_until(&daemon, "2001:db8:f2:7::/64", &[])?;
    assert_eq!(ways(world, 10, |n| plain(n, "2001:db8:f2:7::1"))?.0, ["out1"].into());
    assert_eq!(punted()?, before + 20);
    Ok(())
}

#[test]
fn a_link_goes_down() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let (router, world) = (lab.node("router"), lab.node("world"));
    router.ip(
        "-6 route add 2001:db8:f2::/48 nexthop via fe80::b dev out0 nexthop via fe80::c dev out1",
    )?;
    router.ip("route add 198.51.100.0/24 via 192.0.1.9")?;
    router.ip("-6 route add 2001:db8:f3::/48 via fe80::b dev out0")?;
    let daemon = Daemon::start(router, &(toml(&LINKS) + SOURCE))?;
    let make = |number| plain(number, "2001:db8:f2::1");
    assert_eq!(ways(world, 100, make)?.0, ["out0", "out1"].into());
    let lost_after = |node: &Netns| -> Result<(usize, Duration)> {
        let (load, down) = Load::run(world, RATE, make, || {
            thread::sleep(Duration::from_millis(200));
            let down = Instant::now();
            node.ip("link set out0 down")?;
            thread::sleep(Duration::from_millis(1500));
            Ok(down)
        })?;
        let lost = load.lost();
        let since = |number: &u32| load.sent[*number as usize].saturating_duration_since(down);
        Ok((lost.len(), lost.last().map_or(Duration::ZERO, since)))
    };
    // The far end: the kernel keeps its routes. It may tell of a lost carrier as late as a second
    // after (it does so once a second at most for some devices, veth pairs among them).
    let (lost, last) = lost_after(world)?;
    println!("carrier lost: {lost} packets lost, the last {last:.2?} after the command");
    assert!(last < Duration::from_millis(1200), "{last:?}");
    wait_until(&daemon, "198.51.100.0/24", &[("via 192.0.1.9 dev out0", BEST)])?;
    assert_eq!(ways(world, 100, make)?.0, ["out1"].into());
    world.ip("link set out0 up")?;
    let back = || -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(5);
        while ways(world, 100, make)?.0 != ["out0", "out1"].into() {
            assert!(Instant::now() < deadline, "out0 is not used again");
        }
        Ok(())
    };
    back()?;
    // Our end: the kernel tells at once, and removes routes, those of IPv4 without a word, and as
    // silently next-hop objects and their places in groups.
    router.ip_batch([
        "nexthop add id 1 via fe80::c dev out1",
        "nexthop add id 2 via fe80::b dev out0",
        "nexthop add id 10 group 1,3/2",
        "route add 2001:db8:f4::/48 nhid 10",
    ])?;
    let both = "via fe80::c dev out1 weight 3, via fe80::b dev out0 weight 1";
    wait_until(&daemon, "2001:db8:f4::/48", &[(both, BEST)])?;
    let (lost, last) = lost_after(router)?;
    println!("switched off: {lost} packets lost, the last {last:.2?} after the command");
    assert!(last < Duration::from_millis(50), "{last:?}");
    wait_until(&daemon, "198.51.100.0/24", &[])?;
    wait_until(&daemon, "192.0.1.0/24", &[])?;
    wait_until(&daemon, "2001:db8:f3::/48", &[])?;
    wait_until(&daemon, "2001:db8:f4::/48", &[("via fe80::c dev out1", BEST)])?;
    assert_eq!(ways(world, 100, make)?.0, ["out1"].into());
    router.ip("link set out0 up")?;
    router.ip(&format!("neigh replace fe80::b lladdr {} dev out0 nud permanent", WORLD_MACS[1]))?;
    back()?;
    // The route by the group has one leg for good; a later change of the group is heard.
    assert_eq!(shown(&daemon, "2001:db8:f4::/48")?.len(), 1);
    assert_eq!(ways(world, 100, |n| plain(n, "2001:db8:f4::1"))?.0, ["out1"].into());
    router.ip("nexthop del id 1")?;
    wait_until(&daemon, "2001:db8:f4::/48", &[])?;
    Ok(())
}

#[test]
fn a_link_goes_down_in_silence() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let router = lab.node("router");
    router.sysctl("net/ipv6/route/skip_notify_on_dev_down", 1)?;
    router.sysctl("net/ipv4/nexthop_compat_mode", 0)?;
    router.ip_batch([
        "route add 2001:db8:f1::/48 via fe80::b dev out0",
        "route add fc00:0:1:ee:: encap seg6local action End.X nh6 fe80::b dev out0",
        "nexthop add id 1 via fe80::b dev out0",
        "route add 2001:db8:f2::/48 nhid 1",
        "route add 2001:db8:f3::/48 via fe80::c dev out1",
    ])?;
    let daemon = Daemon::start(router, &(toml(&LINKS) + SOURCE))?;
    let gone = ["2001:db8:f1::/48", "fc00:0:1:ee::/128", "2001:db8:f2::/48", "2001:db8:1::/64"];
    for prefix in gone {
        assert_eq!(shown(&daemon, prefix)?.len(), 1, "{prefix}");
    }
    router.ip("link set out0 down")?;
    for prefix in gone {
        wait_until(&daemon, prefix, &[])?;
    }
    router.ip("link set out0 up")?;
    wait_until(&daemon, "2001:db8:f3::/48", &[("via fe80::c dev out1", BEST)])?;
    router.ip("link del out1")?;
    wait_until(&daemon, "2001:db8:f3::/48", &[])?;
    for prefix in gone {
        assert_eq!(shown(&daemon, prefix)?, [], "{prefix}");
    }
    Ok(())
}

#[test]
fn an_mtu_changes() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let router = lab.node("router");
    let daemon = Daemon::start(router, &(toml(&LINKS) + SOURCE))?;
    router.ip("-6 route add 2001:db8:f1::/48 via fe80::b dev out0 mtu 1400")?;
    router.ip("route add 198.51.100.0/24 via 192.0.1.9 mtu 1400")?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("kernel", LEFT)])?;
    wait_until(&daemon, "198.51.100.0/24", &[("kernel", LEFT)])?;
    router.ip("link set out0 mtu 1400")?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("via fe80::b dev out0", BEST)])?;
    wait_until(&daemon, "198.51.100.0/24", &[("via 192.0.1.9 dev out0", BEST)])?;
    // The kernel raises that of an IPv6 route which was the link's.
    router.ip("link set out0 mtu 1500")?;
    wait_until(&daemon, "198.51.100.0/24", &[("kernel", LEFT)])?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("via fe80::b dev out0", BEST)])?;
    Ok(())
}

#[test]
fn killed_and_started_again() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let (router, world) = (lab.node("router"), lab.node("world"));
    let mut daemon = Daemon::start(router, &(toml(&LINKS) + SOURCE))?;
    router.ip("-6 route add 2001:db8:f1::/48 via fe80::b dev out0")?;
    router.ip("-6 route add fc00:0:1:ee:: encap seg6local action End.X nh6 fe80::c dev out1")?;
    wait_until(&daemon, "fc00:0:1:ee::/128", &[("sid End.X", BEST)])?;
    let routes = |daemon: &Daemon| -> Result<Vec<Value>> {
        let mut routes: Vec<Value> = serde_json::from_str(&daemon.command("show routes --json")?)?;
        routes.iter_mut().for_each(|route| route["age"] = Value::Null);
        Ok(routes)
    };
    let before = routes(&daemon)?;
    daemon.stop(Signal::SIGKILL)?;
    router.ip("-6 route replace 2001:db8:f1::/48 via fe80::c dev out1")?;
    router.ip("-6 route add 2001:db8:f2::/48 via fe80::c dev out1")?;
    daemon.launch()?;
    assert_eq!(ways(world, 1, |n| plain(n, "2001:db8:f1::1"))?.0, ["out1"].into());
    assert_eq!(ways(world, 1, |n| plain(n, "2001:db8:f2::1"))?.0, ["out1"].into());
    router.ip("-6 route replace 2001:db8:f1::/48 via fe80::b dev out0")?;
    router.ip("-6 route del 2001:db8:f2::/48")?;
    wait_until(&daemon, "2001:db8:f2::/48", &[])?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("via fe80::b dev out0", BEST)])?;
    assert_eq!(routes(&daemon)?, before);
    Ok(())
}
