//! What is compared: one behavior, configured in the kernel's words and in Sidewinder's.
//!
//! ```text
//!             in0 +--------+ out0   fe80::b: 2001:db8:b::/48, fc00:0:2::/48
//!  fe80::a -------| router |------
//!  2001:db8:a::/48|        |------  fe80::c: fc00:0:3::/48, End.X, End.DX6, End.DX4,
//!                 +--------+ out1            and all of table 100
//! ```

mod words;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::lab::star::LINKS;

use words::ROUTES;
pub use words::{addresses, linux_routes, toml};

/// Where test packets come from: half of an address, before the tag.
pub const SOURCES: &str = "2001:db8:a::";
/// A host behind out0.
pub const HOST: &str = "2001:db8:b::9";
/// A host that is reached by encapsulation.
pub const FAR_HOST: &str = "2001:db8:e::9";
/// The router's own address, and the source of its ICMP errors and outer headers.
pub const ROUTER: &str = "fc00:0:1::1";

/// The same for IPv4: its only address.
pub const ROUTER4: &str = "10.9.0.1";

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
    /// The same with Penultimate Segment Pop.
    UNPsp,
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
    /// End.DX2 by out1.
    EndDx2,
    /// End, with something asked of the HMAC of its packets.
    EndHmac(Demand),
    /// H.Encaps with so many segments.
    Encaps(usize),
    /// H.Encaps.Red with so many segments.
    EncapsRed(usize),
    /// H.Encaps with so many segments, signed by an HMAC.
    EncapsHmac(usize),
    /// H.Encaps.Red with so many segments, signed by an HMAC.
    EncapsRedHmac(usize),
    /// H.Encaps of IPv4 with so many segments.
    EncapsV4(usize),
    /// H.Encaps.Red of IPv4 with so many segments.
    EncapsRedV4(usize),
    /// H.Encaps.L2 with so many segments, of the frames of in0.
    EncapsL2(usize),
    /// H.Encaps.L2.Red with so many segments, of the frames of in0.
    EncapsL2Red(usize),
    /// H.Insert with so many segments besides the destination.
    Insert(usize),
}

/// What a SID asks of the HMAC of its packets: the `seg6_require_hmac` of the kernel's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: -1.
    Ignore,
    /// That it is right if there is one: 0.
    IfPresent,
    /// That there is one, and it is right: 1.
    Require,
}

