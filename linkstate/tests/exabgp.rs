//! A second opinion on recorded feeds: that of ExaBGP, which `scripts/exabgp` fetches.

mod common;

use std::path::Path;
use std::process::Command;

use common::{decoder, messages, read, shared};
use serde_json::{Value, json};
use sidewinder_linkstate::ted::{AdjacencySid, Event, NodeKey, SidStructure};
use sidewinder_tests::exabgp::program;
use sidewinder_tests::skip::Need;
use sidewinder_tests::{needs, skip};

type Outcome = Result<(), String>;

#[test]
fn exabgp_says_the_same_of_every_announcement() -> Outcome {
    needs!(Need::ExaBgp);
    let program = program().ok_or("no ExaBGP")?;
    let mut recorded = messages(common::TRIANGLE);
    match shared("exabgp-qa-bgpls10-as12322.hex") {
        Ok(text) => recorded.extend(messages(&text)),
        Err(reason) => skip!("{reason}"),
    }
    let mut compared = 0;
    for message in recorded {
        let (events, _) = read(&mut decoder(), &message);
        let theirs = exabgp(&program, &message)?;
        let update = &theirs["neighbor"]["message"]["update"];
        let announced: Vec<_> = update["announce"]["bgp-ls bgp-ls"]
            .as_object()
            .into_iter()
            .flat_map(|by_next_hop| by_next_hop.values())
            .flat_map(|list| list.as_array().cloned().unwrap_or_default())
            .collect();
        let ours: Vec<_> =
            events.iter().filter(|e| !matches!(e, Event::Withdraw(_) | Event::EndOfRib)).collect();
        assert_eq!(ours.len(), announced.len(), "{theirs}");
        for (event, nlri) in ours.into_iter().zip(announced) {
            compare(event, &nlri, &update["attribute"]["bgp-ls"]);
            compared += 1;
        }
    }
    assert_eq!(compared, 24 + 3 + 1);
    Ok(())
}

fn exabgp(program: &Path, message: &[u8]) -> Result<Value, String> {
    let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
    let output = Command::new(program)
        .args(["decode", "-f", "bgp-ls bgp-ls", &hex])
        .output()
        .map_err(|error| format!("cannot run exabgp: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // What it does not know it says in front of it.
    let line = text.lines().find(|line| line.starts_with('{'));
    match line.map(serde_json::from_str) {
        Some(Ok(value)) => Ok(value),
        // It says nothing of messages that only withdraw.
        _ => Ok(Value::Null),
    }
}

fn compare(event: &Event, nlri: &Value, attribute: &Value) {
    match event {
        Event::Node(node, attributes) => {
            assert_eq!(nlri["ls-nlri-type"], "bgpls-node");
            assert_eq!(router_id(&nlri["node-descriptors"]), octets(node));
            assert_eq!(attribute["node-name"], json!(attributes.name));
        }
        Event::Link { from, to, descriptor, attributes } => {
            assert_eq!(nlri["ls-nlri-type"], "bgpls-link");
            assert_eq!(router_id(&nlri["local-node-descriptors"]), octets(from));
            assert_eq!(router_id(&nlri["remote-node-descriptors"]), octets(to));
            let list = |address: Option<std::net::Ipv6Addr>| json!(Vec::from_iter(address));
            assert_eq!(nlri["interface-addresses"], list(descriptor.ipv6_local));
            assert_eq!(nlri["neighbor-addresses"], list(descriptor.ipv6_remote));
            assert_eq!(nlri["multi-topology-ids"], json!([descriptor.topology]));
            let ids = descriptor
                .identifiers
                .map(|(local, remote)| json!({"link-local-id": local, "link-remote-id": remote}));
            assert_eq!(nlri["link-identifiers"], json!(Vec::from_iter(ids)));
            assert_eq!(attribute["igp-metric"], json!(attributes.igp_metric));
            assert_eq!(attribute["maximum-link-bandwidth"], json!(attributes.max_bandwidth));
            let theirs = ["srv6-endx", "srv6-lan-endx-isis"].map(|key| attribute[key].as_array());
            let theirs: Vec<_> = theirs.into_iter().flatten().flatten().cloned().collect();
            let ours: Vec<_> = attributes.adjacency_sids.iter().map(adjacency).collect();
            assert_eq!(ours, theirs);
        }
        Event::Prefix { node, descriptor, attributes } => {
            assert_eq!(nlri["ls-nlri-type"], "bgpls-prefix-v6");
            assert_eq!(router_id(&nlri["node-descriptors"]), octets(node));
            assert_eq!(nlri["ip-reach-prefix"], json!(descriptor.prefix.to_string()));
            assert_eq!(attribute["prefix-metric"], json!(attributes.metric));
            let theirs = &attribute["srv6-locator"];
            let locator = attributes.locator.as_ref();
            assert_eq!(theirs.get("algorithm"), locator.map(|l| json!(l.algorithm)).as_ref());
            assert_eq!(theirs.get("metric"), locator.map(|l| json!(l.metric)).as_ref());
        }
        Event::Sid { node, descriptor, attributes } => {
            assert_eq!(nlri["ls-nlri-type"], "bgpls-srv6sid");
            assert_eq!(router_id(&nlri["node-descriptors"]), octets(node));
            assert_eq!(nlri["srv6-sid-descriptors"]["srv6-sid"], json!(descriptor.sid));
            let endpoint = attributes.endpoint.expect("a behavior");
            let theirs = &attribute["srv6-endpoint-behavior"];
            assert_eq!(theirs["endpoint-behavior"], json!(endpoint.behavior.0));
            assert_eq!(theirs["algorithm"], json!(endpoint.algorithm));
            assert_eq!(attribute["srv6-sid-structure"], structure(attributes.structure));
        }
        Event::Withdraw(_) | Event::EndOfRib => {}
    }
}

fn router_id(descriptors: &Value) -> String {
    let list = descriptors.as_array().into_iter().flatten();
    let found = list.filter_map(|descriptor| descriptor["router-id"].as_str()).next();
    found.unwrap_or_default().to_owned()
}

fn octets(node: &NodeKey) -> String {
    let id = node.descriptor.igp_router_id.expect("an IGP Router-ID");
    id.octets().iter().map(|octet| format!("{octet:02x}")).collect()
}

fn adjacency(sid: &AdjacencySid) -> Value {
    let flag = |bit: u8| u8::from(sid.flags & bit != 0);
    let mut value = json!({
        "flags": {
            "B": flag(AdjacencySid::BACKUP),
            "S": flag(AdjacencySid::SET),
            "P": flag(AdjacencySid::PERSISTENT),
            "RSV": 0,
        },
        "behavior": sid.behavior.0,
        "algorithm": sid.algorithm,
        "weight": sid.weight,
        "sid": sid.sid,
        "srv6-sid-structure": structure(sid.structure),
    });
    if let Some(neighbor) = sid.neighbor {
        let hex: String = neighbor.octets().iter().map(|octet| format!("{octet:02x}")).collect();
        value["neighbor-id"] = json!(hex);
    }
    value
}

fn structure(structure: Option<SidStructure>) -> Value {
    let s = structure.expect("a structure");
    json!({
        "loc_block_len": s.block,
        "loc_node_len": s.node,
        "func_len": s.function,
        "arg_len": s.argument,
    })
}
