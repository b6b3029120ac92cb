//! Link-State NLRI: what is announced or withdrawn (RFC 9552, section 5.2; RFC 9514, section 6).

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Limits;
use crate::bgp::Notification;
use crate::bgp::notification::update;
use crate::read::{Reader, exactly, ipv4_of, ipv6_of, tlvs, u8_of, u16_of, u32_of};
use crate::reason::{Reason, Tally};
use crate::ted::{
    Instance, LinkDescriptor, Nlri, NodeDescriptor, NodeKey, PrefixDescriptor, Protocol, RouterId,
    SidDescriptor, Tlv,
};

const NODE: u16 = 1;
const LINK: u16 = 2;
const IPV4_PREFIX: u16 = 3;
const IPV6_PREFIX: u16 = 4;
const SRV6_SID: u16 = 6;

/// Reads a list of NLRI, and hands out those that are good. An error is one that hides where the
/// next begins.
pub(super) fn decode(
    bytes: &[u8],
    limits: Limits,
    tally: &mut Tally,
    mut out: impl FnMut(Nlri, &mut Tally),
) -> Result<(), Notification> {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let header = reader.u16().zip(reader.u16());
        let one = header.and_then(|(kind, length)| Some((kind, reader.take(length.into())?)));
        let (kind, body) = one.ok_or_else(|| Notification::update(update::OPTIONAL_ATTRIBUTE))?;
        match nlri(kind, body, limits, tally) {
            Ok(nlri) => out(nlri, tally),
            Err(reason) => tally.count(reason),
        }
    }
    Ok(())
}

fn nlri(kind: u16, body: &[u8], limits: Limits, tally: &mut Tally) -> Result<Nlri, Reason> {
    if !matches!(kind, NODE | LINK | IPV4_PREFIX | IPV6_PREFIX | SRV6_SID) {
        return Err(Reason::NlriType);
    }
    let mut reader = Reader::new(body);
    let protocol = Protocol(reader.u8().ok_or(Reason::NlriTruncated)?);
    let identifier = reader.u64().ok_or(Reason::NlriTruncated)?;
    let instance = Instance { protocol, identifier };
    let mut found = Descriptors::default();
    let mut other = Unknown { room: limits.unknown, list: Vec::new() };
    let mut last = 0;
    for tlv in tlvs(reader.rest()) {
        let (tlv, value) = tlv?;
        // FRR writes 518 in front of 263. We compare what TLVs say, so their order is no matter.
        if tlv < last {
            tally.count(Reason::TlvOrder);
        }
        last = tlv;
        if !found.take(kind, tlv, value, instance, limits)? {
            other.add(tlv, value)?;
        }
    }
    found.finish(kind, instance, other.finish())
}

/// TLVs that are kept as they are.
struct Unknown {
    room: usize,
    list: Vec<Tlv>,
}

impl Unknown {
    fn add(&mut self, kind: u16, value: &[u8]) -> Result<(), Reason> {
        self.room = self.room.checked_sub(value.len() + 4).ok_or(Reason::UnknownLimit)?;
        self.list.push(Tlv { kind, value: value.into() });
        Ok(())
    }

    fn finish(mut self) -> Box<[Tlv]> {
        self.list.sort_unstable();
        self.list.into()
    }
}

/// What the TLVs of an NLRI have told so far.
#[derive(Default)]
struct Descriptors {
    local: Option<NodeDescriptor>,
    remote: Option<NodeDescriptor>,
    link: LinkDescriptor,
    topology: Option<u16>,
    ospf_route_type: Option<u8>,
    prefix: Option<IpNet>,
    sid: Option<std::net::Ipv6Addr>,
}

impl Descriptors {
    /// Takes a TLV. `false`: it is none of this NLRI, or a second one; it is part of the key as it
    /// is.
    fn take(
        &mut self,
        nlri: u16,
        tlv: u16,
        value: &[u8],
        instance: Instance,
        limits: Limits,
    ) -> Result<bool, Reason> {
        let link = &mut self.link;
        match (nlri, tlv) {
            (_, 256) => set(&mut self.local, || node(value, instance, limits)),
            (LINK, 257) => set(&mut self.remote, || node(value, instance, limits)),
            (LINK, 258) => set(&mut link.identifiers, || {
                let both: [u8; 8] = exactly(value)?;
                Ok((u32_of(&both[..4])?, u32_of(&both[4..])?))
            }),
            (LINK, 259) => set(&mut link.ipv4_local, || ipv4_of(value)),
            (LINK, 260) => set(&mut link.ipv4_remote, || ipv4_of(value)),
            (LINK, 261) => set(&mut link.ipv6_local, || ipv6_of(value)),
            (LINK, 262) => set(&mut link.ipv6_remote, || ipv6_of(value)),
            (LINK | IPV4_PREFIX | IPV6_PREFIX | SRV6_SID, 263) => {
                set(&mut self.topology, || Ok(u16_of(value)? & 0x0fff))
            }
            (IPV4_PREFIX | IPV6_PREFIX, 264) => set(&mut self.ospf_route_type, || u8_of(value)),
            (IPV4_PREFIX | IPV6_PREFIX, 265) => set(&mut self.prefix, || prefix(value, nlri)),
            (SRV6_SID, 518) => set(&mut self.sid, || ipv6_of(value)),
            _ => Ok(false),
        }
    }

