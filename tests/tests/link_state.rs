//! Routes by a topology: one that is written in the file, and one that a peer tells by BGP-LS.
//!
//! ```text
//!              r2 (fc00:0:2::/48)
//!      fc00:12::/64    fc00:23::/64
//!             /          \
//!  h1 ------ r1 -------- r3 ------ h2
//!     2001:db8:1::/64       2001:db8:2::/64
//!             fc00:13::/64
//! ```
//!
//! `three_routers_by_one_file`: the same `[[node]]` and `[[link]]` make three routers forward. Ping
//! arrives by the shortest path, by another when the metric is another, and by the nodes that a
//! policy names; End.X SIDs of `[[link]]` are SIDs. `show topology` shows it, and draws it.
//!
//! `a_session_becomes_routes`: a recorded feed of three FRR routers is told by a peer on the
//! router's loopback. Its prefixes become routes, the failed link takes them away, and they stay for
//! the grace time when the session ends.
//!
//! `a_storm_of_news_hurts_no_packet`: a thousand changes of the topology, a malformed message every
//! ten, and ends of the session, under 10 000 packets per second on prefixes that do not change:
//! none is lost. The time from a change that is told to the first packet that goes the new way is
//! printed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sidewinder_linkstate::bgp::{Open, keepalive};
use sidewinder_linkstate::bgp_ls::encode;
use sidewinder_linkstate::generate::{self, Plan};
use sidewinder_linkstate::ted::{Event, Nlri};
use sidewinder_tests::lab::linux;
use sidewinder_tests::lab::load::Load;
use sidewinder_tests::lab::star::{self, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{End, Lab, Netns, Sidewinder as Daemon, serial, traffic};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer};
use sidewinder_tests::packet::{mac, tag};
use sidewinder_tests::skip::Need::{AfXdp, Root, Sidewinder, Tool};

const TRIANGLE: &str = r#"
[[node]]
name = "r1"
locators = ["fc00:0:1::/48"]
end-sids = ["fc00:0:1:e::"]
prefixes = ["2001:db8:1::/64"]
[[node]]
name = "r2"
locators = ["fc00:0:2::/48"]
end-sids = ["fc00:0:2:e::"]
[[node]]
name = "r3"
locators = ["fc00:0:3::/48"]
end-sids = ["fc00:0:3:e::"]
prefixes = ["2001:db8:2::/64"]
[[link]]
from = "r1"
to = "r2"
metric = 10
local = "fc00:12::1"
remote = "fc00:12::2"
[[link]]
from = "r2"
to = "r3"
metric = 10
local = "fc00:23::2"
remote = "fc00:23::3"
adjacency-sids = ["fc00:0:2:e023::"]
[[link]]
from = "r1"
to = "r3"
metric = 10
local = "fc00:13::1"
remote = "fc00:13::3"
bandwidth = 1_250_000_000
"#;

/// What each router has beside the topology, and its interfaces.
fn toml(number: u8, topology: &str) -> String {
    let (interfaces, more): (&[&str], &str) = match number {
        1 => (
            &["host", "to2", "to3"],
            "[[policy]]\nname = \"by-r2\"\nbehavior = \"H.Encaps\"\n\
             via = [\"r2\", \"fc00:0:3:d6::\"]\n\
             [[policy]]\nname = \"by-link\"\nbehavior = \"H.Encaps\"\n\
             segs = [\"fc00:0:2:e023::\", \"fc00:0:3:d6::\"]\n\
             [[route]]\nprefix = \"2001:db8:2::b/128\"\npolicy = \"by-r2\"\n\
             [[route]]\nprefix = \"2001:db8:2::c/128\"\npolicy = \"by-link\"\n",
        ),
        2 => (&["to1", "to3"], ""),
        _ => (
            &["host", "to1", "to2"],
            "[[sid]]\nsid = \"fc00:0:3:d6::\"\nbehavior = \"End.DT6\"\n\
              table = \"main\"\n[[locator]]\nname = \"main\"\nprefix = \"fc00:0:3::/48\"\n",
        ),
    };
    let interfaces: String =
        interfaces.iter().map(|name| format!("[[interface]]\nname = \"{name}\"\n")).collect();
    format!(
        "[router]\nname = \"r{number}\"\nsocket = \"@SOCKET@\"\n\
         encap-source = \"fc00:0:{number}::1\"\n{interfaces}{more}{topology}"
    )
}

