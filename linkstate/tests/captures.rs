//! Recorded feeds decode completely.

mod common;

use std::collections::BTreeMap;

use common::{counts, feed, messages, shared};
use serde_json::{Value, json};
use sidewinder_linkstate::bgp_ls::Decoder;
use sidewinder_linkstate::reason::Reason;
use sidewinder_linkstate::ted::{
    Behavior, Changes, LinkAttributes, NodeAttributes, NodeKey, RouterId, SidAttributes,
    SidStructure, Ted,
};
use sidewinder_tests::skip;

type Outcome = Result<(), String>;

/// Messages up to End-of-RIB of the triangle's feed.
const INITIAL: usize = 12;

/// Nothing is skipped; FRR orders the TLVs of SIDs as they must not be.
fn assert_nothing_was_lost(ted: &Ted, decoder: &Decoder) {
    let met: Vec<_> = decoder.tally.iter().map(|(reason, _)| reason).collect();
    assert!(met.iter().all(|reason| *reason == Reason::TlvOrder), "{met:?}");
    assert!(ted.nodes().all(|(_, node)| node.announced()));
    let unknown = ted
        .nodes()
        .map(|(_, n)| n.attributes().map_or(0, |a| a.other.len()))
        .chain(ted.links().map(|(_, l)| l.attributes.other.len() + l.descriptor.other.len()))
        .chain(ted.prefixes().map(|(_, p)| p.attributes.other.len() + p.descriptor.other.len()))
        .chain(ted.sids().map(|(_, s)| s.attributes.other.len() + s.descriptor.other.len()));
    assert_eq!(unknown.sum::<usize>(), 0, "TLVs that were not understood");
}

#[test]
fn a_triangle_is_read_from_frr() {
    let messages = messages(common::TRIANGLE);
    let (ted, decoder) = feed(&messages[..INITIAL]);
    assert_eq!(counts(&ted), [3, 6, 12, 3]);
    assert_nothing_was_lost(&ted, &decoder);
    assert_eq!(decoder.tally.of(Reason::TlvOrder), 3);
}

#[test]
fn a_link_goes_and_comes_back() {
    let messages = messages(common::TRIANGLE);
    let (mut ted, mut decoder) = feed(&messages[..INITIAL]);
    let before = common::contents(&ted);
    ted.take_changes();
    let mut steps = Vec::new();
    for message in &messages[INITIAL..] {
        let (events, good) = common::read(&mut decoder, message);
        assert!(good);
        events.into_iter().for_each(|event| ted.apply(event, &mut decoder.tally));
        let Changes { nodes, links, prefixes, sids } = ted.take_changes();
        steps.push([nodes.len(), links.len(), prefixes.len(), sids.len()]);
    }
    // Both directions with their SIDs, the prefix of one end, and all of it again. The prefix of
    // the other end stayed.
    assert_eq!(steps, [[0, 2, 0, 2], [0, 0, 1, 0], [0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 1, 0]]);
    assert_eq!(common::contents(&ted), before);
    assert_nothing_was_lost(&ted, &decoder);
}

/// A real network's link has four LAN End.X SIDs: two algorithms, each with and without flag B.
#[test]
fn adjacency_sids_are_told_apart_by_algorithm_and_flag_b() -> Outcome {
    let text = match shared("exabgp-qa-bgpls10-as12322.hex") {
        Ok(text) => text,
        Err(reason) => skip!("{reason}"),
    };
    let (ted, decoder) = feed(&messages(&text));
    assert_eq!(decoder.tally.total(), 0);
    let (_, link) = ted.links().next().expect("one link");
    assert_eq!(link.attributes.igp_metric, Some(1000));
    assert_eq!(link.descriptor.identifiers, Some((16, 0)));
    let structure = Some(SidStructure { block: 32, node: 16, function: 16, argument: 64 });
    for (algorithm, backup, sid) in [
        (0, true, "fc30:2200:d:e002::"),
        (0, false, "fc30:2200:d:e003::"),
        (128, true, "fc30:2201:d:e006::"),
        (128, false, "fc30:2201:d:e007::"),
    ] {
        let found = link.attributes.adjacency_sid(algorithm, backup).expect("a SID");
        assert_eq!(found.sid.to_string(), sid);
        assert_eq!(found.neighbor, RouterId::parse("0000.0000.0014"));
        assert_eq!((found.behavior, found.structure), (Behavior(57), structure));
    }
    assert_eq!(link.attributes.adjacency_sids.len(), 4);
    Ok(())
}

/// Every NLRI and every attribute is what FRR itself says of it.
#[test]
fn frr_says_the_same_of_its_database() -> Outcome {
    let (feed_text, frr) =
        match (shared("frr107-bgpls-initial.txt"), shared("frr107-show-bgp-link-state.json")) {
            (Ok(text), Ok(json)) => (text, json),
            (Err(reason), _) | (_, Err(reason)) => skip!("{reason}"),
        };
    let (ted, _) = feed(&messages(&feed_text));
    let frr: Value = serde_json::from_str(&frr).map_err(|error| error.to_string())?;
    let frr: BTreeMap<String, Value> = frr["routes"]
        .as_object()
        .ok_or("routes of FRR")?
        .values()
        .map(|route| (route[0]["nlri"].to_string(), route[0]["linkStateAttrs"].clone()))
        .collect();
    let ours = as_frr_says_it(&ted);
    assert_eq!(ours.len(), 24);
    assert_eq!(ours.keys().collect::<Vec<_>>(), frr.keys().collect::<Vec<_>>());
    for (nlri, attributes) in ours {
        assert_eq!(attributes, frr[&nlri], "{nlri}");
    }
    Ok(())
}

