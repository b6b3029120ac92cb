//! Four routers, each linked to every other, and two customers with two sites each whose addresses are
//! the same:
//!
//! ```text
//!   red1 ---- r1 ------ r2 ---- red2       table 100
//!  blue1 ----/  \ \  / /  \---- blue2      table 200
//!                 \/\/
//!                r3--r4
//! ```
//!
//! Router `n` has the locators `fc00:0:n::/48` and `fcbb:0:n::/48` (of a block of 32 bits, for compressed
//! SIDs) and the address `fc00:0:n::1`. Site `n` of either customer is `2001:db8:n::/64` and
//! `10.0.n.0/24`, its host `…1`; only blue has site 9 behind r2, on the same host.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::{End, Lab, Sidewinder, linux};

/// Outer headers fit, around a customer's 1500 bytes and an Ethernet header.
const CORE_MTU: u32 = 1700;
const HOST_MTU: u32 = 1500;

/// A customer: the name of its hosts, and its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Of the hosts, before the number of the site.
    pub name: &'static str,
    /// Table of its routes.
    pub table: u32,
}

/// The one.
pub const RED: Customer = Customer { name: "red", table: 100 };
/// The other, with site 9 besides.
pub const BLUE: Customer = Customer { name: "blue", table: 200 };

/// What a story has the routers configured with, besides what all have.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The behavior of policies.
    pub headend: &'static str,
    /// Segments from r1 to the customer's table at r2; `@T@` is the first digit of the table's number.
    pub forth: &'static [&'static str],
    /// And back.
    pub back: &'static [&'static str],
    /// Lines that every router has: `@N@` is its number, `@NEXT@` the next one's; sections with `@T@` are
    /// there for both tables.
    pub everywhere: &'static str,
    /// Whether the customers have IPv6.
    pub v6: bool,
    /// Whether they have IPv4.
    pub v4: bool,
}

impl Story {
    /// The segments of a direction for a customer.
    fn segs(list: &[&str], customer: Customer) -> Vec<String> {
        list.iter().map(|sid| sid.replace("@T@", &digit(customer))).collect()
    }
}

fn digit(customer: Customer) -> String {
    (customer.table / 100).to_string()
}

/// The network, forwarding. Dropping it stops the daemons, then removes the namespaces.
#[derive(Debug)]
pub struct Mesh {
    daemons: Vec<Sidewinder>,
    /// The namespaces.
    pub lab: Lab,
}

impl Mesh {
    /// Builds it for a story.
    pub fn new(story: &Story) -> Result<Self> {
        let lab = wire()?;
        let start = |n| Sidewinder::start(lab.node(&format!("r{n}")), &toml(n, story));
        let daemons = (1..=4).map(start).collect::<Result<_>>()?;
        Ok(Self { daemons, lab })
    }

    /// The network with two hosts on one wire, `wire1` at r1 and `wire2` at r2, whose frames are cargo.
    pub fn with_wire() -> Result<Self> {
        let lab = wire()?;
        let start = |n| Sidewinder::start(lab.node(&format!("r{n}")), &wire_toml(n));
        let daemons = (1..=4).map(start).collect::<Result<_>>()?;
        Ok(Self { daemons, lab })
    }

    /// Asks router `n` by `sidewinder LINE`; a failure is an error.
    pub fn ask(&self, n: usize, line: &str) -> Result<String> {
        self.daemons[n - 1].command(line)
    }

    /// Packets that a SID of router `n` was applied to.
    pub fn packets(&self, n: usize, sid: &str) -> Result<u64> {
        let shown: Value = serde_json::from_str(&self.ask(n, "show sids --json")?)?;
        let found = shown.as_array().into_iter().flatten().find(|one| {
            one["sid"].as_str().is_some_and(|text| text.split('/').next() == sid.split('/').next())
        });
        let count = found.and_then(|one| one["packets"].as_u64());
        count.with_context(|| format!("no packets of {sid} in {shown}"))
    }

