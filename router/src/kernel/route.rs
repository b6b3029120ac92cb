//! Routes and next-hop objects in the words of the kernel: `struct rtmsg` and `struct nhmsg` with
//! their attributes.
//!
//! Read by hand: netlink-packet-route has no type for most of what matters here (seg6local, the
//! reduced and L2 modes of seg6, next-hop objects), and a table of a quarter of a million routes
//! is read at once. What is not understood is said to be so, never left out: a route that does
//! something else than it seems to do must not be followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{DecodeError, NLM_F_APPEND, NLM_F_EXCL, NLM_F_MULTIPART, NLM_F_REPLACE};

use super::attributes::Attributes;
use super::lwtunnel::{self, Encap};

/// `struct rtmsg`, in bytes.
const ROUTE_HEADER: usize = 12;
/// `struct nhmsg`, in bytes.
const OBJECT_HEADER: usize = 8;
/// `struct rtnexthop`, in bytes.
const LEG_HEADER: usize = 8;

/// `RTM_F_CLONED`: an entry of the cache (a path MTU, a redirect), and no route.
const CLONED: u32 = 0x200;

/// `RTA_…`.
mod rta {
    pub const DST: u16 = 1;
    pub const OIF: u16 = 4;
    pub const GATEWAY: u16 = 5;
    pub const PRIORITY: u16 = 6;
    pub const METRICS: u16 = 8;
    pub const MULTIPATH: u16 = 9;
    pub const TABLE: u16 = 15;
    pub const VIA: u16 = 18;
    pub const ENCAP_TYPE: u16 = 21;
    pub const ENCAP: u16 = 22;
    pub const NH_ID: u16 = 30;
}

/// `RTAX_MTU`.
const METRIC_MTU: u16 = 2;

/// `NHA_…`.
mod nha {
    pub const ID: u16 = 1;
    pub const GROUP: u16 = 2;
    pub const BLACKHOLE: u16 = 4;
    pub const OIF: u16 = 5;
    pub const GATEWAY: u16 = 6;
    pub const ENCAP_TYPE: u16 = 7;
    pub const ENCAP: u16 = 8;
    pub const FDB: u16 = 11;
}

/// `RTN_…`: what kind of route it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteType {
    /// To a neighbour or a link.
    Unicast,
    /// An address of the host.
    Local,
    /// A broadcast address of the host's.
    Broadcast,
    /// An anycast address of the host.
    Anycast,
    /// A multicast route.
    Multicast,
    /// Dropped without a word.
    Blackhole,
    /// Dropped with an answer.
    Unreachable,
    /// Dropped with another answer.
    Prohibit,
    /// Looked up in the next table of the policy.
    Throw,
    /// Any other, by its number.
    Other(u8),
}

impl From<u8> for RouteType {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Unicast,
            2 => Self::Local,
            3 => Self::Broadcast,
            4 => Self::Anycast,
            5 => Self::Multicast,
            6 => Self::Blackhole,
            7 => Self::Unreachable,
            8 => Self::Prohibit,
            9 => Self::Throw,
            other => Self::Other(other),
        }
    }
}

/// A route of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Number of its table.
    pub table: u32,
    /// Its destinations.
    pub prefix: IpNet,
    /// Its metric (`priority`): with table and prefix it makes the route a different one.
    pub metric: u32,
    /// `RTPROT_…`: who made it.
    pub protocol: u8,
    /// What kind of route it is.
    pub kind: RouteType,
    /// It holds for some sources or traffic classes only.
    pub selective: bool,
    /// Path MTU in bytes, where the route has one of its own.
    pub mtu: Option<u32>,
    /// Where it leads.
    pub way: Way,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Where the next-hop object with this number leads.
    Object(u32),
    /// By these ways, which share the flows.
    Legs(Vec<Leg>),
}

