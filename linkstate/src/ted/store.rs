//! Adding and taking away.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ipnet::IpNet;

use super::attribute::{LinkAttributes, NodeAttributes, PrefixAttributes, SidAttributes};
use super::change::Changes;
use super::event::Event;
use super::key::{LinkDescriptor, Nlri, NodeKey, PrefixDescriptor, SidDescriptor};
use super::objects::{Link, LinkId, Node, NodeId, Prefix, PrefixId, Sid, SidId};
use super::slab::Slab;
use crate::reason::{Reason, Tally};

/// How many objects there may be, so that no peer can fill our memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nodes, also those that are only spoken of.
    pub nodes: usize,
    /// Links, each direction for itself.
    pub links: usize,
    /// Prefixes.
    pub prefixes: usize,
    /// SIDs of nodes.
    pub sids: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nodes: 100_000, links: 1_000_000, prefixes: 1_000_000, sids: 1_000_000 }
    }
}

/// The topology.
#[derive(Debug, Clone, Default)]
pub struct Ted {
    /// How many objects there may be.
    pub limits: Limits,
    pub(super) nodes: Slab<Node>,
    pub(super) links: Slab<Link>,
    pub(super) prefixes: Slab<Prefix>,
    pub(super) sids: Slab<Sid>,
    node_ids: HashMap<Arc<NodeKey>, NodeId>,
    link_ids: HashMap<(NodeId, NodeId, Arc<LinkDescriptor>), LinkId>,
    prefix_ids: HashMap<(NodeId, Arc<PrefixDescriptor>), PrefixId>,
    sid_ids: HashMap<(NodeId, Arc<SidDescriptor>), SidId>,
    pub(super) names: HashMap<Box<str>, BTreeSet<NodeId>>,
    by_prefix: HashMap<IpNet, BTreeSet<PrefixId>>,
    changes: Changes,
}

impl Ted {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes a piece of news. What cannot be taken is counted.
    pub fn apply(&mut self, event: Event, tally: &mut Tally) {
        let taken = match event {
            Event::Node(key, attributes) => self.node_is(key, attributes),
            Event::Link { from, to, descriptor, attributes } => {
                self.link_is(from, to, descriptor, attributes)
            }
            Event::Prefix { node, descriptor, attributes } => {
                self.prefix_is(node, descriptor, attributes)
            }
            Event::Sid { node, descriptor, attributes } => {
                self.sid_is(node, descriptor, attributes)
            }
            Event::Withdraw(nlri) => self.withdraw(&nlri).ok_or(Reason::WithdrawUnknown),
            Event::EndOfRib => Ok(()),
        };
        if let Err(reason) = taken {
            tally.count(reason);
        }
    }

