//! The Linux kernel as a router: the settings it needs, and what it must be told not to do.

use anyhow::{Result, ensure};

use super::Netns;
use crate::command::{self, PATIENCE};

/// What the kernel puts into the flow label of an outer header (`net.ipv6.seg6_flowlabel`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OuterLabel {
    /// The inner packet's.
    Copied,
    /// Computed from the inner packet.
    Computed,
}

/// Makes the namespace forward. Before its links are made, or their own switches stay off.
pub fn forwarding(netns: &Netns) -> Result<()> {
    netns.sysctl("net/ipv4/ip_forward", 1)?;
    netns.sysctl("net/ipv6/conf/all/forwarding", 1)?;
    netns.sysctl("net/ipv6/conf/default/forwarding", 1)
}

/// Makes the namespace an SRv6 router. Before its links are made.
pub fn srv6_router(netns: &Netns, source: &str, label: OuterLabel) -> Result<()> {
    forwarding(netns)?;
    for scope in ["all", "default"] {
        netns.sysctl(&format!("net/ipv6/conf/{scope}/seg6_enabled"), 1)?;
        // Packets for a decapsulated address may leave where they would not be expected from.
        netns.sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), 0)?;
    }
    let label = match label {
        OuterLabel::Copied => 0,
        OuterLabel::Computed => 1,
    };
    netns.sysctl("net/ipv6/seg6_flowlabel", label)?;
    netns.run(&format!("ip sr tunsrc set {source}"))?;
    Ok(())
}

/// Tells the kernel a key of HMAC TLVs.
pub fn hmac_key(netns: &Netns, id: u32, secret: &str) -> Result<()> {
    // It asks for the secret on the terminal: without one, on its input.
    let mut command = netns.command(&format!("setsid --wait ip sr hmac set {id} sha256"));
    command::run_with(&mut command, &format!("{secret}\n"), PATIENCE)?.success()?;
    let known = netns.run("ip sr hmac show")?;
    ensure!(known.contains(&format!("hmac {id} ")), "the kernel has no key {id}: {known}");
    Ok(())
}

/// Lets the kernel answer every packet that deserves an ICMP error, with flow label zero.
pub fn plain_icmp(netns: &Netns) -> Result<()> {
    netns.sysctl("net/ipv6/icmp/ratelimit", 0)?;
    netns.sysctl("net/ipv4/icmp_ratelimit", 0)?;
    // Without labels of its own choice, so that its answers can be compared.
    netns.sysctl("net/ipv6/auto_flowlabels", 0)?;
    // The limit over all peers, per namespace on newer kernels and the machine's own on older ones.
    netns.sysctl_if_present("net/ipv4/icmp_msgs_per_sec", 1_000_000);
    netns.sysctl_if_present("net/ipv4/icmp_msgs_burst", 1_000_000);
    Ok(())
}
