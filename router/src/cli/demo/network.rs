//! Namespaces, links and routers, and their end.

use anyhow::bail;

use super::topology::{LINKS, NODES, ROUTERS, addresses, configuration};
use crate::cli::lab::Folder;
use crate::cli::lab::daemon::{Daemon, Snapshot};
use crate::cli::lab::netns::{self, Netns};
use crate::cli::lab::stop::Stop;

/// The network; dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Network {
    // Dropped in this order: the routers before the namespaces that they live in.
    routers: Vec<Daemon>,
    nodes: Vec<(&'static str, Netns)>,
    folder: Folder,
}

impl Network {
    /// Makes the namespaces, joins them, and starts the routers.
    pub fn build(stop: &Stop) -> anyhow::Result<Self> {
        netns::sweep();
        let folder = Folder::new()?;
        let mut network = Self { routers: Vec::new(), nodes: Vec::new(), folder };
        for node in NODES {
            if stop.requested() {
                bail!("interrupted");
            }
            let netns = Netns::new(node)?;
            if ROUTERS.contains(&node) {
                // Its kernel knows only its own links; what goes from host to host is Sidewinder's.
                netns.set("ipv6/conf/all/forwarding", "1")?;
                netns.set("ipv6/conf/default/forwarding", "1")?;
            }
            network.nodes.push((node, netns));
        }
        for (left, left_interface, right, right_interface, mtu) in LINKS {
            network.link((left, left_interface), (right, right_interface), mtu)?;
        }
        for (node, netns) in &network.nodes {
            netns.ip(addresses(node))?;
        }
        for router in ROUTERS {
            let told = |socket: &_| configuration(router, socket);
            let daemon = Daemon::start(router, network.node(router), network.folder.path(), told)?;
            network.routers.push(daemon);
        }
        for router in &mut network.routers {
            router.wait_ready(stop)?;
        }
        Ok(network)
    }

    /// The namespace of a node of [`NODES`].
    pub fn node(&self, name: &str) -> &Netns {
        let found = self.nodes.iter().find(|node| node.0 == name);
        // Names come from the topology's constants, never from outside.
        &found.expect("a node of the demo").1
    }

    /// The routers, in the order of the way from h1 to h2.
    pub fn routers(&self) -> &[Daemon] {
        &self.routers
    }

    /// Fails if a router has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.routers.iter_mut().try_for_each(Daemon::check)
    }

    /// What all routers' counters say now.
    pub fn snapshots(&self) -> anyhow::Result<Vec<Snapshot>> {
        self.routers.iter().map(Daemon::snapshot).collect()
    }

    fn link(&self, left: (&str, &str), right: (&str, &str), mtu: u32) -> anyhow::Result<()> {
        let (here, there) = (self.node(left.0), self.node(right.0));
        here.ip(&[format!(
            "link add {} mtu {mtu} type veth peer name {} mtu {mtu} netns {}",
            left.1,
            right.1,
            there.name()
        )])?;
        for (netns, interface) in [(here, left.1), (there, right.1)] {
            // A virtual link leaves checksums to hardware that it does not have; a router that takes
            // packets before the kernel does would forward them with half a checksum.
            let ethtool = ["-K", interface, "tx", "off"];
            netns::execute(netns.command("ethtool").args(ethtool), "")?;
            netns.ip(&[format!("link set {interface} up")])?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // All at once, then each is waited for.
        self.routers.iter().for_each(Daemon::terminate);
    }
}