fn triangle() -> Result<Lab> {
    let lab = Lab::new(&["h1", "r1", "r2", "r3", "h2"])?;
    for router in ["r1", "r2", "r3"] {
        linux::forwarding(lab.node(router))?;
    }
    for (a, a_link, b, b_link, number) in [
        ("h1", "eth0", "r1", "host", 1),
        ("r1", "to2", "r2", "to1", 2),
        ("r1", "to3", "r3", "to1", 3),
        ("r2", "to3", "r3", "to2", 4),
        ("r3", "host", "h2", "eth0", 5),
    ] {
        let (left, right) =
            (format!("02:00:00:00:0{number}:0a"), format!("02:00:00:00:0{number}:0b"));
        lab.link(End::new(a, a_link, &left), End::new(b, b_link, &right), 1600)?;
    }
    for (node, addresses) in [
        ("h1", &["2001:db8:1::2/64 dev eth0"][..]),
        (
            "r1",
            &[
                "fc00:0:1::1/128 dev lo",
                "2001:db8:1::1/64 dev host",
                "fc00:12::1/64 dev to2",
                "fc00:13::1/64 dev to3",
            ],
        ),
        ("r2", &["fc00:0:2::1/128 dev lo", "fc00:12::2/64 dev to1", "fc00:23::2/64 dev to3"]),
        (
            "r3",
            &[
                "fc00:0:3::1/128 dev lo",
                "2001:db8:2::1/64 dev host",
                "fc00:13::3/64 dev to1",
                "fc00:23::3/64 dev to2",
            ],
        ),
        (
            "h2",
            &[
                "2001:db8:2::2/64 dev eth0",
                "2001:db8:2::b/64 dev eth0",
                "2001:db8:2::c/64 dev eth0",
            ],
        ),
    ] {
        lab.node(node).ip_batch(addresses.iter().map(|a| format!("addr add {a} nodad")))?;
    }
    lab.node("h1").ip("link set eth0 mtu 1400")?;
    lab.node("h2").ip("link set eth0 mtu 1400")?;
    lab.node("h1").ip("route add default via 2001:db8:1::1")?;
    lab.node("h2").ip("route add default via 2001:db8:2::1")?;
    Ok(lab)
}

#[test]
fn three_routers_by_one_file() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let lab = triangle()?;
    let daemons: Vec<_> = (1..=3)
        .map(|number| Daemon::start(lab.node(&format!("r{number}")), &toml(number, TRIANGLE)))
        .collect::<Result<_>>()?;
    let [r1, r2, r3] = &daemons[..] else { unreachable!("three were started") };

    // The shortest path is the link between both.
    traffic::ping(lab.node("h1"), "2001:db8:2::2", 3)?;
    assert!(sent(r2, "to3")? == 0, "r2 was not asked");
    let route = route(r1, "2001:db8:2::/64")?;
    assert_eq!(route["target"], "via fc00:13::3 dev to3");
    assert_eq!((&route["source"], &route["distance"]), (&"link-state".into(), &115.into()));
    assert_eq!((&route["metric"], &route["standing"]), (&10.into(), &"best".into()));

    // By the node, and by the link, that a policy names.
    for (address, sid) in [("2001:db8:2::b", "fc00:0:2:e::"), ("2001:db8:2::c", "fc00:0:2:e023::")]
    {
        let before = packets(r2, sid)?;
        traffic::ping(lab.node("h1"), address, 3)?;
        let after = packets(r2, sid)?;
        assert!(after >= before + 3, "packets to {sid} at r2: {before}, then {after}");
    }

    // Another metric, and the shortest path is another.
    let longer = TRIANGLE.replace(
        "to = \"r3\"\nmetric = 10\nlocal = \"fc00:13",
        "to = \"r3\"\nmetric = 50\nlocal = \"fc00:13",
    );
    for (number, daemon) in (1..).zip([r1, r2, r3]) {
        daemon.reload(&toml(number, &longer))?;
    }
    let before = sent(r2, "to3")?;
    traffic::ping(lab.node("h1"), "2001:db8:2::2", 3)?;
    assert!(sent(r2, "to3")? >= before + 3, "r2 was asked");

    let topology: Value = serde_json::from_str(&r1.command("show topology --json")?)?;
    let nodes = topology["nodes"].as_array().context("nodes")?;
    let own: Vec<_> = nodes.iter().filter(|node| node["own"] == true).map(|n| &n["name"]).collect();
    assert_eq!(own, ["r1"]);
    let links = topology["links"].as_array().context("links")?;
    assert_eq!(links.len(), 6);
    let to3 = links.iter().find(|link| link["interface"] == "to3").context("a link of ours")?;
    assert_eq!(
        (&to3["from"], &to3["to"], &to3["metric"]),
        (&"r1".into(), &"r3".into(), &50.into())
    );
    assert!(r1.command("show topology")?.contains("fc00:0:3::/48"));
    assert!(r1.command("show topology --dot")?.starts_with("graph topology"));
    let svg = r1.command("show topology --svg -")?;
    assert!(svg.starts_with("<svg") && svg.contains("class=\"node own\""), "{svg}");
    let failed = r1.ask("show routes --dot")?;
    assert!(!failed.status.success() && failed.stderr.contains("only the topology can be drawn"));
    let sources = r1.command("show sources")?;
    assert!(sources.contains("own-nodes"), "{sources}");
    Ok(())
}

