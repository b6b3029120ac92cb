//! One router with three links, and the raw ends of all three in one namespace:
//!
//! ```text
//!            in0 +--------+ out0
//!   world -------| router |------- world
//!                |        |------- world
//!                +--------+ out1
//! ```

use anyhow::Result;

use super::{End, Lab, linux};

/// Names of the links, the same on both ends.
pub const LINKS: [&str; 3] = ["in0", "out0", "out1"];
/// MAC addresses of the router's ends.
pub const ROUTER_MACS: [&str; 3] = ["02:00:00:00:01:00", "02:00:00:00:01:01", "02:00:00:00:01:02"];
/// MAC addresses of the world's ends.
pub const WORLD_MACS: [&str; 3] = ["02:00:00:00:02:00", "02:00:00:00:02:01", "02:00:00:00:02:02"];
/// Link-local addresses of the world's ends.
pub const NEIGHBORS: [&str; 3] = ["fe80::a", "fe80::b", "fe80::c"];

/// MTU of every link.
const MTU: u32 = 1500;

/// The two namespaces, not yet linked: some settings must be there before the links are.
pub fn nodes() -> Result<Lab> {
    Lab::new(&["router", "world"])
}

/// Links them. The world has no addresses and is silent by itself.
pub fn wire(lab: &Lab) -> Result<()> {
    wire_with_queues(lab, 1)
}

/// The same, with so many queues on every link.
pub fn wire_with_queues(lab: &Lab, queues: u32) -> Result<()> {
    for scope in ["all", "default"] {
        lab.node("world").sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), 1)?;
    }
    for ((link, router), world) in LINKS.iter().zip(ROUTER_MACS).zip(WORLD_MACS) {
        let ends = [End::new("router", link, router), End::new("world", link, world)];
        lab.link_with_queues(ends[0], ends[1], MTU, queues)?;
    }
    Ok(())
}

/// Linked nodes, with a router whose kernel forwards and knows the world's neighbours.
pub fn forwarding() -> Result<Lab> {
    let lab = nodes()?;
    let router = lab.node("router");
    linux::forwarding(router)?;
    wire(&lab)?;
    router.ip_batch(neighbors())?;
    Ok(lab)
}

/// The world's neighbours as the router's kernel is told, by hand: nothing waits for neighbour
/// discovery.
pub fn neighbors() -> impl Iterator<Item = String> {
    LINKS.iter().zip(NEIGHBORS).zip(WORLD_MACS).map(|((link, neighbor), mac)| {
        format!("neigh add {neighbor} lladdr {mac} dev {link} nud permanent")
    })
}

/// The router's interfaces and the world's neighbours, as Sidewinder is told.
pub fn toml() -> String {
    let links = LINKS.iter().zip(NEIGHBORS).zip(WORLD_MACS);
    links
        .map(|((link, neighbor), mac)| {
            format!(
                "[[interface]]\nname = \"{link}\"\n\n\
                 [[neighbor]]\naddress = \"{neighbor}\"\ninterface = \"{link}\"\nmac = \"{mac}\"\n\n"
            )
        })
        .collect()
}
