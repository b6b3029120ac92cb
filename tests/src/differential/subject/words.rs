//! How a subject is configured, in the kernel's words and in Sidewinder's.

use anyhow::Result;

use super::{Demand, LINK_LOCAL, ROUTER, Subject};
use crate::lab::star::{self, LINKS, WORLD_MACS};
use crate::lab::{Netns, linux};
use crate::packet::hmac;

/// Prefixes of IPv4 behind out1: of what is not encapsulated, and of where packets come from.
const PLAIN4: [&str; 2] = ["203.0.113.0/24", "192.0.2.0/24"];

/// The file of keys, beside the configuration.
const KEYS: &str = "keys.toml";

impl Subject {
    /// What the kernel is told besides the routes that all subjects share.
    pub fn linux(self) -> Vec<String> {
        let sid = self.target();
        let local = |action: &str| {
            vec![format!("route add {sid}/128 encap seg6local action {action} dev out0")]
        };
        let csid = |action: &str| {
            let bits = self.csid_bits().unwrap_or_default();
            let length = 32 + bits;
            let psp = if self.pops() { "psp," } else { "" };
            vec![format!(
                "route add {sid}/{length} encap seg6local action {action} \
                 flavors {psp}next-csid lblen 32 nflen {bits} dev out0"
            )]
        };
        let steer = |mode: &str| {
            let segs = self.segments().join(",");
            let key =
                if self.signs() { format!(" hmac {}", hmac::KEYS[0].0) } else { String::new() };
            let encap = format!("encap seg6 mode {mode} segs {segs}{key}");
            if !self.takes_v4() {
                return vec![format!("route add 2001:db8:e::/48 {encap} dev out0")];
            }
            let mut lines = vec![format!("route add 198.51.100.0/24 {encap} dev out0")];
            lines.extend(PLAIN4.map(|prefix| format!("route add {prefix} via 10.9.0.2 dev out1")));
            lines
        };
        match self {
            Self::Forward => Vec::new(),
            Self::End => local("End"),
            Self::EndPsp => local("End flavors psp"),
            Self::EndX => local("End.X nh6 fe80::c oif out1"),
            Self::EndT => local("End.T table 100"),
            Self::UN | Self::UNPsp => csid("End"),
            Self::UA | Self::UNUA => csid("End.X nh6 fe80::c oif out1"),
            Self::EndB6Encaps => {
                local(&format!("End.B6.Encaps srh segs {}", self.segments().join(",")))
            }
            // A link-local next hop without an interface would be looked up on in0: End.DX6 has no
            // `oif` in Linux. A /128 route leads the lookup to out1.
            Self::EndDx6 => local("End.DX6 nh6 fc00:c::2"),
            Self::EndDx4 => local("End.DX4 nh4 10.9.0.2"),
            Self::EndDt6 => local("End.DT6 table main"),
            Self::EndDx2 => local("End.DX2 oif out1"),
            Self::EndHmac(_) => local("End"),
            Self::Encaps(_) | Self::EncapsHmac(_) | Self::EncapsV4(_) => steer("encap"),
            Self::EncapsRed(_) | Self::EncapsRedHmac(_) | Self::EncapsRedV4(_) => {
                steer("encap.red")
            }
            Self::EncapsL2(_) => steer("l2encap"),
            Self::EncapsL2Red(_) => steer("l2encap.red"),
            Self::Insert(_) => steer("inline"),
        }
    }

    /// What else the kernel has to know: keys, and what is asked of signatures on in0.
    pub fn tell_linux(self, router: &Netns) -> Result<()> {
        if !self.has_keys() {
            return Ok(());
        }
        for (id, secret) in hmac::KEYS {
            linux::hmac_key(router, id, secret)?;
        }
        let demand = match self.demand() {
            Demand::Ignore => -1,
            Demand::IfPresent => 0,
            Demand::Require => 1,
        };
        router.sysctl("net/ipv6/conf/in0/seg6_require_hmac", demand)
    }

