//! Real traffic between two hosts, across three routers, by every way and with Sidewinder and Linux
//! in every position.
//!
//! ```text
//!  h1 ------- r1 ======== r2 ======== r3 ------- h2
//!     2001:db8:1::/64        \______/    2001:db8:2::/64
//!                           second link
//! ```
//!
//! r1 encapsulates what goes to h2 (H.Encaps), r2 is the first segment (End or End.X), r3 the last
//! (End.DT6); r3, r2 and r1 do the same for the way back. Only encapsulated packets get across.
//!
//! `linux_everywhere`: the laboratory itself. With Linux in all three positions every way carries
//! its traffic, so the topology, the routes and the measuring are right.
//!
//! `sidewinder_everywhere_end`, `…_end_x`, `…_ecmp`: Sidewinder in all three positions. Ping, 300 MB
//! of TCP in each direction, and 32 flows of UDP arrive whole, in order, and with right checksums.
//! End.X takes the second link, by a link-local next hop, which the routing table would not. With
//! ECMP, both links carry packets.
//!
//! `mixed_end`, `mixed_end_x`, `mixed_ecmp`: the same with every mixture of Sidewinder and Linux, so
//! that each is understood by the other on either side; with less TCP.
//!
//! `router_is_a_host`: a router's own address answers ping and TCP over an interface that Sidewinder
//! has taken, from a host and from another router's kernel; SIDs answer ping.
//!
//! `a_small_link_behind_the_headend`: a link in the middle of the domain takes less than the others. Who
//! sends too much learns from r1 how much of it is left, though the error that r1 gets, from Sidewinder
//! or Linux, is about r1's own packet; so TCP gets through. C-046.
//!
//! `traceroute_shows_every_hop`: three Sidewinder routers each answer with Time Exceeded, from the
//! address that the configuration names.

use sidewinder_tests::chain::{Chain, H1, H2, Kind, Way};
use sidewinder_tests::lab::serial;
use sidewinder_tests::lab::traffic::{self, Datagrams, checksum_errors};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

/// Enough TCP to run through every ring and buffer many thousand times.
const MUCH: u32 = 300;
/// MTU of a link that takes less than others.
const SMALL: u32 = 1460;
/// Enough to show that two kinds of router understand each other.
const LITTLE: u32 = 200;

#[test]
fn linux_everywhere() -> Outcome {
    needs!(Root, LinuxSeg6, Tool("iperf3"), Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    for way in [Way::Plain, Way::End, Way::EndX, Way::EndEcmp] {
        carries([Kind::Linux; 3], way, LITTLE)?;
    }
    Ok(())
}

#[test]
fn sidewinder_everywhere_end() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("iperf3"), Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    carries([Kind::Sidewinder; 3], Way::End, MUCH)
}

#[test]
fn sidewinder_everywhere_end_x() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("iperf3"), Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    carries([Kind::Sidewinder; 3], Way::EndX, MUCH)
}

#[test]
fn sidewinder_everywhere_ecmp() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("iperf3"), Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    carries([Kind::Sidewinder; 3], Way::EndEcmp, MUCH)
}

#[test]
fn mixed_end() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("iperf3"), Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    mixtures().try_for_each(|routers| carries(routers, Way::End, LITTLE))
}

#[test]
fn mixed_end_x() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("iperf3"), Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    mixtures().try_for_each(|routers| carries(routers, Way::EndX, LITTLE))
}

#[test]
fn mixed_ecmp() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("iperf3"), Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    mixtures().try_for_each(|routers| carries(routers, Way::EndEcmp, LITTLE))
}

#[test]
fn router_is_a_host() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let chain = Chain::new([Kind::Sidewinder; 3], Way::Plain)?;
    let (h1, r1, r2, r3) = ("h1", "r1", "r2", "r3");
    let bytes: Vec<u8> = (0..1_000_000u32).map(|n| n.wrapping_mul(37).to_be_bytes()[1]).collect();
    for (from, router, address) in [
        (h1, r1, "2001:db8:1::1"),
        (h1, r1, "fc00:0:1::1"),
        (r1, r2, "fc00:12::2"),
        (r2, r3, "fc00:24::3"),
    ] {
        let (from, router) = (chain.lab.node(from), chain.lab.node(router));
        traffic::ping(from, address, 10)?;
        traffic::echo(from, router, address.parse()?, &bytes)?;
    }
    for sid in ["fc00:0:1:e::", "fc00:0:1:d6::", "fc00:0:2:e::", "fc00:0:3:e::"] {
        traffic::ping(chain.lab.node(h1), sid, 10)?;
    }
    Ok(())
}

