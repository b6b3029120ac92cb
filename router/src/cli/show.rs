//! `show`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::table::{Table, grouped};
use crate::api::routes::Route;
use crate::api::show::{
    Drops, Interface, List, Neighbor, Policy, Rule, Sid, Source, Structure, Worker,
};
use crate::api::{Request, What, client};
use crate::source::link_state::{Format, Topology};

/// Systems that know the same things by other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum System {
    /// Linux, by `ip -6 route`.
    Iproute2,
}

/// How a part of the state is shown.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[group(multiple = false)]
pub struct Output {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print the lines that would set the same up in another system.
    #[arg(long = "as", value_name = "SYSTEM")]
    translate: Option<System>,
    /// Print the topology as a graph, for Graphviz.
    #[arg(long)]
    dot: bool,
    /// Draw the topology, for a browser; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Asks the daemon for a part of its state, and prints it.
pub fn show(socket: &Path, what: What, output: &Output) -> anyhow::Result<()> {
    if output.translate.is_some() && what != What::Sids {
        bail!("only SIDs can be shown as iproute2 lines: `sidewinder show sids --as iproute2`");
    }
    if (output.dot || output.svg.is_some()) && what != What::Topology {
        bail!("only the topology can be drawn: `sidewinder show topology --svg FILE`");
    }
    let ask = |request| client::request(socket, &request);
    let text = match output {
        Output { dot: true, .. } => picture(ask(Request::Draw { format: Format::Dot })?)?,
        Output { svg: Some(file), .. } => {
            let picture = picture(ask(Request::Draw { format: Format::Svg })?)?;
            if file.as_os_str() != "-" {
                std::fs::write(file, picture)
                    .with_context(|| format!("cannot write {}", file.display()))?;
                return Ok(());
            }
            picture
        }
        Output { translate: Some(_), .. } => iproute2(&parse::<Sid>(ask(Request::Show { what })?)?),
        // May be very many.
        Output { json, .. } if what == What::Routes => {
            let found: Vec<Route> = client::list(socket, &Request::Show { what })?;
            if *json {
                serde_json::to_string_pretty(&found)? + "\n"
            } else {
                routes(&found).to_string()
            }
        }
        Output { json: true, .. } => format!("{:#}\n", ask(Request::Show { what })?),
        _ => tabulate(what, ask(Request::Show { what })?)?,
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn picture(data: serde_json::Value) -> anyhow::Result<String> {
    Ok(serde_json::from_value(data)?)
}

fn parse<T: DeserializeOwned>(data: serde_json::Value) -> anyhow::Result<Vec<T>> {
    Ok(serde_json::from_value(data)?)
}

fn tabulate(what: What, data: serde_json::Value) -> anyhow::Result<String> {
    Ok(match what {
        What::Interfaces => interfaces(&parse(data)?),
        What::Workers => workers(&parse(data)?),
        What::Sids => sids(&parse(data)?),
        What::Routes => routes(&parse(data)?),
        What::Policies => policies(&parse(data)?),
        What::Rules => rules(&parse(data)?),
        What::Neighbors => neighbors(&parse(data)?),
        What::Sources => return Ok(sources(&parse(data)?)),
        What::Topology => return Ok(topology(&serde_json::from_value(data)?)),
        What::Drops => drops(&parse(data)?),
    }
    .to_string())
}

fn interfaces(interfaces: &[Interface]) -> Table {
    let mut table = Table::new([
        "interface",
        "state",
        "driver",
        "xdp",
        "memory",
        "queues",
        "mtu",
        "mac",
        "received",
        "sent",
        "kernel dropped",
    ]);
    for interface in interfaces {
        let queues: Vec<_> = interface.queues.iter().map(ToString::to_string).collect();
        // Without copies the driver asks for frames in advance, and no packet was dropped for it.
        let no_frame = if interface.zero_copy { 0 } else { interface.no_frame };
        table.row([
            interface.name.clone(),
            match (interface.replaced, interface.up) {
                (true, _) => "replaced".into(),
                (_, true) => "up".into(),
                (_, false) => "down".into(),
            },
            interface.driver.clone(),
            interface.mode.clone(),
            if interface.zero_copy { "zero-copy" } else { "copy" }.into(),
            queues.join(","),
            interface.mtu.to_string(),
            interface.mac.clone(),
            grouped(interface.received.packets),
            grouped(interface.sent.packets),
            grouped(interface.kernel_dropped + interface.ring_full + no_frame),
        ]);
    }
    table
}

fn workers(workers: &[Worker]) -> Table {
    let mut table = Table::new([
        "worker",
        "core",
        "nice",
        "received",
        "forwarded",
        "punted",
        "replied",
        "dropped",
        "per burst",
        "free frames",
    ]);
    for worker in workers {
        table.row([
            worker.worker.to_string(),
            worker.core.map_or("any".into(), |core| core.to_string()),
            worker.nice.to_string(),
            grouped(worker.received),
            grouped(worker.forwarded),
            grouped(worker.punted),
            grouped(worker.replied),
            grouped(worker.dropped),
            format!("{:.1}", worker.packets_per_burst),
            format!("{} of {}", worker.frames_free, worker.frames),
        ]);
    }
    table
}

fn sids(sids: &[Sid]) -> Table {
    let mut table = Table::new([
        "sid",
        "behavior",
        "flavors",
        "structure",
        "hmac",
        "to",
        "source",
        "packets",
        "bytes",
    ]);
    for sid in sids {
        let to = match (&sid.next_hop, &sid.interface, &sid.table) {
            (Some(hop), Some(interface), _) => format!("via {hop} dev {interface}"),
            (Some(hop), None, _) => format!("via {hop}"),
            (_, _, Some(number)) => format!("table {number}"),
            (_, Some(interface), _) => format!("dev {interface}"),
            _ if !sid.next_hops.is_empty() => format!("via {}", sid.next_hops.join(", ")),
            _ => sid.policy.as_ref().map(|name| format!("policy {name}")).unwrap_or_default(),
        };
        table.row([
            sid.sid.clone(),
            sid.behavior.clone(),
            sid.flavors.join(","),
            sid.structure.map(|s| structure(&s)).unwrap_or_default(),
            sid.hmac.clone().unwrap_or_default(),
            to,
            sid.source.clone(),
            grouped(sid.packets),
            grouped(sid.bytes),
        ]);
    }
    table.unless_empty("hmac")
}

/// Bits of block, node and function, as in `32+16+16`; a part that the SID has not is left out.
fn structure(structure: &Structure) -> String {
    let parts = [structure.block_bits, structure.node_bits, structure.function_bits];
    let parts: Vec<_> = parts.iter().filter(|bits| **bits > 0).map(ToString::to_string).collect();
    parts.join("+")
}

fn routes(routes: &[Route]) -> Table {
    let mut table = Table::new([
        "", "table", "prefix", "to", "source", "distance", "metric", "age", "standing",
    ]);
    for route in routes {
        let mut standing = route.standing.clone();
        if let Some(left) = &route.left_to_kernel {
            standing += &format!(": {}", left.why);
        }
        if route.stale {
            standing += " (stale)";
        }
        table.row([
            if route.installed { "*" } else { "" }.into(),
            route.table.clone(),
            route.prefix.clone(),
            route.target.clone(),
            route.source.clone(),
            route.distance.to_string(),
            route.metric.to_string(),
            format!("{}s", route.age),
            standing,
        ]);
    }
    table
}

/// A table, and beneath it what else there is to know of a source, line by line.
fn sources(sources: &[Source]) -> String {
    let mut table = Table::new(["source", "state", "routes", "best", "stale"]);
    let mut details = String::new();
    for source in sources {
        table.row([
            source.source.clone(),
            source.state.clone(),
            source.routes.to_string(),
            source.best.to_string(),
            source.stale.to_string(),
        ]);
        if !source.details.is_empty() {
            let mut lines = Vec::new();
            for (name, value) in &source.details {
                detail(name, value, &mut lines);
            }
            details += &format!("\n{}\n", source.source);
            let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            for (name, text) in lines {
                details += &format!("  {name:<width$}  {text}\n");
            }
        }
    }
    format!("{table}{details}")
}

/// Lines that say a value: an object's own values in one line, what it holds in lines of their own.
fn detail(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(inline).collect();
            // Several values of one item are a line.
            if items.iter().any(Value::is_object) {
                lines.extend(texts.into_iter().map(|text| (name.to_owned(), text)));
            } else if !texts.is_empty() {
                lines.push((name.to_owned(), texts.join(", ")));
            }
        }
        Value::Object(object) => {
            let own: serde_json::Map<_, _> = object
                .iter()
                .filter(|(_, value)| !value.is_object() && !value.is_null())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            if !own.is_empty() {
                lines.push((name.to_owned(), inline(&Value::Object(own))));
            }
            for (inner, value) in object.iter().filter(|(_, value)| value.is_object()) {
                detail(&format!("{name} {inner}"), value, lines);
            }
        }
        value => lines.push((name.to_owned(), inline(value))),
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(object) => {
            let parts = object.iter().map(|(name, value)| format!("{name} {}", inline(value)));
            parts.collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    }
}

/// Nodes, our own marked; and links.
fn topology(topology: &Topology) -> String {
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
            if link.stale { "stale" } else { "" }.into(),
        ]);
    }
    format!("{nodes}\n{links}")
}

