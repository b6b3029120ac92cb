//! What the demo prints.

use std::fmt::Write as _;
use std::time::Duration;

use super::network::Network;
use super::traffic::Delivery;
use crate::cli::lab::daemon::Snapshot;
use crate::cli::table::{Table, grouped};

/// Bits in a byte, per million: from bytes to Mbit.
const MBIT: f64 = 8e-6;

/// The picture of the network, and where its parts are found.
pub fn heading(network: &Network) -> String {
    let names = |node: &str| network.node(node).name().to_owned();
    let socket = network.routers().first().map_or_else(String::new, |router| {
        router.socket().display().to_string().replace("r1.sock", "r[123].sock")
    });
    format!(
        "\
Three routers and two hosts in network namespaces of this machine:

  h1 ────── r1 ────────── r2 ────────── r3 ────── h2
                           └── detour ──┘
  h1 to h2   H.Encaps      End, End.X    End.DT6
  h2 to h1   End.DT6       End.X, End    H.Encaps

namespaces {} to {}, control sockets {socket}
",
        names("h1"),
        names("h2"),
    )
}

/// What one packet moved in each router.
pub fn walk(before: &[Snapshot], after: &[Snapshot]) -> String {
    let mut text = "\nOne packet from h1 to h2, as the routers counted it:\n".to_owned();
    for (before, after) in before.iter().zip(after) {
        let change = after.since(before);
        let mut steps = Vec::new();
        for policy in &change.policies {
            for list in policy.lists.iter().filter(|list| list.packets > 0) {
                steps.push(format!("{:<8}  {}", policy.behavior, list.segs.join(", ")));
            }
        }
        for sid in change.sids.iter().filter(|sid| sid.packets > 0) {
            let to = match (&sid.next_hop, &sid.table) {
                (Some(hop), _) => format!("  via {hop}"),
                (_, Some(table)) => format!("  table {table}"),
                _ => String::new(),
            };
            steps.push(format!("{:<8}  {}{to}", sid.behavior, sid.sid));
        }
        for interface in change.interfaces.iter().filter(|interface| interface.sent.packets > 0) {
            steps.push(format!("leaves by {}", interface.name));
        }
        for (place, step) in steps.iter().enumerate() {
            let router = if place == 0 { change.router } else { "" };
            let _ = writeln!(text, "  {router:<3} {step}");
        }
    }
    text
}

/// Headings of the live lines.
pub fn rate_heading() -> String {
    let group = |name: &str| format!("  {:─^28}", format!(" {name} "));
    let columns = format!("  {:>9} {:>9} {:>8}", "pkt/s", "Mbit/s", "drop/s");
    format!(
        "{:>6}{}\n{:>6}{}\n",
        "",
        ["r1", "r2", "r3"].map(group).concat(),
        "time",
        columns.repeat(3)
    )
}

/// The live line of one second: what each router sent on, and dropped.
pub fn rates(second: u64, before: &[Snapshot], after: &[Snapshot], passed: Duration) -> String {
    let seconds = passed.as_secs_f64().max(1e-3);
    let mut line = format!("{:>6}", format!("{second} s"));
    for (before, after) in before.iter().zip(after) {
        let change = after.since(before);
        let forwarded = change.sum(|worker| worker.forwarded) as f64 / seconds;
        let bytes: u64 = change.interfaces.iter().map(|interface| interface.sent.bytes).sum();
        let dropped = change.sum(|worker| worker.dropped) + change.missed();
        let _ = write!(
            line,
            "  {:>9} {:>9.1} {:>8}",
            grouped(forwarded.round() as u64),
            bytes as f64 * MBIT / seconds,
            grouped((dropped as f64 / seconds).round() as u64),
        );
    }
    line.push('\n');
    line
}

/// What became of every packet.
pub fn summary(
    lasted: Duration,
    changes: &[Snapshot],
    delivery: &[Delivery; 2],
    icmp_errors: u64,
) -> String {
    let mut text = format!("\nSummary of {:.1} s\n\n", lasted.as_secs_f64());
    let _ = writeln!(text, "{}", routers(changes));
    let _ = writeln!(text, "{}", behaviors(changes));
    let _ = write!(text, "{}", hosts(delivery));
    if changes.iter().any(|change| change.missed() > 0) {
        text.push_str(
            "Missed: packets that a router's core had no time to take from the kernel. A smaller \
             --rate has none.\n",
        );
    }
    text.push('\n');
    let _ = write!(
        text,
        "Dropped or answered. Three packets each second are meant to fail: to an address that r1\n\
         knows no way to, to one that it is told to drop, and with a hop limit of 1.\n{}",
        drops(changes)
    );
    let _ = writeln!(text, "h1 was told of it by {} ICMPv6 errors.", grouped(icmp_errors));
    text
}

fn routers(changes: &[Snapshot]) -> Table {
    let mut table = Table::new([
        "router",
        "received",
        "forwarded",
        "encapsulated",
        "decapsulated",
        "to its host",
        "answered",
        "dropped",
        "missed",
    ]);
    for change in changes {
        let lists = change.policies.iter().flat_map(|policy| &policy.lists);
        let ends = change.sids.iter().filter(|sid| sid.behavior.starts_with("End.D"));
        table.row([
            change.router.to_owned(),
            grouped(change.sum(|worker| worker.received)),
            grouped(change.sum(|worker| worker.forwarded)),
            grouped(lists.map(|list| list.packets).sum()),
            grouped(ends.map(|sid| sid.packets).sum()),
            grouped(change.sum(|worker| worker.punted)),
            grouped(change.sum(|worker| worker.replied)),
            grouped(change.sum(|worker| worker.dropped)),
            grouped(change.missed()),
        ]);
    }
    table
}