    /// Pings an address from a host; fails where an answer is missing. The first packets find the
    /// neighbours.
    pub fn ping(&self, from: &str, address: &str, count: u32) -> Result<()> {
        let family = if address.contains(':') { 6 } else { 4 };
        let host = self.lab.node(from);
        host.run(&format!("ping -{family} -n -c 1 -w 5 -i 0.2 {address}"))?;
        let text = host.run(&format!("ping -{family} -n -c {count} -i 0.01 -W 2 {address}"))?;
        ensure!(text.contains(" 0% packet loss"), "{from} to {address} lost packets:\n{text}");
        Ok(())
    }

    /// Whether an address does not answer.
    pub fn is_silent(&self, from: &str, address: &str) -> bool {
        let family = if address.contains(':') { 6 } else { 4 };
        let ping = format!("ping -{family} -n -c 3 -i 0.05 -W 1 {address}");
        self.lab.node(from).run(&ping).is_err()
    }
}

/// Links, addresses, and the hosts' routes.
fn wire() -> Result<Lab> {
    let lab =
        Lab::new(&["r1", "r2", "r3", "r4", "red1", "red2", "blue1", "blue2", "wire1", "wire2"])?;
    for n in 1..=4 {
        linux::forwarding(lab.node(&format!("r{n}")))?;
    }
    for (a, b) in [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)] {
        let (left, right) = (format!("r{a}"), format!("r{b}"));
        let (to_right, to_left) = (format!("to{b}"), format!("to{a}"));
        let (mac_a, mac_b) = (format!("02:00:00:00:0{a}:0{b}"), format!("02:00:00:00:0{b}:0{a}"));
        let ends = [End::new(&left, &to_right, &mac_a), End::new(&right, &to_left, &mac_b)];
        lab.link(ends[0], ends[1], CORE_MTU)?;
        lab.node(&left).ip(&format!("addr add fe80::{a}/64 dev {to_right} nodad"))?;
        lab.node(&right).ip(&format!("addr add fe80::{b}/64 dev {to_left} nodad"))?;
        // For what the routers say as hosts.
        let way = |n, dev: &str| format!("route add fc00:0:{n}::/48 via fe80::{n} dev {dev}");
        lab.node(&left).ip(&way(b, &to_right))?;
        lab.node(&right).ip(&way(a, &to_left))?;
    }
    for n in 1..=4 {
        lab.node(&format!("r{n}")).ip(&format!("addr add fc00:0:{n}::1/128 dev lo nodad"))?;
    }
    for n in 1..=2 {
        let router = format!("r{n}");
        for (kind, name) in [RED.name, BLUE.name, "wire"].iter().enumerate() {
            let host = format!("{name}{n}");
            let (ours, theirs) =
                (format!("02:00:00:0a:0{n}:0{kind}"), format!("02:00:00:0b:0{n}:0{kind}"));
            let ends = [End::new(&router, name, &ours), End::new(&host, "eth0", &theirs)];
            lab.link(ends[0], ends[1], HOST_MTU)?;
            if *name == "wire" {
                lab.node(&host).ip_batch([
                    format!("addr add 2001:db8:77::{n}/64 dev eth0 nodad"),
                    format!("addr add 10.0.77.{n}/24 dev eth0"),
                ])?;
                continue;
            }
            lab.node(&router).ip_batch([
                format!("addr add fe80::ff/64 dev {name} nodad"),
                format!("addr add 10.0.{n}.254/24 dev {name}"),
            ])?;
            lab.node(&host).ip_batch([
                format!("addr add 2001:db8:{n}::1/64 dev eth0 nodad"),
                format!("addr add 10.0.{n}.1/24 dev eth0"),
                "route add default via fe80::ff dev eth0".into(),
                format!("route add default via 10.0.{n}.254"),
            ])?;
        }
    }
    lab.node("blue2")
        .ip_batch(["addr add 2001:db8:9::1/128 dev lo nodad", "addr add 10.0.9.1/32 dev lo"])?;
    Ok(lab)
}

