//! The network of the demo: nodes, links, addresses, and what each router is told.
//!
//! ```text
//!   h1 ────────── r1 ────────────── r2 ────────────── r3 ────────── h2
//!  2001:db8:1::/64   fc00:12::/64    │  fc00:23::/64   │  2001:db8:2::/64
//!                                    └──── detour ─────┘
//! ```
//!
//! Interfaces are named after what they lead to. The shortest way from r2 to r3 is the direct link;
//! only r2's End.X leads over the detour.

use std::path::Path;

/// Hosts carry packets of this size, as on Ethernet.
const HOST_MTU: u32 = 1500;
/// Between routers there is room for an outer header and three segments (40 + 8 + 48 bytes).
const CORE_MTU: u32 = 1600;

/// The hosts' addresses.
pub const H1: &str = "2001:db8:1::2";
/// The other host's.
pub const H2: &str = "2001:db8:2::2";
/// An address that no router knows a way to.
pub const NOWHERE: &str = "2001:db8:ffff::1";
/// An address whose packets r1 is told to drop.
pub const UNWANTED: &str = "2001:db8:dead::1";

/// All nodes. Routers are those whose name starts with `r`.
pub const NODES: [&str; 5] = ["h1", "r1", "r2", "r3", "h2"];
/// The routers, in the order of the way from h1 to h2.
pub const ROUTERS: [&str; 3] = ["r1", "r2", "r3"];

/// A link: node and interface at either end, and the MTU.
pub const LINKS: [(&str, &str, &str, &str, u32); 5] = [
    ("h1", "eth0", "r1", "to-h1", HOST_MTU),
    ("r1", "to-r2", "r2", "to-r1", CORE_MTU),
    ("r2", "to-r3", "r3", "to-r2", CORE_MTU),
    ("r2", "detour", "r3", "detour", CORE_MTU),
    ("r3", "to-h2", "h2", "eth0", HOST_MTU),
];

/// What `ip` is told in a node, when its links are there.
pub fn addresses(node: &str) -> &'static [&'static str] {
    match node {
        "h1" => {
            &["addr add 2001:db8:1::2/64 dev eth0 nodad", "route add default via 2001:db8:1::1"]
        }
        "h2" => {
            &["addr add 2001:db8:2::2/64 dev eth0 nodad", "route add default via 2001:db8:2::1"]
        }
        "r1" => &[
            "addr add fc00:0:1::1/128 dev lo nodad",
            "addr add 2001:db8:1::1/64 dev to-h1 nodad",
            "addr add fc00:12::1/64 dev to-r2 nodad",
            "addr add fe80::1/64 dev to-r2 nodad",
        ],
        "r2" => &[
            "addr add fc00:0:2::1/128 dev lo nodad",
            "addr add fc00:12::2/64 dev to-r1 nodad",
            "addr add fc00:23::2/64 dev to-r3 nodad",
            "addr add fc00:24::2/64 dev detour nodad",
        ],
        _ => &[
            "addr add fc00:0:3::1/128 dev lo nodad",
            "addr add fc00:23::3/64 dev to-r2 nodad",
            "addr add fe80::3/64 dev detour nodad",
            "addr add 2001:db8:2::1/64 dev to-h2 nodad",
        ],
    }
}

/// A router's configuration.
pub fn configuration(router: &str, socket: &Path) -> String {
    let number = &router[1..];
    let mut text = format!(
        r#"[router]
name = "{router}"
encap-source = "fc00:0:{number}::1"
socket = "{}"

[[locator]]
name = "main"
prefix = "fc00:0:{number}::/48"
"#,
        socket.display()
    );
    for (left, left_interface, right, right_interface, _) in LINKS {
        for (_, interface) in
            [(left, left_interface), (right, right_interface)].iter().filter(|end| end.0 == router)
        {
            text.push_str(&format!("\n[[interface]]\nname = \"{interface}\"\n"));
        }
    }
    text.push_str(match router {
        "r1" => R1,
        "r2" => R2,
        _ => R3,
    });
    text
}

const R1: &str = r#"
[[sid]]
sid = "fc00:0:1:d6::"
behavior = "End.DT6"
table = "main"

[[policy]]
name = "to-h2"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::", "fc00:0:2:e001::", "fc00:0:3:d6::"]

[[route]]
prefix = "2001:db8:2::/64"
policy = "to-h2"

[[route]]
prefix = "fc00:0:2::/48"
nh6 = "fc00:12::2"
interface = "to-r2"

[[route]]
prefix = "2001:db8:dead::/48"
action = "blackhole"
"#;

const R2: &str = r#"
[[sid]]
sid = "fc00:0:2:e::"
behavior = "End"

[[sid]]
sid = "fc00:0:2:e001::"
behavior = "End.X"
nh6 = "fe80::3"
interface = "detour"

[[sid]]
sid = "fc00:0:2:e002::"
behavior = "End.X"
nh6 = "fe80::1"
interface = "to-r1"

[[route]]
prefix = "fc00:0:1::/48"
nh6 = "fc00:12::1"
interface = "to-r1"

[[route]]
prefix = "fc00:0:3::/48"
nh6 = "fc00:23::3"
interface = "to-r3"
"#;

const R3: &str = r#"
[[sid]]
sid = "fc00:0:3:d6::"
behavior = "End.DT6"
table = "main"

[[policy]]
name = "to-h1"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::", "fc00:0:2:e002::", "fc00:0:1:d6::"]

[[route]]
prefix = "2001:db8:1::/64"
policy = "to-h1"

[[route]]
prefix = "fc00:0:2::/48"
nh6 = "fc00:23::2"
interface = "to-r2"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_good() {
        for router in ROUTERS {
            let text = configuration(router, Path::new("/tmp/demo.sock"));
            let checked = sidewinder_config::check(&text, router);
            let checked = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(checked.warnings.is_empty(), "{}", checked.warnings.render(false));
            let ends = || LINKS.iter().flat_map(|link| [(link.1, link.4), (link.3, link.4)]);
            let mtus = checked.check_mtu(|name| Some(ends().find(|end| end.0 == name)?.1));
            assert!(mtus.is_empty(), "{}", mtus.render(false));
        }
    }
}