/// One way of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leg {
    /// Index of its link; 0: none.
    pub link: u32,
    /// The neighbour; `None`: destinations are neighbours themselves.
    pub gateway: Option<IpAddr>,
    /// Its share, relative to the other legs.
    pub weight: u32,
    /// What is done with packets before.
    pub encap: Option<Encap>,
}

/// A next-hop object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// One way.
    Leg(Leg),
    /// Dropped without a word.
    Blackhole,
    /// Several objects with their weights.
    Group(Vec<(u32, u32)>),
    /// For a bridge's forwarding table.
    Fdb,
}

/// Where a route is among those with the same prefix and metric. The first counts; IPv6 routes
/// through gateways are one route with several legs instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the only one, or took the place of the first.
    Alone,
    /// Before the others.
    Before,
    /// Behind the others.
    Behind,
    /// As it is listed in a dump: behind what was listed before.
    Listed,
}

impl Place {
    /// The place by the flags of the message (`NLM_F_…`).
    pub(super) const fn of(flags: u16) -> Self {
        if flags & NLM_F_MULTIPART != 0 {
            Self::Listed
        } else if flags & (NLM_F_EXCL | NLM_F_REPLACE) != 0 {
            Self::Alone
        } else if flags & NLM_F_APPEND != 0 {
            Self::Behind
        } else {
            Self::Before
        }
    }
}

/// What the kernel says of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteMessage {
    /// A route is like this.
    Route(Route, Place),
    /// A route, or a leg of one, is gone.
    RouteGone(Route),
    /// A next-hop object is like this.
    Object(u32, Object),
    /// A next-hop object is gone.
    ObjectGone(u32),
}

/// Reads the payload of `RTM_NEWROUTE` or `RTM_DELROUTE`. `None`: not a route of IPv6 or IPv4.
///
/// Fails if the fixed part is cut short or attributes are not framed as such.
pub fn route(payload: &[u8]) -> Result<Option<Route>, DecodeError> {
    let Some(&[family, dst_len, src_len, tos, table, protocol, _scope, route_type, ref flags @ ..]) =
        payload.first_chunk::<ROUTE_HEADER>()
    else {
        return Err("a route message is cut short".into());
    };
    let v6 = match i32::from(family) {
        libc::AF_INET6 => true,
        libc::AF_INET => false,
        _ => return Ok(None),
    };
    if u32::from_ne_bytes(*flags) & CLONED != 0 {
        return Ok(None);
    }
    let mut destination: IpAddr =
        if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let (mut table, mut metric, mut mtu) = (u32::from(table), 0, None);
    let (mut object, mut legs) = (None, Vec::new());
    let mut only = Parts::default();
    for attribute in Attributes(&payload[ROUTE_HEADER..]) {
        let (kind, value) = attribute?;
        match kind {
            rta::DST => destination = address(value).ok_or("the destination is no address")?,
            rta::TABLE => table = number(value).unwrap_or(table),
            rta::PRIORITY => metric = number(value).unwrap_or(0),
            rta::METRICS => mtu = metric_mtu(value)?,
            rta::NH_ID => object = number(value),
            rta::MULTIPATH => legs = multipath(value)?,
            kind => only.take(kind, value),
        }
    }
    let prefix = IpNet::new(destination, dst_len).map_err(|_| "the prefix length is too large")?;
    let way = match object {
        Some(id) => Way::Object(id),
        None if !legs.is_empty() => Way::Legs(legs),
        None => Way::Legs(vec![only.leg(1)?]),
    };
    Ok(Some(Route {
        table,
        prefix: prefix.trunc(),
        metric,
        protocol,
        kind: route_type.into(),
        selective: src_len != 0 || tos != 0,
        mtu,
        way,
    }))
}

