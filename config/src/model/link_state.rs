//! The topology: where it is learned from, or what it is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv6Net};

/// `[source.bgp-ls]`: learn the topology from a BGP-LS session (RFC 9552, RFC 9514).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpLsSource {
    /// Which side opens the session.
    pub session: BgpSession,
    /// Our AS number.
    pub local_as: u32,
    /// The other side's; default: the same.
    pub peer_as: u32,
    /// Our node in the topology.
    pub router_id: RouterId,
    /// Our BGP Identifier (RFC 4271, section 4.2), already defaulted to the OSPF router ID, or to the
    /// last four octets of the system ID; never 0.
    pub identifier: Ipv4Addr,
    /// BGP-LS Instance-ID that our node is in; `None`: any.
    pub instance: Option<u64>,
    /// Seconds without a message after which the session ends: 0 (never), or 3 and more.
    pub hold_time: u16,
    /// Seconds for which routes stay after a session has ended.
    pub grace: u32,
    /// A file with the key of TCP MD5 signatures (RFC 2385).
    pub password_file: Option<PathBuf>,
}

impl BgpLsSource {
    /// Value of `hold-time` where the file gives none.
    pub const DEFAULT_HOLD_TIME: u16 = 90;
    /// Value of `grace` where the file gives none.
    pub const DEFAULT_GRACE: u32 = 120;
}

/// Which side opens a BGP session, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BgpSession {
    /// We connect.
    Peer {
        /// To this address; the port is 179 where the file gives none.
        address: SocketAddr,
        /// From this one, of the same family.
        local: Option<IpAddr>,
    },
    /// The other side does.
    Listen {
        /// To this address; the port is 179 where the file gives none.
        address: SocketAddr,
        /// Who may; `None`: everybody.
        from: Option<IpNet>,
    },
}

/// How an IGP names a node: `0000.0000.0001` or `192.0.2.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouterId {
    /// IS-IS system ID.
    Isis([u8; 6]),
    /// OSPF router ID.
    Ospf(Ipv4Addr),
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Isis([a, b, c, d, e, g]) => {
                write!(f, "{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{g:02x}")
            }
            Self::Ospf(address) => write!(f, "{address}"),
        }
    }
}

/// `[[node]]`: a router of a topology that is written in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// What links and policies call it. The one with the router's name is ours.
    pub name: String,
    /// What policies may call it, too.
    pub router_id: Option<RouterId>,
    /// Prefixes that its SIDs are taken from.
    pub locators: Vec<Ipv6Net>,
    /// SIDs with behavior End; where there are none, the first address of each locator is one.
    pub end_sids: Vec<Ipv6Addr>,
    /// Prefixes that it leads to.
    pub prefixes: Vec<IpNet>,
    /// Whether paths may not lead through it.
    pub overload: bool,
}

/// `[[link]]`: a link between two nodes, both directions at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Name of the node at one end.
    pub from: String,
    /// Name of the node at the other.
    pub to: String,
    /// Metric from the one to the other.
    pub metric: u32,
    /// Metric of the way back; default: the same.
    pub metric_back: u32,
    /// Address of `from` on the link.
    pub local: Option<Ipv6Addr>,
    /// Address of `to` on the link.
    pub remote: Option<Ipv6Addr>,
    /// Bytes per second.
    pub bandwidth: Option<u64>,
    /// Delay in microseconds.
    pub delay: Option<u32>,
    /// Shared risk link groups.
    pub srlgs: Vec<u32>,
    /// SIDs of `from` for the link, with behavior End.X.
    pub adjacency_sids: Vec<Ipv6Addr>,
    /// SIDs of `to` for the way back.
    pub adjacency_sids_back: Vec<Ipv6Addr>,
}

impl Link {
    /// The largest metric of a link that is used (RFC 5305, section 3).
    pub const MAX_METRIC: u32 = 0x00ff_fffe;
    /// The largest delay in microseconds, about 16.8 seconds (RFC 8570, section 4.1).
    pub const MAX_DELAY: u32 = 0x00ff_ffff;
}
