//! The golden cases as inputs to begin fuzzing with: their configurations and packets, as
//! `fuzz/harness/dataplane` reads them.
//!
//! `cargo test -p sidewinder --test golden -- --ignored` writes them to `fuzz/found`, from where
//! `scripts/fuzz merge` keeps what reaches code that nothing else does.

use std::{fs, path::Path};

use sidewinder_config::{Config, Headend, RouteAction, Table};
use sidewinder_dataplane::{behavior::Flavors, fib::Fib, fib::Sid};

use crate::{
    FOLDERS,
    case::{Case, Step},
    encode::{self, Around},
    folders_in,
    inputs::{self, LocalSid, entry},
    machine::{Machine, own_mac},
    root, run,
};

/// Ports of the router that inputs are for.
const PORTS: usize = 3;

#[test]
#[ignore = "writes fuzz/found"]
fn write_the_golden_cases_as_inputs() {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/found").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    for folder in FOLDERS.iter().flat_map(|name| folders_in(&root().join(name))) {
        let name = folder.strip_prefix(root()).unwrap().display().to_string().replace('/', "-");
        let case = Case::load(&folder.join("case.txt")).unwrap();
        let config = run::configuration(&folder).unwrap();
        let machine = Machine::new(&config, &case).unwrap();
        let fib = machine.fib();
        let mut pipeline = vec![0];
        pipeline.extend(configuration(&config, fib));
        for (number, step) in case.steps.iter().enumerate() {
            let port = config.interfaces.iter().position(|one| one.name == step.ingress).unwrap();
            let frame = bytes(step, port);
            let Some((l2, packet)) = frame.split_at_checked(14) else { continue };
            pipeline.extend(match step.packet.first().is_some_and(|one| one.kind == "ethernet") {
                true => inputs::offer_frame((port % PORTS) as u8, &frame),
                false => inputs::offer((port % PORTS) as u8, packet),
            });
            let own = [&[2, 0, 0, 0, 0, 0][..], &l2[6..]].concat();
            write("parser", &format!("{name}-{number}"), &[&[1][..], &own, packet].concat());
            if let Some(sid) = sid_for(fib, packet) {
                let input = [local_sid(sid, fib).bytes(), inputs::packet(packet)].concat();
                write("behaviors", &format!("{name}-{number}"), &input);
            }
        }
        pipeline.extend(inputs::ROUND);
        write("pipeline", &name, &pipeline);
    }
}

/// The frame of a step.
fn bytes(step: &Step, port: usize) -> Vec<u8> {
    let around = Around { macs: ([2, 0, 0, 0, 0xff, 0xff], own_mac(port)), invoking: &[] };
    let mut frame = encode::frame(&step.packet, &around).unwrap().bytes;
    if frame.get(..6) == Some(&own_mac(port)) {
        frame[5] = (port % PORTS) as u8;
    }
    frame
}

/// The SID that a packet goes to.
fn sid_for<'a>(fib: &'a Fib, packet: &[u8]) -> Option<&'a Sid> {
    let destination = u128::from_be_bytes(packet.get(24..40)?.try_into().ok()?);
    let covering = fib.sids.iter().flatten().filter(|sid| {
        packet[0] >> 4 == 6 && (destination ^ sid.address) >> (128 - u32::from(sid.prefix_len)) == 0
    });
    covering.max_by_key(|sid| sid.prefix_len)
}

fn local_sid(sid: &Sid, fib: &Fib) -> LocalSid {
    let flavors = [Flavors::PSP, Flavors::USP, Flavors::USD, Flavors::NEXT_CSID];
    let flavors = flavors.iter().enumerate().map(|(at, one)| u8::from(sid.flavors.has(*one)) << at);
    // The inputs' router has a group for each port.
    let group = fib.groups.get(sid.group as usize).and_then(|group| group.buckets().first());
    let adjacency = group.and_then(|id| fib.adjacencies.get(*id as usize));
    let port = |port: u16| port as u8 % PORTS as u8;
    LocalSid {
        behavior: sid.behavior as u8,
        flavors: flavors.sum(),
        address: sid.address,
        prefix_len: sid.prefix_len,
        block_bits: sid.csid.block_bits,
        refers_to: [
            adjacency.map_or(7, |adjacency| port(adjacency.port)),
            sid.table as u8 % 2,
            port(sid.port),
            sid.policy as u8 % 8,
        ],
    }
}