fn policies(policies: &[Policy]) -> Table {
    let mut table = Table::new([
        "policy", "behavior", "source", "hmac key", "path", "segs", "weight", "state", "overhead",
        "packets", "bytes",
    ]);
    for policy in policies {
        for (place, list) in policy.lists.iter().enumerate() {
            let first = |text: &String| if place == 0 { text.clone() } else { String::new() };
            table.row([
                first(&policy.name),
                first(&policy.behavior),
                first(&policy.source),
                first(&policy.hmac_key.map(|id| id.to_string()).unwrap_or_default()),
                list.path.clone().unwrap_or_default(),
                segments(list),
                list.weight.to_string(),
                match &list.invalid {
                    Some(why) => format!("{}: {why}", list.state),
                    None => list.state.clone(),
                },
                list.overhead.to_string(),
                grouped(list.packets),
                grouped(list.bytes),
            ]);
        }
    }
    table.unless_empty("hmac key")
}

/// The segments of a list; of one that names nodes, these too.
fn segments(list: &List) -> String {
    let mut segs = list.segs.join(",");
    if !list.containers.is_empty() {
        segs += &format!(" in {}", list.containers.join(","));
    }
    match (list.via.is_empty(), list.segs.is_empty()) {
        (true, _) => segs,
        (false, true) => format!("via {}", list.via.join(",")),
        (false, false) => format!("{segs} (via {})", list.via.join(",")),
    }
}

