//! `show`.

use std::io::Write as _;
use std::path::Path;

use anyhow::bail;
use serde::de::DeserializeOwned;

use super::table::{Table, grouped};
use crate::api::show::{Drops, Interface, Neighbor, Policy, Route, Sid, Source, Worker};
use crate::api::{Request, What, client};

/// Systems that know the same things by other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum System {
    /// Linux, by `ip -6 route`.
    Iproute2,
}

/// Asks the daemon for a part of its state, and prints it.
pub fn show(
    socket: &Path,
    what: What,
    json: bool,
    translate: Option<System>,
) -> anyhow::Result<()> {
    if translate.is_some() && what != What::Sids {
        bail!("only SIDs can be shown as iproute2 lines: `sidewinder show sids --as iproute2`");
    }
    let data = client::request(socket, &Request::Show { what })?;
    let text = if translate.is_some() {
        iproute2(&parse::<Sid>(data)?)
    } else if json {
        format!("{data:#}\n")
    } else {
        tabulate(what, data)?
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
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
        What::Neighbors => neighbors(&parse(data)?),
        What::Sources => sources(&parse(data)?),
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
    let mut table = Table::new(["sid", "behavior", "flavors", "to", "source", "packets", "bytes"]);
    for sid in sids {
        let to = match (&sid.next_hop, &sid.interface, &sid.table) {
            (Some(hop), Some(interface), _) => format!("via {hop} dev {interface}"),
            (Some(hop), None, _) => format!("via {hop}"),
            (_, _, Some(number)) => format!("table {number}"),
            _ => String::new(),
        };
        table.row([
            sid.sid.clone(),
            sid.behavior.clone(),
            sid.flavors.join(","),
            to,
            sid.source.clone(),
            grouped(sid.packets),
            grouped(sid.bytes),
        ]);
    }
    table
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

fn sources(sources: &[Source]) -> Table {
    let mut table = Table::new(["source", "state", "routes", "best", "stale", "details"]);
    for source in sources {
        let details: Vec<String> = source
            .details
            .iter()
            .map(|(name, value)| match value {
                serde_json::Value::String(text) => format!("{name} {text}"),
                value => format!("{name} {value}"),
            })
            .collect();
        table.row([
            source.source.clone(),
            source.state.clone(),
            source.routes.to_string(),
            source.best.to_string(),
            source.stale.to_string(),
            details.join(", "),
        ]);
    }
    table
}

fn policies(policies: &[Policy]) -> Table {
    let mut table = Table::new([
        "policy", "behavior", "source", "segs", "weight", "overhead", "packets", "bytes",
    ]);
    for policy in policies {
        for (place, list) in policy.lists.iter().enumerate() {
            let first = |text: &String| if place == 0 { text.clone() } else { String::new() };
            table.row([
                first(&policy.name),
                first(&policy.behavior),
                first(&policy.source),
                list.segs.join(","),
                list.weight.to_string(),
                list.overhead.to_string(),
                grouped(list.packets),
                grouped(list.bytes),
            ]);
        }
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
    if flavors.iter().any(|flavor| flavor != "PSP") || (!flavors.is_empty() && behavior != "End") {
        let flavors = flavors.join(",");
        return format!("# {address}: Linux has no {behavior} with flavors {flavors}");
    }
    let number = |name: &Option<String>| match name.as_deref() {
        Some("main") | None => "254".to_owned(),
        Some("local") => "255".to_owned(),
        Some("default") => "253".to_owned(),
        Some(number) => number.to_owned(),
    };
    let mut line = format!("ip -6 route add {address} encap seg6local action {behavior}");
    match (behavior.as_str(), &sid.next_hop) {
        ("End.DX4", Some(hop)) => line += &format!(" nh4 {hop}"),
        (_, Some(hop)) => line += &format!(" nh6 {hop}"),
        ("End.T" | "End.DT6", _) => line += &format!(" table {}", number(&sid.table)),
        ("End.DT4" | "End.DT46", _) => line += &format!(" vrftable {}", number(&sid.table)),
        _ => {}
    }
    if !flavors.is_empty() {
        line += " flavors psp";
    }
    // The device only says whose route it is; a link-local next hop is looked for on it.
    line + &format!(" dev {}", sid.interface.as_deref().unwrap_or("lo"))
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
            next_hop: None,
            interface: None,
            table: None,
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
        assert_eq!(
            line(&sid("End", &["USD"])),
            "# fc00:0:1:e::: Linux has no End with flavors USD"
        );
    }
}