fn show(daemon: &Daemon, what: &str) -> Result<Vec<Value>> {
    let shown: Value = serde_json::from_str(&daemon.command(&format!("show {what} --json"))?)?;
    Ok(shown.as_array().context("a list")?.clone())
}

fn route(daemon: &Daemon, prefix: &str) -> Result<Value> {
    let routes = show(daemon, "routes")?;
    let mut found = routes.into_iter().filter(|route| route["source"] == "link-state");
    found.find(|route| route["prefix"] == prefix).with_context(|| format!("a route to {prefix}"))
}

fn sent(daemon: &Daemon, interface: &str) -> Result<u64> {
    let interfaces = show(daemon, "interfaces")?;
    let found = interfaces.iter().find(|one| one["name"] == interface).context("an interface")?;
    found["sent"]["packets"].as_u64().context("a count")
}

fn packets(daemon: &Daemon, sid: &str) -> Result<u64> {
    let sids = show(daemon, "sids")?;
    let found = sids.iter().find(|one| one["sid"] == sid).with_context(|| format!("SID {sid}"))?;
    found["packets"].as_u64().context("a count")
}

/// Waits until something is so.
fn until(what: &str, is: impl Fn() -> Result<bool>) -> Result<Duration> {
    let began = Instant::now();
    while !is()? {
        ensure!(began.elapsed() < Duration::from_secs(10), "not after 10 s: {what}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(began.elapsed())
}

/// The router's BGP-LS peer, on its own loopback.
struct Peer {
    listener: TcpListener,
    stream: Option<TcpStream>,
}

impl Peer {
    fn new(netns: &Netns) -> Result<(Self, String)> {
        let listener = netns.enter(|| TcpListener::bind("[::1]:0"))??;
        let text = format!(
            "[source.bgp-ls]\npeer = \"{}\"\nlocal-as = 65001\npeer-as = 65000\n\
             router-id = \"0000.0000.0001\"\ngrace = 2\n",
            listener.local_addr()?
        );
        Ok((Self { listener, stream: None }, text))
    }

    /// Takes the router's connection, and says hello.
    fn greet(&mut self) -> Result<()> {
        let (mut stream, _) = self.listener.accept()?;
        let open = Open::link_state(65000, 30, Ipv4Addr::new(9, 9, 9, 9)).encode();
        stream.write_all(&open.context("an OPEN")?)?;
        stream.write_all(&keepalive())?;
        let mut reader = stream.try_clone()?;
        thread::spawn(move || while reader.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
        self.stream = Some(stream);
        Ok(())
    }

    fn says(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.as_mut().context("a connection")?.write_all(bytes)?;
        Ok(())
    }

    fn tells(&mut self, event: &Event) -> Result<()> {
        let update = encode::update(event, 65000).context("an UPDATE")?;
        self.says(&update)
    }

    fn hangs_up(&mut self) -> Result<()> {
        if let Some(stream) = self.stream.take() {
            stream.shutdown(Shutdown::Both)?;
        }
        Ok(())
    }
}

/// The recorded feed: UPDATEs, as they came.
fn recorded() -> Vec<Vec<u8>> {
    let text = include_str!("../../linkstate/tests/data/triangle.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let hex = lines.filter_map(|line| line.split_whitespace().next_back());
    hex.map(|hex| {
        let digits: Vec<u8> = hex.chars().filter_map(|c| Some(c.to_digit(16)? as u8)).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    })
    .collect()
}

#[test]
fn a_session_becomes_routes() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = star::forwarding()?;
    let router = lab.node("router");
    // The links of the recorded r1: to r2 and to r3.
    router.ip("addr add fc00:12::1/64 dev out0 nodad")?;
    router.ip("addr add fc00:13::1/64 dev out1 nodad")?;
    let (mut peer, session) = Peer::new(router)?;
    let text = format!("[router]\nname = \"r1\"\nsocket = \"@SOCKET@\"\n{}{session}", star::toml());
    let daemon = Daemon::start(router, &text)?;
    peer.greet()?;
    let messages = recorded();
    for message in &messages[..12] {
        peer.says(message)?;
    }
    let target = |prefix: &str| -> Result<Option<String>> {
        Ok(route(&daemon, prefix)
            .ok()
            .map(|route| route["target"].as_str().unwrap_or_default().to_owned()))
    };
    let is = |prefix: &'static str, wanted: Option<&'static str>| {
        until(&format!("{prefix} {wanted:?}"), || Ok(target(prefix)?.as_deref() == wanted))
    };
    is("fcbb:bbbb:2::/48", Some("via fc00:12::2 dev out0"))?;
    is("fcbb:bbbb:3::/48", Some("via fc00:13::3 dev out1"))?;
    // The link between the first and the second fails, and comes back.
    peer.says(&messages[12])?;
    is("fcbb:bbbb:2::/48", Some("via fc00:13::3 dev out1"))?;
    for message in &messages[13..] {
        peer.says(message)?;
    }
    is("fcbb:bbbb:2::/48", Some("via fc00:12::2 dev out0"))?;
    let sources = daemon.command("show sources")?;
    assert!(sources.contains("Established"), "{sources}");
    let metrics = show(&daemon, "sources")?;
    let feed = metrics.iter().find(|source| source["source"] == "link-state").context("it")?;
    assert_eq!(feed["details"]["session"]["received"]["update"], 17);
    assert_eq!(feed["details"]["session"]["errors"]["tlv-out-of-order"], 3);

    // Without a session they stay, and without one for two seconds they do not.
    peer.hangs_up()?;
    drop(peer);
    until("stale", || Ok(route(&daemon, "fcbb:bbbb:2::/48")?["stale"] == true))?;
    let stayed = is("fcbb:bbbb:2::/48", None)?;
    assert!(stayed > Duration::from_millis(1500), "they stayed for {stayed:?} only");
    Ok(())
}

/// Packets per second: far below what the set-up carries.
const RATE: u32 = 10_000;

#[test]
fn a_storm_of_news_hurts_no_packet() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = star::forwarding()?;
    let router = lab.node("router");
    // We are the first of a hundred routers, with two links: to the second, and to the third.
    let mut plan = Plan::provider(100, 300, 5);
    plan.links.retain(|(a, b, _)| *a != 0 && *b != 0);
    plan.links.splice(0..0, [(0, 1, 10), (0, 2, 10_000)]);
    let neighbor = |number: u32, node: usize| {
        generate::link_descriptor(number, 0, node).ipv6_remote.map(|address| address.to_string())
    };
    let mut links = String::new();
    for (number, (link, mac)) in (0..).zip([("out0", WORLD_MACS[1]), ("out1", WORLD_MACS[2])]) {
        let local = generate::link_descriptor(number, 0, number as usize + 1).ipv6_local;
        let local = local.context("an address")?;
        router.ip(&format!("addr add {local}/128 dev {link} nodad"))?;
        let address = neighbor(number, number as usize + 1).context("an address")?;
        links += &format!(
            "[[neighbor]]\naddress = \"{address}\"\ninterface = \"{link}\"\nmac = \"{mac}\"\n"
        );
    }
    let (mut peer, session) = Peer::new(router)?;
    let session = session.replace("grace = 2", "grace = 60");
    let text =
        format!("[router]\nname = \"r1\"\nsocket = \"@SOCKET@\"\n{}{links}{session}", star::toml());
    let daemon = Daemon::start(router, &text)?;
    peer.greet()?;
    let feed = |peer: &mut Peer| -> Result<()> {
        for event in plan.events().chain([Event::EndOfRib]) {
            peer.tells(&event)?;
        }
        Ok(())
    };
    feed(&mut peer)?;
    until("100 nodes", || Ok(route(&daemon, "fc00:0:64::/48").is_ok()))?;

    // To the second router: whatever becomes of the others, the way is the same.
    let frame = |number: u32| {
        let source = tag::address(
            "2001:db8:a::".parse::<Ipv6Addr>().unwrap_or(Ipv6Addr::UNSPECIFIED),
            number,
        );
        let destination = Ipv6Addr::new(0xfc00, 0, 2, 0, 0, 0, 0, 9);
        let layers =
            [Layer::Ipv6(Ipv6::new(source, destination)), Layer::Udp(9000, 9000, vec![0; 100])];
        build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers)
    };
    let (load, ()) = Load::run(lab.node("world"), RATE, frame, || {
        for round in 0..1000_usize {
            let number = 2 + round % (plan.links.len() - 2);
            let (from, to, metric) = plan.links[number];
            let descriptor = generate::link_descriptor(number as u32, from, to);
            let gone = Nlri::Link { from: generate::key(from), to: generate::key(to), descriptor };
            peer.tells(&Event::Withdraw(gone))?;
            peer.tells(&generate::link_event(number as u32, from, to, metric))?;
            if round % 10 == 0 {
                // One whose attributes are malformed, and that has to be lived with.
                let update = encode::update(&generate::node_event(50), 65000).context("it")?;
                let origin = update.windows(5).position(|w| w == [0x50, 1, 0, 1, 0]);
                let mut wrong = update;
                wrong[origin.context("ORIGIN")? + 4] = 7;
                peer.says(&wrong)?;
                peer.tells(&generate::node_event(50))?;
            }
            if round % 250 == 249 {
                peer.hangs_up()?;
                peer.greet()?;
                feed(&mut peer)?;
            }
            thread::sleep(Duration::from_micros(700));
        }
        Ok(())
    })?;
    let lost = load.lost();
    assert!(lost.is_empty(), "{} packets lost of {}, {lost:?}", lost.len(), load.sent.len());
    assert!(load.received.iter().all(|arrival| arrival.link == 1), "all by out0");

    // From a change that is told to the first packet that goes the new way.
    thread::sleep(Duration::from_millis(500));
    let mut told = Vec::new();
    let (load, ()) = Load::run(lab.node("world"), RATE, frame, || {
        for round in 0..20 {
            let metric = if round % 2 == 0 { 60_000 } else { 10 };
            told.push(Instant::now());
            peer.tells(&generate::link_event(0, 0, 1, metric))?;
            thread::sleep(Duration::from_millis(150));
        }
        Ok(())
    })?;
    assert_eq!(load.lost(), [0u32; 0], "a change of way loses no packet");
    let mut times: Vec<Duration> = told
        .iter()
        .enumerate()
        .filter_map(|(round, at)| {
            let link = if round % 2 == 0 { 2 } else { 1 };
            let first = load.received.iter().find(|a| a.at > *at && a.link == link)?;
            Some(first.at.duration_since(*at))
        })
        .collect();
    times.sort_unstable();
    assert_eq!(times.len(), 20);
    println!("told to forwarded: median {:?}, longest {:?}", times[10], times[19]);
    assert!(times[10] < Duration::from_millis(20), "{times:?}");
    Ok(())
}