    fn finish(mut self, nlri: u16, instance: Instance, other: Box<[Tlv]>) -> Result<Nlri, Reason> {
        let missing = Reason::DescriptorMissing;
        let mut descriptor = self.local.ok_or(missing)?;
        let topology = self.topology.unwrap_or_default();
        if nlri == NODE && !other.is_empty() {
            descriptor.other = [descriptor.other, other].concat().into();
            return Ok(Nlri::Node(NodeKey { instance, descriptor }));
        }
        let node = NodeKey { instance, descriptor };
        Ok(match nlri {
            NODE => Nlri::Node(node),
            LINK => {
                let descriptor = self.remote.ok_or(missing)?;
                (self.link.topology, self.link.other) = (topology, other);
                let to = NodeKey { instance, descriptor };
                Nlri::Link { from: node, to, descriptor: Arc::new(self.link) }
            }
            SRV6_SID => {
                let sid = self.sid.ok_or(missing)?;
                Nlri::Sid { node, descriptor: SidDescriptor { sid, topology, other }.into() }
            }
            _ => {
                let prefix = self.prefix.ok_or(missing)?;
                let ospf_route_type = self.ospf_route_type;
                let descriptor = PrefixDescriptor { prefix, topology, ospf_route_type, other };
                Nlri::Prefix { node, descriptor: descriptor.into() }
            }
        })
    }
}

fn set<T>(slot: &mut Option<T>, read: impl FnOnce() -> Result<T, Reason>) -> Result<bool, Reason> {
    if slot.is_some() {
        return Ok(false);
    }
    *slot = Some(read()?);
    Ok(true)
}

/// RFC 9552, section 5.2.1.4.
fn node(value: &[u8], instance: Instance, limits: Limits) -> Result<NodeDescriptor, Reason> {
    let mut node = NodeDescriptor::default();
    let mut other = Unknown { room: limits.unknown, list: Vec::new() };
    for tlv in tlvs(value) {
        let (tlv, value) = tlv?;
        let taken = match tlv {
            512 => set(&mut node.asn, || u32_of(value)),
            513 => set(&mut node.bgp_ls_id, || u32_of(value)),
            514 => set(&mut node.area, || u32_of(value)),
            515 => set(&mut node.igp_router_id, || router_id(value, instance.protocol)),
            516 => set(&mut node.bgp_router_id, || ipv4_of(value)),
            517 => set(&mut node.member_asn, || u32_of(value)),
            _ => Ok(false),
        }?;
        if !taken {
            other.add(tlv, value)?;
        }
    }
    let named = match instance.protocol {
        protocol if protocol.is_igp() => node.igp_router_id.is_some(),
        Protocol::BGP => node.bgp_router_id.is_some(),
        _ => node.igp_router_id.is_some() || node.bgp_router_id.is_some(),
    };
    if !named {
        return Err(Reason::DescriptorMissing);
    }
    node.other = other.finish();
    Ok(node)
}

fn router_id(value: &[u8], protocol: Protocol) -> Result<RouterId, Reason> {
    let good = match value.len() {
        6 | 7 => !protocol.is_ospf(),
        4 | 8 => !protocol.is_isis(),
        _ => !protocol.is_igp(),
    };
    RouterId::new(value).filter(|_| good).ok_or(Reason::TlvLength)
}

/// IP Reachability Information: a length in bits, and as many octets as it takes (RFC 9552,
/// section 5.2.3.2).
fn prefix(value: &[u8], nlri: u16) -> Result<IpNet, Reason> {
    let (&length, octets) = value.split_first().ok_or(Reason::TlvLength)?;
    if octets.len() != usize::from(length.div_ceil(8)) {
        return Err(Reason::TlvLength);
    }
    fn padded<const N: usize>(octets: &[u8]) -> Result<[u8; N], Reason> {
        let mut address = [0; N];
        address.get_mut(..octets.len()).ok_or(Reason::DescriptorValue)?.copy_from_slice(octets);
        Ok(address)
    }
    let address = match nlri {
        IPV4_PREFIX => IpAddr::from(padded::<4>(octets)?),
        _ => IpAddr::from(padded::<16>(octets)?),
    };
    IpNet::new(address, length).map(|net| net.trunc()).map_err(|_| Reason::DescriptorValue)
}
