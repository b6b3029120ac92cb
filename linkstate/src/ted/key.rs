//! What names an object: the descriptors of its NLRI (RFC 9552, section 5.2).
//!
//! A key keeps everything that tells two objects apart, also what we do not know, so that what is
//! withdrawn is what was announced.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

/// A TLV that we do not know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tlv {
    /// Its type.
    pub kind: u16,
    /// Its value.
    pub value: Box<[u8]>,
}

/// Where a piece of information comes from (RFC 9552, section 5.2, table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// IS-IS level 1.
    pub const ISIS_L1: Self = Self(1);
    /// IS-IS level 2.
    pub const ISIS_L2: Self = Self(2);
    /// OSPFv2.
    pub const OSPFV2: Self = Self(3);
    /// The peer's own interfaces.
    pub const DIRECT: Self = Self(4);
    /// Written by somebody.
    pub const STATIC: Self = Self(5);
    /// OSPFv3.
    pub const OSPFV3: Self = Self(6);
    /// BGP (RFC 9086).
    pub const BGP: Self = Self(7);

    /// Whether it is a routing protocol that floods, where every node has an IGP Router-ID.
    pub fn is_igp(self) -> bool {
        self.is_isis() || self.is_ospf()
    }

    /// Whether it is IS-IS.
    pub fn is_isis(self) -> bool {
        matches!(self, Self::ISIS_L1 | Self::ISIS_L2)
    }

    /// Whether it is OSPF.
    pub fn is_ospf(self) -> bool {
        matches!(self, Self::OSPFV2 | Self::OSPFV3)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::ISIS_L1 => "isis-l1",
            Self::ISIS_L2 => "isis-l2",
            Self::OSPFV2 => "ospfv2",
            Self::DIRECT => "direct",
            Self::STATIC => "static",
            Self::OSPFV3 => "ospfv3",
            Self::BGP => "bgp",
            Self(other) => return write!(f, "protocol-{other}"),
        })
    }
}

/// A flooding domain: what is in another is another network (RFC 9552, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// The protocol.
    pub protocol: Protocol,
    /// BGP-LS Instance-ID.
    pub identifier: u64,
}

/// IGP Router-ID: a system ID of IS-IS, a Router ID of OSPF, or one of these with what tells a
/// pseudonode (RFC 9552, section 5.2.1.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RouterId {
    length: u8,
    bytes: [u8; 16],
}

impl RouterId {
    /// From its octets; `None` if there are none, or too many.
    pub fn new(octets: &[u8]) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..octets.len())?.copy_from_slice(octets);
        (!octets.is_empty()).then_some(Self { length: octets.len() as u8, bytes })
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.bytes[..self.length.into()]
    }

    /// From what a person writes: an IPv4 or IPv6 address, or a system ID in groups of four
    /// hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(v4) = text.parse::<Ipv4Addr>() {
            return Self::new(&v4.octets());
        }
        if let Ok(v6) = text.parse::<Ipv6Addr>() {
            return Self::new(&v6.octets());
        }
        let (groups, pseudonode) = match text.len() {
            14 => (text, None),
            // System ID, and a pseudonode number in front of which there is a point or a hyphen.
            17 if text.is_ascii() => (&text[..14], Some(text[14..].strip_prefix(['.', '-'])?)),
            _ => return None,
        };
        let mut octets = Vec::with_capacity(7);
        let groups: Vec<_> = groups.split('.').collect();
        if groups.len() != 3 || groups.iter().any(|group| group.len() != 4) {
            return None;
        }
        for group in groups {
            if !group.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            octets.extend(u16::from_str_radix(group, 16).ok()?.to_be_bytes());
        }
        match pseudonode.map(|number| u8::from_str_radix(number, 16)) {
            None | Some(Ok(0)) => {}
            Some(number) => octets.push(number.ok()?),
        }
        Self::new(&octets)
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.octets() {
            [a, b, c, d] => Ipv4Addr::new(a, b, c, d).fmt(f),
            [a, b, c, d, e, g] => write!(f, "{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{g:02x}"),
            [a, b, c, d, e, g, pn] => {
                write!(f, "{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{g:02x}-{pn:02x}")
            }
            [a, b, c, d, e, g, h, i] => {
                write!(f, "{}/{}", Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, g, h, i))
            }
            ref octets if octets.len() == 16 => Ipv6Addr::from(self.bytes).fmt(f),
            ref octets => octets.iter().try_for_each(|octet| write!(f, "{octet:02x}")),
        }
    }
}

impl fmt::Debug for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Node Descriptors (RFC 9552, section 5.2.1.4; RFC 9086, section 4.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeDescriptor {
    /// Autonomous System (512).
    pub asn: Option<u32>,
    /// BGP-LS Identifier (513).
    pub bgp_ls_id: Option<u32>,
    /// OSPF Area-ID (514).
    pub area: Option<u32>,
    /// IGP Router-ID (515).
    pub igp_router_id: Option<RouterId>,
    /// BGP Router-ID (516).
    pub bgp_router_id: Option<Ipv4Addr>,
    /// Member-ASN of a confederation (517).
    pub member_asn: Option<u32>,
    /// Any others, in ascending order.
    pub other: Box<[Tlv]>,
}

/// A node: where it is, and which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    /// The flooding domain.
    pub instance: Instance,
    /// Its descriptors.
    pub descriptor: NodeDescriptor,
}

