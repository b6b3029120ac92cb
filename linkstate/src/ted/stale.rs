//! What a session leaves behind when it ends (RFC 4724, section 4.2).

use super::objects::{LinkId, NodeId, PrefixId, SidId};
use super::slab::Slab;
use super::store::Ted;

impl Ted {
    /// Marks everything as stale. It is used as before; what is announced again is stale no longer.
    pub fn mark_stale(&mut self) {
        // A node that is only spoken of has nothing that could be taken away.
        self.nodes.values_mut().for_each(|node| node.stale = node.announced());
        self.links.values_mut().for_each(|link| link.stale = true);
        self.prefixes.values_mut().for_each(|prefix| prefix.stale = true);
        self.sids.values_mut().for_each(|sid| sid.stale = true);
    }

    /// How many objects are stale.
    pub fn stale(&self) -> usize {
        self.nodes().filter(|(_, node)| node.stale).count()
            + self.links().filter(|(_, link)| link.stale).count()
            + self.prefixes().filter(|(_, prefix)| prefix.stale).count()
            + self.sids().filter(|(_, sid)| sid.stale).count()
    }

    /// Withdraws what is still stale.
    pub fn sweep_stale(&mut self) {
        for id in stale(&self.sids, |sid| sid.stale) {
            self.withdraw_sid(SidId(id));
        }
        for id in stale(&self.prefixes, |prefix| prefix.stale) {
            self.withdraw_prefix(PrefixId(id));
        }
        for id in stale(&self.links, |link| link.stale) {
            self.withdraw_link(LinkId(id));
        }
        for id in stale(&self.nodes, |node| node.stale) {
            self.withdraw_node(NodeId(id));
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.mark_stale();
        self.sweep_stale();
    }
}

fn stale<T>(objects: &Slab<T>, is: impl Fn(&T) -> bool) -> Vec<u32> {
    objects.iter().filter(|(_, object)| is(object)).map(|(id, _)| id).collect()
}
