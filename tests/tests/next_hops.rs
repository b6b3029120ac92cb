//! Neighbours that are not resolved yet: a stream goes on while its route moves to one.
//!
//! ```text
//!              +----+ ea  fc00:a::/64  +---+
//!   h1 --------| r  |------------------| a |------+
//!      e1      +----+                  +---+      |
//!  2001:db8:1::/64 |                            +----+
//!                  | eb  fc00:b::/64   +---+    | h2 | 2001:db8:2::9
//!                  +-------------------| b |----+----+
//!                                      +---+
//! ```
//!
//! r is Sidewinder; a and b are Linux, and forward to h2. All is there but the neighbour itself:
//! whatever is sent before the kernel knows it must not be lost.
//!
//! `a_route_of_the_kernel_moves`, `a_path_of_the_topology_moves`: from one link to the other and
//! back, to a neighbour that the kernel has just forgotten.
//!
//! `a_link_comes_back`: the same where the link was down in between.
//!
//! `neighbours_are_flushed`: of the link in use, again and again.
//!
//! `nobody_answers`: a route that moves to a neighbour that is not there. It is waited for, and not
//! for long.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sidewinder_tests::lab::stream::{Arrivals, Stream};
use sidewinder_tests::lab::{End, Lab, Netns, Sidewinder as Daemon, linux, serial, traffic};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{AfXdp, Root, Sidewinder, Tool};

/// Packets per second: several are sent while a neighbour is looked for.
const RATE: u32 = 4000;

/// Changes of way in a test.
const ROUNDS: usize = 12;

/// From one change to the next.
const PAUSE: Duration = Duration::from_millis(60);

const ROUTER: &str = r#"
[router]
name = "r"
icmp-source = "fc00:0:1::1"
socket = "@SOCKET@"
[[interface]]
name = "e1"
[[interface]]
name = "ea"
[[interface]]
name = "eb"
"#;

const TOPOLOGY: &str = r#"
[[node]]
name = "r"
[[node]]
name = "a"
[[node]]
name = "b"
[[node]]
name = "h2"
prefixes = ["2001:db8:2::/64"]
[[link]]
from = "r"
to = "a"
metric = 10
local = "fc00:a::1"
remote = "fc00:a::2"
[[link]]
from = "r"
to = "b"
metric = METRIC
local = "fc00:b::1"
remote = "fc00:b::2"
[[link]]
from = "a"
to = "h2"
metric = 10
[[link]]
from = "b"
to = "h2"
metric = 10
"#;

/// The nodes, linked; all routes are there but those of r.
fn lab() -> Result<Lab> {
    let lab = Lab::new(&["h1", "r", "a", "b", "h2"])?;
    for node in ["r", "a", "b"] {
        linux::forwarding(lab.node(node))?;
        // Or the addresses of a link that was down would be gone.
        lab.node(node).sysctl("net/ipv6/conf/all/keep_addr_on_down", 1)?;
        lab.node(node).sysctl("net/ipv6/conf/default/keep_addr_on_down", 1)?;
    }
    for (number, (a, b, link)) in [
        ("h1", "r", "e1"),
        ("r", "a", "ea"),
        ("r", "b", "eb"),
        ("a", "h2", "ea2"),
        ("b", "h2", "eb2"),
    ]
    .into_iter()
    .enumerate()
    {
        let macs = ["a", "b"].map(|end| format!("02:00:00:00:{end}0:0{number}"));
        lab.link(End::new(a, link, &macs[0]), End::new(b, link, &macs[1]), 1500)?;
    }
    for (node, address) in [
        ("h1", "2001:db8:1::9/64 dev e1"),
        ("r", "2001:db8:1::1/64 dev e1"),
        ("r", "fc00:0:1::1/128 dev lo"),
        ("r", "fc00:a::1/64 dev ea"),
        ("r", "fc00:b::1/64 dev eb"),
        ("a", "fc00:a::2/64 dev ea"),
        ("a", "fc00:a2::1/64 dev ea2"),
        ("b", "fc00:b::2/64 dev eb"),
        ("b", "fc00:b2::1/64 dev eb2"),
        ("h2", "fc00:a2::9/64 dev ea2"),
        ("h2", "fc00:b2::9/64 dev eb2"),
        ("h2", "2001:db8:2::9/128 dev lo"),
    ] {
        lab.node(node).ip(&format!("addr add {address} nodad"))?;
    }
    lab.node("h1").ip("route add default via 2001:db8:1::1")?;
    for node in ["a", "b"] {
        lab.node(node).ip(&format!("route add 2001:db8:2::/64 via fc00:{node}2::9"))?;
        lab.node(node).ip(&format!("route add 2001:db8:1::/64 via fc00:{node}::1"))?;
        lab.node("h2").ip(&format!(
            "route add 2001:db8:1::/64 via fc00:{node}2::1 metric {}",
            if node == "a" { 1 } else { 2 }
        ))?;
    }
    // What is beyond r is resolved, and stays so.
    for (node, address, link, mac) in [
        ("a", "fc00:a2::9", "ea2", "02:00:00:00:b0:03"),
        ("b", "fc00:b2::9", "eb2", "02:00:00:00:b0:04"),
    ] {
        let line = format!("neigh replace {address} lladdr {mac} dev {link} nud permanent");
        lab.node(node).ip(&line)?;
    }
    Ok(lab)
}

