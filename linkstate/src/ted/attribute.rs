//! What is said of an object: the BGP-LS attribute (RFC 9552, section 5.3; RFC 9514; RFC 8571).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::key::{RouterId, Tlv};

/// A maximum SID depth (RFC 8814): its type, as IANA numbers it, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msd {
    /// Type.
    pub kind: u8,
    /// Value.
    pub value: u8,
}

/// Node Flag Bits (1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeFlags(pub u8);

impl NodeFlags {
    /// Not for transit.
    pub const OVERLOAD: u8 = 0x80;
    /// Attached to another level.
    pub const ATTACHED: u8 = 0x40;
    /// AS boundary router.
    pub const EXTERNAL: u8 = 0x20;
    /// Area border router.
    pub const ABR: u8 = 0x10;

    /// Whether paths may not lead through the node.
    pub fn overload(self) -> bool {
        self.0 & Self::OVERLOAD != 0
    }
}

/// What is said of a node (RFC 9552, section 5.3.1).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeAttributes {
    /// Node Name (1026).
    pub name: Option<Box<str>>,
    /// Node Flag Bits (1024).
    pub flags: NodeFlags,
    /// IS-IS Area Identifiers (1027).
    pub areas: Vec<Box<[u8]>>,
    /// Router-IDs of the local node (1028, 1029).
    pub router_ids: Vec<IpAddr>,
    /// Multi-Topology Identifiers (263).
    pub topologies: Vec<u16>,
    /// SR-Algorithms (1035).
    pub algorithms: Vec<u8>,
    /// Node MSD (266).
    pub msds: Vec<Msd>,
    /// Flags of the SRv6 Capabilities (1038); `None` for a node without SRv6.
    pub srv6_flags: Option<u16>,
    /// Any others.
    pub other: Vec<Tlv>,
}

/// How the bits of a SID are used (RFC 9514, section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SidStructure {
    /// Length of the locator block.
    pub block: u8,
    /// Length of the locator node.
    pub node: u8,
    /// Length of the function.
    pub function: u8,
    /// Length of the argument.
    pub argument: u8,
}

/// What happens at a SID: a code point of IANA's SRv6 Endpoint Behaviors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Behavior(pub u16);

impl Behavior {
    /// End, without flavors.
    pub const END: Self = Self(1);
    /// End.X, without flavors.
    pub const END_X: Self = Self(5);
    /// End with NEXT-CSID: uN.
    pub const END_NEXT_CSID: Self = Self(43);
    /// End.X with NEXT-CSID: uA.
    pub const END_X_NEXT_CSID: Self = Self(52);

    /// Whether it is End, with any of the flavors PSP, USP and USD, with or without NEXT-CSID
    /// (RFC 8986, section 10.2; RFC 9800, section 14).
    pub fn is_end(self) -> bool {
        matches!(self.0, 1..=4 | 28..=31 | 43..=50)
    }

    /// Whether it is End.X, with any of these.
    pub fn is_end_x(self) -> bool {
        matches!(self.0, 5..=8 | 32..=35 | 52..=59)
    }
}

/// A SID for a link: SRv6 End.X SID (1106), or LAN End.X SID (1107, 1108).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdjacencySid {
    /// The SID.
    pub sid: Ipv6Addr,
    /// What happens at it.
    pub behavior: Behavior,
    /// Flags B, S and P.
    pub flags: u8,
    /// The algorithm of its locator.
    pub algorithm: u8,
    /// Share of traffic, among parallel ones.
    pub weight: u8,
    /// On a LAN: the neighbor it leads to.
    pub neighbor: Option<RouterId>,
    /// How its bits are used (1252).
    pub structure: Option<SidStructure>,
    /// Other sub-TLVs.
    pub other: Vec<Tlv>,
}

impl AdjacencySid {
    /// Flag B: may be protected.
    pub const BACKUP: u8 = 0x80;
    /// Flag S: stands for a set of adjacencies.
    pub const SET: u8 = 0x40;
    /// Flag P: persistent.
    pub const PERSISTENT: u8 = 0x20;

    /// Whether the adjacency may be protected: traffic to the SID may take another way.
    pub fn backup(&self) -> bool {
        self.flags & Self::BACKUP != 0
    }
}

/// A measurement, and whether it is out of its bounds (RFC 8571, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured<T> {
    /// Flag A: the value is anomalous.
    pub anomalous: bool,
    /// The value.
    pub value: T,
}

