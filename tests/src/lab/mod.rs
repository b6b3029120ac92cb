//! Namespaces, the links between them, and the routers in them.

pub mod daemon;
pub mod linux;
pub mod load;
pub mod netns;
pub mod star;
pub mod stream;
pub mod traffic;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

pub use daemon::Sidewinder;
pub use netns::Netns;
pub use wire::Wire;

/// Lets one test of a file use the machine at a time: two tests at once on two cores would measure
/// each other.
pub fn serial() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // A test that failed while it held the lock says nothing about the next one.
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One end of a link: node, interface and MAC address.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The node's name in the lab.
    pub node: &'a str,
    /// The interface's name in that node.
    pub interface: &'a str,
    /// Its MAC address.
    pub mac: &'a str,
}

impl<'a> End<'a> {
    /// `node`, `interface` and `mac` in this order.
    pub fn new(node: &'a str, interface: &'a str, mac: &'a str) -> Self {
        Self { node, interface, mac }
    }
}

/// Nodes and the links between them; all of it is gone when this is dropped.
#[derive(Debug, Default)]
pub struct Lab {
    nodes: BTreeMap<String, Netns>,
}

impl Lab {
    /// A lab with these nodes, not yet linked.
    pub fn new(nodes: &[&str]) -> Result<Self> {
        let mut lab = Self::default();
        for name in nodes {
            lab.nodes.insert((*name).to_owned(), Netns::new(name)?);
        }
        Ok(lab)
    }

    /// The node of that name. A name that is not in the lab is a mistake in the test.
    pub fn node(&self, name: &str) -> &Netns {
        self.nodes.get(name).unwrap_or_else(|| panic!("the lab has no node {name}"))
    }

    /// Joins two nodes by a veth pair, both ends up, with whole checksums in every packet.
    pub fn link(&self, a: End<'_>, b: End<'_>, mtu: u32) -> Result<()> {
        self.link_with_queues(a, b, mtu, 1)
    }

    /// The same, with so many queues each way. A packet comes in by the queue of the number that the
    /// sender's kernel sent it by, which it chooses by the flow.
    pub fn link_with_queues(&self, a: End<'_>, b: End<'_>, mtu: u32, queues: u32) -> Result<()> {
        let (left, right) = (self.node(a.node), self.node(b.node));
        let queues = format!("numtxqueues {queues} numrxqueues {queues}");
        left.ip(&format!(
            "link add {} address {} mtu {mtu} {queues} type veth \
             peer name {} address {} mtu {mtu} {queues} netns {}",
            a.interface,
            a.mac,
            b.interface,
            b.mac,
            right.name()
        ))
        .with_context(|| {
            format!("linking {}:{} to {}:{}", a.node, a.interface, b.node, b.interface)
        })?;
        for (netns, end) in [(left, a), (right, b)] {
            // A veth leaves checksums to hardware that it does not have; whoever reads the packet
            // from an AF_XDP ring would forward it with half a checksum.
            netns.run(&format!("ethtool -K {} tx off", end.interface))?;
            netns.ip(&format!("link set {} up", end.interface))?;
        }
        Ok(())
    }
}