/// Starts the stream, and gives it time to flow.
fn stream(lab: &Lab) -> Result<Stream> {
    traffic::ping(lab.node("h1"), "2001:db8:2::9", 2)?;
    let from = (lab.node("h1"), "2001:db8:1::9".parse()?);
    let stream = Stream::start(from, (lab.node("h2"), "2001:db8:2::9".parse()?), RATE, 4)?;
    thread::sleep(PAUSE);
    Ok(stream)
}

/// The kernel of r knows no neighbour on a link.
/// A daemon that takes its routes from the kernel, which has one by a, and a stream on it.
fn by_the_kernel(lab: &Lab) -> Result<(Daemon, Stream, Instant)> {
    let r = lab.node("r");
    r.ip("route add 2001:db8:2::/64 via fc00:a::2 dev ea")?;
    let daemon = Daemon::start(r, &format!("{ROUTER}[source.kernel]\n"))?;
    let stream = stream(lab)?;
    Ok((daemon, stream, Instant::now()))
}

fn forget(r: &Netns, link: &str) -> Result<()> {
    r.ip(&format!("-6 neigh flush dev {link}"))?;
    Ok(())
}

fn sent_by(daemon: &Daemon, interface: &str) -> Result<u64> {
    let interfaces: Vec<Value> = serde_json::from_str(&daemon.command("show interfaces --json")?)?;
    let found = interfaces.iter().find(|one| one["name"] == interface).context("an interface")?;
    found["sent"]["packets"].as_u64().context("a count")
}

/// The route of the stream, as it is first choice.
fn route(daemon: &Daemon) -> Result<Value> {
    let routes: Vec<Value> = serde_json::from_str(&daemon.command("show routes --json")?)?;
    let found = routes.into_iter().find(|route| route["prefix"] == "2001:db8:2::/64");
    found.context("no route")
}

/// None lost of those sent from `begin` on.
fn all_arrived(arrivals: &Arrivals, begin: Instant, daemon: &Daemon) -> Result<()> {
    let of = arrivals.datagrams.iter().filter(|(at, _)| *at >= begin);
    let lost = of.clone().filter(|(_, arrived)| !arrived).count();
    println!("{lost} packets lost of {}", of.count());
    ensure!(lost == 0, "{lost} packets lost; {}", daemon.command("show drops --json")?);
    Ok(())
}

/// Changes the way, again and again, and waits each time until all packets go the new one.
fn moves(lab: &Lab, daemon: &Daemon, mut go: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let stream = stream(lab)?;
    let begin = Instant::now();
    for round in 0..ROUNDS {
        let to = if round % 2 == 0 { "b" } else { "a" };
        let link = format!("e{to}");
        forget(lab.node("r"), &link)?;
        let before = sent_by(daemon, &link)?;
        go(to)?;
        thread::sleep(PAUSE);
        let sent = sent_by(daemon, &link)? - before;
        ensure!(sent > 10, "{sent} packets by {link}: {:#}", route(daemon)?);
    }
    all_arrived(&stream.stop()?, begin, daemon)
}

