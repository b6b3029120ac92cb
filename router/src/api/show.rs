//! What `show` shows: plain data, for JSON and for tables.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sidewinder_config::{self as config, Hmac};
use sidewinder_dataplane::counters::Traffic;
use sidewinder_dataplane::fib::nexthop::State;
use sidewinder_dataplane::frame::FRAME_SIZE;
use sidewinder_dataplane::port::xdp::link;
use sidewinder_dataplane::port::xdp::steer::AttachMode;
use sidewinder_dataplane::verdict::Reason;

use super::What;
use crate::control::InstalledPolicy;
use crate::control::daemon::Daemon;
use crate::control::rib::{self, Hop, Key};
use crate::control::validity::Validity;
use crate::source::static_;

/// Packets and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl From<Traffic> for Count {
    fn from(traffic: Traffic) -> Self {
        Self { packets: traffic.packets, bytes: traffic.bytes }
    }
}

/// An interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Interface {
    /// The kernel's name of it.
    pub name: String,
    /// The kernel's index of it.
    pub index: Option<u32>,
    /// Ethernet address.
    pub mac: String,
    /// MTU in bytes, no more than a frame takes.
    pub mtu: u16,
    /// Whether it is on and has carrier, and is the one that is served.
    pub up: bool,
    /// Whether it is another interface of the same name than at the start: the daemon has to be
    /// started again.
    pub replaced: bool,
    /// The driver's name.
    pub driver: String,
    /// Where the XDP program is attached: `driver` or `generic`.
    pub mode: String,
    /// Whether the kernel said that all its sockets are without copies.
    pub zero_copy: bool,
    /// Whether the kernel leaves its queues to the workers (preferred busy polling): with
    /// `poll = "busy"`, on drivers that send without being woken.
    #[serde(default)]
    pub busy_poll: bool,
    /// The queues that are served.
    pub queues: Vec<u32>,
    /// Table that its packets are looked up in.
    pub table: String,
    /// Its side of the SR domain's border: `internal` or `external`.
    pub domain: String,
    /// The policy that its frames are steered into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Packets that came in.
    pub received: Count,
    /// Packets handed over for sending.
    pub sent: Count,
    /// Packets that the kernel dropped because they were longer than a frame.
    pub kernel_dropped: u64,
    /// Packets that the kernel dropped because the worker was too slow.
    pub ring_full: u64,
    /// Times the kernel had no frame to receive into.
    pub no_frame: u64,
}

/// A worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Worker {
    /// Its number.
    pub worker: usize,
    /// The core it is pinned to.
    pub core: Option<usize>,
    /// Its niceness: -20 of a pinned one, where the system allows that.
    pub nice: i32,
    /// Whether its packet memory is on huge pages.
    pub huge_pages: bool,
    /// Bytes of its packet memory.
    pub memory: usize,
    /// Packets that came in.
    pub received: u64,
    /// Packets that went on.
    pub forwarded: u64,
    /// Fragments that were sent beside the first of each packet that was cut.
    #[serde(default)]
    pub fragments: u64,
    /// Packets that were given to the host.
    pub punted: u64,
    /// Packets that were answered.
    pub replied: u64,
    /// Packets that were dropped.
    pub dropped: u64,
    /// Packets per burst, over all bursts.
    pub packets_per_burst: f64,
    /// Rounds of the poll loop.
    pub rounds: u64,
    /// Frames of its packet memory. At rest they are free or in rings, all of them.
    pub frames: u64,
    /// Frames that hold no packet and are in no ring.
    pub frames_free: u64,
    /// Frames in the rings and in the driver's hands.
    pub frames_in_rings: u64,
}

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

/// A source of routes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    /// Its name.
    pub source: String,
    /// `up`, `off`, or the state of its session.
    pub state: String,
    /// Routes it has.
    pub routes: usize,
    /// Those of them that are the best.
    pub best: usize,
    /// Those of them that are kept though the source has gone.
    pub stale: usize,
    /// More about it, by name.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub details: serde_json::Map<String, serde_json::Value>,
}

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

