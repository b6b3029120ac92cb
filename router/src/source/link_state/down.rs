//! Our links whose interface is down: paths lead elsewhere at once, and not only when the feed has
//! heard of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sidewinder_linkstate::spf::FirstHop;
use sidewinder_linkstate::ted::{LinkDescriptor, LinkId, NodeId, Ted};

use super::hops::Places;
use crate::control::ports::Ports;

/// What is known of our interfaces, and of which link is on which.
#[derive(Debug, Default)]
pub(super) struct Down {
    up: BTreeSet<Arc<str>>,
    /// The interface that a link was last found on: one that goes down may lose the addresses that
    /// it is found by.
    last: HashMap<LinkId, (Arc<LinkDescriptor>, Arc<str>)>,
}

impl Down {
    /// Takes a new state of our interfaces, and says whether it differs.
    pub(super) fn observe(&mut self, ports: &Ports) -> bool {
        let up = ports.iter().filter(|(_, port)| port.up).map(|(_, port)| Arc::clone(&port.name));
        let up: BTreeSet<_> = up.collect();
        let differs = up != self.up;
        self.up = up;
        differs
    }

    /// Tells the TED which links of our nodes are down.
    pub(super) fn tell(&mut self, ted: &mut Ted, own: &[NodeId], places: &Places) {
        let before = std::mem::take(&mut self.last);
        let mut down = Vec::new();
        for (id, link) in own.iter().flat_map(|node| ted.links_from(*node)) {
            let found = FirstHop::ours(ted, id).and_then(|hop| places.interface(ted, &hop));
            let interface = found.or_else(|| {
                let (descriptor, interface) = before.get(&id)?;
                (*descriptor == link.descriptor).then(|| Arc::clone(interface))
            });
            let is_down = interface.as_ref().is_some_and(|interface| !self.up.contains(interface));
            if is_down != link.is_down() {
                down.push((id, is_down));
            }
            if let Some(interface) = interface {
                self.last.insert(id, (Arc::clone(&link.descriptor), interface));
            }
        }
        for (id, is_down) in down {
            ted.set_down(id, is_down);
        }
    }
}
