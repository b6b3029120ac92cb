//! The chain of three routers that most tests forward through, each of them Sidewinder or Linux:
//!
//! ```text
//!  h1 ------- r1 ======== r2 ======== r3 ------- h2
//!     2001:db8:1::/64                    2001:db8:2::/64
//!              fc00:12::/64   fc00:23::/64
//!                             fc00:24::/64 (second link)
//! ```
//!
//! Router `n` has the locator `fc00:0:n::/48`, the address `fc00:0:n::1`, and the SIDs `…:e::` (End)
//! and `…:d6::` (End.DT6). r2 also has `…:e001::` and `…:e002::`: End.X over link-local next hops, to
//! r3 over the second link and to r1.

use std::fmt::Write;

use anyhow::Result;

use crate::lab::linux::{self, OuterLabel};
use crate::lab::{End, Lab, Sidewinder};

/// What forwards in a router's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The router under test.
    Sidewinder,
    /// The kernel.
    Linux,
}

/// How packets get from one end to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Plain IPv6 routes, no segments.
    Plain,
    /// H.Encaps, End at r2, End.DT6.
    End,
    /// H.Encaps, End.X at r2, End.DT6.
    EndX,
    /// As `End`, and r2 and r3 have two equal links between them.
    EndEcmp,
}

/// Hosts' addresses.
pub const H1: &str = "2001:db8:1::2";
/// The other host's.
pub const H2: &str = "2001:db8:2::2";

/// Core links carry a host's 1500 bytes and an outer header with two segments (40 + 8 + 32).
const CORE_MTU: u32 = 1600;
const HOST_MTU: u32 = 1500;

const R1_EAST: &str = "02:00:00:00:01:0e";
const R2_WEST: &str = "02:00:00:00:02:0a";
const R2_EAST: &str = "02:00:00:00:02:0e";
const R2_EAST2: &str = "02:00:00:00:02:1e";
const R3_WEST: &str = "02:00:00:00:03:0a";
const R3_WEST2: &str = "02:00:00:00:03:1a";

/// A chain that forwards. Dropping it stops the daemons, then removes the namespaces.
#[derive(Debug)]
pub struct Chain {
    // Dropped in this order: the daemons before the namespaces they live in.
    /// The daemons that run, with the number of their router.
    pub daemons: Vec<(u8, Sidewinder)>,
    /// The namespaces.
    pub lab: Lab,
}

impl Chain {
    /// Builds the chain with these routers, first r1, and starts what is to be started.
    pub fn new(routers: [Kind; 3], way: Way) -> Result<Self> {
        let lab = Lab::new(&["h1", "r1", "r2", "r3", "h2"])?;
        for (number, kind) in (1..).zip(routers) {
            let node = lab.node(&format!("r{number}"));
            match kind {
                Kind::Linux => {
                    let source = format!("fc00:0:{number}::1");
                    linux::srv6_router(node, &source, OuterLabel::Computed)?;
                }
                // The kernel must not do the router's work unnoticed; it only knows its links.
                Kind::Sidewinder => linux::forwarding(node)?,
            }
        }
        wire(&lab)?;
        let mut daemons = Vec::new();
        for (number, kind) in (1..).zip(routers) {
            let node = lab.node(&format!("r{number}"));
            match kind {
                Kind::Linux => node.ip_batch(linux_routes(number, way))?,
                Kind::Sidewinder => {
                    daemons.push((number, Sidewinder::start(node, &toml(number, way))?))
                }
            }
        }
        Ok(Self { daemons, lab })
    }
}