/// A rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// The interface, or the table of the interfaces, whose packets it looks at.
    pub on: String,
    /// The packets that it is for, in words.
    pub packets_for: String,
    /// The policy that it steers them into; none: they go where routes lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Whether it is in force. Without a way, its policy is passed over.
    pub in_force: bool,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A neighbour that packets are sent to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Neighbor {
    /// Its address.
    pub address: IpAddr,
    /// The interface it is on.
    pub interface: String,
    /// Its Ethernet address.
    pub mac: Option<String>,
    /// `up`, `unresolved` or `down`.
    pub state: String,
    /// Whether the file gives its Ethernet address.
    pub fixed: bool,
}

/// A reason for which packets are dropped or answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drops {
    /// Its name.
    pub reason: String,
    /// Packets dropped for it.
    pub dropped: u64,
    /// Packets answered for it.
    pub replied: u64,
}

/// A part of the daemon's state, as JSON.
pub fn show(daemon: &Daemon, what: What) -> anyhow::Result<serde_json::Value> {
    Ok(match what {
        What::Interfaces => serde_json::to_value(interfaces(daemon))?,
        What::Workers => serde_json::to_value(workers(daemon))?,
        What::Sids => serde_json::to_value(sids(daemon))?,
        What::Routes => anyhow::bail!("routes are asked for piece by piece"),
        What::Policies => serde_json::to_value(policies(daemon))?,
        What::Rules => serde_json::to_value(rules(daemon))?,
        What::Neighbors => serde_json::to_value(neighbors(daemon))?,
        What::Sources => serde_json::to_value(sources(daemon))?,
        What::Topology => serde_json::to_value(daemon.link_state.topology())?,
        What::Drops => serde_json::to_value(drops(daemon))?,
    })
}

/// The interfaces, in the order of the file.
pub fn interfaces(daemon: &Daemon) -> Vec<Interface> {
    let describe = |(port, found): (u16, &crate::control::ports::Port)| {
        let at = usize::from(port);
        let (mut received, mut sent) = (Traffic::default(), Traffic::default());
        let (mut kernel_dropped, mut ring_full, mut no_frame) = (0, 0, 0);
        let mut queues = Vec::new();
        let (mut zero_copy, mut busy_poll) = (true, !daemon.workers.is_empty());
        for worker in &daemon.workers {
            received += worker.counters.received.get(at).map(|c| c.get()).unwrap_or_default();
            sent += worker.counters.sent.get(at).map(|c| c.get()).unwrap_or_default();
            if let Some((granted, served)) = worker.sockets.get(at) {
                zero_copy &= granted;
                queues.extend(served);
            }
            busy_poll &= worker.monitors.get(at).is_some_and(|m| m.busy_polls().unwrap_or(false));
            if let Some(Ok(kernel)) = worker.monitors.get(at).map(|m| m.statistics()) {
                kernel_dropped += kernel.rx_dropped;
                ring_full += kernel.rx_ring_full;
                no_frame += kernel.rx_fill_ring_empty;
            }
        }
        let mode = match daemon.steering.programs.get(at).map(|program| program.mode()) {
            Some(AttachMode::Driver) => "driver",
            Some(AttachMode::Generic) => "generic",
            None => "none",
        };
        let said = daemon.control.config.interface(&found.name);
        Interface {
            name: found.name.to_string(),
            index: found.index,
            mac: mac(found.mac),
            mtu: found.mtu,
            up: found.up,
            replaced: found.replaced,
            driver: link::driver(&found.name),
            mode: mode.into(),
            zero_copy,
            busy_poll,
            queues,
            table: sidewinder_config::Table(found.table).to_string(),
            domain: said.map(|said| said.domain).unwrap_or_default().to_string(),
            policy: said.and_then(|said| said.policy.clone()),
            received: received.into(),
            sent: sent.into(),
            kernel_dropped,
            ring_full,
            no_frame,
        }
    };
    daemon.control.ports.iter().map(describe).collect()
}