    /// The whole configuration, as Sidewinder is told.
    pub fn configuration(self) -> String {
        let mut text = toml();
        if self.has_keys() {
            text = text.replace("[router]\n", &format!("[router]\nhmac-keys = \"{KEYS}\"\n"));
        }
        if self.takes_frames() {
            let hops = format!("[router]\nencap-hop-limit = {}\n", self.outer_hops());
            text = text.replace("[router]\n", &hops);
            text = text.replace("name = \"in0\"\n", "name = \"in0\"\npolicy = \"far\"\n");
        }
        text + &self.toml()
    }

    /// The files beside it: name and text.
    pub fn secrets(self) -> Vec<(&'static str, String)> {
        if !self.has_keys() {
            return Vec::new();
        }
        let key = |(id, secret)| {
            format!("[[key]]\nid = {id}\nform = \"linux\"\nsecret = \"{secret}\"\n\n")
        };
        vec![(KEYS, hmac::KEYS.map(key).concat())]
    }

    /// What Sidewinder is told besides.
    pub fn toml(self) -> String {
        let local = |lines: &str| format!("[[sid]]\nsid = \"{}\"\n{lines}\n", self.target());
        let csid = |lines: &str| {
            let length = 32 + self.csid_bits().unwrap_or_default();
            let psp = if self.pops() { "\"PSP\", " } else { "" };
            format!(
                "[[sid]]\nsid = \"{}/{length}\"\nblock-bits = 32\n\
                 flavors = [{psp}\"NEXT-CSID\"]\n{lines}\n",
                self.target()
            )
        };
        let policy = |behavior: &str| {
            let segs = self.segments();
            format!("[[policy]]\nname = \"far\"\nbehavior = \"{behavior}\"\nsegs = {segs:?}\n")
        };
        let steer = |behavior: &str| {
            let key = if self.signs() {
                format!("hmac-key = {}\n", hmac::KEYS[0].0)
            } else {
                String::new()
            };
            let to = if self.takes_v4() { "198.51.100.0/24" } else { "2001:db8:e::/48" };
            let route = format!("[[route]]\nprefix = \"{to}\"\npolicy = \"far\"\n");
            let mut text = format!("{}{key}\n{route}", policy(behavior));
            for prefix in PLAIN4.iter().filter(|_| self.takes_v4()) {
                text += &format!("\n[[route]]\nprefix = \"{prefix}\"\nnh4 = \"10.9.0.2\"\n");
                text += "interface = \"out1\"\n";
            }
            text
        };
        match self {
            Self::Forward => String::new(),
            Self::End => local("behavior = \"End\""),
            Self::EndPsp => local("behavior = \"End\"\nflavors = [\"PSP\"]"),
            Self::EndX => local("behavior = \"End.X\"\nnh6 = \"fe80::c\"\ninterface = \"out1\""),
            Self::EndT => local("behavior = \"End.T\"\ntable = 100"),
            Self::UN | Self::UNPsp => csid("behavior = \"End\""),
            Self::UA | Self::UNUA => {
                csid("behavior = \"End.X\"\nnh6 = \"fe80::c\"\ninterface = \"out1\"")
            }
            Self::EndB6Encaps => format!("{}bsid = \"{}\"\n", policy("H.Encaps"), self.target()),
            Self::EndDx6 => {
                local("behavior = \"End.DX6\"\nnh6 = \"fc00:c::2\"\ninterface = \"out1\"")
            }
            Self::EndDx4 => {
                local("behavior = \"End.DX4\"\nnh4 = \"10.9.0.2\"\ninterface = \"out1\"")
            }
            Self::EndDt6 => local("behavior = \"End.DT6\"\ntable = \"main\""),
            Self::EndDx2 => local("behavior = \"End.DX2\"\ninterface = \"out1\""),
            Self::EndHmac(demand) => {
                local(&format!("behavior = \"End\"\nhmac = \"{}\"", demand.word()))
            }
            Self::Encaps(_) | Self::EncapsHmac(_) | Self::EncapsV4(_) => steer("H.Encaps"),
            Self::EncapsRed(_) | Self::EncapsRedHmac(_) | Self::EncapsRedV4(_) => {
                steer("H.Encaps.Red")
            }
            // The interface is steered, and no route.
            Self::EncapsL2(_) => policy("H.Encaps.L2"),
            Self::EncapsL2Red(_) => policy("H.Encaps.L2.Red"),
            Self::Insert(_) => steer("H.Insert"),
        }
    }
}

