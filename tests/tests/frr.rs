//! Sidewinder beside FRR: IS-IS with SRv6 runs in all routers of a triangle and of a square, which
//! `src/frr/isis.rs` draws. In r1 Sidewinder forwards by what FRR installs into the kernel. In the
//! router with the other host it is a BGP-LS client of r3 and computes for itself, at the same time;
//! FRR runs there too, but only what it would do is looked at.
//!
//! `triangle`: what each Sidewinder has is what its FRR installed, prefix by prefix and next hop by
//! next hop, before and after links go and come back, the one among them that the session is on;
//! packets go that way, by uN and uA SIDs too. How long packets are lost when a link goes.
//!
//! `square`: the same of equal paths. Both next hops are there and carry packets, one vanishes with
//! a link at either end of it, and comes back.
//!
//! All the time the topology that arrives is compared with what bgpd says that it tells.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sidewinder_tests::frr::feed::{self, Topology};
use sidewinder_tests::frr::ways::{self, Ways};
use sidewinder_tests::frr::{
    Frr,
    isis::{self, Network, SQUARE, TRIANGLE},
};
use sidewinder_tests::lab::stream::Stream;
use sidewinder_tests::lab::traffic::ping;
use sidewinder_tests::lab::{Lab, Netns, Sidewinder as Daemon, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{self, AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

/// How long IS-IS may take: adjacencies, flooding, and a pause between two computations.
const CONVERGENCE: Duration = Duration::from_secs(30);
/// Twice the pause between two computations of FRR, and the dead time of three hellos.
const LOSS_LIMIT: Duration = Duration::from_secs(5);
/// Packets per second of a stream.
const RATE: u32 = 1000;

/// Who tells the topology.
const TELLER: u8 = 3;

/// Sidewinder and FRR in one router.
struct Router {
    n: u8,
    source: &'static str,
    daemon: Daemon,
}

impl Router {
    fn start(network: &Network, lab: &Lab, n: u8, source: &'static str) -> Result<Self> {
        let mut toml = format!(
            "[router]\nname = \"r{n}\"\nencap-source = \"fc00:0:{n}::1\"\nsocket = \"@SOCKET@\"\n"
        );
        for interface in network.interfaces(n) {
            toml += &format!("[[interface]]\nname = \"{interface}\"\n");
        }
        toml += &match source {
            "kernel" => "[source.kernel]\n".to_owned(),
            _ => format!(
                "[source.bgp-ls]\npeer = \"fc00:0:{TELLER}::1\"\nlocal-address = \"fc00:0:{n}::1\"\n\
                 local-as = 65001\npeer-as = 65000\nrouter-id = \"{}\"\n",
                isis::router_id(n)
            ),
        };
        Ok(Self { n, source, daemon: Daemon::start(lab.node(&format!("r{n}")), &toml)? })
    }

    /// What FRR selected here, and what Sidewinder uses. Metrics of the kernel's routes are the
    /// kernel's.
    fn ways(&self, network: &Network, frr: &Frr) -> Result<(Ways, Ways)> {
        let metric = self.source == "link-state";
        let frr = ways::of_frr(network, frr, metric)?;
        Ok((frr, ways::of_sidewinder(network, &self.daemon, self.source, metric)?))
    }

    /// Packets that it has not forwarded, by reason.
    fn drops(&self) -> Result<BTreeMap<String, u64>> {
        let drops = self.json("drops")?.into_iter().map(|drops| {
            let count = |what: &str| drops[what].as_u64().unwrap_or_default();
            let reason = drops["reason"].as_str().unwrap_or_default().to_owned();
            (reason, count("dropped") + count("replied"))
        });
        Ok(drops.collect())
    }

    fn json(&self, what: &str) -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.daemon.command(&format!("show {what} --json"))?)?)
    }

    /// A SID as `show sids` has it.
    fn sid(&self, is: impl Fn(&Value) -> bool) -> Result<Value> {
        let sids = self.json("sids")?;
        let sid = sids.iter().find(|sid| is(sid)).cloned();
        sid.with_context(|| format!("no such SID: {sids:#?}"))
    }
}

