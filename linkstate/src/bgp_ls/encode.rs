//! Writing what [`Decoder`](super::Decoder) reads: for tests, and for feeds of a laboratory.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::bgp::attribute::kind;
use crate::bgp::frame::{self, Kind};
use crate::bgp::{AFI_LINK_STATE, SAFI_LINK_STATE};
use crate::ted::{
    AdjacencySid, Event, LinkAttributes, Measured, Nlri, NodeAttributes, NodeDescriptor, NodeKey,
    PrefixAttributes, SidAttributes, SidStructure, Tlv,
};

/// One UPDATE that says it, with an AS_PATH of four-octet numbers. `None` if it is too long for a
/// message.
pub fn update(event: &Event, asn: u32) -> Option<Vec<u8>> {
    let mut reach = family();
    reach.extend([4, 127, 0, 0, 1, 0]);
    let mut link_state = Vec::new();
    match event {
        Event::Withdraw(nlri) => return withdraw(std::slice::from_ref(nlri)),
        Event::EndOfRib => return withdraw(&[]),
        Event::Node(key, attributes) => {
            put_nlri(&mut reach, &Nlri::Node(key.clone()));
            put_node_attributes(&mut link_state, attributes);
        }
        Event::Link { from, to, descriptor, attributes } => {
            let (from, to, descriptor) = (from.clone(), to.clone(), descriptor.clone());
            put_nlri(&mut reach, &Nlri::Link { from, to, descriptor });
            put_link_attributes(&mut link_state, attributes);
        }
        Event::Prefix { node, descriptor, attributes } => {
            let (node, descriptor) = (node.clone(), descriptor.clone());
            put_nlri(&mut reach, &Nlri::Prefix { node, descriptor });
            put_prefix_attributes(&mut link_state, attributes);
        }
        Event::Sid { node, descriptor, attributes } => {
            let (node, descriptor) = (node.clone(), descriptor.clone());
            put_nlri(&mut reach, &Nlri::Sid { node, descriptor });
            put_sid_attributes(&mut link_state, attributes);
        }
    }
    let mut attributes = Vec::new();
    put_attribute(&mut attributes, 0x90, kind::MP_REACH, &reach);
    put_attribute(&mut attributes, 0x50, kind::ORIGIN, &[0]);
    let path = [&[2, 1][..], &asn.to_be_bytes()].concat();
    put_attribute(&mut attributes, 0x50, kind::AS_PATH, &path);
    put_attribute(&mut attributes, 0x90, kind::LINK_STATE, &link_state);
    message(&attributes)
}

/// One UPDATE that withdraws all of them; with none, End-of-RIB.
pub fn withdraw(nlri: &[Nlri]) -> Option<Vec<u8>> {
    let mut unreach = family();
    nlri.iter().for_each(|nlri| put_nlri(&mut unreach, nlri));
    let mut attributes = Vec::new();
    put_attribute(&mut attributes, 0x90, kind::MP_UNREACH, &unreach);
    message(&attributes)
}

fn family() -> Vec<u8> {
    let [high, low] = AFI_LINK_STATE.to_be_bytes();
    vec![high, low, SAFI_LINK_STATE]
}

fn message(attributes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(attributes.len()).ok()?.to_be_bytes();
    frame::message(Kind::Update, &[&[0, 0], &length[..], attributes].concat())
}

/// With a length of two octets. One that is too long makes the message too long, too.
fn put_attribute(out: &mut Vec<u8>, flags: u8, kind: u8, value: &[u8]) {
    out.extend([flags, kind]);
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
}

fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
}

fn put_some<const N: usize>(out: &mut Vec<u8>, kind: u16, value: Option<[u8; N]>) {
    if let Some(value) = value {
        put(out, kind, &value);
    }
}

fn put_all(out: &mut Vec<u8>, tlvs: &[Tlv]) {
    tlvs.iter().for_each(|tlv| put(out, tlv.kind, &tlv.value));
}

fn put_list<const N: usize>(out: &mut Vec<u8>, kind: u16, items: impl Iterator<Item = [u8; N]>) {
    let value: Vec<u8> = items.flatten().collect();
    if !value.is_empty() {
        put(out, kind, &value);
    }
}

