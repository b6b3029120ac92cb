//! What has changed in the TED since somebody looked.

use std::collections::HashSet;

use ipnet::IpNet;

use super::objects::NodeId;

/// What has to be looked at again. What became of it is for the TED to say: an object may be gone,
/// or its number be another's by now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Nodes: come, gone, or different in something.
    pub nodes: HashSet<NodeId>,
    /// Links from the first node to the second.
    pub links: HashSet<(NodeId, NodeId)>,
    /// Prefixes, of whatever node.
    pub prefixes: HashSet<IpNet>,
    /// Nodes whose SIDs, or those of their links, have changed.
    pub sids: HashSet<NodeId>,
}

impl Changes {
    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
            && self.links.is_empty()
            && self.prefixes.is_empty()
            && self.sids.is_empty()
    }

    /// Takes what others have missed, too.
    pub fn extend(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        self.links.extend(other.links);
        self.prefixes.extend(other.prefixes);
        self.sids.extend(other.sids);
    }
}
