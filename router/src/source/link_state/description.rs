//! The topology that is written in the file, as a feed would tell it.

use sidewinder_config::{Config, Link, Node, RouterId};
use sidewinder_linkstate::description::{self, Description};
use sidewinder_linkstate::ted::{self, Event};

/// What a feed would tell of the file's nodes and links.
pub(super) fn events(config: &Config) -> Vec<Event> {
    let nodes = config.nodes.iter().map(node).collect();
    let links = config.links.iter().map(link).collect();
    match (Description { nodes, links }).events() {
        Ok(events) => events,
        // The file was checked; this is for what only the TED finds wrong.
        Err(errors) => {
            errors.iter().for_each(|error| tracing::warn!("{error}"));
            Vec::new()
        }
    }
}

fn node(node: &Node) -> description::Node {
    description::Node {
        name: node.name.clone(),
        router_id: node.router_id.map(|id| id.to_string()),
        locators: node.locators.clone(),
        end_sids: node.end_sids.clone(),
        prefixes: node.prefixes.clone(),
        overload: node.overload,
    }
}

fn link(link: &Link) -> description::Link {
    description::Link {
        from: link.from.clone(),
        to: link.to.clone(),
        metric: link.metric,
        metric_back: Some(link.metric_back),
        local: link.local,
        remote: link.remote,
        bandwidth: link.bandwidth.map(|bandwidth| bandwidth as f32),
        delay: link.delay,
        srlgs: link.srlgs.clone(),
        adjacency_sids: link.adjacency_sids.clone(),
        adjacency_sids_back: link.adjacency_sids_back.clone(),
    }
}

/// Whether a node of the file has no router ID, but one that was made of its name.
pub(super) fn is_nameless(key: &ted::NodeKey) -> bool {
    let id = key.descriptor.igp_router_id.as_ref();
    key.instance.protocol == ted::Protocol::STATIC && id.is_some_and(|id| id.octets().len() == 8)
}

/// A router ID in the TED's words.
pub(super) fn router_id(id: &RouterId) -> Option<ted::RouterId> {
    match id {
        RouterId::Isis(octets) => ted::RouterId::new(octets),
        RouterId::Ospf(address) => ted::RouterId::new(&address.octets()),
    }
}