struct Running {
    network: Network,
    lab: Lab,
    frr: Vec<Frr>,
    /// By the kernel, and by the topology.
    routers: [Router; 2],
}

/// How all stands at one moment.
#[derive(Debug)]
struct Standing {
    /// By router: what FRR selected, and what Sidewinder uses.
    ways: [(Ways, Ways); 2],
    /// What bgpd tells, and what Sidewinder has of it.
    told: (Topology, Topology),
}

impl Standing {
    /// Whether Sidewinder has what FRR has.
    fn is_same(&self) -> bool {
        self.told.0 == self.told.1 && self.ways.iter().all(|(frr, ours)| frr == ours)
    }
}

impl Running {
    /// Starts all, and waits until each of the two routers has so many prefixes.
    fn start(network: &Network, prefixes: usize) -> Result<Self> {
        let lab = network.lab()?;
        let [by_kernel, client] = *network.hosts else { bail!("two hosts") };
        let kernel = Router::start(network, &lab, by_kernel, "kernel")?;
        let frr = (1..=network.routers).map(|n| network.start(&lab, n));
        let frr: Vec<Frr> = frr.collect::<Result<_>>()?;
        for n in (1..=network.routers).filter(|n| *n != TELLER) {
            wait_for_route(lab.node(&format!("r{TELLER}")), &format!("fcbb:bbbb:{n}::/48"))?;
        }
        feed::tell(network, &frr[usize::from(TELLER) - 1], &format!("fc00:0:{client}::1"))?;
        let link_state = Router::start(network, &lab, client, "link-state")?;
        let routers = [kernel, link_state];
        let running = Self { network: *network, lab, frr, routers };
        running.wait_for(|_, ways| ways.len() == prefixes)?;
        Ok(running)
    }

    fn node(&self, name: &str) -> &Netns {
        self.lab.node(name)
    }

    /// Routers without Sidewinder.
    fn others(&self) -> impl Iterator<Item = &Netns> {
        let ours = |n: &u8| self.routers.iter().any(|router| router.n == *n);
        let others = (1..=self.network.routers).filter(move |n| !ours(n));
        others.map(|n| self.node(&format!("r{n}")))
    }

    fn frr(&self, n: u8) -> &Frr {
        &self.frr[usize::from(n) - 1]
    }

    fn standing(&self) -> Result<Standing> {
        let [kernel, link_state] = &self.routers;
        let ways = |router: &Router| router.ways(&self.network, self.frr(router.n));
        let told = (feed::of_frr(self.frr(TELLER))?, feed::of_sidewinder(&link_state.daemon)?);
        let mut ways = [ways(kernel)?, ways(link_state)?];
        // FRR 10.7 withdraws a link that is down from BGP-LS, and tells the prefix on it as before;
        // itself it has no route to that.
        for (prefix, ends) in self.network.link_prefixes() {
            let (frr, ours) = &mut ways[1];
            if !told.0.has_link(&ends) && !frr.contains_key(&prefix) {
                ours.remove(&prefix);
            }
        }
        Ok(Standing { ways, told })
    }

