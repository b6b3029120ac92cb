//! Policies and their segment lists.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sidewinder_config as config;
use sidewinder_dataplane::counters::Traffic;

use crate::control::InstalledPolicy;
use crate::control::daemon::Daemon;
use crate::control::validity::Validity;

/// A policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its behavior, as RFC 8986 spells it.
    pub behavior: String,
    /// Its color.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<u32>,
    /// The endpoint that goes with the color.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<IpAddr>,
    /// The candidate path that is active, of a policy that has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// Source of its outer headers.
    pub source: String,
    /// ID of the key that signs its segment lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac_key: Option<u32>,
    /// Its segment lists.
    pub lists: Vec<List>,
}

/// A segment list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct List {
    /// The segments, first to last.
    pub segs: Vec<String>,
    /// The nodes that they were found by, where the file names nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
    /// What packets have instead, where the policy packs them into containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<String>,
    /// The candidate path that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `active`, `standby` (another path is preferred) or `invalid`.
    pub state: String,
    /// Why it is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
    /// Its share of the flows.
    pub weight: u8,
    /// Bytes it adds to a packet.
    pub overhead: usize,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The policies: those of the file, also where they have no segments, then the others.
pub fn policies(daemon: &Daemon) -> Vec<Policy> {
    let control = &daemon.control;
    let named = control.config.policies.iter().map(|said| {
        let installed = control.policies.get(&said.name);
        describe(said, installed, &control.validities(said))
    });
    let inline = control.inline_policies().map(|policy| {
        let active = vec![Validity::Active; policy.said.lists.len()];
        describe(&policy.said, Some(policy), &active)
    });
    named.chain(inline).collect()
}

fn describe(
    said: &config::Policy,
    installed: Option<&InstalledPolicy>,
    validities: &[Validity],
) -> Policy {
    let path = |list: &config::SegmentList| said.paths.get(list.path).map(ToString::to_string);
    let lists: Vec<List> = said
        .lists
        .iter()
        .zip(validities)
        .map(|(list, validity)| List {
            path: path(list),
            ..segment_list(said, list, installed, validity)
        })
        .collect();
    let active = lists.iter().find(|list| list.state == "active");
    Policy {
        name: said.name.clone(),
        behavior: said.behavior.to_string(),
        color: said.color.map(|color| color.color),
        endpoint: said.color.map(|color| color.endpoint.into()),
        active: active.and_then(|list| list.path.clone()),
        source: said.source.to_string(),
        hmac_key: said.hmac_key,
        lists,
    }
}

fn segment_list(
    said: &config::Policy,
    list: &config::SegmentList,
    installed: Option<&InstalledPolicy>,
    validity: &Validity,
) -> List {
    let found = installed.and_then(|installed| {
        let known = installed.said.lists.iter().zip(&installed.counters);
        let is = |other: &config::SegmentList| {
            other.via == list.via && (!list.via.is_empty() || other.segs == list.segs)
        };
        let ((list, counters), written) = known.zip(&installed.written).find(|it| is(it.0.0))?;
        Some((list, counters, written))
    });
    let segs = found.map_or(&list.segs, |(list, ..)| &list.segs);
    let written = found.map(|(.., written)| written).filter(|_| said.compress);
    let Traffic { packets, bytes } = found.map(|(_, c, _)| c.get()).unwrap_or_default();
    let (state, invalid) = match validity {
        Validity::Active => ("active", None),
        Validity::Standby => ("standby", None),
        Validity::Invalid(why) => ("invalid", Some(why.clone())),
    };
    List {
        segs: segs.iter().map(ToString::to_string).collect(),
        containers: written.into_iter().flatten().map(ToString::to_string).collect(),
        via: list.via.clone(),
        path: None,
        state: state.into(),
        invalid,
        weight: list.weight,
        overhead: said.overhead(written.map_or(list.len(), Vec::len)),
        packets,
        bytes,
    }
}
