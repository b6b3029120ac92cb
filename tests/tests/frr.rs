//! Sidewinder as the data plane of an FRR router: see the picture in `src/frr/isis.rs`. IS-IS with
//! SRv6 runs in r1, r2 and r3; Sidewinder forwards in r1, by what FRR installs into the kernel.
//!
//! `what_frr_installs_is_what_sidewinder_has`: prefix by prefix and next hop by next hop, before and
//! after a link goes and comes back; and packets go that way, by uN and uA SIDs too.
//!
//! `a_link_goes_and_comes_back`: how long it takes until nothing is lost any more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sidewinder_tests::frr::{Frr, isis};
use sidewinder_tests::lab::traffic::{Pace, ping};
use sidewinder_tests::lab::{Lab, Netns, Sidewinder as Daemon, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{self, AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

/// How long IS-IS may take: adjacencies, flooding, and a pause between two computations.
const CONVERGENCE: Duration = Duration::from_secs(30);

const TOML: &str = r#"
[router]
name = "r1"
encap-source = "fc00:0:1::1"
socket = "@SOCKET@"

[[interface]]
name = "e12"

[[interface]]
name = "e13"

[[interface]]
name = "e1h"

[source.kernel]
"#;

/// Where a prefix leads: next hops with their interfaces, or a SID's behavior.
type Ways = BTreeMap<String, BTreeSet<String>>;

struct Triangle {
    lab: Lab,
    frr: Vec<Frr>,
    daemon: Daemon,
}

impl Triangle {
    fn start() -> Result<Self> {
        let lab = isis::triangle()?;
        let daemon = Daemon::start(lab.node("r1"), TOML)?;
        let frr = (1..=3).map(|n| isis::start(&lab, n, "")).collect::<Result<_>>()?;
        let triangle = Self { lab, frr, daemon };
        triangle.wait_for(|ways| {
            let by = |prefix: &str, link: &str| {
                ways.get(prefix).is_some_and(|ways| {
                    ways.len() == 1 && ways.iter().all(|way| way.ends_with(link))
                })
            };
            by("fc00:0:2::1/128", "e12") && by("fcbb:bbbb:3::/48", "e13")
        })?;
        Ok(triangle)
    }

    fn r1(&self) -> &Netns {
        self.lab.node("r1")
    }

    /// Waits until what FRR selected fulfils a condition, and Sidewinder has the same.
    fn wait_for(&self, is: impl Fn(&Ways) -> bool) -> Result<Ways> {
        let deadline = Instant::now() + CONVERGENCE;
        loop {
            let (frr, ours) = (self.frr_ways()?, self.our_ways()?);
            if is(&frr) && frr == ours {
                return Ok(frr);
            }
            if Instant::now() > deadline {
                let log = self.frr[0].log("isisd");
                bail!("FRR: {frr:#?}\nSidewinder: {ours:#?}\n{log}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What FRR selected of IS-IS.
    fn frr_ways(&self) -> Result<Ways> {
        let routes = self.frr[0].json("show ipv6 route isis json")?;
        let routes = routes.as_object().context("an object of prefixes")?;
        let mut ways = Ways::new();
        for (prefix, candidates) in routes {
            for route in candidates.as_array().into_iter().flatten() {
                if route["selected"] != true || route["installed"] != true {
                    continue;
                }
                let hops = route["nexthops"].as_array().into_iter().flatten();
                let hops = hops.filter(|hop| hop["fib"] == true).map(|hop| {
                    let text = |key: &str| hop[key].as_str().unwrap_or_default();
                    match hop["seg6local"]["action"].as_str() {
                        Some(action) => sid(action),
                        None => format!("{} {}", text("ip"), text("interfaceName")),
                    }
                });
                ways.insert(prefix.clone(), hops.collect());
            }
        }
        Ok(ways)
    }

    /// What Sidewinder uses of it.
    fn our_ways(&self) -> Result<Ways> {
        let routes: Vec<Value> = serde_json::from_str(&self.daemon.command("show routes --json")?)?;
        let isis = routes.iter().filter(|route| {
            route["source"] == "kernel" && route["distance"] == 115 && route["installed"] == true
        });
        let ways = isis.map(|route| {
            let text = |key: &str| route[key].as_str().unwrap_or_default();
            let hops = text("target").split(", ").map(|hop| {
                let words: Vec<&str> = hop.split(' ').collect();
                match words[..] {
                    ["via", address, "dev", link, ..] => format!("{address} {link}"),
                    ["sid", behavior] => format!("sid {behavior}"),
                    _ => hop.to_owned(),
                }
            });
            (text("prefix").to_owned(), hops.collect())
        });
        Ok(ways.collect())
    }

    /// Packets that the workers of r1 forwarded.
    fn forwarded(&self) -> Result<u64> {
        let workers: Vec<Value> =
            serde_json::from_str(&self.daemon.command("show workers --json")?)?;
        Ok(workers.iter().filter_map(|worker| worker["forwarded"].as_u64()).sum())
    }

    /// Packets to a SID of r1.
    fn through(&self, prefix: &str) -> Result<u64> {
        let sids: Vec<Value> = serde_json::from_str(&self.daemon.command("show sids --json")?)?;
        let sid = sids.iter().find(|sid| sid["sid"] == prefix);
        sid.and_then(|sid| sid["packets"].as_u64()).with_context(|| format!("no SID {prefix}"))
    }
}

/// FRR's name of a behavior, as the RFC spells it.
fn sid(action: &str) -> String {
    match action {
        "uN" => "sid End".into(),
        "uA" => "sid End.X".into(),
        other => format!("sid {other}"),
    }
}

#[test]
fn what_frr_installs_is_what_sidewinder_has() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Need::Frr, Tool("ethtool"), Tool("unshare"));
    let _turn = serial();
    let triangle = Triangle::start()?;
    let (r2, r3) = (triangle.lab.node("r2"), triangle.lab.node("r3"));
    let ways = triangle.wait_for(|ways| {
        let count = |sid| ways.values().flatten().filter(|way| *way == sid).count();
        (count("sid End"), count("sid End.X")) == (1, 2)
    })?;
    println!("{} prefixes: {ways:#?}", ways.len());
    // From r2 to the host behind r1, by r1 and r3: r1 shifts the container, r3 decapsulates.
    let deadline = Instant::now() + CONVERGENCE;
    while !r3.ip("-6 route show 2001:db8:1::/64")?.contains("isis") {
        assert!(Instant::now() < deadline, "r3 does not hear of the host's prefix");
        thread::sleep(Duration::from_millis(50));
    }
    let adjacency = adjacency_sid(&triangle, "e13")?;
    let function = adjacency.trim_end_matches("::/64").rsplit(':').next().unwrap_or_default();
    for (name, host, sid, container, rest) in [
        ("uN", "2001:db8:1::a", "fcbb:bbbb:1::/48", "fcbb:bbbb:1:3:d6::".to_owned(), "3:d6"),
        // FRR has the kernel shift 16 bits here, too, so that its own function is what r3 sees
        // first. What is after it is for r3.
        (
            "uA",
            "2001:db8:1::b",
            &adjacency,
            format!("fcbb:bbbb:1:{function}:d6::"),
            &format!("{function}:d6"),
        ),
    ] {
        triangle.lab.node("h1").ip(&format!("addr add {host}/64 dev e1h nodad"))?;
        r3.ip(&format!(
            "-6 route add fcbb:bbbb:{rest}::/64 encap seg6local action End.DT6 table 254 dev e13"
        ))?;
        r2.ip(&format!(
            "-6 route add {host}/128 encap seg6 mode encap.red segs {container} dev e12"
        ))?;
        let before = triangle.through(sid)?;
        ping(r2, host, 100).with_context(|| format!("by {name} {sid}, {container}"))?;
        let passed = triangle.through(sid)? - before;
        println!("{name} {sid}: {passed} packets of 101 by {container}");
        assert!(passed >= 101, "{name}: {passed} packets by {sid}");
    }
    // A link goes: all is by way of r1.
    r2.ip("link set e23 down")?;
    triangle.wait_for(|ways| !ways.is_empty())?;
    let deadline = Instant::now() + CONVERGENCE;
    while !r2.ip("-6 route get fc00:0:3::1")?.contains("e12") {
        assert!(Instant::now() < deadline, "r2 finds no other way");
        thread::sleep(Duration::from_millis(50));
    }
    let before = triangle.forwarded()?;
    ping(r2, "fc00:0:3::1", 100)?;
    let forwarded = triangle.forwarded()? - before;
    assert!(forwarded >= 200, "{forwarded} packets forwarded");
    r2.ip("link set e23 up")?;
    // And ours: everything by r2, and back.
    triangle.r1().ip("link set e13 down")?;
    triangle.wait_for(|ways| {
        ways.get("fcbb:bbbb:3::/48").is_some_and(|ways| ways.iter().all(|way| way.ends_with("e12")))
    })?;
    triangle.r1().ip("link set e13 up")?;
    triangle.wait_for(|ways| {
        ways.get("fcbb:bbbb:3::/48").is_some_and(|ways| ways.iter().all(|way| way.ends_with("e13")))
    })?;
    Ok(())
}

/// The SID of r1's adjacency on a link, as the kernel has it.
fn adjacency_sid(triangle: &Triangle, link: &str) -> Result<String> {
    let sids: Vec<Value> = serde_json::from_str(&triangle.daemon.command("show sids --json")?)?;
    let sid = sids.iter().find(|sid| sid["behavior"] == "End.X" && sid["interface"] == link);
    let sid = sid.and_then(|sid| sid["sid"].as_str());
    Ok(sid.with_context(|| format!("no adjacency SID on {link}: {sids:#?}"))?.to_owned())
}

/// Datagrams from h1 to r3 at a steady pace; for each, whether it arrived.
fn stream<T>(
    triangle: &Triangle,
    rate: u32,
    meanwhile: impl FnOnce() -> Result<T>,
) -> Result<(Vec<(Instant, bool)>, T)> {
    let (from, to): (Ipv6Addr, Ipv6Addr) = ("2001:db8:1::9".parse()?, "fc00:0:3::1".parse()?);
    let (h1, r3) = (triangle.lab.node("h1"), triangle.lab.node("r3"));
    let receiver = r3.enter(|| UdpSocket::bind(SocketAddrV6::new(to, 7002, 0, 0)))??;
    receiver.set_read_timeout(Some(Duration::from_millis(500)))?;
    let sender = h1.enter(|| UdpSocket::bind(SocketAddrV6::new(from, 7002, 0, 0)))??;
    let running = AtomicBool::new(true);
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut pace = Pace::new(rate);
            let mut sent = Vec::new();
            while running.load(Ordering::Relaxed) {
                pace.wait();
                let number = sent.len() as u32;
                sent.push(Instant::now());
                // What the host's own kernel refuses is lost, too.
                let _ = sender.send_to(&number.to_be_bytes(), SocketAddrV6::new(to, 7002, 0, 0));
            }
            sent
        });
        let receiving = scope.spawn(|| {
            let mut numbers = BTreeSet::new();
            let mut bytes = [0; 4];
            while running.load(Ordering::Relaxed) {
                while let Ok(4) = receiver.recv(&mut bytes) {
                    numbers.insert(u32::from_be_bytes(bytes));
                }
            }
            numbers
        });
        let done = meanwhile();
        running.store(false, Ordering::Relaxed);
        let sent = sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let numbers = receiving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let arrived = (0..).zip(sent).map(|(n, at)| (at, numbers.contains(&n)));
        Ok((arrived.collect(), done?))
    })
}

