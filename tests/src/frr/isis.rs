//! IS-IS routers with SRv6, in two shapes, and hosts at two of them:
//!
//! ```text
//!        TRIANGLE                               SQUARE
//!
//!   h1          +----+          h2                  +----+
//!   |        +--| r3 |--+       |       h1       +--| r2 |--+       h4
//!   | e1h e13|  +----+  |e23 e2h|       |     e12|  +----+  |e24    |
//!   |   +----+          +----+  |       |   +----+          +----+  |
//!   +---| r1 |----------| r2 |--+       +---| r1 |          | r4 |--+
//!       +----+   e12    +----+         e1h  +----+          +----+ e4h
//!                                             e13|  +----+  |e34
//!                                                +--| r3 |--+
//!                                                   +----+
//! ```
//!
//! Router *n* has the address fc00:0:*n*::1 and the locator fcbb:bbbb:*n*::/48, whose SIDs are
//! compressed: block of 32 bits, node and function of 16. Host *n* is 2001:db8:*n*::9. On the link
//! e*nm*, router *n* is fc00:*nm*::*n*: FRR 10.7 tells no link that has link-local addresses only.

use anyhow::Result;

use super::Frr;
use crate::lab::linux::{self, OuterLabel};
use crate::lab::{End, Lab};

const MTU: u32 = 1500;

/// Routers, and what is between them.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// How many there are; they are numbered from 1.
    pub routers: u8,
    /// Links, and the routers at their ends. The two ends have the same name.
    pub links: &'static [(&'static str, &'static str, &'static str)],
    /// Routers with a host.
    pub hosts: &'static [u8],
}

/// Every router has a link to every other.
pub const TRIANGLE: Network = Network {
    routers: 3,
    links: &[("e12", "r1", "r2"), ("e13", "r1", "r3"), ("e23", "r2", "r3")],
    hosts: &[1, 2],
};

/// Two equal paths between opposite corners.
pub const SQUARE: Network = Network {
    routers: 4,
    links: &[("e12", "r1", "r2"), ("e13", "r1", "r3"), ("e24", "r2", "r4"), ("e34", "r3", "r4")],
    hosts: &[1, 4],
};

impl Network {
    /// The routers and hosts, linked, without daemons.
    pub fn lab(&self) -> Result<Lab> {
        let routers = (1..=self.routers).map(|n| format!("r{n}"));
        let names: Vec<String> =
            routers.chain(self.hosts.iter().map(|n| format!("h{n}"))).collect();
        let lab = Lab::new(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        for n in 1..=self.routers {
            let router = lab.node(&format!("r{n}"));
            linux::srv6_router(router, &format!("fc00:0:{n}::1"), OuterLabel::Computed)?;
            // What FRR binds local SIDs to: any device of that name.
            router.ip("link add sr0 type veth peer name sr0peer")?;
            router.ip("link set sr0peer up")?;
            router.ip("link set sr0 up")?;
        }
        for n in 1..=self.routers {
            // Or the addresses of a link that was down would be gone.
            let router = lab.node(&format!("r{n}"));
            router.sysctl("net/ipv6/conf/all/keep_addr_on_down", 1)?;
            router.sysctl("net/ipv6/conf/default/keep_addr_on_down", 1)?;
        }
        for (number, (link, a, b)) in self.links.iter().enumerate() {
            let macs = ["a", "b"].map(|end| format!("02:00:00:00:{end}0:0{number}"));
            lab.link(End::new(a, link, &macs[0]), End::new(b, link, &macs[1]), MTU)?;
            for router in [a, b] {
                let (net, n) = (&link[1..], &router[1..]);
                lab.node(router).ip(&format!("addr add fc00:{net}::{n}/64 dev {link} nodad"))?;
            }
        }
        for n in self.hosts {
            let (router, host, link) = (format!("r{n}"), format!("h{n}"), format!("e{n}h"));
            let macs = ["a", "b"].map(|end| format!("02:00:00:00:{end}0:1{n}"));
            lab.link(End::new(&router, &link, &macs[0]), End::new(&host, &link, &macs[1]), MTU)?;
            let prefix = format!("2001:db8:{n}:");
            lab.node(&router).ip(&format!("addr add {prefix}:1/64 dev {link} nodad"))?;
            lab.node(&host).ip(&format!("addr add {prefix}:9/64 dev {link} nodad"))?;
            lab.node(&host).ip(&format!("route add default via {prefix}:1"))?;
        }
        Ok(lab)
    }

    /// The interfaces of router *n*.
    pub fn interfaces(&self, n: u8) -> Vec<String> {
        let router = format!("r{n}");
        let ours = self.links.iter().filter(|(_, a, b)| router == *a || router == *b);
        let links = ours.map(|(link, ..)| (*link).to_owned());
        links.chain(self.hosts.contains(&n).then(|| format!("e{n}h"))).collect()
    }

    /// The router that has an address on a link: its link-local one, which FRR uses for next hops,
    /// or the one that BGP-LS tells.
    pub fn router_at(&self, address: &str, link: &str) -> Option<&'static str> {
        let (number, (_, a, b)) =
            self.links.iter().enumerate().find(|(_, (name, ..))| *name == link)?;
        [("a", *a), ("b", *b)].into_iter().find_map(|(end, router)| {
            let addresses = [
                format!("fe80::ff:fe00:{end}00{number}"),
                format!("fc00:{}::{}", &link[1..], &router[1..]),
            ];
            addresses.iter().any(|known| known == address).then_some(router)
        })
    }

    /// The prefix of a link, and the router IDs of its ends, as BGP-LS has them.
    pub fn link_prefixes(&self) -> impl Iterator<Item = (String, [String; 2])> {
        self.links.iter().map(|(link, a, b)| {
            let id = |router: &str| router_id(router[1..].parse().unwrap_or_default());
            (format!("fc00:{}::/64", &link[1..]), [id(a), id(b)])
        })
    }

    /// Starts FRR in router *n*.
    pub fn start(&self, lab: &Lab, n: u8) -> Result<Frr> {
        let name = format!("r{n}");
        Frr::start(lab.node(&name), &name, &self.config(n))
    }

    fn config(&self, n: u8) -> String {
        let mut text = format!(
            "hostname r{n}\n\
             interface lo\n ipv6 address fc00:0:{n}::1/128\n ipv6 router isis 1\n isis passive\n"
        );
        for interface in self.interfaces(n) {
            text += &format!("interface {interface}\n ipv6 router isis 1\n");
            if interface.ends_with('h') {
                text += " isis passive\n";
                continue;
            }
            // Without link-params there is no link in the BGP-LS feed.
            text += " isis network point-to-point\n isis hello-interval 1\n isis metric 10\n \
                     link-params\n  enable\n  metric 10\n  max-bw 1.25e+09\n exit-link-params\n";
        }
        text + &format!(
            "segment-routing\n srv6\n  locators\n   locator MAIN\n    \
             prefix fcbb:bbbb:{n}::/48\n    format usid-f3216\n\
             router isis 1\n net 49.0000.0000.0000.000{n}.00\n is-type level-2-only\n \
             topology ipv6-unicast\n lsp-gen-interval 1\n spf-interval 1\n \
             distribute link-state\n segment-routing srv6\n  locator MAIN\n  interface sr0\n"
        )
    }
}

/// IS-IS's system ID of router *n*.
pub fn router_id(n: u8) -> String {
    format!("0000.0000.{n:04x}")
}
