//! Changes under load: nothing lost, nothing half changed.
//!
//! ```text
//!            in0 +--------+ out0: variant A
//!   world -------| router |------- world
//!                |        |------- world
//!                +--------+ out1: variant B (and some of A)
//! ```
//!
//! Two variants of one configuration differ in everything that a packet can meet: policies (A and B
//! have other segments, of another number, by another link, and each blackholes the other's
//! segments), SIDs (End, End with PSP, End.X by either link) and routes (another link, or there only
//! in B, over a shorter prefix). Packets go through all of them in turn, and for each packet there
//! are exactly two right results.
//!
//! `ten_thousand_changes`: a hundred reloads of a hundred changes each while packets flow. No packet
//! is lost; each comes out as A or as B asks, byte for byte; and since a reload is one change, the
//! packets in the order of sending change from one variant to the other at most once per reload.
//!
//! `linux_stands_still`: variant A in the kernel, without changes. The load, the capture and the
//! expected results are right, and nothing is lost at this rate.

use std::fmt::Write;
use std::net::Ipv6Addr;
use std::thread;
use std::time::{Duration, Instant};

use sidewinder_tests::lab::linux::{self, OuterLabel};
use sidewinder_tests::lab::load::{Arrival, Load};
use sidewinder_tests::lab::star::{self, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{Sidewinder as Daemon, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer, Srh};
use sidewinder_tests::packet::{mac, summary, tag};
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

/// Packets per second: far below what the set-up carries.
const RATE: u32 = 10_000;

const RELOADS: u32 = 100;
/// Between two reloads, so that packets meet each variant.
const PAUSE: Duration = Duration::from_millis(20);

const POLICIES: u32 = 10;
const SIDS: u32 = 30;
const ROUTES: u32 = 60;
/// Every policy, every SID, every route, and the routes to the two variants' segments.
const CHANGES: u32 = POLICIES + SIDS + ROUTES + 2;
const _: () = assert!(RELOADS * CHANGES >= 10_000);

/// Hop limit of the packets that are sent.
const HOPS: u8 = 33;
/// Hop limit of Sidewinder's outer headers.
const OUTER_HOPS: u8 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    A,
    B,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forwarder {
    Sidewinder,
    /// Copies the inner hop limit out and decrements it there.
    Linux,
}

#[test]
fn linux_stands_still() -> Outcome {
    needs!(Root, LinuxSeg6, Tool("ethtool"));
    let _turn = serial();
    let lab = star::nodes()?;
    let router = lab.node("router");
    linux::srv6_router(router, "fc00:0:1::1", OuterLabel::Copied)?;
    star::wire(&lab)?;
    router.ip("addr add fc00:0:1::1/128 dev lo nodad")?;
    router.ip_batch(star::neighbors())?;
    router.ip_batch(linux_routes())?;
    let (load, ()) = Load::run(lab.node("world"), RATE, frame, || {
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    assert_eq!(load.lost(), [0u32; 0], "lost by the kernel alone");
    for arrival in &load.received {
        assert_eq!(variant(arrival, Forwarder::Linux), Some(Variant::A), "{}", told(arrival));
    }
    Ok(())
}

#[test]
fn ten_thousand_changes() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = star::forwarding()?;
    let router = lab.node("router");
    router.ip("addr add fc00:0:1::1/128 dev lo nodad")?;
    let daemon = Daemon::start(router, &toml(Variant::A))?;
    let (load, longest) = Load::run(lab.node("world"), RATE, frame, || {
        thread::sleep(Duration::from_millis(200));
        let mut longest = Duration::ZERO;
        for reload in 0..RELOADS {
            let next = if reload % 2 == 0 { Variant::B } else { Variant::A };
            let start = Instant::now();
            daemon.reload(&toml(next))?;
            longest = longest.max(start.elapsed());
            thread::sleep(PAUSE);
        }
        Ok(longest)
    })?;

    let lost = load.lost();
    assert!(lost.is_empty(), "{} packets lost of {}, {lost:?}", lost.len(), load.sent.len());
    assert_eq!(load.received.len(), load.sent.len(), "some packets came out twice");
    let mut variants: Vec<(u32, Variant)> = Vec::with_capacity(load.received.len());
    for arrival in &load.received {
        match variant(arrival, Forwarder::Sidewinder) {
            Some(variant) => variants.push((arrival.number, variant)),
            None => panic!("neither A nor B:\n{}", told(arrival)),
        }
    }
    variants.sort_by_key(|(number, _)| *number);
    let turns = variants.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    let b = variants.iter().filter(|(_, variant)| *variant == Variant::B).count();
    println!(
        "{} changes in {RELOADS} reloads, the longest {longest:?}; {} packets, none lost, {b} by \
         variant B, {turns} turns",
        RELOADS * CHANGES,
        load.sent.len()
    );
    assert!(turns <= RELOADS as usize, "{turns} turns between the variants in {RELOADS} reloads");
    assert!(turns >= RELOADS as usize / 2, "only {turns} turns: packets did not meet the changes");
    Ok(())
}

/// What packet `number` is for, and which of its kind.
fn target(number: u32) -> (u32, u32) {
    let turn = number / 3;
    match number % 3 {
        0 => (0, turn % POLICIES),
        1 => (1, turn % SIDS),
        _ => (2, turn % ROUTES),
    }
}

fn sid(index: u32) -> Ipv6Addr {
    address(&format!("fc00:0:1:{:x}::", 0x100 + index))
}

/// The segment after a SID.
fn after(index: u32) -> Ipv6Addr {
    address(&format!("fc00:c:{index:x}::"))
}

fn segments(index: u32, variant: Variant) -> Vec<String> {
    match variant {
        Variant::A => vec![format!("fc00:a:{index:x}::"), "fc00:a:ffff::".into()],
        Variant::B => {
            vec![format!("fc00:b:{index:x}::"), "fc00:b:fffe::".into(), "fc00:b:ffff::".into()]
        }
    }
}

/// Packet `number`, as it is sent.
fn frame(number: u32) -> Vec<u8> {
    let layers = match target(number) {
        (0, index) => plain(number, &format!("2001:db8:e{index:02x}::9"), HOPS),
        (1, index) => segment(number, index, 1, HOPS),
        (_, index) => plain(number, &format!("2001:db8:f{index:02x}::9"), HOPS),
    };
    build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers)
}

/// Which variant's result this is, if it is one.
fn variant(arrival: &Arrival, forwarder: Forwarder) -> Option<Variant> {
    [Variant::A, Variant::B].into_iter().find(|variant| {
        let (link, layers) = expected(arrival.number, *variant, forwarder);
        let right = build::frame(mac(WORLD_MACS[link]), mac(ROUTER_MACS[link]), &layers);
        arrival.link == link && arrival.frame == right
    })
}

/// The link and the layers of what comes out for packet `number`.
fn expected(number: u32, variant: Variant, forwarder: Forwarder) -> (usize, Vec<Layer>) {
    match (target(number), variant) {
        ((0, index), _) => {
            let way: Vec<_> = segments(index, variant).iter().map(|s| address(s)).collect();
            let (inner, hops) = match forwarder {
                Forwarder::Sidewinder => (HOPS - 1, OUTER_HOPS),
                Forwarder::Linux => (HOPS, HOPS - 1),
            };
            let outer = Ipv6 { hops, ..Ipv6::new(address("fc00:0:1::1"), way[0]) };
            let mut layers = vec![Layer::Ipv6(outer), Layer::Srh(Srh::starting(&way))];
            layers.extend(plain(number, &format!("2001:db8:e{index:02x}::9"), inner));
            (if variant == Variant::A { 1 } else { 2 }, layers)
        }
        ((1, index), _) => {
            let mut layers = segment(number, index, 0, HOPS - 1);
            let link = match (index % 3, variant) {
                // End, then End.X.
                (0, Variant::A) => 1,
                (0, Variant::B) => 2,
                // End, then End with PSP.
                (1, Variant::A) => 1,
                (1, Variant::B) => {
                    layers.remove(1);
                    1
                }
                // End.X by one link, then by the other.
                (_, Variant::A) => 2,
                (_, Variant::B) => 1,
            };
            (link, layers)
        }
        ((_, index), _) => {
            let layers = plain(number, &format!("2001:db8:f{index:02x}::9"), HOPS - 1);
            (if variant == Variant::A { 1 } else { 2 }, layers)
        }
    }
}

fn plain(number: u32, destination: &str, hops: u8) -> Vec<Layer> {
    let header = Ipv6 { hops, ..Ipv6::new(source(number), address(destination)) };
    vec![Layer::Ipv6(header), Layer::Udp(9000, 9000, vec![0; 100])]
}

fn segment(number: u32, index: u32, left: u8, hops: u8) -> Vec<Layer> {
    let way = [sid(index), after(index)];
    let header = Ipv6 { hops, ..Ipv6::new(source(number), way[1 - usize::from(left)]) };
    let srh = Srh { left, ..Srh::starting(&way) };
    vec![Layer::Ipv6(header), Layer::Srh(srh), Layer::Udp(9000, 9000, vec![0; 100])]
}

fn source(number: u32) -> Ipv6Addr {
    tag::address(address("2001:db8:a::"), number)
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
}

fn told(arrival: &Arrival) -> String {
    format!(
        "in  {}\nout link {}: {}",
        summary::line(&frame(arrival.number)),
        arrival.link,
        summary::line(&arrival.frame)
    )
}

fn toml(variant: Variant) -> String {
    let mut text = String::from(
        "[router]\nname = \"reload\"\nencap-source = \"fc00:0:1::1\"\nencap-flow-label = \"zero\"\n\
         socket = \"@SOCKET@\"\n\n[[locator]]\nname = \"main\"\nprefix = \"fc00:0:1::/48\"\n\
         block-bits = 32\nnode-bits = 16\nfunction-bits = 16\n\n",
    );
    text.push_str(&star::toml());
    let mut route = |prefix: &str, rest: &str| {
        // Writing to a string cannot fail.
        let _ = write!(text, "[[route]]\nprefix = \"{prefix}\"\n{rest}\n\n");
    };
    let (out0, out1) =
        ("nh6 = \"fe80::b\"\ninterface = \"out0\"", "nh6 = \"fe80::c\"\ninterface = \"out1\"");
    let drop = "action = \"blackhole\"";
    let (a, b) = if variant == Variant::A { (out0, drop) } else { (drop, out1) };
    route("fc00:a::/32", a);
    route("fc00:b::/32", b);
    route("fc00:c::/32", out0);
    route("2001:db8:f00::/40", out0);
    for index in 0..ROUTES {
        match variant {
            // Half of A's packets take the shorter prefix.
            Variant::A if index % 2 == 1 => {}
            Variant::A => route(&format!("2001:db8:f{index:02x}::/48"), out0),
            Variant::B => route(&format!("2001:db8:f{index:02x}::/48"), out1),
        }
    }
    for index in 0..POLICIES {
        route(&format!("2001:db8:e{index:02x}::/48"), &format!("policy = \"p{index}\""));
    }
    for index in 0..POLICIES {
        let segs = segments(index, variant);
        let _ = write!(
            text,
            "[[policy]]\nname = \"p{index}\"\nbehavior = \"H.Encaps\"\nsegs = {segs:?}\n\n"
        );
    }
    for index in 0..SIDS {
        let behavior = match (index % 3, variant) {
            (0 | 1, Variant::A) => "behavior = \"End\"".into(),
            (1, Variant::B) => "behavior = \"End\"\nflavors = [\"PSP\"]".into(),
            (0, Variant::B) | (2, Variant::A) => format!("behavior = \"End.X\"\n{out1}"),
            _ => format!("behavior = \"End.X\"\n{out0}"),
        };
        let _ = write!(text, "[[sid]]\nsid = \"{}\"\n{behavior}\n\n", sid(index));
    }
    text
}

/// Variant A in the kernel's words.
fn linux_routes() -> Vec<String> {
    let mut lines = vec![
        "route add fc00:a::/32 via fe80::b dev out0".into(),
        "route add fc00:c::/32 via fe80::b dev out0".into(),
        "route add 2001:db8:f00::/40 via fe80::b dev out0".into(),
    ];
    for index in 0..POLICIES {
        let segs = segments(index, Variant::A).join(",");
        lines.push(format!(
            "route add 2001:db8:e{index:02x}::/48 encap seg6 mode encap segs {segs} dev out0"
        ));
    }
    for index in 0..SIDS {
        let action = if index % 3 == 2 { "End.X nh6 fe80::c oif out1" } else { "End" };
        lines
            .push(format!("route add {}/128 encap seg6local action {action} dev out0", sid(index)));
    }
    lines
}