fn rules(rules: &[Rule]) -> Table {
    let mut table = Table::new(["on", "packets for", "to", "state", "packets", "bytes"]);
    for rule in rules {
        table.row([
            rule.on.clone(),
            rule.packets_for.clone(),
            rule.policy
                .as_ref()
                .map_or("where routes lead".into(), |name| format!("policy {name}")),
            if rule.in_force { "" } else { "policy without a way" }.into(),
            grouped(rule.packets),
            grouped(rule.bytes),
        ]);
    }
    table
}

fn neighbors(neighbors: &[Neighbor]) -> Table {
    let mut table = Table::new(["address", "interface", "mac", "state", "from"]);
    for neighbor in neighbors {
        table.row([
            neighbor.address.to_string(),
            neighbor.interface.clone(),
            neighbor.mac.clone().unwrap_or_else(|| "unknown".into()),
            neighbor.state.clone(),
            if neighbor.fixed { "file" } else { "kernel" }.into(),
        ]);
    }
    table
}

fn drops(drops: &[Drops]) -> Table {
    let mut table = Table::new(["reason", "dropped", "replied"]);
    for reason in drops {
        table.row([reason.reason.clone(), grouped(reason.dropped), grouped(reason.replied)]);
    }
    table
}

/// The `ip -6 route` lines that set the same SIDs up in Linux. What Linux cannot do is a comment.
fn iproute2(sids: &[Sid]) -> String {
    sids.iter().map(|sid| iproute2_line(sid) + "\n").collect()
}

fn iproute2_line(sid: &Sid) -> String {
    let Sid { sid: address, behavior, flavors, .. } = sid;
    let Some(flavors) = linux_flavors(sid) else {
        let flavors = flavors.join(",");
        return format!("# {address}: Linux has no {behavior} with flavors {flavors}");
    };
    if behavior == "End.B6.Encaps.Red" || (behavior == "End.B6.Encaps" && sid.segs.is_empty()) {
        return format!("# {address}: Linux has no {behavior} with reduced or several lists");
    }
    if !sid.next_hops.is_empty() {
        return format!("# {address}: Linux has no {behavior} with several next hops");
    }
    let number = |name: &Option<String>| match name.as_deref() {
        Some("main") | None => "254".to_owned(),
        Some("local") => "255".to_owned(),
        Some("default") => "253".to_owned(),
        Some(number) => number.to_owned(),
    };
    let mut line = format!("ip -6 route add {address} encap seg6local action {behavior}");
    match (behavior.as_str(), &sid.next_hop) {
        ("End.DX2", _) => {
            line += &format!(" oif {}", sid.interface.as_deref().unwrap_or_default());
        }
        ("End.DX4", Some(hop)) => line += &format!(" nh4 {hop}"),
        (_, Some(hop)) => line += &format!(" nh6 {hop}"),
        ("End.T" | "End.DT6", _) => line += &format!(" table {}", number(&sid.table)),
        ("End.B6.Encaps", _) => line += &format!(" srh segs {}", sid.segs.join(",")),
        ("End.DT4" | "End.DT46", _) => line += &format!(" vrftable {}", number(&sid.table)),
        _ => {}
    }
    line += &flavors;
    // The device only says whose route it is; a link-local next hop is looked for on it.
    line + &format!(" dev {}", sid.interface.as_deref().unwrap_or("lo"))
}