/// Addresses and neighbours, which the kernel is told on both sides. Every neighbour that a packet
/// may ask for is known by hand: nothing waits for neighbour discovery, whose failure would answer
/// a packet seconds later.
pub fn addresses() -> Vec<String> {
    let mut lines = vec![
        format!("addr add {ROUTER}/128 dev lo nodad"),
        "addr add 10.9.0.1/30 dev out1".into(),
        "neigh add 10.9.0.2 lladdr 02:00:00:00:02:02 dev out1 nud permanent".into(),
        "neigh add fc00:c::2 lladdr 02:00:00:00:02:02 dev out1 nud permanent".into(),
    ];
    lines.extend(star::neighbors());
    for (link, mac) in LINKS.iter().zip(WORLD_MACS) {
        lines.push(format!("neigh add {LINK_LOCAL} lladdr {mac} dev {link} nud permanent"));
    }
    lines
}

/// The routes that every subject starts from, as the kernel is told.
pub fn linux_routes() -> Vec<String> {
    let mut lines = vec!["route add fc00:c::2/128 dev out1".into()];
    for (prefix, via, dev, table) in ROUTES {
        lines.push(format!("route add {prefix} via {via} dev {dev} table {table}"));
    }
    lines
}

/// Prefix, next hop, interface, table.
pub(super) const ROUTES: [(&str, &str, &str, &str); 7] = [
    ("2001:db8:a::/48", "fe80::a", "in0", "main"),
    ("2001:db8:b::/48", "fe80::b", "out0", "main"),
    ("fc00:0:2::/48", "fe80::b", "out0", "main"),
    ("fc00:0:3::/48", "fe80::c", "out1", "main"),
    ("2001:db8:b::/48", "fe80::c", "out1", "100"),
    ("fc00:0:2::/48", "fe80::c", "out1", "100"),
    ("fc00:0:3::/48", "fe80::c", "out1", "100"),
];

/// The configuration that every subject starts from, as Sidewinder is told.
pub fn toml() -> String {
    let mut text = format!(
        "[router]\nname = \"differential\"\nencap-source = \"{ROUTER}\"\nicmp-source = \"{ROUTER}\"\n\
         encap-flow-label = \"copy\"\nicmp-rate = 0\nsocket = \"@SOCKET@\"\n\n\
         [[locator]]\nname = \"main\"\nprefix = \"fc00:0:1::/48\"\n\
         block-bits = 32\nnode-bits = 16\nfunction-bits = 16\n\n"
    );
    let mut section = |lines: &[String]| {
        text.push_str(&lines.join("\n"));
        text.push_str("\n\n");
    };
    section(&[star::toml()]);
    section(&neighbor_lines("fc00:c::2", "out1", WORLD_MACS[2]));
    section(&neighbor_lines("10.9.0.2", "out1", WORLD_MACS[2]));
    for (prefix, via, dev, table) in ROUTES {
        let table = if table == "main" { "\"main\"".to_owned() } else { table.to_owned() };
        section(&[
            "[[route]]".into(),
            format!("prefix = \"{prefix}\""),
            format!("nh6 = \"{via}\""),
            format!("interface = \"{dev}\""),
            format!("table = {table}"),
        ]);
    }
    text
}

fn neighbor_lines(address: &str, interface: &str, mac: &str) -> [String; 4] {
    [
        "[[neighbor]]".into(),
        format!("address = \"{address}\""),
        format!("interface = \"{interface}\""),
        format!("mac = \"{mac}\""),
    ]
}