#[test]
fn a_link_goes_and_comes_back() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Need::Frr, Tool("ethtool"), Tool("unshare"));
    let _turn = serial();
    const RATE: u32 = 1000;
    let triangle = Triangle::start()?;
    triangle.wait_for(|ways| ways.contains_key("fcbb:bbbb:3::/48"))?;
    ping(triangle.lab.node("h1"), "fc00:0:3::1", 10)?;
    for (whose, node) in [("our", "r1"), ("the other", "r3")] {
        for (what, state) in [("goes", "down"), ("comes back", "up")] {
            let (packets, begun) = stream(&triangle, RATE, || {
                thread::sleep(Duration::from_millis(500));
                let begun = Instant::now();
                triangle.lab.node(node).ip(&format!("link set e13 {state}"))?;
                thread::sleep(Duration::from_secs(6));
                Ok(begun)
            })?;
            let lost: Vec<Instant> =
                packets.iter().filter(|(_, arrived)| !arrived).map(|(at, _)| *at).collect();
            let until =
                lost.last().map_or(Duration::ZERO, |at| at.saturating_duration_since(begun));
            println!(
                "e13 {what} at {whose} end: {} packets lost of {}, the last after {until:.0?}",
                lost.len(),
                packets.len()
            );
            // Twice the pause between two computations of FRR, and the dead time of three hellos.
            assert!(until < Duration::from_secs(5), "{until:?}");
            triangle.wait_for(|ways| !ways.is_empty())?;
        }
    }
    Ok(())
}