/// Reads the payload of `RTM_NEWNEXTHOP` or `RTM_DELNEXTHOP`: number and object.
///
/// Fails if the fixed part is cut short or attributes are not framed as such.
pub fn object(payload: &[u8]) -> Result<Option<(u32, Object)>, DecodeError> {
    let attributes = payload.get(OBJECT_HEADER..).ok_or("a nexthop message is cut short")?;
    let (mut id, mut group, mut blackhole, mut fdb) = (None, None, false, false);
    let mut parts = Parts::default();
    for attribute in Attributes(attributes) {
        let (kind, value) = attribute?;
        match kind {
            nha::ID => id = number(value),
            nha::GROUP => group = Some(members(value)),
            nha::BLACKHOLE => blackhole = true,
            nha::FDB => fdb = true,
            nha::OIF => parts.take(rta::OIF, value),
            nha::GATEWAY => parts.take(rta::GATEWAY, value),
            nha::ENCAP_TYPE => parts.take(rta::ENCAP_TYPE, value),
            nha::ENCAP => parts.take(rta::ENCAP, value),
            _ => {}
        }
    }
    let Some(id) = id else { return Ok(None) };
    let object = match group {
        _ if fdb => Object::Fdb,
        Some(group) => Object::Group(group),
        None if blackhole => Object::Blackhole,
        None => Object::Leg(parts.leg(1)?),
    };
    Ok(Some((id, object)))
}

/// The attributes that make up a leg.
#[derive(Default)]
struct Parts<'a> {
    link: u32,
    gateway: Option<IpAddr>,
    encap_type: Option<u16>,
    encap: &'a [u8],
}

impl<'a> Parts<'a> {
    fn take(&mut self, kind: u16, value: &'a [u8]) {
        match kind {
            rta::OIF => self.link = number(value).unwrap_or(0),
            rta::GATEWAY => self.gateway = address(value),
            // The family, and the address of a gateway of the other family (RFC 8950).
            rta::VIA => self.gateway = value.get(2..).and_then(address),
            rta::ENCAP_TYPE => self.encap_type = value.try_into().ok().map(u16::from_ne_bytes),
            rta::ENCAP => self.encap = value,
            _ => {}
        }
    }

    fn leg(&self, weight: u32) -> Result<Leg, DecodeError> {
        let encap = match self.encap_type {
            Some(kind @ 1..) => Some(lwtunnel::encap(kind, self.encap)?),
            Some(0) | None => None,
        };
        Ok(Leg { link: self.link, gateway: self.gateway, weight, encap })
    }
}

/// `RTA_MULTIPATH`: each leg is a `struct rtnexthop` with attributes of its own.
fn multipath(mut rest: &[u8]) -> Result<Vec<Leg>, DecodeError> {
    let mut legs = Vec::new();
    while let Some(&[len_0, len_1, _flags, hops, ref link @ ..]) = rest.first_chunk::<LEG_HEADER>()
    {
        let len = usize::from(u16::from_ne_bytes([len_0, len_1]));
        let attributes = rest.get(LEG_HEADER..len).ok_or("a leg of a route is cut short")?;
        let mut parts = Parts { link: u32::from_ne_bytes(*link), ..Parts::default() };
        for attribute in Attributes(attributes) {
            let (kind, value) = attribute?;
            parts.take(kind, value);
        }
        legs.push(parts.leg(u32::from(hops) + 1)?);
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(legs)
}

/// `NHA_GROUP`: entries of number, weight less one in two parts, and two bytes of nothing.
fn members(value: &[u8]) -> Vec<(u32, u32)> {
    value
        .chunks_exact(8)
        .filter_map(|entry| {
            let id = number(entry.get(..4)?)?;
            let (low, high) = (*entry.get(4)?, *entry.get(5)?);
            Some((id, u32::from(u16::from_le_bytes([low, high])) + 1))
        })
        .collect()
}

fn metric_mtu(value: &[u8]) -> Result<Option<u32>, DecodeError> {
    for attribute in Attributes(value) {
        let (kind, value) = attribute?;
        if kind == METRIC_MTU {
            return Ok(number(value));
        }
    }
    Ok(None)
}

/// A number in the machine's byte order.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

/// An address, whose family its length tells.
pub(super) fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}
