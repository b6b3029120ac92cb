//! What is compared: one behavior, configured in the kernel's words and in Sidewinder's.
//!
//! ```text
//!             in0 +--------+ out0   fe80::b: 2001:db8:b::/48, fc00:0:2::/48
//!  fe80::a -------| router |------
//!  2001:db8:a::/48|        |------  fe80::c: fc00:0:3::/48, End.X, End.DX6, End.DX4,
//!                 +--------+ out1            and all of table 100
//! ```

use std::fmt;
use std::net::Ipv6Addr;

use crate::lab::star::{self, LINKS, WORLD_MACS};

/// Where test packets come from: half of an address, before the tag.
pub const SOURCES: &str = "2001:db8:a::";
/// A host behind out0.
pub const HOST: &str = "2001:db8:b::9";
/// A host that is reached by encapsulation.
pub const FAR_HOST: &str = "2001:db8:e::9";
/// The router's own address, and the source of its ICMP errors and outer headers.
pub const ROUTER: &str = "fc00:0:1::1";

/// A link-local address that is nobody's next hop.
pub const LINK_LOCAL: &str = "fe80::1234";

/// The behavior under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Plain IPv6 forwarding.
    Forward,
    /// End.
    End,
    /// End with Penultimate Segment Pop.
    EndPsp,
    /// End.X over out1.
    EndX,
    /// End.T in table 100.
    EndT,
    /// End with NEXT-CSID: FRR's layout, a block of 32 bits and a compressed SID of 16.
    UN,
    /// End.X with NEXT-CSID over out1, a local compressed SID in the same layout.
    UA,
    /// The same behind the node's compressed SID, both taken together.
    UNUA,
    /// End.B6.Encaps with a policy of two segments.
    EndB6Encaps,
    /// End.DX6 over out1.
    EndDx6,
    /// End.DX4 over out1.
    EndDx4,
    /// End.DT6 in the main table.
    EndDt6,
    /// H.Encaps with so many segments.
    Encaps(usize),
    /// H.Encaps.Red with so many segments.
    EncapsRed(usize),
    /// H.Insert with so many segments besides the destination.
    Insert(usize),
}

/// What a subject does with packets, as far as it matters for making good ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Packets go through.
    Transit,
    /// Packets go on to their next segment.
    Endpoint,
    /// Packets are taken out of their outer header.
    Decap,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// To the neighbour on the link of this number.
    Link(usize),
    /// To the subject's SID.
    Sid,
    /// Into the subject's policy.
    Policy,
    /// To the router itself.
    Router,
}

impl Subject {
    /// Every subject that Linux has too.
    pub const ALL: [Self; 20] = [
        Self::Forward,
        Self::End,
        Self::EndPsp,
        Self::EndX,
        Self::EndT,
        Self::UN,
        Self::UA,
        Self::UNUA,
        Self::EndB6Encaps,
        Self::EndDx6,
        Self::EndDx4,
        Self::EndDt6,
        Self::Encaps(1),
        Self::Encaps(2),
        Self::Encaps(3),
        Self::EncapsRed(1),
        Self::EncapsRed(2),
        Self::EncapsRed(3),
        Self::Insert(1),
        Self::Insert(3),
    ];