/// What is said of one direction of a link (RFC 9552, section 5.3.2).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LinkAttributes {
    /// Router-IDs of the local node (1028, 1029).
    pub local_router_ids: Vec<IpAddr>,
    /// Router-IDs of the remote node (1030, 1031).
    pub remote_router_ids: Vec<IpAddr>,
    /// Metric of the routing protocol (1095).
    pub igp_metric: Option<u32>,
    /// Metric for traffic engineering (1092).
    pub te_metric: Option<u32>,
    /// Administrative group, or color (1088), and what goes on in the extended one (1173).
    pub admin_groups: Vec<u32>,
    /// Maximum bandwidth (1089), in bytes per second.
    pub max_bandwidth: Option<f32>,
    /// Maximum reservable bandwidth (1090), in bytes per second.
    pub max_reservable: Option<f32>,
    /// Unreserved bandwidth (1091), by priority, in bytes per second.
    pub unreserved: Option<[f32; 8]>,
    /// Shared risk link groups (1096).
    pub srlgs: Vec<u32>,
    /// Name (1098).
    pub name: Option<Box<str>>,
    /// Protection type (1093).
    pub protection: Option<u16>,
    /// Link MSD (267).
    pub msds: Vec<Msd>,
    /// Delay (1114), in microseconds.
    pub delay: Option<Measured<u32>>,
    /// Minimum and maximum delay (1115), in microseconds.
    pub delay_range: Option<Measured<(u32, u32)>>,
    /// Delay variation (1116), in microseconds.
    pub delay_variation: Option<u32>,
    /// Loss (1117), in units of 0.000003 %.
    pub loss: Option<Measured<u32>>,
    /// Residual bandwidth (1118), in bytes per second.
    pub residual: Option<f32>,
    /// Available bandwidth (1119), in bytes per second.
    pub available: Option<f32>,
    /// Utilized bandwidth (1120), in bytes per second.
    pub utilized: Option<f32>,
    /// SIDs of the near node for this link.
    pub adjacency_sids: Vec<AdjacencySid>,
    /// Any others.
    pub other: Vec<Tlv>,
}

impl LinkAttributes {
    /// The SID for the link of this algorithm, one that may be protected, or not.
    pub fn adjacency_sid(&self, algorithm: u8, backup: bool) -> Option<&AdjacencySid> {
        self.adjacency_sids.iter().find(|sid| (sid.algorithm, sid.backup()) == (algorithm, backup))
    }
}

/// SRv6 Locator (1162).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator {
    /// Flag D.
    pub flags: u8,
    /// The algorithm it is reached by; 0: shortest path.
    pub algorithm: u8,
    /// Metric of the locator itself.
    pub metric: u32,
    /// Sub-TLVs.
    pub other: Vec<Tlv>,
}

/// What is said of a prefix (RFC 9552, section 5.3.3).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PrefixAttributes {
    /// Prefix Metric (1155).
    pub metric: Option<u32>,
    /// IGP Flags (1152).
    pub igp_flags: u8,
    /// Route Tags (1153) and Extended Route Tags (1154).
    pub tags: Vec<u64>,
    /// OSPF Forwarding Address (1156).
    pub forwarding_address: Option<IpAddr>,
    /// Prefix Attribute Flags (1170), as the protocol has them.
    pub attribute_flags: Option<Box<[u8]>>,
    /// Source Router Identifier (1171).
    pub source_router_id: Option<IpAddr>,
    /// That it is a locator.
    pub locator: Option<Locator>,
    /// Any others.
    pub other: Vec<Tlv>,
}

/// SRv6 Endpoint Behavior (1250).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointBehavior {
    /// What happens at the SID.
    pub behavior: Behavior,
    /// Flags.
    pub flags: u8,
    /// The algorithm of its locator.
    pub algorithm: u8,
}

/// SRv6 BGP Peer Node SID (1251).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BgpPeerNode {
    /// Flags B, S and P.
    pub flags: u8,
    /// Share of traffic, among parallel ones.
    pub weight: u8,
    /// AS number of the peer.
    pub asn: u32,
    /// BGP Identifier of the peer.
    pub identifier: Ipv4Addr,
}

/// What is said of a SID (RFC 9514, section 7).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SidAttributes {
    /// What happens at it (1250).
    pub endpoint: Option<EndpointBehavior>,
    /// How its bits are used (1252).
    pub structure: Option<SidStructure>,
    /// The BGP peer it leads to (1251).
    pub peer: Option<BgpPeerNode>,
    /// Any others.
    pub other: Vec<Tlv>,
}