fn put_nlri(out: &mut Vec<u8>, nlri: &Nlri) {
    let mut body = Vec::new();
    let kind: u16 = match nlri {
        Nlri::Node(node) => {
            put_node(&mut body, node);
            1
        }
        Nlri::Link { from, to, descriptor: link } => {
            put_node(&mut body, from);
            put(&mut body, 257, &node_descriptor(&to.descriptor));
            let both = |(local, remote): (u32, u32)| u64::from(local) << 32 | u64::from(remote);
            put_some(&mut body, 258, link.identifiers.map(|ids| both(ids).to_be_bytes()));
            put_some(&mut body, 259, link.ipv4_local.map(|a| a.octets()));
            put_some(&mut body, 260, link.ipv4_remote.map(|a| a.octets()));
            put_some(&mut body, 261, link.ipv6_local.map(|a| a.octets()));
            put_some(&mut body, 262, link.ipv6_remote.map(|a| a.octets()));
            put_topology(&mut body, link.topology);
            put_all(&mut body, &link.other);
            2
        }
        Nlri::Prefix { node, descriptor } => {
            put_node(&mut body, node);
            put_topology(&mut body, descriptor.topology);
            put_some(&mut body, 264, descriptor.ospf_route_type.map(|kind| [kind]));
            put(&mut body, 265, &prefix(descriptor.prefix));
            put_all(&mut body, &descriptor.other);
            if descriptor.prefix.addr().is_ipv4() { 3 } else { 4 }
        }
        Nlri::Sid { node, descriptor } => {
            put_node(&mut body, node);
            put_topology(&mut body, descriptor.topology);
            put(&mut body, 518, &descriptor.sid.octets());
            put_all(&mut body, &descriptor.other);
            6
        }
    };
    put(out, kind, &body);
}

fn put_node(out: &mut Vec<u8>, node: &NodeKey) {
    out.push(node.instance.protocol.0);
    out.extend(node.instance.identifier.to_be_bytes());
    put(out, 256, &node_descriptor(&node.descriptor));
}

fn node_descriptor(node: &NodeDescriptor) -> Vec<u8> {
    let mut out = Vec::new();
    put_some(&mut out, 512, node.asn.map(u32::to_be_bytes));
    put_some(&mut out, 513, node.bgp_ls_id.map(u32::to_be_bytes));
    put_some(&mut out, 514, node.area.map(u32::to_be_bytes));
    if let Some(id) = &node.igp_router_id {
        put(&mut out, 515, id.octets());
    }
    put_some(&mut out, 516, node.bgp_router_id.map(|id| id.octets()));
    put_some(&mut out, 517, node.member_asn.map(u32::to_be_bytes));
    put_all(&mut out, &node.other);
    out
}

fn put_topology(out: &mut Vec<u8>, topology: u16) {
    put_some(out, 263, (topology != 0).then_some(topology.to_be_bytes()));
}

fn prefix(net: IpNet) -> Vec<u8> {
    let length = net.prefix_len();
    let octets = match net.addr() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    [&[length], &octets[..length.div_ceil(8).into()]].concat()
}

/// `kind` for IPv4, the next one for IPv6.
fn put_address(out: &mut Vec<u8>, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => put(out, kind, &v4.octets()),
        IpAddr::V6(v6) => put(out, kind + 1, &v6.octets()),
    }
}

fn put_node_attributes(out: &mut Vec<u8>, node: &NodeAttributes) {
    put_list(out, 263, node.topologies.iter().map(|mt| mt.to_be_bytes()));
    put_list(out, 266, node.msds.iter().map(|msd| [msd.kind, msd.value]));
    put_some(out, 1024, (node.flags.0 != 0).then_some([node.flags.0]));
    if let Some(name) = &node.name {
        put(out, 1026, name.as_bytes());
    }
    node.areas.iter().for_each(|area| put(out, 1027, area));
    node.router_ids.iter().for_each(|&id| put_address(out, 1028, id));
    put_list(out, 1035, node.algorithms.iter().map(|&algorithm| [algorithm]));
    put_some(out, 1038, node.srv6_flags.map(|flags| (u32::from(flags) << 16).to_be_bytes()));
    put_all(out, &node.other);
}

