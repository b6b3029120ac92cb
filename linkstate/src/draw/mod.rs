//! The topology as a picture: DOT for Graphviz, or SVG as it is.
//!
//! Both directions of a link are one line, with both metrics where they differ.

mod dot;
mod layout;
mod svg;

use std::collections::BTreeMap;

use crate::ted::{LinkId, NodeId, Ted};

pub use dot::dot;
pub use svg::svg;

/// What is drawn beside the topology itself.
#[derive(Default)]
pub struct Options<'a> {
    /// Our own node.
    pub own: Option<NodeId>,
    /// The topology whose links are drawn; `None`: all.
    pub topology: Option<u16>,
    /// The share of a link's bandwidth that is in use, from 0 to 1, where it is known. Without it,
    /// what the feed tells of utilized bandwidth is taken.
    pub load: Option<&'a dyn Fn(LinkId) -> Option<f64>>,
}

/// What is drawn as one line.
struct Line {
    from: NodeId,
    to: NodeId,
    /// There, and back; `None` where there is no such direction.
    metrics: [Option<u32>; 2],
    /// The larger of both directions.
    load: Option<f64>,
}

impl Line {
    /// The metric, or both; parallel links are lines of their own.
    fn label(&self) -> String {
        let text =
            |metric: Option<u32>| metric.map_or("–".to_owned(), |metric| metric.to_string());
        let metrics = match self.metrics {
            [there, back] if there == back => text(there),
            [there, back] => format!("{} / {}", text(there), text(back)),
        };
        match self.load {
            Some(load) => format!("{metrics} · {:.0} %", load * 100.0),
            None => metrics,
        }
    }

    /// Whether both ends announce it.
    fn both_ways(&self) -> bool {
        self.metrics.iter().all(Option::is_some)
    }
}

/// Links, each with the one back that belongs to it: by addresses, by identifiers, or in turn.
fn lines(ted: &Ted, options: &Options<'_>) -> Vec<Line> {
    let mut open: BTreeMap<(NodeId, NodeId), Vec<LinkId>> = BTreeMap::new();
    let mut lines = Vec::new();
    let load = |id| match options.load {
        Some(load) => load(id),
        None => {
            let attributes = &ted.link(id)?.attributes;
            Some(f64::from(attributes.utilized?) / f64::from(attributes.max_bandwidth?))
        }
    };
    let wanted = |topology| options.topology.is_none_or(|wanted| wanted == topology);
    let drawn = ted.links().filter(|(_, link)| wanted(link.descriptor.topology));
    for (id, link) in drawn {
        let back = open.get_mut(&(link.to, link.from)).and_then(|links| {
            let fits = |other: &LinkId| ted.link(*other).is_some_and(|other| belongs(other, link));
            let at = links.iter().position(fits)?;
            Some(links.swap_remove(at))
        });
        let Some(other) = back else {
            open.entry((link.from, link.to)).or_default().push(id);
            continue;
        };
        let metric = |id| ted.link(id).and_then(|link| link.attributes.igp_metric);
        let load = [load(other), load(id)].into_iter().flatten().reduce(f64::max);
        let metrics = [metric(other), metric(id)];
        lines.push(Line { from: link.to, to: link.from, metrics, load });
    }
    for (from, to, id) in
        open.iter().flat_map(|(ends, ids)| ids.iter().map(|id| (ends.0, ends.1, *id)))
    {
        let metric = ted.link(id).and_then(|link| link.attributes.igp_metric);
        lines.push(Line { from, to, metrics: [metric, None], load: load(id) });
    }
    lines.sort_by_key(|line| (line.from, line.to));
    lines
}

/// Whether one is the way back of the other. Links without anything that tells them from others
/// belong to each other.
fn belongs(one: &crate::ted::Link, other: &crate::ted::Link) -> bool {
    let (a, b) = (&one.descriptor, &other.descriptor);
    let same = |mine: Option<std::net::IpAddr>, theirs: Option<std::net::IpAddr>| {
        mine.is_none() || theirs.is_none() || mine == theirs
    };
    a.topology == b.topology
        && same(a.ipv6_local.map(Into::into), b.ipv6_remote.map(Into::into))
        && same(a.ipv6_remote.map(Into::into), b.ipv6_local.map(Into::into))
        && same(a.ipv4_local.map(Into::into), b.ipv4_remote.map(Into::into))
        && same(a.ipv4_remote.map(Into::into), b.ipv4_local.map(Into::into))
        && a.identifiers.zip(b.identifiers).is_none_or(|((l, r), (there, here))| {
            // An identifier of 0 is one that is not known.
            (l == here || here == 0 || l == 0) && (r == there || there == 0 || r == 0)
        })
}

/// What a node is called in a picture: its name where no other has it, its router ID, or both.
fn label(ted: &Ted, id: NodeId) -> String {
    let Some(node) = ted.node(id) else { return String::new() };
    match node.name() {
        Some(name) if ted.named(name).len() == 1 => name.to_owned(),
        Some(name) => format!("{name} {}", node.key()),
        None => node.key().to_string(),
    }
}

/// A locator, or whatever else tells where the node is.
fn locator(ted: &Ted, id: NodeId) -> Option<String> {
    let locator = ted.prefixes_of(id).find(|prefix| prefix.attributes.locator.is_some())?;
    Some(locator.descriptor.prefix.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Plan, key, link_descriptor};
    use crate::reason::Tally;
    use crate::ted::{Event, Nlri};

    fn ted() -> Ted {
        let links = vec![(0, 1, 10), (0, 1, 20), (1, 2, 10)];
        let (mut ted, mut tally) = (Ted::default(), Tally::default());
        Plan { nodes: 3, links }.events().for_each(|event| ted.apply(event, &mut tally));
        let descriptor = link_descriptor(2, 2, 1);
        let gone = Nlri::Link { from: key(2), to: key(1), descriptor };
        ted.apply(Event::Withdraw(gone), &mut tally);
        ted
    }

    #[test]
    fn both_directions_are_one_line() {
        let labels: Vec<_> = lines(&ted(), &Options::default()).iter().map(Line::label).collect();
        assert_eq!(labels, ["10", "20", "10 / –"]);
    }

    #[test]
    fn pictures_show_nodes_metrics_and_load() {
        let ted = ted();
        let half = |_| Some(0.5);
        let options = Options { own: ted.node_id(&key(0)), topology: Some(0), load: Some(&half) };
        for picture in [dot(&ted, &options), svg(&ted, &options)] {
            for text in ["r1", "r2", "r3", "fc00:0:2::/48", "20 · 50 %", "10 / –"] {
                assert!(picture.contains(text), "{text} in {picture}");
            }
        }
    }

    #[test]
    fn names_cannot_break_out_of_a_picture() {
        use crate::ted::NodeAttributes;
        let mut ted = ted();
        let name = r#"<script>"&\"#;
        let attributes = NodeAttributes { name: Some(name.into()), ..NodeAttributes::default() };
        ted.apply(Event::Node(key(0), attributes.into()), &mut Tally::default());
        let picture = svg(&ted, &Options::default());
        assert!(picture.contains("&lt;script&gt;&quot;&amp;\\") && !picture.contains("<script>"));
        assert!(dot(&ted, &Options::default()).contains(r#"<script>\"&\\"#));
    }

    #[test]
    fn an_empty_topology_is_a_picture_too() {
        let ted = Ted::default();
        assert!(svg(&ted, &Options::default()).ends_with("</svg>\n"));
        assert!(dot(&ted, &Options::default()).ends_with("}\n"));
    }
}