fn behaviors(changes: &[Snapshot]) -> Table {
    let mut table = Table::new(["router", "behavior", "what", "packets", "bytes"]);
    for change in changes {
        let row = |table: &mut Table, behavior: &str, what: &str, packets, bytes| {
            let (packets, bytes) = (grouped(packets), grouped(bytes));
            table.row([change.router.into(), behavior.into(), what.into(), packets, bytes]);
        };
        for policy in &change.policies {
            for list in &policy.lists {
                let what = list.segs.join(", ");
                row(&mut table, &policy.behavior, &what, list.packets, list.bytes);
            }
        }
        for sid in &change.sids {
            row(&mut table, &sid.behavior, &sid.sid, sid.packets, sid.bytes);
        }
    }
    table
}

fn hosts(delivery: &[Delivery; 2]) -> Table {
    let mut table = Table::new([
        "hosts",
        "sent",
        "received",
        "lost",
        "lost %",
        "median us",
        "99 % us",
        "longest us",
    ]);
    for (way, delivery) in ["h1 to h2", "h2 to h1"].into_iter().zip(delivery) {
        let received = delivery.delays.count();
        let lost = delivery.sent.saturating_sub(received);
        table.row([
            way.into(),
            grouped(delivery.sent),
            grouped(received),
            grouped(lost),
            format!("{:.3}", lost as f64 * 100.0 / delivery.sent.max(1) as f64),
            grouped(delivery.delays.per_mille(500)),
            grouped(delivery.delays.per_mille(990)),
            grouped(delivery.delays.per_mille(1000)),
        ]);
    }
    table
}

/// Why packets were dropped or answered.
pub fn drops(changes: &[Snapshot]) -> String {
    let mut table = Table::new(["router", "reason", "dropped", "answered"]);
    let mut any = false;
    for change in changes {
        for drops in &change.drops {
            any = true;
            table.row([
                change.router.into(),
                drops.reason.clone(),
                grouped(drops.dropped),
                grouped(drops.replied),
            ]);
        }
    }
    if any { table.to_string() } else { "nothing\n".into() }
}

/// What to do while the network stands.
pub fn look_around(network: &Network) -> String {
    let mut text = "\nThe network stays until Ctrl-C. In another terminal, as root:\n".to_owned();
    let program = program();
    let host = network.node("h1").name();
    let _ = writeln!(text, "  ip netns exec {host} ping 2001:db8:2::2");
    let _ = writeln!(text, "  ip netns exec {host} traceroute -n 2001:db8:2::2");
    for router in network.routers() {
        let (name, socket) = (router.name(), router.socket().display());
        let what = match name {
            "r1" => "show policies",
            "r2" => "show sids",
            _ => "top",
        };
        let _ = writeln!(text, "  {program} --socket {socket} {what}");
    }
    text
}

/// What to do next.
pub fn next_steps() -> String {
    let program = program();
    let mut text = "\nNext:\n".to_owned();
    for (command, why) in [
        ("demo --hold", "keep the network, and look around in it"),
        ("demo --rate 50000", "more packets per second, each way"),
        ("bench core", "what a core can do, without interfaces"),
    ] {
        let _ = writeln!(text, "  {:<50} {why}", format!("{program} {command}"));
    }
    text
}

/// How to call this program from here.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| "sidewinder".into());
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(&path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::show::{Count, Drops, Interface, Worker};

    fn snapshot(router: &'static str, packets: u64) -> Snapshot {
        let count = Count { packets, bytes: packets * 1000 };
        let interface: Interface = serde_json::from_value(serde_json::json!({
            "name": "eth0", "index": 1, "mac": "", "mtu": 1500, "up": true, "replaced": false, "driver": "veth",
            "mode": "driver", "zero-copy": false, "queues": [0], "table": "main",
            "domain": "internal",
            "received": count, "sent": count, "kernel-dropped": 0, "ring-full": 0, "no-frame": 0,
        }))
        .unwrap();
        let worker = Worker {
            worker: 0,
            core: None,
            nice: 0,
            huge_pages: false,
            memory: 0,
            received: packets,
            forwarded: packets,
            fragments: 0,
            punted: 0,
            replied: 0,
            dropped: packets / 100,
            packets_per_burst: 1.0,
            rounds: 1,
            frames: 0,
            frames_free: 0,
            frames_in_rings: 0,
        };
        let drops = Drops { reason: "blackhole".into(), dropped: packets / 100, replied: 0 };
        Snapshot {
            router,
            interfaces: vec![interface],
            workers: vec![worker],
            drops: vec![drops],
            ..Snapshot::default()
        }
    }

    #[test]
    fn live_line_fits_its_heading() {
        let before = ["r1", "r2", "r3"].map(|router| snapshot(router, 1000));
        let after = ["r1", "r2", "r3"].map(|router| snapshot(router, 22_000));
        let line = rates(3, &before, &after, Duration::from_secs(1));
        assert!(line.starts_with("   3 s"), "{line}");
        assert!(line.contains("     168.0      210"), "{line}");
        let heading = rate_heading();
        let width = heading.lines().last().unwrap().chars().count();
        assert_eq!(line.trim_end().chars().count(), width);
    }

    #[test]
    fn drops_that_did_not_grow_are_not_shown() {
        let (before, after) = (snapshot("r1", 1000), snapshot("r1", 3000));
        assert!(drops(&[after.since(&before)]).contains("blackhole"));
        assert_eq!(drops(&[after.since(&after)]), "nothing\n");
    }
}