/// Links and addresses, the same for every kind of router.
fn wire(lab: &Lab) -> Result<()> {
    let link = |a, b, mtu| lab.link(a, b, mtu);
    link(
        End::new("h1", "eth0", "02:00:00:00:00:01"),
        End::new("r1", "west", "02:00:00:00:01:0a"),
        HOST_MTU,
    )?;
    link(End::new("r1", "east", R1_EAST), End::new("r2", "west", R2_WEST), CORE_MTU)?;
    link(End::new("r2", "east", R2_EAST), End::new("r3", "west", R3_WEST), CORE_MTU)?;
    link(End::new("r2", "east2", R2_EAST2), End::new("r3", "west2", R3_WEST2), CORE_MTU)?;
    link(
        End::new("r3", "east", "02:00:00:00:03:0e"),
        End::new("h2", "eth0", "02:00:00:00:00:02"),
        HOST_MTU,
    )?;
    let addresses: [(&str, &[&str]); 5] = [
        ("h1", &["2001:db8:1::2/64 dev eth0"]),
        (
            "r1",
            &[
                "fc00:0:1::1/128 dev lo",
                "2001:db8:1::1/64 dev west",
                "fc00:12::1/64 dev east",
                "fe80::1/64 dev east",
            ],
        ),
        (
            "r2",
            &[
                "fc00:0:2::1/128 dev lo",
                "fc00:12::2/64 dev west",
                "fc00:23::2/64 dev east",
                "fc00:24::2/64 dev east2",
            ],
        ),
        (
            "r3",
            &[
                "fc00:0:3::1/128 dev lo",
                "fc00:23::3/64 dev west",
                "fc00:24::3/64 dev west2",
                "fe80::3/64 dev west2",
                "2001:db8:2::1/64 dev east",
            ],
        ),
        ("h2", &["2001:db8:2::2/64 dev eth0"]),
    ];
    for (node, addresses) in addresses {
        lab.node(node)
            .ip_batch(addresses.iter().map(|address| format!("addr add {address} nodad")))?;
    }
    lab.node("h1").ip("route add default via 2001:db8:1::1")?;
    lab.node("h2").ip("route add default via 2001:db8:2::1")?;
    Ok(())
}

/// A route to a prefix by one or more next hops.
struct Route(&'static str, &'static [(&'static str, &'static str)]);

/// The plain routes of router `number`.
fn routes(number: u8, way: Way) -> Vec<Route> {
    let east: &[(&str, &str)] = match way {
        Way::EndEcmp => &[("fc00:23::3", "east"), ("fc00:24::3", "east2")],
        _ => &[("fc00:23::3", "east")],
    };
    let west: &[(&str, &str)] = match way {
        Way::EndEcmp => &[("fc00:23::2", "west"), ("fc00:24::2", "west2")],
        _ => &[("fc00:23::2", "west")],
    };
    let mut routes = match number {
        1 => vec![
            Route("fc00:0:2::/48", &[("fc00:12::2", "east")]),
            Route("fc00:0:3::/48", &[("fc00:12::2", "east")]),
            Route("fc00:23::/64", &[("fc00:12::2", "east")]),
        ],
        2 => vec![Route("fc00:0:1::/48", &[("fc00:12::1", "west")]), Route("fc00:0:3::/48", east)],
        _ => vec![
            Route("fc00:0:1::/48", west),
            Route("fc00:0:2::/48", west),
            Route("fc00:12::/64", &[("fc00:23::2", "west")]),
        ],
    };
    // Without these, a packet that is not encapsulated gets nowhere: what arrives went by segments.
    if way == Way::Plain {
        match number {
            1 => routes.push(Route("2001:db8:2::/64", &[("fc00:12::2", "east")])),
            2 => {
                routes.push(Route("2001:db8:1::/64", &[("fc00:12::1", "west")]));
                routes.push(Route("2001:db8:2::/64", &[("fc00:23::3", "east")]));
            }
            _ => routes.push(Route("2001:db8:1::/64", &[("fc00:23::2", "west")])),
        }
    }
    routes
}

