//! Much at once: a topology of 10 000 nodes and 50 000 links by a BGP-LS session, and 50 000 routes
//! of the kernel, in one router.
//!
//! `what_changes_hurts_no_other`: everything is told again, a link of the router's own gets another
//! metric again and again, which changes most routes, the kernel's routes come and go, and all of them
//! are shown: of 5 000 packets per second on prefixes that do not change none is lost. How long each
//! step takes is printed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sidewinder_linkstate::bgp::{Open, keepalive};
use sidewinder_linkstate::bgp_ls::encode;
use sidewinder_linkstate::generate::{self, Plan};
use sidewinder_linkstate::ted::Event;
use sidewinder_tests::lab::load::Load;
use sidewinder_tests::lab::star::{self, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{Sidewinder as Daemon, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer};
use sidewinder_tests::packet::{mac, tag};
use sidewinder_tests::skip::Need::{AfXdp, Root, Sidewinder, Tool};

/// Packets per second: far below what the set-up carries.
const RATE: u32 = 5_000;
const NODES: usize = 10_000;
const LINKS: usize = 50_000;
const KERNEL_ROUTES: usize = 50_000;

/// How long a step may take: this is no measurement.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says hello to a router that connects, and tells it a topology.
fn tell(listener: &TcpListener, feed: &[u8]) -> Result<TcpStream> {
    let (mut stream, _) = listener.accept()?;
    let open = Open::link_state(65000, 30, Ipv4Addr::new(9, 9, 9, 9)).encode();
    stream.write_all(&open.context("an OPEN")?)?;
    stream.write_all(&keepalive())?;
    let mut reader = stream.try_clone()?;
    thread::spawn(move || while reader.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
    stream.write_all(feed)?;
    Ok(stream)
}

/// What there is to know of a source.
fn source(daemon: &Daemon, name: &str) -> Result<Value> {
    let sources: Vec<Value> = serde_json::from_str(&daemon.command("show sources --json")?)?;
    sources.into_iter().find(|source| source["source"] == name).with_context(|| name.to_owned())
}

/// Waits until something holds of a source; says how long that took.
fn until(daemon: &Daemon, name: &str, is: impl Fn(&Value) -> bool) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let now = source(daemon, name)?;
        if is(&now) {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < PATIENCE, "not after {PATIENCE:?}: {now:#}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_changes_hurts_no_other() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = star::forwarding()?;
    let router = lab.node("router");
    // We are the first router, with two links: to the second, and to the third.
    let mut plan = Plan::provider(NODES, LINKS, 5);
    plan.links.retain(|(a, b, _)| *a != 0 && *b != 0);
    plan.links.splice(0..0, [(0, 1, 10), (0, 2, 10)]);
    let mut toml = String::new();
    for (number, (link, mac)) in (0..).zip([("out0", WORLD_MACS[1]), ("out1", WORLD_MACS[2])]) {
        let descriptor = generate::link_descriptor(number, 0, number as usize + 1);
        let (local, remote) = (descriptor.ipv6_local, descriptor.ipv6_remote);
        let (local, remote) = local.zip(remote).context("addresses")?;
        router.ip(&format!("addr add {local}/128 dev {link} nodad"))?;
        toml += &format!(
            "[[neighbor]]\naddress = \"{remote}\"\ninterface = \"{link}\"\nmac = \"{mac}\"\n"
        );
    }
    router.ip("route add 2001:db8:77::/48 via fe80::b dev out0")?;
    let listener = router.enter(|| TcpListener::bind("[::1]:0"))??;
    let daemon = Daemon::start(
        router,
        &format!(
            "[router]\nname = \"r1\"\nsocket = \"@SOCKET@\"\n{}{toml}[source.kernel]\n\
             [source.bgp-ls]\npeer = \"{}\"\nlocal-as = 65001\npeer-as = 65000\n\
             router-id = \"0000.0000.0001\"\ngrace = 60\n",
            star::toml(),
            listener.local_addr()?
        ),
    )?;
    let events = plan.events().chain([Event::EndOfRib]);
    let feed: Vec<u8> =
        events.filter_map(|event| encode::update(&event, 65000)).flatten().collect();
    let began = Instant::now();
    let mut session = tell(&listener, &feed)?;
    // Two prefixes of each of the others.
    let loaded = |source: &Value| {
        source["stale"] == 0 && source["routes"].as_u64() >= Some(2 * (NODES as u64 - 1))
    };
    until(&daemon, "link-state", loaded)?;
    println!("{} bytes of topology, to routes: {:.1?}", feed.len(), began.elapsed());

    // To the second router by the link to it, and by a route of the kernel.
    let frame = |number: u32| {
        let from: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 0);
        let to = if number.is_multiple_of(2) {
            Ipv6Addr::new(0xfc00, 0, 2, 0, 0, 0, 0, 9)
        } else {
            Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 9)
        };
        let layers = [
            Layer::Ipv6(Ipv6::new(tag::address(from, number), to)),
            Layer::Udp(9000, 9000, vec![0; 100]),
        ];
        build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers)
    };
    let route = |n: usize| format!("2001:db8:{:x}:{:x}::/64", 0x1000 + n / 4096, n % 4096);
    let kernel_has = |count: usize| move |s: &Value| s["routes"].as_u64() >= Some(count as u64);
    let (load, ()) = Load::run(lab.node("world"), RATE, frame, || {
        // The whole feed again, in a new session.
        session.shutdown(std::net::Shutdown::Both)?;
        until(&daemon, "link-state", |source| source["stale"] != 0)?;
        let began = Instant::now();
        session = tell(&listener, &feed)?;
        until(&daemon, "link-state", loaded)?;
        println!("told again after a lost session: {:.1?}", began.elapsed());
        // Most routes lead elsewhere, and back.
        let began = Instant::now();
        for round in 0..20 {
            let metric = if round % 2 == 0 { 60_000 } else { 10 };
            let event = generate::link_event(1, 0, 2, metric);
            session.write_all(&encode::update(&event, 65000).context("an UPDATE")?)?;
            thread::sleep(Duration::from_millis(100));
        }
        println!("20 changes of a link of our own: {:.1?}", began.elapsed());
        let began = Instant::now();
        router.ip_batch(
            (0..KERNEL_ROUTES).map(|n| format!("route add {} via fe80::c dev out1", route(n))),
        )?;
        until(&daemon, "kernel", kernel_has(KERNEL_ROUTES))?;
        println!("{KERNEL_ROUTES} routes of the kernel added: {:.1?}", began.elapsed());
        let began = Instant::now();
        let shown: Vec<Value> = serde_json::from_str(&daemon.command("show routes --json")?)?;
        ensure!(shown.len() > KERNEL_ROUTES + 2 * (NODES - 1), "{} routes shown", shown.len());
        println!("{} routes shown: {:.1?}", shown.len(), began.elapsed());
        let began = Instant::now();
        router.ip_batch((0..KERNEL_ROUTES).map(|n| format!("route del {}", route(n))))?;
        until(&daemon, "kernel", |s| s["routes"].as_u64() < Some(100))?;
        println!("{KERNEL_ROUTES} routes of the kernel removed: {:.1?}", began.elapsed());
        Ok(())
    })?;
    let lost = load.lost();
    println!("{} of {} packets lost", lost.len(), load.sent.len());
    assert!(lost.is_empty(), "{lost:?}");
    assert!(load.received.iter().all(|arrival| arrival.link == 1), "all by out0");
    Ok(())
}