fn put_link_attributes(out: &mut Vec<u8>, link: &LinkAttributes) {
    let measured = |m: Measured<u32>| (u32::from(m.anomalous) << 31 | m.value).to_be_bytes();
    put_list(out, 267, link.msds.iter().map(|msd| [msd.kind, msd.value]));
    link.local_router_ids.iter().for_each(|&id| put_address(out, 1028, id));
    link.remote_router_ids.iter().for_each(|&id| put_address(out, 1030, id));
    put_some(out, 1089, link.max_bandwidth.map(f32::to_be_bytes));
    put_some(out, 1090, link.max_reservable.map(f32::to_be_bytes));
    put_list(out, 1091, link.unreserved.iter().flatten().map(|b| b.to_be_bytes()));
    put_some(out, 1092, link.te_metric.map(u32::to_be_bytes));
    put_some(out, 1093, link.protection.map(u16::to_be_bytes));
    put_some(
        out,
        1095,
        link.igp_metric.map(|metric| {
            let [_, a, b, c] = metric.to_be_bytes();
            [a, b, c]
        }),
    );
    put_list(out, 1096, link.srlgs.iter().map(|srlg| srlg.to_be_bytes()));
    if let Some(name) = &link.name {
        put(out, 1098, name.as_bytes());
    }
    link.adjacency_sids.iter().for_each(|sid| put_adjacency_sid(out, sid));
    put_some(out, 1114, link.delay.map(measured));
    put_some(
        out,
        1115,
        link.delay_range.map(|m| {
            let low = u64::from(m.anomalous) << 63 | u64::from(m.value.0) << 32;
            (low | u64::from(m.value.1)).to_be_bytes()
        }),
    );
    put_some(out, 1116, link.delay_variation.map(u32::to_be_bytes));
    put_some(out, 1117, link.loss.map(measured));
    put_some(out, 1118, link.residual.map(f32::to_be_bytes));
    put_some(out, 1119, link.available.map(f32::to_be_bytes));
    put_some(out, 1120, link.utilized.map(f32::to_be_bytes));
    put_list(out, 1173, link.admin_groups.iter().map(|group| group.to_be_bytes()));
    put_all(out, &link.other);
}

fn put_adjacency_sid(out: &mut Vec<u8>, sid: &AdjacencySid) {
    let mut value = sid.behavior.0.to_be_bytes().to_vec();
    value.extend([sid.flags, sid.algorithm, sid.weight, 0]);
    let neighbor = sid.neighbor.as_ref().map(|id| id.octets()).unwrap_or_default();
    value.extend(neighbor);
    value.extend(sid.sid.octets());
    put_some(&mut value, 1252, sid.structure.map(structure));
    put_all(&mut value, &sid.other);
    let kind = match neighbor.len() {
        0 => 1106,
        6 => 1107,
        _ => 1108,
    };
    put(out, kind, &value);
}

fn structure(s: SidStructure) -> [u8; 4] {
    [s.block, s.node, s.function, s.argument]
}

fn put_prefix_attributes(out: &mut Vec<u8>, prefix: &PrefixAttributes) {
    put_some(out, 1152, (prefix.igp_flags != 0).then_some([prefix.igp_flags]));
    put_list(out, 1154, prefix.tags.iter().map(|tag| tag.to_be_bytes()));
    put_some(out, 1155, prefix.metric.map(u32::to_be_bytes));
    let address = |out: &mut Vec<u8>, kind, address| match address {
        IpAddr::V4(v4) => put(out, kind, &v4.octets()),
        IpAddr::V6(v6) => put(out, kind, &v6.octets()),
    };
    if let Some(forwarding) = prefix.forwarding_address {
        address(out, 1156, forwarding);
    }
    if let Some(locator) = &prefix.locator {
        let mut value = vec![locator.flags, locator.algorithm, 0, 0];
        value.extend(locator.metric.to_be_bytes());
        put_all(&mut value, &locator.other);
        put(out, 1162, &value);
    }
    if let Some(flags) = &prefix.attribute_flags {
        put(out, 1170, flags);
    }
    if let Some(source) = prefix.source_router_id {
        address(out, 1171, source);
    }
    put_all(out, &prefix.other);
}

fn put_sid_attributes(out: &mut Vec<u8>, sid: &SidAttributes) {
    put_some(
        out,
        1250,
        sid.endpoint.map(|e| {
            let [high, low] = e.behavior.0.to_be_bytes();
            [high, low, e.flags, e.algorithm]
        }),
    );
    put_some(
        out,
        1251,
        sid.peer.map(|peer| {
            let [a, b, c, d] = peer.asn.to_be_bytes();
            let [e, f, g, h] = peer.identifier.octets();
            [peer.flags, peer.weight, 0, 0, a, b, c, d, e, f, g, h]
        }),
    );
    put_some(out, 1252, sid.structure.map(structure));
    put_all(out, &sid.other);
}
