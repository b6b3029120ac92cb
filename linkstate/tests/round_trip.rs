//! What is written is read again, and means the same.

mod common;

use std::net::{Ipv4Addr, Ipv6Addr};

use common::{decoder, read};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use sidewinder_linkstate::bgp_ls::encode;
use sidewinder_linkstate::ted::*;

fn router_id(length: usize) -> impl Strategy<Value = RouterId> {
    vec(any::<u8>(), length).prop_map(|octets| RouterId::new(&octets).expect("a router ID"))
}

fn key() -> impl Strategy<Value = NodeKey> {
    let kinds = prop_oneof![
        (Just(Protocol::ISIS_L1), prop_oneof![router_id(6), router_id(7)]),
        (Just(Protocol::ISIS_L2), prop_oneof![router_id(6), router_id(7)]),
        (Just(Protocol::OSPFV3), prop_oneof![router_id(4), router_id(8)]),
    ];
    (kinds, any::<u64>(), of(any::<u32>()), of(any::<u32>())).prop_map(
        |((protocol, id), identifier, asn, area)| NodeKey {
            instance: Instance { protocol, identifier },
            descriptor: NodeDescriptor {
                asn,
                area,
                igp_router_id: Some(id),
                ..NodeDescriptor::default()
            },
        },
    )
}

fn unknown() -> impl Strategy<Value = Vec<Tlv>> {
    let tlv = (60000..u16::MAX, vec(any::<u8>(), 0..20));
    vec(tlv.prop_map(|(kind, value)| Tlv { kind, value: value.into() }), 0..4)
}

fn sorted(mut tlvs: Vec<Tlv>) -> Box<[Tlv]> {
    tlvs.sort();
    tlvs.into()
}

fn node() -> impl Strategy<Value = Event> {
    (key(), of("[a-z]{1,20}"), any::<u8>(), vec(0..4096u16, 0..4), of(any::<u16>()), unknown())
        .prop_map(|(key, name, flags, topologies, srv6_flags, other)| {
            let attributes = NodeAttributes {
                name: name.map(Into::into),
                flags: NodeFlags(flags),
                areas: vec![[0x49, 0, 0].into()],
                router_ids: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                topologies,
                algorithms: vec![0, 128],
                msds: vec![Msd { kind: 41, value: 10 }],
                srv6_flags,
                other,
            };
            Event::Node(key, attributes.into())
        })
}

fn adjacency_sid() -> impl Strategy<Value = AdjacencySid> {
    let lan = of(prop_oneof![router_id(6), router_id(4)]);
    (any::<u128>(), any::<u16>(), any::<u8>(), any::<u8>(), lan, of(0..33u8), unknown()).prop_map(
        |(sid, behavior, flags, algorithm, neighbor, part, other)| AdjacencySid {
            sid: sid.into(),
            behavior: Behavior(behavior),
            flags,
            algorithm,
            weight: flags,
            neighbor,
            structure: part.map(|p| SidStructure { block: p, node: p, function: p, argument: p }),
            other,
        },
    )
}

fn measured() -> impl Strategy<Value = Option<Measured<u32>>> {
    of((any::<bool>(), 0..1u32 << 24).prop_map(|(anomalous, value)| Measured { anomalous, value }))
}

fn link() -> impl Strategy<Value = Event> {
    let descriptor =
        (of(any::<(u32, u32)>()), of(any::<u32>()), of(any::<u128>()), 0..4096u16, unknown());
    let attributes = (
        of(0..1u32 << 24),
        of(0f32..1e12),
        vec(any::<u32>(), 0..5),
        vec(adjacency_sid(), 0..4),
        measured(),
        measured(),
        unknown(),
    );
    (key(), key(), descriptor, attributes).prop_map(|(from, mut to, d, a)| {
        to.instance = from.instance;
        to.descriptor.igp_router_id = from.descriptor.igp_router_id;
        let descriptor = LinkDescriptor {
            identifiers: d.0,
            ipv4_local: d.1.map(Into::into),
            ipv4_remote: d.1.map(Into::into),
            ipv6_local: d.2.map(Into::into),
            ipv6_remote: d.2.map(Into::into),
            topology: d.3,
            other: sorted(d.4),
        };
        let attributes = LinkAttributes {
            igp_metric: a.0,
            te_metric: a.0,
            max_bandwidth: a.1,
            max_reservable: a.1,
            unreserved: a.1.map(|bandwidth| [bandwidth; 8]),
            admin_groups: a.2.clone(),
            srlgs: a.2,
            name: Some("link".into()),
            protection: a.0.map(|metric| metric as u16),
            msds: vec![Msd { kind: 41, value: 3 }],
            local_router_ids: vec![Ipv4Addr::LOCALHOST.into()],
            remote_router_ids: vec![Ipv6Addr::LOCALHOST.into()],
            adjacency_sids: a.3,
            delay: a.4,
            delay_range: a.4.map(|m| Measured { anomalous: m.anomalous, value: (m.value, 7) }),
            delay_variation: a.0,
            loss: a.5,
            residual: a.1,
            available: a.1,
            utilized: a.1,
            other: a.6,
        };
        Event::Link { from, to, descriptor: descriptor.into(), attributes: attributes.into() }
    })
}