/// What every router has: its name, its interfaces in the core, and the ways to the others' locators.
fn base(n: usize) -> String {
    let mut text = format!(
        "[router]\nname = \"r{n}\"\nencap-source = \"fc00:0:{n}::1\"\nicmp-source = \"fc00:0:{n}::1\"\n\
         socket = \"@SOCKET@\"\n\n\
         [[locator]]\nname = \"main\"\nprefix = \"fc00:0:{n}::/48\"\n\
         block-bits = 32\nnode-bits = 16\nfunction-bits = 16\n\n\
         [[locator]]\nname = \"compressed\"\nprefix = \"fcbb:0:{n}::/48\"\n\
         block-bits = 32\nnode-bits = 16\nfunction-bits = 16\n"
    );
    for other in (1..=4).filter(|other| *other != n) {
        let _ = write!(text, "\n[[interface]]\nname = \"to{other}\"\n");
        for block in ["fc00", "fcbb"] {
            let _ = write!(
                text,
                "\n[[route]]\nprefix = \"{block}:0:{other}::/48\"\nnh6 = \"fe80::{other}\"\n\
                 interface = \"to{other}\"\n"
            );
        }
    }
    text
}

/// The configuration of router `n` in a story.
fn toml(n: usize, story: &Story) -> String {
    let mut text = base(n);
    let (number, next) = (n.to_string(), (n % 4 + 1).to_string());
    for section in story.everywhere.split_inclusive("\n\n") {
        let section = section.replace("@N@", &number).replace("@NEXT@", &next);
        if section.contains("@T@") {
            for customer in [RED, BLUE] {
                text.push_str(&section.replace("@T@", &digit(customer)));
            }
        } else {
            text.push_str(&section);
        }
    }
    if n > 2 {
        return text;
    }
    let (list, far) = if n == 1 { (story.forth, 2) } else { (story.back, 1) };
    for customer in [RED, BLUE] {
        let Customer { name, table } = customer;
        let _ = write!(
            text,
            "\n[[interface]]\nname = \"{name}\"\ntable = {table}\n\
             \n[[policy]]\nname = \"{name}\"\nbehavior = \"{}\"\nsegs = {:?}\n",
            story.headend,
            Story::segs(list, customer)
        );
        let mut route = |prefix: &str, to: &str| {
            let _ = write!(text, "\n[[route]]\nprefix = \"{prefix}\"\ntable = {table}\n{to}\n");
        };
        let policy = format!("policy = \"{name}\"");
        let sites: &[usize] = if customer == BLUE && n == 1 { &[2, 9] } else { &[far] };
        // On the side of the host: a neighbour that is found on its own link, since the other
        // customer's has the same address.
        let near: &[usize] = if customer == BLUE && n == 2 { &[2, 9] } else { &[n] };
        if story.v6 {
            let host = format!("nh6 = \"2001:db8:{n}::1\"\ninterface = \"{name}\"");
            sites.iter().for_each(|site| route(&format!("2001:db8:{site}::/64"), &policy));
            near.iter().for_each(|site| route(&format!("2001:db8:{site}::/64"), &host));
        }
        if story.v4 {
            let host = format!("nh4 = \"10.0.{n}.1\"\ninterface = \"{name}\"");
            sites.iter().for_each(|site| route(&format!("10.0.{site}.0/24"), &policy));
            // Longer than the interface's own network.
            near.iter().for_each(|site| route(&format!("10.0.{site}.1/32"), &host));
        }
    }
    text
}

/// The same where r1 and r2 are the ends of a wire.
fn wire_toml(n: usize) -> String {
    let mut text = base(n);
    let _ = write!(text, "\n[[sid]]\nsid = \"fc00:0:{n}:e::\"\nbehavior = \"End\"\n");
    let segs: &[&str] = match n {
        1 => &["fc00:0:3:e::", "fc00:0:4:e::", "fc00:0:2:d2::"],
        2 => &["fc00:0:1:d2::"],
        _ => return text,
    };
    let _ = write!(
        text,
        "\n[[sid]]\nsid = \"fc00:0:{n}:d2::\"\nbehavior = \"End.DX2\"\ninterface = \"wire\"\n\
         \n[[policy]]\nname = \"wire\"\nbehavior = \"H.Encaps.L2.Red\"\nsegs = {segs:?}\n\
         \n[[interface]]\nname = \"wire\"\npolicy = \"wire\"\n"
    );
    text
}
