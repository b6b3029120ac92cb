//! Local SIDs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sidewinder_config::Hmac;
use sidewinder_dataplane::counters::Traffic;

use crate::control::InstalledPolicy;
use crate::control::daemon::Daemon;
use crate::control::rib::{Hop, Key};
use crate::source::static_;

/// A local SID.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sid {
    /// The SID.
    pub sid: String,
    /// Who says so.
    pub source: String,
    /// Its behavior, as RFC 8986 spells it.
    pub behavior: String,
    /// Its flavors.
    pub flavors: Vec<String>,
    /// The code point at IANA.
    pub code_point: u16,
    /// How the SID is divided, with NEXT-CSID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structure: Option<Structure>,
    /// What it asks of HMAC TLVs, of those that look at them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<String>,
    /// The next hops, of those that have several, with weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_hops: Vec<String>,
    /// The next hop, of those that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<IpAddr>,
    /// The interface of the next hop, where the file names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The table, of those that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The policy, of those that stand for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The policy's segments, first to last, if it has one list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segs: Vec<String>,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// How a SID is divided: bits of each part (RFC 9800, section 4).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Structure {
    /// The SID block.
    pub block_bits: u8,
    /// The node; 0 for a local compressed SID.
    pub node_bits: u8,
    /// The function.
    pub function_bits: u8,
    /// The argument: compressed SIDs to come.
    pub argument_bits: u8,
}

impl From<sidewinder_config::Structure> for Structure {
    fn from(said: sidewinder_config::Structure) -> Self {
        Self {
            block_bits: said.block_bits,
            node_bits: said.node_bits,
            function_bits: said.function_bits,
            argument_bits: said.argument_bits(),
        }
    }
}

/// The local SIDs.
pub fn sids(daemon: &Daemon) -> Vec<Sid> {
    daemon
        .control
        .sids
        .iter()
        .map(|(Key { prefix, .. }, sid)| {
            let flavors = static_::flavors(sid.said.flavors);
            let hops = static_::hops(&sid.said.behavior).unwrap_or_default();
            let several: &[Hop] = if hops.len() > 1 { &hops } else { &[] };
            let only = if let [only] = &*hops { Some(only) } else { None };
            let policy = static_::policy(&sid.said.behavior);
            let Traffic { packets, bytes } = sid.counters.get();
            Sid {
                sid: match prefix.prefix_len() {
                    128 => prefix.addr().to_string(),
                    _ => prefix.to_string(),
                },
                source: sid.source.name().into(),
                behavior: sid.said.behavior.to_string(),
                flavors: flavors.names().into_iter().map(Into::into).collect(),
                code_point: static_::behavior(&sid.said.behavior).code_point(flavors),
                structure: sid.said.structure.map(Into::into),
                hmac: hmac_of(sid.said.hmac),
                next_hops: several.iter().map(|hop| hop.among(several.len())).collect(),
                next_hop: only.map(|hop| hop.address),
                interface: only
                    .and_then(|hop| hop.interface.as_deref())
                    .or(static_::interface(&sid.said.behavior))
                    .map(Into::into),
                table: static_::table(&sid.said.behavior)
                    .map(|table| sidewinder_config::Table(table).to_string()),
                policy: policy.map(Into::into),
                segs: only_list(daemon.control.policy_of(sid)),
                packets,
                bytes,
            }
        })
        .collect()
}

/// What a SID asks of HMAC TLVs, if it looks at them.
fn hmac_of(hmac: Hmac) -> Option<String> {
    (hmac != Hmac::Ignore).then(|| hmac.to_string())
}

/// The segments of a policy that has one list.
fn only_list(policy: Option<&InstalledPolicy>) -> Vec<String> {
    match policy.map(|policy| &*policy.written) {
        Some([list]) => list.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}