fn configuration(config: &Config, fib: &Fib) -> Vec<u8> {
    let mut bytes = Vec::new();
    let policy = |name: &str| {
        let at = config.policies.iter().position(|policy| policy.name == name);
        at.unwrap_or(7) as u8 % 8
    };
    let interface =
        |name: &str| config.interfaces.iter().position(|one| one.name == name).unwrap_or(1) % PORTS;
    let table = |table: Table| u8::from(table != Table::MAIN);
    for (id, policy) in config.policies.iter().enumerate().take(8) {
        let lists: Vec<(Vec<u128>, u8)> = policy
            .lists
            .iter()
            .map(|list| (list.segs.iter().map(|seg| u128::from(*seg)).collect(), list.weight))
            .collect();
        let reduced = matches!(policy.behavior, Headend::HEncapsRed | Headend::HEncapsL2Red);
        let hop_limit = config.router.encap_hop_limit;
        bytes.extend(inputs::policy(id as u8, reduced, hop_limit, &lists));
    }
    for (id, sid) in fib.sids.iter().flatten().enumerate().take(64) {
        bytes.extend(local_sid(sid, fib).change(id as u8, 0));
    }
    for route in &config.routes {
        let entry = match &route.action {
            RouteAction::Policy(name) | RouteAction::Colored(name, _) => {
                [entry::ENCAP, policy(name)]
            }
            RouteAction::Via(hops) => {
                let name = hops.first().and_then(|hop| hop.interface.as_deref());
                [entry::FORWARD, name.map_or(1, |name| interface(name) as u8)]
            }
            RouteAction::OnLink(_) => [entry::ON_LINK, 0],
            RouteAction::Blackhole => [entry::DISCARD, 0],
            RouteAction::Unreachable => [entry::DISCARD, 1],
            RouteAction::Prohibit => [entry::DISCARD, 2],
            RouteAction::Local => [entry::HOST, 0],
        };
        let (table, len) = (table(route.table), route.prefix.prefix_len());
        bytes.extend(match route.prefix.network() {
            std::net::IpAddr::V6(prefix) => inputs::route(table, prefix.into(), len, entry),
            std::net::IpAddr::V4(prefix) => inputs::route_v4(table, prefix.into(), len, entry),
        });
    }
    // What senders are in, and what golden cases leave to the kernel.
    bytes.extend(inputs::route(0, 0, 0, [entry::FORWARD, 0]));
    bytes.extend(inputs::route_v4(0, 0, 0, [entry::FORWARD, 0]));
    let prefix = |net: &ipnet::Ipv6Net| (u128::from(net.network()), net.prefix_len());
    let sources: Vec<_> = config.router.sid_sources.iter().map(prefix).collect();
    let block = |locator: &sidewinder_config::Locator| {
        (u128::from(locator.prefix.network()), locator.block_bits)
    };
    let blocks: Vec<_> = config.locators.iter().map(block).collect();
    bytes.extend(inputs::domain(&blocks, &sources));
    for (at, one) in config.interfaces.iter().enumerate().take(PORTS) {
        let external = one.domain == sidewinder_config::Domain::External;
        let policy = one.policy.as_deref().map(policy);
        let check = one.source_check as u8;
        let watched = external && !one.let_sids_out;
        let table = table(one.table);
        bytes.extend(inputs::port(at as u8, table, policy, external, check, watched));
    }
    bytes
}