/// The workers.
pub fn workers(daemon: &Daemon) -> Vec<Worker> {
    daemon
        .workers
        .iter()
        .enumerate()
        .map(|(index, worker)| {
            let counters = &worker.counters;
            let received = counters.received.iter().map(|port| port.get().packets).sum();
            let bursts = counters.bursts.get();
            Worker {
                worker: index,
                core: worker.core,
                nice: worker.nice,
                huge_pages: worker.huge_pages,
                memory: worker.memory,
                received,
                forwarded: counters.forwarded.get(),
                fragments: counters.fragments.get(),
                punted: counters.punted.get(),
                replied: counters.replied.get(),
                dropped: counters.dropped.get(),
                packets_per_burst: received as f64 / bursts.max(1) as f64,
                rounds: counters.rounds.get(),
                frames: (worker.memory / FRAME_SIZE) as u64,
                frames_free: counters.frames_free.get(),
                frames_in_rings: counters.frames_in_rings.get(),
            }
        })
        .collect()
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
                segs: policy.map(|name| only_list(daemon, name)).unwrap_or_default(),
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
fn only_list(daemon: &Daemon, name: &str) -> Vec<String> {
    match daemon.control.policies.get(name).map(|policy| &*policy.written) {
        Some([list]) => list.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// The sources that are asked for, or that have something to say.
pub fn sources(daemon: &Daemon) -> Vec<Source> {
    let control = &daemon.control;
    rib::Source::ALL
        .into_iter()
        .map(|source| {
            let (routes, stale) = control.rib.count(source);
            let best = control.installed(source);
            let (state, details) = daemon.describe_source(source);
            Source { source: source.name().into(), state, routes, best, stale, details }
        })
        .filter(|source| source.state != "off" || source.routes > 0)
        .collect()
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

/// The rules, in the order of the file, and then those of whole interfaces.
pub fn rules(daemon: &Daemon) -> Vec<Rule> {
    let control = &daemon.control;
    let describe = |rule: config::Rule| {
        let counters = control.rules.counters(&rule);
        let Traffic { packets, bytes } = counters.map(|c| c.get()).unwrap_or_default();
        Rule {
            on: rule.on.to_string(),
            packets_for: rule.to_string(),
            in_force: control.rules.is_in_force(&rule),
            policy: match rule.action {
                config::RuleAction::Policy(name) => Some(name),
                config::RuleAction::Route => None,
            },
            packets,
            bytes,
        }
    };
    control.rules().into_iter().map(describe).collect()
}

/// The neighbours that packets are sent to.
pub fn neighbors(daemon: &Daemon) -> Vec<Neighbor> {
    let ports = &daemon.control.ports;
    let mut shown: Vec<_> = daemon
        .control
        .nexthops
        .iter()
        .map(|(port, address, state)| Neighbor {
            address,
            interface: ports.get(port).map_or_else(String::new, |port| port.name.to_string()),
            mac: ports.mac_of(port, address).map(mac),
            state: match state {
                State::Up => "up",
                State::Unresolved => "unresolved",
                State::Down => "down",
            }
            .into(),
            fixed: ports.is_fixed(port, address),
        })
        .collect();
    shown.sort_by(|a, b| (&a.interface, a.address).cmp(&(&b.interface, b.address)));
    shown
}

/// Every reason that occurred.
pub fn drops(daemon: &Daemon) -> Vec<Drops> {
    Reason::ALL
        .iter()
        .map(|reason| {
            let sum = |read: fn(&crate::control::workers::Running, usize) -> u64| {
                daemon.workers.iter().map(|worker| read(worker, *reason as usize)).sum()
            };
            Drops {
                reason: reason.name().into(),
                dropped: sum(|worker, at| worker.counters.drops[at].get()),
                replied: sum(|worker, at| worker.counters.replies[at].get()),
            }
        })
        .filter(|drops| drops.dropped + drops.replied > 0)
        .collect()
}

pub(crate) fn mac(mac: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}
