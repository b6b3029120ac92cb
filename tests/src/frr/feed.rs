//! The topology that bgpd tells by BGP-LS: how a router is made to tell it, and what it and
//! Sidewinder have of it, in the same words.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Frr;
use super::isis::Network;
use crate::lab::Sidewinder;

/// How long bgpd may take to have what isisd knows.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked.
const ATTEMPTS: usize = 5;

/// A topology: a line for each node, link, locator, SID, and number of other prefixes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// The lines.
    pub lines: BTreeSet<String>,
}

impl Topology {
    fn count(&self, kind: &str) -> usize {
        self.lines.iter().filter(|line| line.starts_with(kind)).count()
    }

    /// Whether a link between two routers is told in either direction.
    pub fn has_link(&self, [a, b]: &[String; 2]) -> bool {
        self.count(&format!("link {a} {b} ")) + self.count(&format!("link {b} {a} ")) > 0
    }

    /// Whether nothing of a network is missing: each router with its locator and node SID, each
    /// direction of each link with an adjacency SID.
    pub fn is_whole(&self, network: &Network) -> bool {
        let routers = usize::from(network.routers);
        let links = self.lines.iter().filter(|line| line.starts_with("link "));
        ["node ", "locator ", "sid "].iter().all(|kind| self.count(kind) == routers)
            && links.filter(|line| line.contains(" sid ")).count() == 2 * network.links.len()
    }
}

/// Makes a router tell a neighbor the topology, and waits until it has all of it. The way between
/// them may be longer than a link, when one has failed.
///
/// bgpd asks isisd for what there is when the first neighbor is activated, and follows what changes.
/// With FRR 10.7 parts of that are missing now and then, and stay so (FRR's issue 22071): then it is
/// made to ask again.
pub fn tell(network: &Network, frr: &Frr, peer: &str) -> Result<()> {
    frr.configure(&format!(
        "router bgp 65000\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n \
         neighbor {peer} remote-as 65001\n neighbor {peer} passive\n \
         neighbor {peer} ebgp-multihop\n \
         address-family link-state\n  neighbor {peer} activate\n"
    ))?;
    let activate = format!("neighbor {peer} activate");
    for attempt in 1..=ATTEMPTS {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if of_frr(frr)?.is_whole(network) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        println!("attempt {attempt}: bgpd lacks a part of what isisd knows: {:#?}", of_frr(frr)?);
        for line in [&format!("no {activate}"), &activate] {
            let family = ["configure terminal", "router bgp 65000", "address-family link-state"];
            frr.vtysh(&[&family[..], &[line]].concat())?;
        }
    }
    bail!("bgpd still lacks a part after {ATTEMPTS} attempts:\n{}", frr.log("bgpd"))
}

/// What bgpd tells.
pub fn of_frr(frr: &Frr) -> Result<Topology> {
    let table = frr.json("show bgp link-state link-state json")?;
    let mut lines = BTreeSet::new();
    let mut prefixes = BTreeMap::new();
    for paths in table["routes"].as_object().into_iter().flat_map(|routes| routes.values()) {
        let Some(path) = paths.get(0) else { continue };
        let (nlri, attributes) = (&path["nlri"], &path["linkStateAttrs"]);
        let id = |which: &str| {
            let id = nlri[which]["igpRouterId"].as_str().unwrap_or_default();
            id.strip_suffix(".00").filter(|short| short.len() == 14).unwrap_or(id).to_owned()
        };
        let node = id("localNodeDescriptors");
        let kind = nlri["nlriType"].as_str().context("an NLRI's type")?;
        match kind {
            "node" => _ = lines.insert(format!("node {node}")),
            "link" => {
                let link = &nlri["linkDescriptors"];
                let sids = items(&attributes["srv6EndxSids"]).map(|sid| {
                    format!(" sid {} {}", text(&sid["sid"]), hexadecimal(&sid["behavior"]))
                });
                lines.insert(format!(
                    "link {node} {} {} {} metric {}{}",
                    id("remoteNodeDescriptors"),
                    text(&link["ipv6InterfaceAddress"]),
                    text(&link["ipv6NeighborAddress"]),
                    attributes["igpMetric"],
                    sids.collect::<String>()
                ));
            }
            "ipv4Prefix" | "ipv6Prefix" => {
                let prefix = text(&nlri["prefixDescriptors"]["ipReachabilityInformation"]);
                match attributes.get("srv6Locator") {
                    Some(_) => _ = lines.insert(format!("locator {node} {prefix}")),
                    None => *prefixes.entry(node).or_insert(0) += 1,
                }
            }
            "srv6Sid" => {
                let sid = text(&nlri["srv6SidDescriptors"]["srv6SidValue"]);
                let behavior = hexadecimal(&attributes["srv6EndpointBehavior"]["behavior"]);
                lines.insert(format!("sid {node} {sid} {behavior}"));
            }
            other => bail!("an NLRI of the type {other}"),
        }
    }
    lines.extend(prefixes.iter().map(|(node, count)| format!("prefixes {node} {count}")));
    Ok(Topology { lines })
}

/// What Sidewinder has.
pub fn of_sidewinder(daemon: &Sidewinder) -> Result<Topology> {
    let said: Value = serde_json::from_str(&daemon.command("show topology --json")?)?;
    let mut lines = BTreeSet::new();
    let sid = |sid: &Value| format!("{} {}", text(&sid["sid"]), sid["code-point"]);
    for node in items(&said["nodes"]) {
        let id = text(&node["router-id"]);
        lines.insert(format!("node {id}"));
        lines.extend(
            items(&node["locators"]).map(|it| format!("locator {id} {}", text(&it["prefix"]))),
        );
        lines.extend(items(&node["sids"]).map(|it| format!("sid {id} {}", sid(it))));
        if let Some(count) = node["prefixes"].as_u64().filter(|count| *count > 0) {
            lines.insert(format!("prefixes {id} {count}"));
        }
    }
    for link in items(&said["links"]) {
        let sids = items(&link["adjacency-sids"]).map(|it| format!(" sid {}", sid(it)));
        lines.insert(format!(
            "link {} {} {} {} metric {}{}",
            text(&link["from-router-id"]),
            text(&link["to-router-id"]),
            text(&link["local"]),
            text(&link["remote"]),
            link["metric"],
            sids.collect::<String>()
        ));
    }
    Ok(Topology { lines })
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// FRR's `0x2b`, as a number.
fn hexadecimal(value: &Value) -> u16 {
    u16::from_str_radix(text(value).trim_start_matches("0x"), 16).unwrap_or_default()
}