fn net() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u32>(), 0..=32u8).prop_map(|(a, length)| Ipv4Net::new_assert(a.into(), length));
    let v6 = (any::<u128>(), 0..=128u8).prop_map(|(a, l)| Ipv6Net::new_assert(a.into(), l));
    prop_oneof![v4.prop_map(IpNet::V4), v6.prop_map(IpNet::V6)].prop_map(|net| net.trunc())
}

fn prefix() -> impl Strategy<Value = Event> {
    let locator = of((any::<u8>(), any::<u8>(), any::<u32>(), unknown()));
    let flags = of(any::<u8>());
    (key(), net(), 0..4096u16, flags, unknown(), of(any::<u32>()), locator).prop_map(
        |(node, prefix, topology, flags, other, metric, locator)| {
            let descriptor = PrefixDescriptor {
                prefix,
                topology,
                ospf_route_type: flags,
                other: sorted(other.clone()),
            };
            let attributes = PrefixAttributes {
                metric,
                igp_flags: flags.unwrap_or_default(),
                tags: metric.map(u64::from).into_iter().collect(),
                forwarding_address: metric.map(|m| Ipv4Addr::from(m).into()),
                attribute_flags: flags.map(|flags| [flags].into()),
                source_router_id: metric.map(|_| Ipv6Addr::LOCALHOST.into()),
                locator: locator.map(|(flags, algorithm, metric, other)| Locator {
                    flags,
                    algorithm,
                    metric,
                    other,
                }),
                other,
            };
            let (descriptor, attributes) = (descriptor.into(), attributes.into());
            Event::Prefix { node, descriptor, attributes }
        },
    )
}

fn sid() -> impl Strategy<Value = Event> {
    (
        key(),
        any::<u128>(),
        0..4096u16,
        of(any::<(u16, u8, u8)>()),
        of(any::<(u32, u32)>()),
        unknown(),
    )
        .prop_map(|(node, sid, topology, endpoint, peer, other)| {
            let sid = sid.into();
            let descriptor = SidDescriptor { sid, topology, other: sorted(other.clone()) };
            let attributes = SidAttributes {
                endpoint: endpoint.map(|(behavior, flags, algorithm)| EndpointBehavior {
                    behavior: Behavior(behavior),
                    flags,
                    algorithm,
                }),
                structure: peer.map(|_| SidStructure { block: 32, node: 16, ..Default::default() }),
                peer: peer.map(|(asn, id)| BgpPeerNode {
                    flags: 0x80,
                    weight: 1,
                    asn,
                    identifier: id.into(),
                }),
                other,
            };
            let (descriptor, attributes) = (descriptor.into(), attributes.into());
            Event::Sid { node, descriptor, attributes }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(event in prop_oneof![node(), link(), prefix(), sid()]) {
        let message = encode::update(&event, 65000).expect("a message");
        let mut decoder = decoder();
        let (events, good) = read(&mut decoder, &message);
        prop_assert!(good);
        prop_assert_eq!(decoder.tally.total(), 0, "{:?}", decoder.tally.iter().collect::<Vec<_>>());
        prop_assert_eq!(events, vec![event]);
    }
}

#[test]
fn end_of_rib_is_read() {
    let message = encode::update(&Event::EndOfRib, 65000).expect("a message");
    assert_eq!(read(&mut decoder(), &message), (vec![Event::EndOfRib], true));
}