#[test]
fn a_route_of_the_kernel_moves() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"), Tool("ping"));
    let _turn = serial();
    let lab = lab()?;
    let r = lab.node("r");
    let to = |to: &str| {
        r.ip(&format!("route replace 2001:db8:2::/64 via fc00:{to}::2 dev e{to}"))?;
        Ok(())
    };
    to("a")?;
    let daemon = Daemon::start(r, &format!("{ROUTER}[source.kernel]\n"))?;
    Ok(moves(&lab, &daemon, to)?)
}

#[test]
fn a_path_of_the_topology_moves() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"), Tool("ping"));
    let _turn = serial();
    let lab = lab()?;
    let toml = |metric: &str| format!("{ROUTER}{}", TOPOLOGY.replace("METRIC", metric));
    let daemon = Daemon::start(lab.node("r"), &toml("20"))?;
    Ok(moves(&lab, &daemon, |to| {
        daemon.reload(&toml(if to == "a" { "20" } else { "5" }))?;
        Ok(())
    })?)
}

#[test]
fn a_link_comes_back() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"), Tool("ping"));
    let _turn = serial();
    let lab = lab()?;
    let r = lab.node("r");
    let by_a = "2001:db8:2::/64 via fc00:a::2 dev ea metric 10";
    r.ip(&format!("route add {by_a}"))?;
    r.ip("route add 2001:db8:2::/64 via fc00:b::2 dev eb metric 20")?;
    let daemon = Daemon::start(r, &format!("{ROUTER}[source.kernel]\n"))?;
    let stream = stream(&lab)?;
    let mut back = Vec::new();
    for _ in 0..ROUNDS / 2 {
        r.ip("link set ea down")?;
        thread::sleep(PAUSE);
        let (by_a_before, begin) = (sent_by(&daemon, "ea")?, Instant::now());
        r.ip("link set ea up")?;
        // As a routing daemon does that has seen the link.
        r.ip(&format!("route add {by_a}"))?;
        let limit = Instant::now() + Duration::from_secs(5);
        while sent_by(&daemon, "ea")? < by_a_before + 100 {
            assert!(Instant::now() < limit, "no packets by ea: {:#}", route(&daemon)?);
            thread::sleep(Duration::from_millis(5));
        }
        back.push((begin, Instant::now()));
    }
    let arrivals = stream.stop()?;
    for (begin, end) in back {
        let of = arrivals.datagrams.iter().filter(|(at, _)| (begin..end).contains(at));
        let lost = of.clone().filter(|(_, arrived)| !arrived).count();
        println!("{lost} packets lost of {}, in {:.0?}", of.count(), end - begin);
        assert!(lost == 0, "{lost} packets lost; {}", daemon.command("show drops --json")?);
    }
    Ok(())
}

#[test]
fn neighbours_are_flushed() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"), Tool("ping"));
    let _turn = serial();
    let lab = lab()?;
    let r = lab.node("r");
    let (daemon, stream, begin) = by_the_kernel(&lab)?;
    for _ in 0..ROUNDS {
        forget(r, "ea")?;
        thread::sleep(PAUSE);
    }
    all_arrived(&stream.stop()?, begin, &daemon)?;
    Ok(())
}

#[test]
fn nobody_answers() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"), Tool("ping"));
    let _turn = serial();
    let lab = lab()?;
    let r = lab.node("r");
    let (daemon, stream, begin) = by_the_kernel(&lab)?;
    r.ip("route replace 2001:db8:2::/64 via fc00:b::77 dev eb")?;
    let mut seen = Vec::new();
    loop {
        let now = route(&daemon)?;
        let standing = now["standing"].as_str().unwrap_or_default().to_owned();
        let target = now["target"].as_str().unwrap_or_default();
        if target.contains("fc00:b::77") && seen.last() != Some(&standing) {
            seen.push(standing.clone());
        }
        if target.contains("fc00:b::77") && standing == "best" {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{now:#}");
        thread::sleep(Duration::from_millis(10));
    }
    let waited = begin.elapsed();
    thread::sleep(PAUSE);
    let arrivals = stream.stop()?;
    println!("{seen:?}, for {waited:.1?}");
    assert_eq!(seen, ["neighbor-awaited", "best"]);
    let lost = |(at, arrived): &&(Instant, bool)| *at >= begin && !arrived;
    let first = arrivals.datagrams.iter().find(lost).context("none is lost at last")?;
    // And none before.
    assert!(first.0 - begin > Duration::from_secs(1), "{:?}", first.0 - begin);
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    Ok(())
}
