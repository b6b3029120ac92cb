//! The topology as two tables.

use std::collections::BTreeMap;

use super::super::table::Table;
use crate::source::link_state::Topology;

/// Nodes, our own marked; and links.
pub fn topology(topology: &Topology) -> String {
    let mut nodes = Table::new([
        "",
        "node",
        "router id",
        "protocol",
        "distance",
        "locators",
        "sids",
        "prefixes",
        "",
    ]);
    for node in &topology.nodes {
        let locators: Vec<_> = node
            .locators
            .iter()
            .map(|locator| match locator.algorithm {
                0 => locator.prefix.clone(),
                algorithm => format!("{} (algorithm {algorithm})", locator.prefix),
            })
            .collect();
        let notes = [(node.pseudonode, "LAN"), (node.overload, "overload"), (node.stale, "stale")];
        let notes: Vec<_> = notes.into_iter().filter_map(|(is, note)| is.then_some(note)).collect();
        nodes.row([
            if node.own { "*" } else { "" }.into(),
            node.name.clone(),
            node.router_id.clone().unwrap_or_default(),
            node.protocol.clone(),
            node.distance.map_or("–".into(), |distance| distance.to_string()),
            locators.join(", "),
            node.sids.len().to_string(),
            node.prefixes.to_string(),
            notes.join(", "),
        ]);
    }
    let mut links = Table::new([
        "from",
        "to",
        "metric",
        "local",
        "remote",
        "interface",
        "delay",
        "bandwidth",
        "load",
        "sids",
        "",
    ]);
    let mut names = BTreeMap::new();
    for node in &topology.nodes {
        *names.entry(node.name.as_str()).or_insert(0) += 1;
    }
    // A name that several have says nothing.
    let end = |name: &String, id: &Option<String>| match id {
        Some(id) if names.get(name.as_str()).is_some_and(|count| *count > 1) => id.clone(),
        _ => name.clone(),
    };
    let some = |text: Option<String>| text.unwrap_or_default();
    for link in &topology.links {
        let sids: Vec<_> = link.adjacency_sids.iter().map(|sid| sid.sid.clone()).collect();
        let notes = [(link.down, "down"), (link.stale, "stale")];
        let notes: Vec<_> = notes.iter().filter(|(is, _)| *is).map(|(_, note)| *note).collect();
        links.row([
            end(&link.from, &link.from_router_id),
            end(&link.to, &link.to_router_id),
            some(link.metric.map(|metric| metric.to_string())),
            some(link.local.clone()),
            some(link.remote.clone()),
            some(link.interface.clone()),
            some(link.delay.map(|delay| format!("{delay} µs"))),
            some(link.bandwidth.map(|bandwidth| format!("{:.3} Gbit/s", bandwidth * 8.0 / 1e9))),
            some(link.load.map(|load| format!("{:.1} %", load * 100.0))),
            sids.join(", "),
            notes.join(", "),
        ]);
    }
    format!("{nodes}\n{links}")
}
