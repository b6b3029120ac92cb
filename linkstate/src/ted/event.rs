//! What a feed tells.

use std::sync::Arc;

use super::attribute::{LinkAttributes, NodeAttributes, PrefixAttributes, SidAttributes};
use super::key::{LinkDescriptor, Nlri, NodeKey, PrefixDescriptor, SidDescriptor};

/// One piece of news.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A node is there, or something about it is different.
    Node(NodeKey, Arc<NodeAttributes>),
    /// The same of one direction of a link.
    Link {
        /// Where it starts.
        from: NodeKey,
        /// Where it ends.
        to: NodeKey,
        /// Which of those between the two.
        descriptor: Arc<LinkDescriptor>,
        /// What is said of it.
        attributes: Arc<LinkAttributes>,
    },
    /// The same of a prefix.
    Prefix {
        /// Where it is.
        node: NodeKey,
        /// Which.
        descriptor: Arc<PrefixDescriptor>,
        /// What is said of it.
        attributes: Arc<PrefixAttributes>,
    },
    /// The same of a SID.
    Sid {
        /// Whose.
        node: NodeKey,
        /// Which.
        descriptor: Arc<SidDescriptor>,
        /// What is said of it.
        attributes: Arc<SidAttributes>,
    },
    /// Something is no longer there.
    Withdraw(Nlri),
    /// All has been told (RFC 4724, section 2).
    EndOfRib,
}

impl Event {
    /// What it is about; `None` for End-of-RIB.
    pub fn nlri(&self) -> Option<Nlri> {
        Some(match self.clone() {
            Self::Node(key, _) => Nlri::Node(key),
            Self::Link { from, to, descriptor, .. } => Nlri::Link { from, to, descriptor },
            Self::Prefix { node, descriptor, .. } => Nlri::Prefix { node, descriptor },
            Self::Sid { node, descriptor, .. } => Nlri::Sid { node, descriptor },
            Self::Withdraw(nlri) => nlri,
            Self::EndOfRib => return None,
        })
    }
}
