//! The kernel as the safety net: what a router loses when its daemon is killed and started again.
//!
//! ```text
//!            in0 +-------------------------+ out0
//!   world -------| Sidewinder              |------- world
//!                | kernel, the same routes |
//!                +-------------------------+
//! ```
//!
//! `killed_and_started_again`: a steady load of packets that are to be encapsulated. The kernel has
//! the same routes as the daemon. The daemon is killed (SIGKILL) and, later, started again. Packets
//! tell who forwarded them (the kernel writes another outer hop limit), so each change is found
//! exactly: first all by Sidewinder, then all by the kernel, then by Sidewinder again. Both gaps are
//! printed, in milliseconds and in packets.
//!
//! `a_neighbour_of_end_x_goes`: packets to a SID with behavior End.X, whose neighbour is on out0, with
//! a backup on out1. The far end of out0 is taken down and up again: all packets by out0, then all by
//! out1, then all by out0. What is lost is what was sent before the kernel told of the link.
//!
//! `kernel_alone`: the same load through the kernel only loses nothing: the rate is one that the
//! laboratory carries.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use sidewinder_tests::lab::linux::{self, OuterLabel};
use sidewinder_tests::lab::load::Load;
use sidewinder_tests::lab::star::{self, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{Lab, Sidewinder as Daemon, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer, Srh};
use sidewinder_tests::packet::{ETHERNET, mac, tag};
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

/// Packets per second: far below what either forwards here.
const RATE: u32 = 10_000;

/// No gap may be longer than this; what it really is, the test prints.
const LONGEST_GAP: Duration = Duration::from_secs(2);

/// Hop limit of the packets that are sent.
const HOPS: u8 = 33;

const TOML: &str = r#"
[router]
name = "failover"
encap-source = "fc00:0:1::1"
encap-hop-limit = 64
socket = "@SOCKET@"

[[locator]]
name = "main"
prefix = "fc00:0:1::/48"
block-bits = 32
node-bits = 16
function-bits = 16

[[policy]]
name = "far"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::", "fc00:0:3:d6::"]

[[route]]
prefix = "2001:db8:e::/48"
policy = "far"

[[route]]
prefix = "fc00:0:2::/48"
nh6 = "fe80::b"
interface = "out0"

"#;

/// A SID whose neighbour has a backup.
const END_X: &str = r#"
[router]
name = "failover"
icmp-source = "fc00:0:1::1"
socket = "@SOCKET@"

[[locator]]
name = "main"
prefix = "fc00:0:1::/48"

[[sid]]
sid = "fc00:0:1:e001::"
behavior = "End.X"
next-hops = [
    { nh6 = "fe80::b", interface = "out0" },
    { nh6 = "fe80::c", interface = "out1", backup = true },
]

"#;

#[test]
fn kernel_alone() -> Outcome {
    needs!(Root, LinuxSeg6, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let (load, ()) = Load::run(lab.node("world"), RATE, frame, || {
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    assert!(load.sent.len() > 9000, "only {} packets were sent in a second", load.sent.len());
    assert_eq!(load.lost(), [0u32; 0], "lost by the kernel alone");
    assert!(load.received.iter().all(|arrival| by_kernel(&arrival.frame)));
    Ok(())
}

#[test]
fn killed_and_started_again() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let mut daemon = Daemon::start(lab.node("router"), &format!("{TOML}{}", star::toml()))?;
    let (load, ()) = Load::run(lab.node("world"), RATE, frame, || {
        thread::sleep(Duration::from_secs(1));
        daemon.stop(Signal::SIGKILL)?;
        thread::sleep(Duration::from_secs(1));
        daemon.launch()?;
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;

    // Runs of packets with the same forwarder, as they arrived.
    let mut runs: Vec<(bool, Vec<usize>)> = Vec::new();
    for (place, arrival) in load.received.iter().enumerate() {
        let kernel = by_kernel(&arrival.frame);
        match runs.last_mut() {
            Some((last, places)) if *last == kernel => places.push(place),
            _ => runs.push((kernel, vec![place])),
        }
    }
    let order: Vec<bool> = runs.iter().map(|(kernel, _)| *kernel).collect();
    assert_eq!(
        order,
        [false, true, false],
        "who forwarded (true: the kernel), in order of arrival"
    );

    let lost = load.lost();
    for (name, before, after) in [("killed", &runs[0], &runs[1]), ("started", &runs[1], &runs[2])] {
        let (Some(last), Some(first)) = (before.1.last(), after.1.first()) else { continue };
        let (last, first) = (&load.received[*last], &load.received[*first]);
        let gap = first.at - last.at;
        let missing = lost.iter().filter(|number| (last.number..first.number).contains(number));
        println!(
            "daemon {name}: {:.1} ms without a packet, {} packets lost of {RATE} a second",
            gap.as_secs_f64() * 1e3,
            missing.count()
        );
        assert!(gap < LONGEST_GAP, "daemon {name}: {gap:?} without a packet");
    }
    println!("in all {} packets lost of {}", lost.len(), load.sent.len());
    Ok(())
}

/// C-050: the backup of an adjacency takes over when its link goes, and gives back when it is there.
#[test]
fn a_neighbour_of_end_x_goes() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = star::nodes()?;
    star::wire(&lab)?;
    let toml = format!("{END_X}{}", star::toml());
    let _daemon = Daemon::start(lab.node("router"), &toml)?;
    let (load, ()) = Load::run(lab.node("world"), RATE, to_end_x, || {
        thread::sleep(Duration::from_secs(1));
        lab.node("world").ip("link set out0 down")?;
        thread::sleep(Duration::from_secs(1));
        lab.node("world").ip("link set out0 up")?;
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    let mut links: Vec<usize> = load.received.iter().map(|arrival| arrival.link).collect();
    links.dedup();
    assert_eq!(links, [1, 2, 1], "the links that packets came out by, in order of arrival");
    let lost = load.lost();
    println!("a link down and up: {} packets lost of {RATE} a second", lost.len());
    let longest = RATE * LONGEST_GAP.as_millis() as u32 / 1000;
    assert!(lost.len() < longest as usize, "{} packets lost", lost.len());
    // One gap, at the link's end: its return costs nothing.
    let (first, last) = (lost.first().copied().unwrap_or(0), lost.last().copied().unwrap_or(0));
    assert_eq!(lost.len() as u32, if lost.is_empty() { 0 } else { last - first + 1 });
    Ok(())
}

/// A router whose kernel encapsulates and forwards.
fn lab() -> anyhow::Result<Lab> {
    let lab = star::nodes()?;
    let router = lab.node("router");
    linux::srv6_router(router, "fc00:0:1::1", OuterLabel::Computed)?;
    star::wire(&lab)?;
    router.ip("addr add fc00:0:1::1/128 dev lo nodad")?;
    router.ip_batch(star::neighbors())?;
    router.ip_batch([
        "route add fc00:0:2::/48 via fe80::b dev out0",
        "route add 2001:db8:e::/48 encap seg6 mode encap segs fc00:0:2:e::,fc00:0:3:d6:: dev out0",
    ])?;
    Ok(lab)
}

fn frame(number: u32) -> Vec<u8> {
    let source = tag::address("2001:db8:a::".parse().unwrap(), number);
    let header = Ipv6 { hops: HOPS, ..Ipv6::new(source, "2001:db8:e::9".parse().unwrap()) };
    let layers = [Layer::Ipv6(header), Layer::Udp(9000, 9000, vec![0; 200])];
    build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers)
}

fn to_end_x(number: u32) -> Vec<u8> {
    let [sid, next] = ["fc00:0:1:e001::", "fc00:0:2:e::"].map(|sid| sid.parse().unwrap());
    let source = tag::address("2001:db8:a::".parse().unwrap(), number);
    let layers = [
        Layer::Ipv6(Ipv6 { hops: HOPS, ..Ipv6::new(source, sid) }),
        Layer::Srh(Srh::starting(&[sid, next])),
        Layer::Udp(9000, 9000, vec![0; 200]),
    ];
    build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers)
}

/// Linux copies the inner hop limit to the outer header and decrements that.
fn by_kernel(frame: &[u8]) -> bool {
    frame[ETHERNET + 7] == HOPS - 1
}