#[test]
fn a_small_link_behind_the_headend() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("iperf3"), Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    for middle in [Kind::Sidewinder, Kind::Linux] {
        let chain = Chain::new([Kind::Sidewinder, middle, Kind::Sidewinder], Way::End)?;
        let (h1, h2) = (chain.lab.node("h1"), chain.lab.node("h2"));
        traffic::ping(h1, H2, 5)?;
        for (router, interface) in [("r2", "east"), ("r3", "west")] {
            chain.lab.node(router).ip(&format!("link set {interface} mtu {SMALL}"))?;
        }
        // One outer header and two segments, of which End leaves both in the packet.
        let left = SMALL - 40 - 8 - 32;
        let ping = format!("ping -6 -c 3 -i 0.2 -W 1 -M do -s {} {H2}", 1500 - 48);
        let said = h1.run(&ping).unwrap_or_else(|error| format!("{error:#}"));
        assert!(said.contains(&format!("mtu={left}")), "{middle:?}: {said}");
        traffic::tcp(h1, h2, H2, LITTLE / 10, traffic::Way::Forth)?;
    }
    Ok(())
}

#[test]
fn traceroute_shows_every_hop() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("traceroute"), Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let chain = Chain::new([Kind::Sidewinder; 3], Way::Plain)?;
    let h1 = chain.lab.node("h1");
    traffic::ping(h1, H2, 5)?;
    let text = h1.run(&format!("traceroute -6 -n -q 1 -w 2 {H2}"))?;
    let hops: Vec<&str> =
        text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(hops, ["fc00:0:1::1", "fc00:0:2::1", "fc00:0:3::1", H2], "{text}");
    Ok(())
}

/// Sidewinder and Linux in every arrangement that has both.
fn mixtures() -> impl Iterator<Item = [Kind; 3]> {
    (1..7).map(|bits: u8| {
        [4, 2, 1].map(|bit| if bits & bit == 0 { Kind::Linux } else { Kind::Sidewinder })
    })
}

/// Ping, TCP and UDP both ways across these routers; nothing lost, nothing wrong.
fn carries(routers: [Kind; 3], way: Way, megabytes: u32) -> Outcome {
    let chain = Chain::new(routers, way)?;
    let (h1, h2) = (chain.lab.node("h1"), chain.lab.node("h2"));
    traffic::ping(h1, H2, 10)?;
    traffic::ping(h2, H1, 10)?;
    let forth = traffic::tcp(h1, h2, H2, megabytes, traffic::Way::Forth)?;
    let back = traffic::tcp(h1, h2, H2, megabytes, traffic::Way::Back)?;

    let used = |interface| chain.lab.node("r2").sent(interface);
    let before = [used("east")?, used("east2")?];
    let (source, destination) = (H1.parse()?, H2.parse()?);
    let plan = Datagrams { source, destination, flows: 32, per_flow: 100, rate: 6000 };
    let delivery = plan.run(h1, h2)?;
    assert_eq!(delivery.received, delivery.sent, "UDP lost by {routers:?}, {way:?}");
    assert_eq!(delivery.reordered, 0, "UDP out of order by {routers:?}, {way:?}");
    let [east, east2] = [used("east")? - before[0], used("east2")? - before[1]];
    // Counts of whole flows, each of a hundred; a few packets of neighbour discovery may be extra.
    let right = match way {
        Way::Plain | Way::End => east >= delivery.sent && east2 < 50,
        Way::EndX => east2 >= delivery.sent && east < 50,
        Way::EndEcmp => east >= delivery.sent / 8 && east2 >= delivery.sent / 8,
    };
    assert!(right, "{east} and {east2} packets on r2's links, by {routers:?}, {way:?}");

    for host in [h1, h2] {
        let wrong = checksum_errors(host)?;
        assert_eq!(wrong, 0, "wrong checksums at {} by {routers:?}, {way:?}", host.name());
    }
    println!(
        "{routers:?} {way:?}: {megabytes} MB at {forth:.0} and {back:.0} Mbit/s, {} datagrams",
        delivery.received
    );
    Ok(())
}