    /// Waits until what FRR selected fulfils a condition in both routers, and Sidewinder has the
    /// same.
    fn wait_for(&self, is: impl Fn(u8, &Ways) -> bool) -> Result<[Ways; 2]> {
        let deadline = Instant::now() + CONVERGENCE;
        loop {
            let now = self.standing()?;
            let mut all = self.routers.iter().zip(&now.ways);
            if now.is_same() && all.all(|(router, (frr, _))| is(router.n, frr)) {
                return Ok(now.ways.map(|(frr, _)| frr));
            }
            if Instant::now() > deadline {
                let sources = self.routers[1].daemon.command("show sources --json")?;
                let log = self.frr(TELLER).log("bgpd");
                bail!("FRR, and Sidewinder: {now:#?}\n{sources}\n{log}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends from each of the two hosts to what is behind the other router while a link's state
    /// changes, until `is` holds of both; prints what was lost.
    fn change(
        &self,
        (link, node, state): (&str, &str, &str),
        flows: u16,
        is: impl Fn(u8, &Ways) -> bool,
    ) -> Result<()> {
        let [a, b] = [self.routers[0].n, self.routers[1].n];
        let host = |n: u8| -> Result<(&Netns, Ipv6Addr)> {
            Ok((self.node(&format!("h{n}")), format!("2001:db8:{n}::9").parse()?))
        };
        let streams = [
            Stream::start(host(a)?, host(b)?, RATE, flows)?,
            Stream::start(host(b)?, host(a)?, RATE, flows)?,
        ];
        thread::sleep(Duration::from_millis(300));
        let before = [self.routers[0].drops()?, self.routers[1].drops()?];
        let by_linux: Vec<_> = self.others().map(lost_by_linux).collect::<Result<_>>()?;
        let event = Instant::now();
        self.node(node).ip(&format!("link set {link} {state}"))?;
        let waited = self.wait_for(is);
        thread::sleep(Duration::from_millis(300));
        for ((stream, router), before) in streams.into_iter().zip(&self.routers).zip(before) {
            let arrivals = stream.stop()?;
            let (lost, until) = arrivals.lost(event);
            println!(
                "{link} {state} at {node}: through r{} by {}: {lost} packets lost of {}, the last \
                 after {until:.0?}",
                router.n,
                router.source,
                arrivals.datagrams.len()
            );
            for (reason, packets) in router.drops()? {
                let more = packets - before.get(&reason).unwrap_or(&0);
                if more > 0 {
                    println!("    r{} itself: {more} for {reason}", router.n);
                }
            }
            ensure!(until < LOSS_LIMIT, "{until:?}");
        }
        for (router, before) in self.others().zip(by_linux) {
            for ((reason, now), (_, before)) in lost_by_linux(router)?.into_iter().zip(before) {
                if now > before {
                    println!(
                        "    {}, with FRR alone: {} for {reason}",
                        router.name(),
                        now - before
                    );
                }
            }
        }
        waited.map(drop)
    }
}

/// What a node's kernel may have lost packets for: no route, or a hop limit that has run out, as it
/// does in a loop.
fn lost_by_linux(node: &Netns) -> Result<[(&'static str, u64); 2]> {
    let all = node.run("cat /proc/net/snmp6")?;
    let count = |name: &str| {
        let line = all.lines().find(|line| line.split_whitespace().next() == Some(name));
        let count = line.and_then(|line| line.split_whitespace().next_back());
        count.and_then(|count| count.parse().ok()).context("no count of the kernel's")
    };
    Ok([("no-route", count("Ip6InNoRoutes")?), ("hop-limit", count("Ip6InHdrErrors")?)])
}

/// Waits until a node's kernel has a route by a daemon.
fn wait_for_route(node: &Netns, prefix: &str) -> Result<()> {
    let deadline = Instant::now() + CONVERGENCE;
    while !node.ip(&format!("-6 route show {prefix}"))?.contains("isis") {
        ensure!(Instant::now() < deadline, "no route to {prefix}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn triangle() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Need::Frr, Tool("ethtool"), Tool("unshare"));
    let _turn = serial();
    let running = Running::start(&TRIANGLE, 9)?;
    let start = running.wait_for(|_, ways| {
        let count = |sid| ways.values().flatten().filter(|way| *way == sid).count();
        (count("sid End"), count("sid End.X")) == (1, 2)
    })?;
    println!("r1 by the kernel: {:#?}\nr2 by the topology: {:#?}", start[0], start[1]);
    let as_before = |n: u8, ways: &Ways| *ways == start[usize::from(n) - 1];
    compressed_sids(&running)?;
    // The link that is the shortest way for the session: it lives on by way of r1.
    let by = |ways: &Ways, prefix: &str, link: &str| {
        let is = |ways: &std::collections::BTreeSet<String>| {
            ways.len() == 1 && ways.iter().all(|way| way.contains(link))
        };
        ways.get(prefix).is_some_and(is)
    };
    running.node("r2").ip("link set e23 down")?;
    running.wait_for(|n, ways| n == 1 || by(ways, "fcbb:bbbb:3::/48", "e12"))?;
    running.node("r2").ip("link set e23 up")?;
    running.wait_for(as_before)?;
    for node in ["r1", "r2"] {
        running.change(("e12", node, "down"), 1, |n, ways| match n {
            1 => by(ways, "2001:db8:2::/64", "e13"),
            _ => by(ways, "2001:db8:1::/64", "e23"),
        })?;
        running.change(("e12", node, "up"), 1, as_before)?;
    }
    Ok(())
}

/// From the one router to the host behind the other, by that and r3: the other shifts the container,
/// r3 decapsulates.
fn compressed_sids(running: &Running) -> Result<()> {
    let r3 = running.node("r3");
    for (router, from) in running.routers.iter().zip([2, 1]) {
        let n = router.n;
        let from = running.node(&format!("r{from}"));
        wait_for_route(r3, &format!("2001:db8:{n}::/64"))?;
        wait_for_route(from, &format!("2001:db8:{n}::/64"))?;
        let node = router.sid(|sid| sid["behavior"] == "End")?;
        let link = format!("e{n}3");
        let adjacency =
            router.sid(|sid| sid["behavior"] == "End.X" && sid["interface"] == link.as_str())?;
        let text = |sid: &Value| sid["sid"].as_str().unwrap_or_default().to_owned();
        let (node, adjacency_sid) = (text(&node), text(&adjacency));
        let function =
            adjacency_sid.trim_end_matches("::/64").rsplit(':').next().unwrap_or_default();
        // FRR has the kernel shift 16 bits at a uA, too (nflen 16), so that its own function is what
        // r3 sees first. By the topology node and function are shifted, as RFC 9800 has it.
        let structure = &adjacency["structure"];
        let (rest, after) = match router.source {
            "kernel" => (format!("{function}:d6"), format!("{function}:d6")),
            _ => (format!("{function}:3:d6"), "3:d6".to_owned()),
        };
        println!("r{n} by {}: {adjacency_sid} {structure}", router.source);
        for (name, host, sid, container, after) in [
            ("uN", "a", &node, "3:d6".to_owned(), "3:d6".to_owned()),
            ("uA", "b", &adjacency_sid, rest, after),
        ] {
            let host = format!("2001:db8:{n}::{host}");
            let container = format!("fcbb:bbbb:{n}:{container}::");
            running.node(&format!("h{n}")).ip(&format!("addr add {host}/64 dev e{n}h nodad"))?;
            r3.ip(&format!(
                "-6 route replace fcbb:bbbb:{after}::/64 \
                 encap seg6local action End.DT6 table 254 dev e13"
            ))?;
            from.ip(&format!(
                "-6 route add {host}/128 encap seg6 mode encap.red segs {container} dev e12"
            ))?;
            let through = || -> Result<u64> {
                let sid = router.sid(|other| other["sid"] == sid.as_str())?;
                sid["packets"].as_u64().context("a count of packets")
            };
            let before = through()?;
            ping(from, &host, 100).with_context(|| format!("by {name} {sid}, {container}"))?;
            let passed = through()? - before;
            println!(
                "r{n} by {}: {name} {sid}: {passed} packets of 101 by {container}",
                router.source
            );
            ensure!(passed >= 101, "{name}: {passed} packets by {sid}");
        }
    }
    Ok(())
}

#[test]
fn square() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Need::Frr, Tool("ethtool"), Tool("unshare"));
    let _turn = serial();
    let running = Running::start(&SQUARE, 12)?;
    // The host behind the opposite corner.
    let far = |n: u8, ways: &Ways, count: usize| {
        let host = if n == 1 { "2001:db8:4::/64" } else { "2001:db8:1::/64" };
        ways.get(host).is_some_and(|ways| ways.len() == count)
    };
    let start = running.wait_for(|n, ways| far(n, ways, 2))?;
    println!("r1 by the kernel: {:#?}\nr4 by the topology: {:#?}", start[0], start[1]);
    let as_before = |n: u8, ways: &Ways| *ways == start[usize::from(n != 1)];
    for (link, node) in [("e34", "r4"), ("e12", "r1")] {
        running.change((link, node, "down"), 16, |n, ways| far(n, ways, 1))?;
        running.change((link, node, "up"), 16, as_before)?;
    }
    Ok(())
}
