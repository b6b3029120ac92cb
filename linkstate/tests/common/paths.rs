//! Shortest paths, by a computation that is slow and evidently right.

use std::collections::{BTreeMap, BTreeSet};

use sidewinder_linkstate::spf::Spf;
use sidewinder_linkstate::ted::{NodeId, Ted};

/// Distances by relaxing every link until nothing changes, and first hops by what a step adds.
pub fn slowly(ted: &Ted, root: NodeId) -> BTreeMap<NodeId, (u32, BTreeSet<(NodeId, u32)>)> {
    let usable = |from: NodeId, to: NodeId| {
        let overload =
            ted.node(from).and_then(|n| n.attributes()).is_some_and(|a| a.flags.overload());
        let both = [from, to]
            .iter()
            .all(|&id| ted.node(id).is_some_and(|n| n.announced() || n.key().is_pseudonode()));
        both && (!overload || from == root) && ted.links_from(to).any(|(_, back)| back.to == from)
    };
    let links: Vec<_> =
        ted.links().map(|(id, l)| (id, l.from, l.to, l.attributes.igp_metric)).collect();
    let links: Vec<_> = links
        .into_iter()
        .filter(|&(_, from, to, _)| from != to && to != root && usable(from, to))
        .map(|(id, from, to, metric)| (id, from, to, metric.expect("a metric")))
        .collect();
    let is_lan = |id| ted.node(id).is_some_and(|node| node.key().is_pseudonode());
    let mut best: BTreeMap<NodeId, (u32, BTreeSet<(NodeId, u32)>)> = BTreeMap::new();
    best.insert(root, (0, BTreeSet::new()));
    loop {
        let before = best.clone();
        for &(_, from, to, metric) in &links {
            let Some(sum) = best.get(&from).map(|(d, _)| d + metric) else { continue };
            let there = best.entry(to).or_insert((sum, BTreeSet::new()));
            if sum < there.0 {
                *there = (sum, BTreeSet::new());
            }
        }
        if best == before {
            break;
        }
    }
    loop {
        let before = best.clone();
        for &(id, from, to, metric) in &links {
            let Some((distance, hops)) = best.get(&from).cloned() else { continue };
            let there = best.get_mut(&to).expect("a reached node");
            if distance + metric == there.0 {
                if from == root && !is_lan(to) {
                    there.1.insert((to, id.0));
                }
                // Over a LAN of ours: each of our links to it that is on the path.
                let ours = links.iter().filter(|l| is_lan(from) && (l.1, l.2) == (root, from));
                there.1.extend(ours.filter(|l| l.3 == distance).map(|l| (to, l.0.0)));
                there.1.extend(hops);
            }
        }
        if best == before {
            return best;
        }
    }
}

/// The same, as they are computed.
pub fn quickly(ted: &Ted, spf: &Spf) -> BTreeMap<NodeId, (u32, BTreeSet<(NodeId, u32)>)> {
    let of = |(id, _): (NodeId, _)| {
        let hops = spf.hops(id).iter().map(|hop| (hop.node, hop.link.0)).collect();
        Some((id, (spf.distance(id)?, hops)))
    };
    ted.nodes().filter_map(of).collect()
}
