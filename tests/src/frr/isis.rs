//! A triangle of IS-IS routers with SRv6, and a host at the first:
//!
//! ```text
//!                  e12 +----+ e23
//!            +---------| r2 |---------+
//!   h1       |         +----+         |
//!   |   +----+                        +----+
//!   +---| r1 |------------------------| r3 |
//!   e1h +----+ e13                    +----+
//! ```
//!
//! Router *n* has the address fc00:0:*n*::1 and the locator fcbb:bbbb:*n*::/48, whose SIDs are
//! compressed: block of 32 bits, node and function of 16.

use anyhow::Result;

use super::Frr;
use crate::lab::linux::{self, OuterLabel};
use crate::lab::{End, Lab};

/// The links: the two ends have the same name.
pub const LINKS: [(&str, &str, &str); 3] =
    [("e12", "r1", "r2"), ("e13", "r1", "r3"), ("e23", "r2", "r3")];

const MTU: u32 = 1500;

/// The routers and the host, linked, without daemons.
pub fn triangle() -> Result<Lab> {
    let lab = Lab::new(&["r1", "r2", "r3", "h1"])?;
    for n in 1..=3 {
        let router = lab.node(&format!("r{n}"));
        linux::srv6_router(router, &format!("fc00:0:{n}::1"), OuterLabel::Computed)?;
        // What FRR binds local SIDs to: any device of that name.
        router.ip("link add sr0 type veth peer name sr0peer")?;
        router.ip("link set sr0peer up")?;
        router.ip("link set sr0 up")?;
    }
    for (number, (link, a, b)) in LINKS.iter().enumerate() {
        let macs = ["a", "b"].map(|end| format!("02:00:00:00:{end}0:0{number}"));
        lab.link(End::new(a, link, &macs[0]), End::new(b, link, &macs[1]), MTU)?;
    }
    let macs = ["02:00:00:00:a0:0a", "02:00:00:00:b0:0a"];
    lab.link(End::new("r1", "e1h", macs[0]), End::new("h1", "e1h", macs[1]), MTU)?;
    lab.node("r1").ip("addr add 2001:db8:1::1/64 dev e1h nodad")?;
    lab.node("h1").ip("addr add 2001:db8:1::9/64 dev e1h nodad")?;
    lab.node("h1").ip("route add default via 2001:db8:1::1")?;
    Ok(lab)
}

/// Starts FRR in router *n*, with more lines of configuration where a test has some (BGP, say).
pub fn start(lab: &Lab, n: u8, more: &str) -> Result<Frr> {
    let name = format!("r{n}");
    Frr::start(lab.node(&name), &name, &(config(n) + more))
}

/// The configuration of router *n*.
pub fn config(n: u8) -> String {
    let name = format!("r{n}");
    let mut text = format!(
        "hostname {name}\n\
         interface lo\n ipv6 address fc00:0:{n}::1/128\n ipv6 router isis 1\n isis passive\n"
    );
    if n == 1 {
        text += "interface e1h\n ipv6 router isis 1\n isis passive\n";
    }
    for (link, ..) in LINKS.iter().filter(|(_, a, b)| name == *a || name == *b) {
        // Without link-params there is no link in the BGP-LS feed.
        text += &format!(
            "interface {link}\n ipv6 router isis 1\n isis network point-to-point\n \
             isis hello-interval 1\n isis metric 10\n \
             link-params\n  enable\n  metric 10\n  max-bw 1.25e+09\n exit-link-params\n"
        );
    }
    text + &format!(
        "segment-routing\n srv6\n  locators\n   locator MAIN\n    \
         prefix fcbb:bbbb:{n}::/48\n    format usid-f3216\n\
         router isis 1\n net 49.0000.0000.0000.000{n}.00\n is-type level-2-only\n \
         topology ipv6-unicast\n lsp-gen-interval 1\n spf-interval 1\n \
         distribute link-state\n segment-routing srv6\n  locator MAIN\n  interface sr0\n"
    )
}