/// The flavors of a SID in the words of `ip -6 route`; `None` if Linux has not all of them.
fn linux_flavors(sid: &Sid) -> Option<String> {
    let flavors: Vec<_> = sid.flavors.iter().map(String::as_str).collect();
    let multiple_of_8 = |bits: u8| bits.is_multiple_of(8);
    match (sid.behavior.as_str(), &*flavors, sid.structure) {
        (_, [], _) => Some(String::new()),
        ("End", ["PSP"], _) => Some(" flavors psp".into()),
        ("End" | "End.X", ["NEXT-CSID"], Some(structure)) => {
            let block = structure.block_bits;
            let csid = structure.node_bits + structure.function_bits;
            (multiple_of_8(block) && multiple_of_8(csid))
                .then(|| format!(" flavors next-csid lblen {block} nflen {csid}"))
        }
        // A decapsulation under a prefix is all that the flavor is.
        (behavior, ["NEXT-CSID"], _) if behavior.starts_with("End.D") => Some(String::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(behavior: &str, flavors: &[&str]) -> Sid {
        Sid {
            sid: "fc00:0:1:e::".into(),
            source: "sid".into(),
            behavior: behavior.into(),
            flavors: flavors.iter().map(ToString::to_string).collect(),
            code_point: 0,
            structure: None,
            hmac: None,
            next_hops: Vec::new(),
            next_hop: None,
            interface: None,
            table: None,
            policy: None,
            segs: Vec::new(),
            packets: 0,
            bytes: 0,
        }
    }

    #[test]
    fn iproute2_lines() {
        let line = |sid: &Sid| iproute2_line(sid);
        assert_eq!(
            line(&sid("End", &["PSP"])),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End flavors psp dev lo"
        );
        let end_x = Sid {
            next_hop: Some("fe80::2".parse().unwrap()),
            interface: Some("eth1".into()),
            ..sid("End.X", &[])
        };
        assert_eq!(
            line(&end_x),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End.X nh6 fe80::2 dev eth1"
        );
        let end_dt6 = Sid { table: Some("main".into()), ..sid("End.DT6", &[]) };
        assert_eq!(
            line(&end_dt6),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End.DT6 table 254 dev lo"
        );
        let structure = |node_bits, function_bits| {
            let argument_bits = 128 - 32 - node_bits - function_bits;
            Some(Structure { block_bits: 32, node_bits, function_bits, argument_bits })
        };
        let un = Sid {
            sid: "fc00:0:1::/48".into(),
            structure: structure(16, 0),
            ..sid("End", &["NEXT-CSID"])
        };
        assert_eq!(
            line(&un),
            "ip -6 route add fc00:0:1::/48 encap seg6local action End \
             flavors next-csid lblen 32 nflen 16 dev lo"
        );
        let ua = Sid {
            sid: "fc00:0:1:e001::/64".into(),
            structure: structure(16, 16),
            flavors: un.flavors.clone(),
            ..end_x.clone()
        };
        assert_eq!(
            line(&ua),
            "ip -6 route add fc00:0:1:e001::/64 encap seg6local action End.X nh6 fe80::2 \
             flavors next-csid lblen 32 nflen 32 dev eth1"
        );
        let udt6 = Sid { flavors: un.flavors.clone(), structure: structure(16, 16), ..end_dt6 };
        assert_eq!(
            line(&udt6),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End.DT6 table 254 dev lo"
        );
        let bound = Sid {
            policy: Some("to-r3".into()),
            segs: vec!["fc00:0:2:e::".into(), "fc00:0:3:e::".into()],
            ..sid("End.B6.Encaps", &[])
        };
        assert_eq!(
            line(&bound),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End.B6.Encaps \
             srh segs fc00:0:2:e::,fc00:0:3:e:: dev lo"
        );
        let several = Sid { next_hops: vec!["fe80::2".into(); 2], ..sid("End.X", &[]) };
        assert_eq!(line(&several), "# fc00:0:1:e::: Linux has no End.X with several next hops");
        let odd = Sid { structure: structure(12, 0), ..un };
        assert!(line(&odd).starts_with("# fc00:0:1::/48: Linux has no End"), "{}", line(&odd));
        assert_eq!(
            line(&sid("End", &["USD"])),
            "# fc00:0:1:e::: Linux has no End with flavors USD"
        );
    }
}