    /// Whether something has changed since [`take_changes`](Self::take_changes) was called.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What has changed since this was called before.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    fn node_is(&mut self, key: NodeKey, attributes: Arc<NodeAttributes>) -> Result<(), Reason> {
        let id = self.node_or_new(key)?;
        let Some(node) = self.nodes.get_mut(id.0) else { return Ok(()) };
        node.stale = false;
        if node.attributes.as_ref() == Some(&attributes) {
            return Ok(());
        }
        let before = node.attributes.replace(attributes.clone());
        let before = before.as_ref().and_then(|attributes| attributes.name.as_deref());
        if before != attributes.name.as_deref() {
            self.rename(id, before, attributes.name.as_deref());
        }
        self.changes.nodes.insert(id);
        Ok(())
    }

    fn link_is(
        &mut self,
        from: NodeKey,
        to: NodeKey,
        descriptor: Arc<LinkDescriptor>,
        attributes: Arc<LinkAttributes>,
    ) -> Result<(), Reason> {
        let from = self.node_or_new(from)?;
        let to = self.node_or_new(to).inspect_err(|_| self.tidy(from))?;
        let key = (from, to, descriptor.clone());
        let full = self.links.len() >= self.limits.links;
        let sids = match self.link_ids.get(&key).and_then(|id| self.links.get_mut(id.0)) {
            Some(link) => {
                link.stale = false;
                if link.attributes == attributes {
                    return Ok(());
                }
                let before = std::mem::replace(&mut link.attributes, attributes);
                before.adjacency_sids != link.attributes.adjacency_sids
            }
            None if full => {
                self.tidy(from);
                self.tidy(to);
                return Err(Reason::TedFull);
            }
            None => {
                let sids = !attributes.adjacency_sids.is_empty();
                let link = Link { from, to, descriptor, attributes, stale: false, down: false };
                let id = LinkId(self.links.insert(link));
                self.link_ids.insert(key, id);
                self.change_node(from, |node| node.links_out.insert(id));
                self.change_node(to, |node| node.links_in.insert(id));
                sids
            }
        };
        self.changes.links.insert((from, to));
        if sids {
            self.changes.sids.insert(from);
        }
        Ok(())
    }

    fn prefix_is(
        &mut self,
        node: NodeKey,
        descriptor: Arc<PrefixDescriptor>,
        attributes: Arc<PrefixAttributes>,
    ) -> Result<(), Reason> {
        let node = self.node_or_new(node)?;
        let net = descriptor.prefix;
        let key = (node, descriptor.clone());
        let full = self.prefixes.len() >= self.limits.prefixes;
        match self.prefix_ids.get(&key).and_then(|id| self.prefixes.get_mut(id.0)) {
            Some(prefix) => {
                prefix.stale = false;
                if prefix.attributes == attributes {
                    return Ok(());
                }
                prefix.attributes = attributes;
            }
            None if full => {
                self.tidy(node);
                return Err(Reason::TedFull);
            }
            None => {
                let prefix = Prefix { node, descriptor, attributes, stale: false };
                let id = PrefixId(self.prefixes.insert(prefix));
                self.prefix_ids.insert(key, id);
                self.by_prefix.entry(net).or_default().insert(id);
                self.change_node(node, |node| node.prefixes.insert(id));
            }
        }
        self.changes.prefixes.insert(net);
        Ok(())
    }

    fn sid_is(
        &mut self,
        node: NodeKey,
        descriptor: Arc<SidDescriptor>,
        attributes: Arc<SidAttributes>,
    ) -> Result<(), Reason> {
        let node = self.node_or_new(node)?;
        let key = (node, descriptor.clone());
        let full = self.sids.len() >= self.limits.sids;
        match self.sid_ids.get(&key).and_then(|id| self.sids.get_mut(id.0)) {
            Some(sid) => {
                sid.stale = false;
                if sid.attributes == attributes {
                    return Ok(());
                }
                sid.attributes = attributes;
            }
            None if full => {
                self.tidy(node);
                return Err(Reason::TedFull);
            }
            None => {
                let id =
                    SidId(self.sids.insert(Sid { node, descriptor, attributes, stale: false }));
                self.sid_ids.insert(key, id);
                self.change_node(node, |node| node.sids.insert(id));
            }
        }
        self.changes.sids.insert(node);
        Ok(())
    }

    /// `None` if it was not there.
    pub(super) fn withdraw(&mut self, nlri: &Nlri) -> Option<()> {
        match nlri {
            Nlri::Node(key) => {
                let id = *self.node_ids.get(key)?;
                self.withdraw_node(id)
            }
            Nlri::Link { from, to, descriptor } => {
                let (from, to) = (*self.node_ids.get(from)?, *self.node_ids.get(to)?);
                self.withdraw_link(*self.link_ids.get(&(from, to, descriptor.clone()))?)
            }
            Nlri::Prefix { node, descriptor } => {
                let node = *self.node_ids.get(node)?;
                self.withdraw_prefix(*self.prefix_ids.get(&(node, descriptor.clone()))?)
            }
            Nlri::Sid { node, descriptor } => {
                let node = *self.node_ids.get(node)?;
                self.withdraw_sid(*self.sid_ids.get(&(node, descriptor.clone()))?)
            }
        }
    }

    pub(super) fn withdraw_node(&mut self, id: NodeId) -> Option<()> {
        let node = self.nodes.get_mut(id.0)?;
        let attributes = node.attributes.take()?;
        node.stale = false;
        self.rename(id, attributes.name.as_deref(), None);
        self.changes.nodes.insert(id);
        self.tidy(id);
        Some(())
    }

    pub(super) fn withdraw_link(&mut self, id: LinkId) -> Option<()> {
        let Link { from, to, descriptor, attributes, .. } = self.links.remove(id.0)?;
        self.link_ids.remove(&(from, to, descriptor));
        self.change_node(from, |node| node.links_out.remove(&id));
        self.change_node(to, |node| node.links_in.remove(&id));
        self.changes.links.insert((from, to));
        if !attributes.adjacency_sids.is_empty() {
            self.changes.sids.insert(from);
        }
        self.tidy(from);
        self.tidy(to);
        Some(())
    }

    pub(super) fn withdraw_prefix(&mut self, id: PrefixId) -> Option<()> {
        let Prefix { node, descriptor, .. } = self.prefixes.remove(id.0)?;
        let net = descriptor.prefix;
        self.prefix_ids.remove(&(node, descriptor));
        if let Some(ids) = self.by_prefix.get_mut(&net) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_prefix.remove(&net);
            }
        }
        self.change_node(node, |node| node.prefixes.remove(&id));
        self.changes.prefixes.insert(net);
        self.tidy(node);
        Some(())
    }

    pub(super) fn withdraw_sid(&mut self, id: SidId) -> Option<()> {
        let Sid { node, descriptor, .. } = self.sids.remove(id.0)?;
        self.sid_ids.remove(&(node, descriptor));
        self.change_node(node, |node| node.sids.remove(&id));
        self.changes.sids.insert(node);
        self.tidy(node);
        Some(())
    }

    fn node_or_new(&mut self, key: NodeKey) -> Result<NodeId, Reason> {
        if let Some(&id) = self.node_ids.get(&key) {
            return Ok(id);
        }
        if self.nodes.len() >= self.limits.nodes {
            return Err(Reason::TedFull);
        }
        let key = Arc::new(key);
        let id = NodeId(self.nodes.insert(Node::new(key.clone())));
        self.node_ids.insert(key, id);
        self.changes.nodes.insert(id);
        Ok(id)
    }

    fn change_node(&mut self, id: NodeId, change: impl FnOnce(&mut Node) -> bool) {
        if let Some(node) = self.nodes.get_mut(id.0) {
            change(node);
        }
    }

    /// Forgets a node that nothing speaks of.
    fn tidy(&mut self, id: NodeId) {
        if self.nodes.get(id.0).is_some_and(Node::unused)
            && let Some(node) = self.nodes.remove(id.0)
        {
            self.node_ids.remove(&node.key);
            self.changes.nodes.insert(id);
        }
    }

    /// The number of a node.
    pub fn node_id(&self, key: &NodeKey) -> Option<NodeId> {
        self.node_ids.get(key).copied()
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// A link.
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(id.0)
    }

    /// All nodes, also those that are only spoken of.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().map(|(id, node)| (NodeId(id), node))
    }

    /// All links.
    pub fn links(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(id, link)| (LinkId(id), link))
    }

    /// All prefixes.
    pub fn prefixes(&self) -> impl Iterator<Item = (PrefixId, &Prefix)> {
        self.prefixes.iter().map(|(id, prefix)| (PrefixId(id), prefix))
    }

    /// All SIDs of nodes.
    pub fn sids(&self) -> impl Iterator<Item = (SidId, &Sid)> {
        self.sids.iter().map(|(id, sid)| (SidId(id), sid))
    }

    /// One more than the highest number of a node.
    pub fn node_bound(&self) -> usize {
        self.nodes.bound()
    }

    /// Links that start at a node.
    pub fn links_from(&self, node: NodeId) -> impl Iterator<Item = (LinkId, &Link)> {
        let links = self.node(node).into_iter().flat_map(|node| &node.links_out);
        links.filter_map(|&id| Some((id, self.links.get(id.0)?)))
    }

    /// Says of a link of ours whether nothing gets over it, whatever is told of it. That lasts as
    /// long as the link is told of.
    pub fn set_down(&mut self, id: LinkId, down: bool) {
        if let Some(link) = self.links.get_mut(id.0)
            && link.down != down
        {
            link.down = down;
            self.changes.links.insert((link.from, link.to));
        }
    }

    /// Links that end at a node.
    pub fn links_to(&self, node: NodeId) -> impl Iterator<Item = (LinkId, &Link)> {
        let links = self.node(node).into_iter().flat_map(|node| &node.links_in);
        links.filter_map(|&id| Some((id, self.links.get(id.0)?)))
    }

    /// Prefixes of a node.
    pub fn prefixes_of(&self, node: NodeId) -> impl Iterator<Item = &Prefix> {
        let prefixes = self.node(node).into_iter().flat_map(|node| &node.prefixes);
        prefixes.filter_map(|id| self.prefixes.get(id.0))
    }

    /// Every prefix that some node has, once.
    pub fn nets(&self) -> impl Iterator<Item = &IpNet> {
        self.by_prefix.keys()
    }

    /// Who has a prefix.
    pub fn having(&self, net: &IpNet) -> impl Iterator<Item = &Prefix> {
        let prefixes = self.by_prefix.get(net).into_iter().flatten();
        prefixes.filter_map(|id| self.prefixes.get(id.0))
    }

    /// SIDs of a node.
    pub fn sids_of(&self, node: NodeId) -> impl Iterator<Item = &Sid> {
        let sids = self.node(node).into_iter().flat_map(|node| &node.sids);
        sids.filter_map(|id| self.sids.get(id.0))
    }
}