/// The segments that router `number` steers into, and the prefix that it steers.
fn policy(number: u8, way: Way) -> Option<(&'static str, [&'static str; 2])> {
    match (number, way) {
        (_, Way::Plain) | (2, _) => None,
        (1, Way::EndX) => Some(("2001:db8:2::/64", ["fc00:0:2:e001::", "fc00:0:3:d6::"])),
        (1, _) => Some(("2001:db8:2::/64", ["fc00:0:2:e::", "fc00:0:3:d6::"])),
        (_, Way::EndX) => Some(("2001:db8:1::/64", ["fc00:0:2:e002::", "fc00:0:1:d6::"])),
        (_, _) => Some(("2001:db8:1::/64", ["fc00:0:2:e::", "fc00:0:1:d6::"])),
    }
}

/// The lines of `ip` that make the kernel router `number`.
pub fn linux_routes(number: u8, way: Way) -> Vec<String> {
    let mut lines = Vec::new();
    for Route(prefix, hops) in routes(number, way) {
        let hops: String = hops.iter().fold(String::new(), |mut text, (via, dev)| {
            let _ = write!(text, " nexthop via {via} dev {dev}");
            text
        });
        lines.push(format!("route add {prefix}{hops}"));
    }
    // Any link but the loopback will do for routes whose device is never used.
    let dev = "west";
    let mut local = |sid: String, action: &str| {
        lines.push(format!("route add {sid} encap seg6local action {action} dev {dev}"));
    };
    local(format!("fc00:0:{number}:e::/128"), "End");
    local(format!("fc00:0:{number}:d6::/128"), "End.DT6 table main");
    if number == 2 {
        local("fc00:0:2:e001::/128".into(), "End.X nh6 fe80::3 oif east2");
        local("fc00:0:2:e002::/128".into(), "End.X nh6 fe80::1 oif west");
    }
    if let Some((prefix, segs)) = policy(number, way) {
        let segs = segs.join(",");
        lines.push(format!("route add {prefix} encap seg6 mode encap segs {segs} dev east"));
    }
    lines
}

/// The configuration that makes Sidewinder router `number`.
pub fn toml(number: u8, way: Way) -> String {
    let mut text = format!(
        r#"
[router]
name = "r{number}"
encap-source = "fc00:0:{number}::1"
icmp-source = "fc00:0:{number}::1"
socket = "@SOCKET@"

[[locator]]
name = "main"
prefix = "fc00:0:{number}::/48"
block-bits = 32
node-bits = 16
function-bits = 16

[[sid]]
sid = "fc00:0:{number}:e::"
behavior = "End"

[[sid]]
sid = "fc00:0:{number}:d6::"
behavior = "End.DT6"
table = "main"
"#
    );
    let interfaces: &[&str] = match number {
        1 => &["west", "east"],
        2 => &["west", "east", "east2"],
        _ => &["west", "west2", "east"],
    };
    for name in interfaces {
        let _ = write!(text, "\n[[interface]]\nname = \"{name}\"\n");
    }
    if number == 2 {
        for (function, nh6, interface) in
            [("e001", "fe80::3", "east2"), ("e002", "fe80::1", "west")]
        {
            let _ = write!(
                text,
                "\n[[sid]]\nsid = \"fc00:0:2:{function}::\"\nbehavior = \"End.X\"\n\
                 nh6 = \"{nh6}\"\ninterface = \"{interface}\"\n"
            );
        }
    }
    for Route(prefix, hops) in routes(number, way) {
        let _ = write!(text, "\n[[route]]\nprefix = \"{prefix}\"\nnext-hops = [");
        for (nh6, interface) in hops {
            let _ = write!(text, " {{ nh6 = \"{nh6}\", interface = \"{interface}\" }},");
        }
        text.push_str(" ]\n");
    }
    if let Some((prefix, segs)) = policy(number, way) {
        let _ = write!(
            text,
            "\n[[policy]]\nname = \"across\"\nbehavior = \"H.Encaps\"\nsegs = {segs:?}\n\
             \n[[route]]\nprefix = \"{prefix}\"\npolicy = \"across\"\n"
        );
    }
    text
}