    /// The subject whose name is `text`.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.to_string() == text)
    }

    /// What it does, roughly.
    pub fn family(self) -> Family {
        match self {
            Self::Forward | Self::Encaps(_) | Self::EncapsRed(_) | Self::Insert(_) => {
                Family::Transit
            }
            Self::End | Self::EndPsp | Self::EndX | Self::EndT => Family::Endpoint,
            Self::UN | Self::UA | Self::UNUA | Self::EndB6Encaps => Family::Endpoint,
            Self::EndDx6 | Self::EndDx4 | Self::EndDt6 => Family::Decap,
        }
    }

    /// The address that packets for it are sent to.
    pub fn target(self) -> Ipv6Addr {
        let text = match self {
            Self::Forward => HOST,
            Self::Encaps(_) | Self::EncapsRed(_) | Self::Insert(_) => FAR_HOST,
            Self::UN => "fc00:0:c::",
            Self::UA => "fc00:0:e00c::",
            Self::UNUA => "fc00:0:c:e00c::",
            _ => "fc00:0:1:e::",
        };
        text.parse().unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    /// Bits of the compressed SID, behind a block of 32, of a subject with NEXT-CSID.
    pub fn csid_bits(self) -> Option<u8> {
        match self {
            Self::UN | Self::UA => Some(16),
            Self::UNUA => Some(32),
            _ => None,
        }
    }

    /// Whether packets to this address are for the subject's SID.
    fn is_sid(self, address: Ipv6Addr) -> bool {
        let argument = 128 - self.csid_bits().map_or(128, |bits| 32 + bits);
        u128::from(address) >> argument == u128::from(self.target()) >> argument
    }

    /// Where a table leads an address, as [`ROUTES`] and this subject's own routes have it.
    pub fn route(self, table: &str, address: Ipv6Addr) -> Option<Hop> {
        let within = |prefix: &str| {
            let prefix = prefix.strip_suffix("/48").and_then(|prefix| prefix.parse().ok());
            prefix.is_some_and(|prefix: Ipv6Addr| prefix.segments()[..3] == address.segments()[..3])
        };
        if table == "main" {
            if address.to_string() == ROUTER {
                return Some(Hop::Router);
            }
            match self.family() {
                Family::Endpoint | Family::Decap if self.is_sid(address) => {
                    return Some(Hop::Sid);
                }
                Family::Transit if !self.segments().is_empty() && within("2001:db8:e::/48") => {
                    return Some(Hop::Policy);
                }
                _ => {}
            }
        }
        let (_, _, link, _) = ROUTES.iter().find(|row| row.3 == table && within(row.0))?;
        LINKS.iter().position(|name| name == link).map(Hop::Link)
    }

    /// The segments that a headend writes, first to last.
    pub fn segments(self) -> &'static [&'static str] {
        const SEGMENTS: [&str; 3] = ["fc00:0:2:e::", "fc00:0:3:e::", "fc00:0:4:d6::"];
        match self {
            Self::Encaps(count) | Self::EncapsRed(count) | Self::Insert(count) => {
                &SEGMENTS[..count]
            }
            Self::EndB6Encaps => &SEGMENTS[..2],
            _ => &[],
        }
    }

    /// Bytes that it puts into packets: an SRH with the packet's own destination besides its segments.
    pub fn inserted(self) -> usize {
        match self {
            Self::Insert(count) => 8 + 16 * (count + 1),
            _ => 0,
        }
    }

    /// What the kernel is told besides the routes that all subjects share.
    pub fn linux(self) -> Vec<String> {
        let sid = self.target();
        let local = |action: &str| {
            vec![format!("route add {sid}/128 encap seg6local action {action} dev out0")]
        };
        let csid = |action: &str| {
            let bits = self.csid_bits().unwrap_or_default();
            let length = 32 + bits;
            vec![format!(
                "route add {sid}/{length} encap seg6local action {action} \
                 flavors next-csid lblen 32 nflen {bits} dev out0"
            )]
        };
        let steer = |mode: &str| {
            let segs = self.segments().join(",");
            vec![format!("route add 2001:db8:e::/48 encap seg6 mode {mode} segs {segs} dev out0")]
        };
        match self {
            Self::Forward => Vec::new(),
            Self::End => local("End"),
            Self::EndPsp => local("End flavors psp"),
            Self::EndX => local("End.X nh6 fe80::c oif out1"),
            Self::EndT => local("End.T table 100"),
            Self::UN => csid("End"),
            Self::UA | Self::UNUA => csid("End.X nh6 fe80::c oif out1"),
            Self::EndB6Encaps => {
                local(&format!("End.B6.Encaps srh segs {}", self.segments().join(",")))
            }
            // A link-local next hop without an interface would be looked up on in0: End.DX6 has no
            // `oif` in Linux. A /128 route leads the lookup to out1.
            Self::EndDx6 => local("End.DX6 nh6 fc00:c::2"),
            Self::EndDx4 => local("End.DX4 nh4 10.9.0.2"),
            Self::EndDt6 => local("End.DT6 table main"),
            Self::Encaps(_) => steer("encap"),
            Self::EncapsRed(_) => steer("encap.red"),
            Self::Insert(_) => steer("inline"),
        }
    }

    /// What Sidewinder is told besides.
    pub fn toml(self) -> String {
        let local = |lines: &str| format!("[[sid]]\nsid = \"{}\"\n{lines}\n", self.target());
        let csid = |lines: &str| {
            let length = 32 + self.csid_bits().unwrap_or_default();
            format!(
                "[[sid]]\nsid = \"{}/{length}\"\nblock-bits = 32\n\
                 flavors = [\"NEXT-CSID\"]\n{lines}\n",
                self.target()
            )
        };
        let steer = |behavior: &str| {
            format!(
                "[[policy]]\nname = \"far\"\nbehavior = \"{behavior}\"\nsegs = {:?}\n\n\
                 [[route]]\nprefix = \"2001:db8:e::/48\"\npolicy = \"far\"\n",
                self.segments()
            )
        };
        match self {
            Self::Forward => String::new(),
            Self::End => local("behavior = \"End\""),
            Self::EndPsp => local("behavior = \"End\"\nflavors = [\"PSP\"]"),
            Self::EndX => local("behavior = \"End.X\"\nnh6 = \"fe80::c\"\ninterface = \"out1\""),
            Self::EndT => local("behavior = \"End.T\"\ntable = 100"),
            Self::UN => csid("behavior = \"End\""),
            Self::UA | Self::UNUA => {
                csid("behavior = \"End.X\"\nnh6 = \"fe80::c\"\ninterface = \"out1\"")
            }
            Self::EndB6Encaps => format!(
                "[[policy]]\nname = \"far\"\nbehavior = \"H.Encaps\"\nsegs = {:?}\n\
                 bsid = \"{}\"\n",
                self.segments(),
                self.target()
            ),
            Self::EndDx6 => {
                local("behavior = \"End.DX6\"\nnh6 = \"fc00:c::2\"\ninterface = \"out1\"")
            }
            Self::EndDx4 => {
                local("behavior = \"End.DX4\"\nnh4 = \"10.9.0.2\"\ninterface = \"out1\"")
            }
            Self::EndDt6 => local("behavior = \"End.DT6\"\ntable = \"main\""),
            Self::Encaps(_) => steer("H.Encaps"),
            Self::EncapsRed(_) => steer("H.Encaps.Red"),
            Self::Insert(_) => steer("H.Insert"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward => f.write_str("IPv6"),
            Self::End => f.write_str("End"),
            Self::EndPsp => f.write_str("End-PSP"),
            Self::EndX => f.write_str("End.X"),
            Self::EndT => f.write_str("End.T"),
            Self::UN => f.write_str("uN"),
            Self::UA => f.write_str("uA"),
            Self::UNUA => f.write_str("uN+uA"),
            Self::EndB6Encaps => f.write_str("End.B6.Encaps"),
            Self::EndDx6 => f.write_str("End.DX6"),
            Self::EndDx4 => f.write_str("End.DX4"),
            Self::EndDt6 => f.write_str("End.DT6"),
            Self::Encaps(count) => write!(f, "H.Encaps-{count}"),
            Self::EncapsRed(count) => write!(f, "H.Encaps.Red-{count}"),
            Self::Insert(count) => write!(f, "H.Insert-{count}"),
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
const ROUTES: [(&str, &str, &str, &str); 7] = [
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for subject in Subject::ALL {
            assert_eq!(Subject::named(&subject.to_string()), Some(subject));
        }
    }
}
