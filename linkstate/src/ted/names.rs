//! Nodes by what people call them.

use thiserror::Error;

use super::key::RouterId;
use super::objects::NodeId;
use super::store::Ted;

/// No single node is meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FindError {
    /// There is none.
    #[error("no node is called `{0}`, and none has it as its router ID")]
    Unknown(String),
    /// There are several.
    #[error("{count} nodes are called `{name}`: say which by its router ID, one of {ids}")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// How many have it.
        count: usize,
        /// Router IDs of the first of them.
        ids: String,
    },
}

impl Ted {
    pub(super) fn rename(&mut self, id: NodeId, before: Option<&str>, after: Option<&str>) {
        if let Some(name) = before
            && let Some(ids) = self.names.get_mut(name)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.names.remove(name);
            }
        }
        if let Some(name) = after {
            self.names.entry(name.into()).or_default().insert(id);
        }
    }

    /// Nodes with this name, IGP Router-ID, or Router-ID of TLV 1028 or 1029, as far as they are
    /// announced. A node may be there once for each level or area that it is in.
    pub fn named(&self, name: &str) -> Vec<NodeId> {
        if let Some(ids) = self.names.get(name) {
            return ids.iter().copied().collect();
        }
        let router_id = RouterId::parse(name);
        let address = name.parse().ok();
        let is = |(id, node): (NodeId, &super::Node)| {
            let attributes = node.attributes()?;
            let igp = node.key.descriptor.igp_router_id;
            let by_igp = router_id.is_some() && igp == router_id;
            let by_address = address.is_some_and(|a| attributes.router_ids.contains(&a));
            (by_igp || by_address).then_some(id)
        };
        self.nodes().filter_map(is).collect()
    }

    /// The node that is meant.
    pub fn find(&self, name: &str) -> Result<NodeId, FindError> {
        match self.named(name)[..] {
            [] => Err(FindError::Unknown(name.to_owned())),
            [id] => Ok(id),
            ref ids => {
                let shown = ids.iter().take(4).filter_map(|&id| self.node(id));
                let shown: Vec<_> = shown.map(|node| node.key.to_string()).collect();
                let (name, count) = (name.to_owned(), ids.len());
                Err(FindError::Ambiguous { name, count, ids: shown.join(", ") })
            }
        }
    }
}
