//! What the TED holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::attribute::{LinkAttributes, NodeAttributes, PrefixAttributes, SidAttributes};
use super::key::{LinkDescriptor, NodeKey, PrefixDescriptor, SidDescriptor};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

numbers! {
    /// Number of a node.
    NodeId,
    /// Number of a link.
    LinkId,
    /// Number of a prefix.
    PrefixId,
    /// Number of a SID.
    SidId,
}

/// A router, or a pseudonode.
#[derive(Debug, Clone)]
pub struct Node {
    pub(super) key: Arc<NodeKey>,
    pub(super) attributes: Option<Arc<NodeAttributes>>,
    pub(super) links_out: BTreeSet<LinkId>,
    pub(super) links_in: BTreeSet<LinkId>,
    pub(super) prefixes: BTreeSet<PrefixId>,
    pub(super) sids: BTreeSet<SidId>,
    pub(super) stale: bool,
}

impl Node {
    pub(super) fn new(key: Arc<NodeKey>) -> Self {
        Self {
            key,
            attributes: None,
            links_out: BTreeSet::new(),
            links_in: BTreeSet::new(),
            prefixes: BTreeSet::new(),
            sids: BTreeSet::new(),
            stale: false,
        }
    }

    /// What names it.
    pub fn key(&self) -> &NodeKey {
        &self.key
    }

    /// What is said of it; `None` as long as it is only spoken of.
    pub fn attributes(&self) -> Option<&NodeAttributes> {
        self.attributes.as_deref()
    }

    /// Whether it was announced itself.
    pub fn announced(&self) -> bool {
        self.attributes.is_some()
    }

    /// Whether it was announced by a session that has ended, and not since.
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// Its name, where it has one.
    pub fn name(&self) -> Option<&str> {
        self.attributes()?.name.as_deref()
    }

    /// Whether nothing speaks of it any more.
    pub(super) fn unused(&self) -> bool {
        !self.announced()
            && self.links_out.is_empty()
            && self.links_in.is_empty()
            && self.prefixes.is_empty()
            && self.sids.is_empty()
    }
}

/// One direction of a link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where it starts.
    pub from: NodeId,
    /// Where it ends.
    pub to: NodeId,
    /// Which of those between the two.
    pub descriptor: Arc<LinkDescriptor>,
    /// What is said of it.
    pub attributes: Arc<LinkAttributes>,
    pub(super) stale: bool,
    pub(super) down: bool,
}

impl Link {
    /// Whether we know better than who tells of it that nothing gets over it.
    pub fn is_down(&self) -> bool {
        self.down
    }
}

/// A prefix of a node.
#[derive(Debug, Clone)]
pub struct Prefix {
    /// Where it is.
    pub node: NodeId,
    /// Which.
    pub descriptor: Arc<PrefixDescriptor>,
    /// What is said of it.
    pub attributes: Arc<PrefixAttributes>,
    pub(super) stale: bool,
}

/// A SID of a node.
#[derive(Debug, Clone)]
pub struct Sid {
    /// Whose.
    pub node: NodeId,
    /// Which.
    pub descriptor: Arc<SidDescriptor>,
    /// What is said of it.
    pub attributes: Arc<SidAttributes>,
    pub(super) stale: bool,
}

macro_rules! stale {
    ($($name:ident)*) => {$(
        impl $name {
            /// Whether it was announced by a session that has ended, and not since.
            pub fn stale(&self) -> bool {
                self.stale
            }
        }
    )*};
}

stale! { Link Prefix Sid }