impl NodeKey {
    /// Whether it is not a router, but a network of several routers (RFC 9552, section 5.2.1.4).
    pub fn is_pseudonode(&self) -> bool {
        let Some(id) = &self.descriptor.igp_router_id else { return false };
        match id.octets() {
            [.., number] if self.instance.protocol.is_isis() && id.octets().len() == 7 => {
                *number != 0
            }
            octets => self.instance.protocol.is_ospf() && octets.len() == 8,
        }
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.descriptor.igp_router_id, &self.descriptor.bgp_router_id) {
            (Some(id), _) => id.fmt(f),
            (None, Some(id)) => id.fmt(f),
            (None, None) => f.write_str("?"),
        }
    }
}

/// Link Descriptors (RFC 9552, section 5.2.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LinkDescriptor {
    /// Link Local/Remote Identifiers (258).
    pub identifiers: Option<(u32, u32)>,
    /// IPv4 interface address (259).
    pub ipv4_local: Option<Ipv4Addr>,
    /// IPv4 neighbor address (260).
    pub ipv4_remote: Option<Ipv4Addr>,
    /// IPv6 interface address (261).
    pub ipv6_local: Option<Ipv6Addr>,
    /// IPv6 neighbor address (262).
    pub ipv6_remote: Option<Ipv6Addr>,
    /// Multi-Topology Identifier (263); 0 where it is not there.
    pub topology: u16,
    /// Any others, in ascending order.
    pub other: Box<[Tlv]>,
}

/// Prefix Descriptors (RFC 9552, section 5.2.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrefixDescriptor {
    /// IP Reachability Information (265).
    pub prefix: IpNet,
    /// Multi-Topology Identifier (263); 0 where it is not there.
    pub topology: u16,
    /// OSPF Route Type (264).
    pub ospf_route_type: Option<u8>,
    /// Any others, in ascending order.
    pub other: Box<[Tlv]>,
}

/// SRv6 SID Descriptors (RFC 9514, section 6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SidDescriptor {
    /// SRv6 SID Information (518).
    pub sid: Ipv6Addr,
    /// Multi-Topology Identifier (263); 0 where it is not there.
    pub topology: u16,
    /// Any others, in ascending order.
    pub other: Box<[Tlv]>,
}

/// What is announced or withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nlri {
    /// A node.
    Node(NodeKey),
    /// One direction of a link.
    Link {
        /// Where it starts.
        from: NodeKey,
        /// Where it ends.
        to: NodeKey,
        /// Which of those between the two.
        descriptor: Arc<LinkDescriptor>,
    },
    /// A prefix.
    Prefix {
        /// Where it is.
        node: NodeKey,
        /// Which.
        descriptor: Arc<PrefixDescriptor>,
    },
    /// A SID.
    Sid {
        /// Whose.
        node: NodeKey,
        /// Which.
        descriptor: Arc<SidDescriptor>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(protocol: Protocol, octets: &[u8]) -> NodeKey {
        let descriptor =
            NodeDescriptor { igp_router_id: RouterId::new(octets), ..Default::default() };
        NodeKey { instance: Instance { protocol, identifier: 0 }, descriptor }
    }

    #[test]
    fn router_ids_are_read_as_they_are_written() {
        for text in ["10.0.0.1", "0000.0000.0001", "0a1b.2c3d.4e5f-01", "fc00::1"] {
            assert_eq!(RouterId::parse(text).unwrap().to_string(), text);
        }
        let plain = RouterId::parse("0000.0000.0001");
        assert_eq!(RouterId::parse("0000.0000.0001.00"), plain);
        for text in
            ["", "r1", "0000.0000.000", "00000.000.0001", "0000.0000.0001x00", "é000.0000.0001.0"]
        {
            assert_eq!(RouterId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn pseudonodes_are_told_from_routers() {
        assert!(key(Protocol::ISIS_L2, &[0, 0, 0, 0, 0, 1, 3]).is_pseudonode());
        assert!(!key(Protocol::ISIS_L2, &[0, 0, 0, 0, 0, 1, 0]).is_pseudonode());
        assert!(!key(Protocol::ISIS_L2, &[0, 0, 0, 0, 0, 1]).is_pseudonode());
        assert!(key(Protocol::OSPFV2, &[1, 1, 1, 1, 10, 0, 0, 1]).is_pseudonode());
        assert!(!key(Protocol::STATIC, &[1, 1, 1, 1, 10, 0, 0, 1]).is_pseudonode());
    }

    #[test]
    fn a_router_id_has_at_most_16_octets() {
        assert_eq!(RouterId::new(&[]), None);
        assert_eq!(RouterId::new(&[1; 17]), None);
        assert_eq!(RouterId::new(&[1; 16]).unwrap().octets(), [1; 16]);
    }
}