impl Demand {
    /// Its word in Sidewinder's configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::IfPresent => "verify-if-present",
            Self::Require => "require",
        }
    }
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
    pub const ALL: [Self; 35] = [
        Self::Forward,
        Self::End,
        Self::EndPsp,
        Self::EndX,
        Self::EndT,
        Self::UN,
        Self::UNPsp,
        Self::UA,
        Self::UNUA,
        Self::EndB6Encaps,
        Self::EndDx6,
        Self::EndDx4,
        Self::EndDt6,
        Self::EndDx2,
        Self::EndHmac(Demand::Ignore),
        Self::EndHmac(Demand::IfPresent),
        Self::EndHmac(Demand::Require),
        Self::Encaps(1),
        Self::Encaps(2),
        Self::Encaps(3),
        Self::EncapsRed(1),
        Self::EncapsRed(2),
        Self::EncapsRed(3),
        Self::EncapsHmac(1),
        Self::EncapsHmac(3),
        Self::EncapsRedHmac(1),
        Self::EncapsRedHmac(3),
        Self::EncapsV4(2),
        Self::EncapsRedV4(2),
        Self::EncapsL2(1),
        Self::EncapsL2(3),
        Self::EncapsL2Red(1),
        Self::EncapsL2Red(3),
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
            Self::Forward
            | Self::Encaps(_)
            | Self::EncapsRed(_)
            | Self::EncapsHmac(_)
            | Self::EncapsRedHmac(_)
            | Self::EncapsV4(_)
            | Self::EncapsRedV4(_)
            | Self::EncapsL2(_)
            | Self::EncapsL2Red(_)
            | Self::Insert(_) => Family::Transit,
            Self::End | Self::EndPsp | Self::EndX | Self::EndT => Family::Endpoint,
            Self::UN | Self::UNPsp | Self::UA | Self::UNUA => Family::Endpoint,
            Self::EndB6Encaps => Family::Endpoint,
            Self::EndHmac(_) => Family::Endpoint,
            Self::EndDx6 | Self::EndDx4 | Self::EndDt6 | Self::EndDx2 => Family::Decap,
        }
    }

    /// The address that packets for it are sent to.
    pub fn target(self) -> Ipv6Addr {
        let text = match self {
            Self::Forward => HOST,
            _ if self.family() == Family::Transit => FAR_HOST,
            Self::UN | Self::UNPsp => "fc00:0:c::",
            Self::UA => "fc00:0:e00c::",
            Self::UNUA => "fc00:0:c:e00c::",
            _ => "fc00:0:1:e::",
        };
        text.parse().unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    /// Bits of the compressed SID, behind a block of 32, of a subject with NEXT-CSID.
    pub fn csid_bits(self) -> Option<u8> {
        match self {
            Self::UN | Self::UNPsp | Self::UA => Some(16),
            Self::UNUA => Some(32),
            _ => None,
        }
    }

    /// Whether the SRH is taken out before the last segment.
    pub fn pops(self) -> bool {
        matches!(self, Self::EndPsp | Self::UNPsp)
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
            Self::Encaps(count)
            | Self::EncapsRed(count)
            | Self::EncapsHmac(count)
            | Self::EncapsRedHmac(count)
            | Self::EncapsV4(count)
            | Self::EncapsRedV4(count)
            | Self::EncapsL2(count)
            | Self::EncapsL2Red(count)
            | Self::Insert(count) => &SEGMENTS[..count],
            Self::EndB6Encaps => &SEGMENTS[..2],
            _ => &[],
        }
    }

    /// Whether the segment list that a headend writes is a reduced one.
    pub fn is_reduced(self) -> bool {
        let layer_3 = matches!(self, Self::EncapsRed(_) | Self::EncapsRedHmac(_));
        layer_3 || matches!(self, Self::EncapsRedV4(_) | Self::EncapsL2Red(_))
    }

    /// Whether it is a headend that signs.
    pub fn signs(self) -> bool {
        matches!(self, Self::EncapsHmac(_) | Self::EncapsRedHmac(_))
    }

    /// What it asks of the HMAC of its packets.
    pub fn demand(self) -> Demand {
        match self {
            Self::EndHmac(demand) => demand,
            _ => Demand::Ignore,
        }
    }

    /// Whether it makes or knows signatures.
    pub fn has_keys(self) -> bool {
        self.signs() || matches!(self, Self::EndHmac(_))
    }

    /// Whether its packets are IPv4.
    pub fn takes_v4(self) -> bool {
        matches!(self, Self::EncapsV4(_) | Self::EncapsRedV4(_))
    }

    /// The same as [`route`](Self::route) for IPv4.
    pub fn route_v4(self, address: Ipv4Addr) -> Option<Hop> {
        match address.octets() {
            _ if !self.takes_v4() => None,
            [198, 51, 100, _] => Some(Hop::Policy),
            [192, 0, 2, _] | [203, 0, 113, _] => Some(Hop::Link(2)),
            _ => None,
        }
    }

    /// Whether it is a headend that takes whole frames.
    pub fn takes_frames(self) -> bool {
        matches!(self, Self::EncapsL2(_) | Self::EncapsL2Red(_))
    }

    /// Hop limit of the outer header that it writes.
    pub fn outer_hops(self) -> u8 {
        // Linux copies that of the packet in a frame and takes one from it: so most packets, which
        // have 64, come out the same.
        if self.takes_frames() { 63 } else { 64 }
    }

    /// Bytes that it puts into packets: an SRH with the packet's own destination besides its segments.
    pub fn inserted(self) -> usize {
        match self {
            Self::Insert(count) => 8 + 16 * (count + 1),
            _ => 0,
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
            Self::UNPsp => f.write_str("uN-PSP"),
            Self::UA => f.write_str("uA"),
            Self::UNUA => f.write_str("uN+uA"),
            Self::EndB6Encaps => f.write_str("End.B6.Encaps"),
            Self::EndDx6 => f.write_str("End.DX6"),
            Self::EndDx4 => f.write_str("End.DX4"),
            Self::EndDt6 => f.write_str("End.DT6"),
            Self::EndDx2 => f.write_str("End.DX2"),
            Self::EndHmac(demand) => write!(f, "End-HMAC-{}", demand.word()),
            Self::EncapsHmac(count) => write!(f, "H.Encaps-HMAC-{count}"),
            Self::EncapsRedHmac(count) => write!(f, "H.Encaps.Red-HMAC-{count}"),
            Self::EncapsV4(count) => write!(f, "H.Encaps-IPv4-{count}"),
            Self::EncapsRedV4(count) => write!(f, "H.Encaps.Red-IPv4-{count}"),
            Self::EncapsL2(count) => write!(f, "H.Encaps.L2-{count}"),
            Self::EncapsL2Red(count) => write!(f, "H.Encaps.L2.Red-{count}"),
            Self::Encaps(count) => write!(f, "H.Encaps-{count}"),
            Self::EncapsRed(count) => write!(f, "H.Encaps.Red-{count}"),
            Self::Insert(count) => write!(f, "H.Insert-{count}"),
        }
    }
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
