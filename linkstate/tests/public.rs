//! Shortest paths in the networks of the Internet Topology Zoo, SNDlib and others, which
//! `scripts/topologies` fetches: as a slow computation has them, before and after a link goes and comes.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use common::paths::{quickly, slowly};
use serde_json::Value;
use sidewinder_linkstate::generate::{Plan, key, link_descriptor, link_event};
use sidewinder_linkstate::reason::Tally;
use sidewinder_linkstate::spf::Spf;
use sidewinder_linkstate::ted::{Event, Nlri, Ted};
use sidewinder_tests::needs;
use sidewinder_tests::skip::Need;
use sidewinder_tests::topologies;

type Outcome = Result<(), String>;

/// Networks of more nodes are compared with a computation from the beginning only.
const SMALL: usize = 200;

/// A network: metrics are kilometres.
fn plan(file: &Path) -> Option<Plan> {
    let network: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let nodes = network["nodes"].as_array()?;
    let numbers: HashMap<String, usize> =
        nodes.iter().enumerate().map(|(number, node)| (node["id"].to_string(), number)).collect();
    let links = network["edges"].as_array()?.iter().map(|edge| {
        let end = |name: &str| numbers.get(&edge[name].to_string()).copied();
        let metric = edge["dist"].as_f64()?.round().clamp(1.0, 65535.0);
        Some((end("source")?, end("target")?, metric as u32))
    });
    Some(Plan { nodes: nodes.len(), links: links.collect::<Option<_>>()? })
}

#[test]
fn paths_are_the_shortest_in_real_networks() -> Outcome {
    needs!(Need::Topologies);
    let (mut networks, mut largest) = (0, 0);
    for file in topologies::files() {
        let plan = plan(&file).ok_or(format!("{} is no network", file.display()))?;
        let mut ted = Ted::default();
        let mut tally = Tally::default();
        plan.events().for_each(|event| ted.apply(event, &mut tally));
        ted.take_changes();
        for node in [0, plan.nodes / 2] {
            let root = ted.node_id(&key(node)).ok_or("no root")?;
            let mut spf = Spf::new(&ted, key(node), 0);
            let check = |ted: &Ted, spf: &Spf| {
                let anew = Spf::new(ted, key(node), 0);
                assert_eq!(quickly(ted, spf), quickly(ted, &anew), "{}", file.display());
                if plan.nodes <= SMALL {
                    assert_eq!(quickly(ted, spf), slowly(ted, root), "{}", file.display());
                }
            };
            check(&ted, &spf);
            let middle = plan.links.len() / 2;
            let Some(&(from, to, metric)) = plan.links.get(middle) else { continue };
            let number = middle as u32;
            let gone = Nlri::Link {
                from: key(from),
                to: key(to),
                descriptor: link_descriptor(number, from, to),
            };
            for event in [Event::Withdraw(gone), link_event(number, from, to, metric)] {
                ted.apply(event, &mut tally);
                let changes = ted.take_changes();
                spf.update(&ted, &changes);
                check(&ted, &spf);
            }
        }
        (networks, largest) = (networks + 1, largest.max(plan.nodes));
    }
    println!("{networks} networks, the largest of {largest} nodes");
    assert!(networks >= 100, "{networks} networks");
    Ok(())
}
