//! A router whose kernel has the routes, in the star; and what it shows and does.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::lab::star::{self, LINKS, ROUTER_MACS, WORLD_MACS};
use crate::lab::{Lab, Netns, Sidewinder as Daemon, Wire};
use crate::packet::build::{self, Ipv6, Layer, Srh};
use crate::packet::{mac, tag};

/// How long a change may take to be shown.
pub const SHOWN: Duration = Duration::from_secs(2);

/// Has the kernel's routes followed.
pub const SOURCE: &str = "\n[source.kernel]\ntables = [\"main\"]\n";

/// Hop limit of the packets that are sent.
pub const HOPS: u8 = 33;

/// A router with these interfaces, and no source.
pub fn toml(links: &[&str]) -> String {
    let interfaces: String =
        links.iter().map(|link| format!("[[interface]]\nname = \"{link}\"\n")).collect();
    format!(
        "[router]\nencap-source = \"fc00:0:1::1\"\nencap-flow-label = \"zero\"\n\
         socket = \"@SOCKET@\"\n{interfaces}"
    )
}

/// A router with an address on each link.
pub fn lab() -> Result<Lab> {
    let lab = star::nodes()?;
    let router = lab.node("router");
    router.sysctl("net/ipv6/conf/all/seg6_enabled", 1)?;
    router.sysctl("net/ipv6/conf/default/seg6_enabled", 1)?;
    star::wire(&lab)?;
    // Packets that it is not to forward are not to be answered by it.
    router.ip_batch(star::neighbors())?;
    let addresses = LINKS.iter().enumerate().flat_map(|(n, link)| {
        let mac = WORLD_MACS[n];
        [
            format!("addr add 2001:db8:{n}::1/64 dev {link} nodad"),
            format!("addr add 192.0.{n}.1/24 dev {link}"),
            format!("neigh add 2001:db8:{n}::9 lladdr {mac} dev {link} nud permanent"),
            format!("neigh add 192.0.{n}.9 lladdr {mac} dev {link} nud permanent"),
        ]
    });
    router.ip_batch(addresses)?;
    Ok(lab)
}

/// What the daemon shows of the kernel's routes to a prefix: target and standing.
pub fn shown(daemon: &Daemon, prefix: &str) -> Result<Vec<(String, String)>> {
    let routes: Vec<Value> = serde_json::from_str(&daemon.command("show routes --json")?)?;
    let text = |route: &Value, key: &str| route[key].as_str().unwrap_or_default().to_owned();
    Ok(routes
        .iter()
        .filter(|route| route["prefix"] == prefix && route["source"] == "kernel")
        .map(|route| (text(route, "target"), text(route, "standing")))
        .collect())
}

/// Waits until the kernel's routes to a prefix are these: target and standing.
pub fn wait_until(daemon: &Daemon, prefix: &str, expected: &[(&str, &str)]) -> Result<()> {
    let deadline = Instant::now() + SHOWN;
    loop {
        let shown = shown(daemon, prefix)?;
        let same = |((a, b), (c, d)): (&(String, String), &(&str, &str))| a == c && b == d;
        if shown.len() == expected.len() && shown.iter().zip(expected).all(same) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{prefix}: {expected:?} expected, and shown is {shown:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// An address that the test says; one that is none is a mistake in the test.
pub fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
}

/// Packet `number` to an address, as it is sent.
pub fn plain(number: u32, destination: &str) -> Vec<u8> {
    let source = tag::address(address("2001:db8:0:a::"), number);
    let header = Ipv6 { hops: HOPS, ..Ipv6::new(source, address(destination)) };
    let layers = [Layer::Ipv6(header), Layer::Udp(9000, 9000, vec![0; 100])];
    build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers)
}

/// Packet `number` to a SID, with another segment after it.
pub fn segment(number: u32, sid: &str, next: &str) -> Vec<u8> {
    let way = [address(sid), address(next)];
    let source = tag::address(address("2001:db8:0:a::"), number);
    let header = Ipv6 { hops: HOPS, ..Ipv6::new(source, way[0]) };
    let layers = [
        Layer::Ipv6(header),
        Layer::Srh(Srh::starting(&way)),
        Layer::Udp(9000, 9000, vec![0; 100]),
    ];
    build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers)
}

/// The links that packets come out at, by their names, and the last packet.
pub fn ways(
    world: &Netns,
    count: u32,
    make: impl Fn(u32) -> Vec<u8>,
) -> Result<(BTreeSet<&'static str>, Vec<u8>)> {
    let wire = Wire::open(world)?;
    for number in 0..count {
        wire.send(LINKS[0], &make(number))?;
    }
    let (mut links, mut last) = (BTreeSet::new(), Vec::new());
    let deadline = Instant::now() + Duration::from_millis(150);
    while let Some(received) = wire.receive(deadline)? {
        if tag::find(&received.frame).is_some() {
            links.extend(LINKS.into_iter().find(|link| wire.link(link) == received.link));
            last = received.frame;
        }
    }
    Ok((links, last))
}

/// A route that is in use.
pub const BEST: &str = "best";
/// A route that is the kernel's to follow.
pub const LEFT: &str = "left-to-kernel";