/// NLRI, and what is said of each.
fn as_frr_says_it(ted: &Ted) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let key = |id| ted.node(id).expect("a node").key();
    for (_, node) in ted.nodes() {
        let attributes = node.attributes().expect("an announced node");
        all.insert(nlri("node", node.key(), json!({})), of_node(attributes));
    }
    for (_, link) in ted.links() {
        let d = &link.descriptor;
        let more = json!({
            "remoteNodeDescriptors": {"igpRouterId": frr_id(key(link.to))},
            "linkDescriptors": {
                "ipv6InterfaceAddress": d.ipv6_local,
                "ipv6NeighborAddress": d.ipv6_remote,
                "multiTopologyId": d.topology,
            },
        });
        all.insert(nlri("link", key(link.from), more), of_link(&link.attributes));
    }
    for (_, prefix) in ted.prefixes() {
        let d = &prefix.descriptor;
        let more = json!({"prefixDescriptors": {
            "ipReachabilityInformation": d.prefix.to_string(),
            "multiTopologyId": d.topology,
        }});
        let a = &prefix.attributes;
        let mut said = json!({"prefixMetric": a.metric});
        if let Some(l) = &a.locator {
            said["srv6Locator"] =
                json!({"flags": hex(l.flags), "algo": l.algorithm, "metric": l.metric});
        }
        all.insert(nlri("ipv6Prefix", key(prefix.node), more), said);
    }
    for (_, sid) in ted.sids() {
        let d = &sid.descriptor;
        let more = json!({"srv6SidDescriptors": {
            "multiTopologyId": [d.topology],
            "srv6SidValue": d.sid,
        }});
        all.insert(nlri("srv6Sid", key(sid.node), more), of_sid(&sid.attributes));
    }
    all
}

fn nlri(kind: &str, node: &NodeKey, more: Value) -> String {
    let mut nlri = json!({
        "nlriType": kind,
        "protocolId": node.instance.protocol.0,
        "identifier": node.instance.identifier,
        "localNodeDescriptors": {"igpRouterId": frr_id(node)},
    });
    let more = more.as_object().expect("an object").clone();
    nlri.as_object_mut().expect("an object").extend(more);
    nlri.to_string()
}

/// FRR writes a system ID like a pseudonode's.
fn frr_id(node: &NodeKey) -> String {
    format!("{node}.00")
}

fn hex(flags: impl Into<u16>) -> String {
    format!("{:#x}", flags.into())
}

fn of_node(node: &NodeAttributes) -> Value {
    let area: String = node.areas[0].iter().map(|octet| format!("{octet:02x}")).collect();
    let mut said = json!({
        "nodeName": node.name,
        "isisAreaId": format!("{}.{}", &area[..2], &area[2..]),
        "multiTopologyIds": node.topologies,
    });
    if let Some(id) = node.router_ids.first() {
        said["routerIdLocal"] = json!(id);
    }
    if let Some(flags) = node.srv6_flags {
        said["srv6Capabilities"] = json!({"flags": hex(flags)});
    }
    said
}

fn of_link(link: &LinkAttributes) -> Value {
    let unreserved = link.unreserved.expect("unreserved bandwidth");
    let unreserved: Vec<_> =
        (0..8).map(|class| json!({format!("classType{class}"): unreserved[class]})).collect();
    let sids = link.adjacency_sids.iter().map(|sid| {
        json!({
            "sid": sid.sid,
            "behavior": hex(sid.behavior.0),
            "flags": hex(sid.flags),
            "algo": sid.algorithm,
            "weight": sid.weight,
            "srv6SidStructure": structure(sid.structure),
        })
    });
    json!({
        "maxLinkBandwidth": link.max_bandwidth,
        "maxResvLinkBandwidth": link.max_reservable,
        "unreservedBandwidth": unreserved,
        "igpMetric": link.igp_metric,
        "srv6EndxSids": sids.collect::<Vec<_>>(),
    })
}

fn of_sid(sid: &SidAttributes) -> Value {
    let endpoint = sid.endpoint.expect("a behavior");
    json!({
        "srv6EndpointBehavior": {
            "behavior": hex(endpoint.behavior.0),
            "flags": hex(endpoint.flags),
            "algo": endpoint.algorithm,
        },
        "srv6SidStructure": structure(sid.structure),
    })
}

fn structure(structure: Option<SidStructure>) -> Value {
    let s = structure.expect("a structure");
    json!({"lbLen": s.block, "lnLen": s.node, "funLen": s.function, "argLen": s.argument})
}
