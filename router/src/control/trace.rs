//! Traces: what workers are asked to write down, and what their records say to people.

use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use ipnet::IpNet;
use sidewinder_dataplane::behavior::hmac;
use sidewinder_dataplane::fib::entry::PolicyId;
use sidewinder_dataplane::fib::table::left_aligned;
use sidewinder_dataplane::trace::record::{Event, Found, Leaving, LookUp, Outcome, Record};
use sidewinder_dataplane::trace::{Filter, Kind, Prefix, Ring, Session, Tap};
use sidewinder_dataplane::verdict::{Fate, Reason, Verdict};
use sidewinder_dataplane::wire::ethernet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::rib::{Key, Target};
use super::{Control, InstalledPolicy};
use crate::api::show;
use crate::api::trace::{self, Ask, End, Listener, Message, Packet, Why, hex};
use crate::source::static_;

/// How often the workers' records are taken.
const EVERY: Duration = Duration::from_millis(10);

/// Records on their way at most: what a burst of packets may bring between two looks.
const RECORDS: usize = 512;

/// Copies of packets with the O-flag that are kept.
const COPIES: usize = 128;

/// The trace that is on, if one is, and the copies of packets with the O-flag.
#[derive(Debug, Default)]
pub struct Tracing {
    current: Option<Current>,
    copies: Option<Arc<Ring>>,
}

/// Where records come from.
#[derive(Debug)]
enum Origin {
    /// The workers, who look on for this trace.
    Workers(Vec<Arc<Tap>>),
    /// The copies of packets with the O-flag, of which this is wanted.
    Copies(Filter),
}

#[derive(Debug)]
struct Current {
    ring: Arc<Ring>,
    origin: Origin,
    listener: Listener,
    interval: Interval,
    deadline: Option<Instant>,
    wanted: u64,
    told: u64,
    /// Why it is over, once it is: what is still in the ring is told, and then the end.
    over: Option<Why>,
}

impl Tracing {
    /// Waits until there may be something to do; for ever where no trace is on.
    pub async fn tick(&mut self) {
        match &mut self.current {
            Some(current) => drop(current.interval.tick().await),
            None => pending().await,
        }
    }

    /// Has the workers look on, from their next burst. They have to be woken.
    pub fn begin(
        &mut self,
        control: &Control,
        taps: Vec<Arc<Tap>>,
        ask: &Ask,
        listener: Listener,
    ) -> anyhow::Result<()> {
        ensure!(
            self.current.is_none(),
            "another trace is on: wait for its end, or stop the one who runs it"
        );
        let filter = filter(control, ask)?;
        let wanted = if ask.count == 0 { u64::MAX } else { ask.count };
        let workers = taps.len();
        let (ring, origin) = if ask.o_flag {
            let copies = self.copies.as_ref().context(
                "the O-flag is ignored: set o-flag = \"copy\" in [router] to have copies made",
            )?;
            (Arc::clone(copies), Origin::Copies(filter))
        } else {
            let ring = Ring::new(RECORDS, wanted);
            if !begin(&taps, Kind::Trace, || Session::new(filter, Arc::clone(&ring))) {
                bail!("the workers are still busy with the trace before: try again");
            }
            (ring, Origin::Workers(taps))
        };
        let mut interval = interval(EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = (ask.timeout > 0).then(|| Instant::now() + Duration::from_secs(ask.timeout));
        // There is room: it is the first message.
        let _ = listener.messages.try_send(Message::Begun { workers });
        self.current = Some(Current {
            ring,
            origin,
            listener,
            interval,
            deadline,
            wanted,
            told: 0,
            over: None,
        });
        Ok(())
    }

    /// Has the workers copy packets with the O-flag, or no longer.
    pub fn copy(&mut self, on: bool, taps: &[Arc<Tap>]) {
        if on == self.copies.is_some() {
            return;
        }
        if !on {
            self.copies = None;
            taps.iter().for_each(|tap| tap.end(Kind::Marked));
            return;
        }
        let ring = Ring::new(COPIES, u64::MAX);
        if begin(taps, Kind::Marked, || Session::of_marked(Arc::clone(&ring))) {
            self.copies = Some(ring);
        }
    }

    /// Tells the client what there is to tell. Says whether the workers are to be woken, since the
    /// trace is over.
    pub fn look(&mut self, control: &Control) -> bool {
        let Some(current) = &mut self.current else { return false };
        let was_over = current.over.is_some();
        let gone = !current.tell(control);
        let over = !was_over && (gone || current.over.is_some());
        if over {
            current.end_at_workers();
        }
        if gone {
            self.current = None;
        }
        over
    }
}

impl Current {
    /// `false`: the client has gone, or has been told everything.
    fn tell(&mut self, control: &Control) -> bool {
        if self.over.is_none() && self.listener.is_stopped() {
            self.over = Some(Why::Stopped);
        }
        if self.over.is_none() && self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.over = Some(Why::Timeout);
        }
        if self.over.is_some() && matches!(self.origin, Origin::Workers(_)) {
            self.ring.close();
        }
        while self.told < self.wanted {
            let permit = match self.listener.messages.try_reserve() {
                Ok(permit) => permit,
                Err(tokio::sync::mpsc::error::TrySendError::Full(())) => return true,
                Err(tokio::sync::mpsc::error::TrySendError::Closed(())) => return false,
            };
            let number = self.told + 1;
            let origin = &self.origin;
            let wanted = |record: &Record| match origin {
                Origin::Workers(_) => true,
                Origin::Copies(filter) => filter.matches(record),
            };
            let look = |record: &Record| wanted(record).then(|| describe(record, number, control));
            let Some(traced) = self.ring.take(look) else { break };
            if let Some(traced) = traced {
                permit.send(Message::Packet(Box::new(traced)));
                self.told = number;
            }
        }
        if self.told == self.wanted {
            self.over = Some(Why::Count);
        }
        match self.over {
            Some(why) => {
                let end = End { why, packets: self.told, missed: self.ring.missed() };
                match self.listener.messages.try_send(Message::End(end)) {
                    // It comes with the next look.
                    Err(tokio::sync::mpsc::error::TrySendError::Full(_)) => true,
                    _ => false,
                }
            }
            None => !self.listener.messages.is_closed(),
        }
    }

    fn end_at_workers(&self) {
        if let Origin::Workers(taps) = &self.origin {
            self.ring.close();
            taps.iter().for_each(|tap| tap.end(Kind::Trace));
        }
    }
}

/// Hands each worker a session. `false`: one of them could not take it, and none has one.
fn begin(taps: &[Arc<Tap>], kind: Kind, session: impl Fn() -> Box<Session>) -> bool {
    let begun = taps.iter().take_while(|tap| tap.begin(kind, session())).count();
    if begun < taps.len() {
        taps.iter().take(begun).for_each(|tap| tap.end(kind));
    }
    begun == taps.len()
}

/// The filter in the workers' terms.
fn filter(control: &Control, ask: &Ask) -> anyhow::Result<Filter> {
    let ingress = match &ask.interface {
        Some(name) => Some(control.ports.by_name(name).with_context(|| {
            format!("{name} is no interface of this router: see `show interfaces`")
        })?),
        None => None,
    };
    let reason = match &ask.drop {
        Some(name) => {
            let found = Reason::ALL.iter().find(|reason| reason.name() == name);
            Some(*found.with_context(|| format!("{name} is no reason: see `show drops`"))?)
        }
        None => None,
    };
    let sid = match ask.sid {
        Some(IpNet::V6(sid)) => {
            let is_it = |known: &IpNet| {
                known.addr() == sid.addr() && known.prefix_len() <= sid.prefix_len()
            };
            ensure!(
                control.sids.keys().any(|key| is_it(&key.prefix)),
                "{} is no SID of ours: see `show sids`",
                sid.addr()
            );
            Some(u128::from(sid.addr()))
        }
        Some(IpNet::V4(sid)) => bail!("{sid} is no SID: see `show sids`"),
        None => None,
    };
    let prefix = ask.prefix.map(|prefix| match prefix {
        IpNet::V6(prefix) => {
            Prefix { v6: true, key: prefix.addr().into(), len: prefix.prefix_len() }
        }
        IpNet::V4(prefix) => {
            Prefix { v6: false, key: left_aligned(prefix.addr().into()), len: prefix.prefix_len() }
        }
    });
    Ok(Filter { ingress, prefix, sid, reason })
}

/// A record in words. Names are those that are in force now; where what a packet met is no longer
/// there, they are left out.
pub fn describe(record: &Record, number: u64, control: &Control) -> trace::Traced {
    let frame = record.received.bytes();
    let received = frame.get(ethernet::HEADER_LEN..).unwrap_or_default();
    let mut steps = Vec::new();
    for step in &record.steps {
        // What is sent as it is begins with its own Ethernet header.
        let skipped = match step.outcome {
            Some(Outcome::Verdict(Verdict::Transmit(_))) => ethernet::HEADER_LEN,
            _ => 0,
        };
        let after = Packet::read(
            step.after.bytes().get(skipped..).unwrap_or_default(),
            step.after.packet_len().saturating_sub(skipped),
        );
        let mut said = trace::Step {
            look_up: None,
            sid: None,
            policy: None,
            adjacency: None,
            outcome: String::new(),
            after,
        };
        match &step.event {
            Event::LookUp(look_up) => said.look_up(look_up, control),
            Event::Steered { id, list } => said.policy = Some(policy(*id, *list, control)),
            Event::Answered(reason) => said.outcome = format!("answer {}", reason.name()),
        }
        match step.outcome {
            Some(Outcome::LookUp { table }) => {
                said.outcome = format!("look-up in {}", sidewinder_config::Table(table));
            }
            Some(Outcome::Leaves(leaving)) => {
                said.outcome = "forward".into();
                let hops = hops(&step.event, control);
                said.adjacency = Some(adjacency(leaving, &hops, control));
            }
            Some(Outcome::Verdict(Verdict::Transmit(port))) => {
                let port = control.ports.get(port).map_or("a port gone since", |port| &port.name);
                said.outcome = format!("send the frame by {port}");
            }
            Some(Outcome::Verdict(Verdict::Fragment(id))) => {
                said.outcome = "forward in fragments".into();
                if let Some(found) = control.writer.live().adjacencies.get(id as usize) {
                    let leaving = Leaving { port: found.port, l2: found.l2 };
                    said.adjacency = Some(adjacency(leaving, &hops(&step.event, control), control));
                }
            }
            Some(Outcome::Verdict(verdict)) => said.outcome = words(verdict),
            None => {}
        }
        steps.push(said);
    }
    let interface = |port| control.ports.get(port).map(|port| port.name.to_string());
    let (fate, reason) = match record.fate {
        Some(Fate::Forwarded) => ("forwarded", None),
        Some(Fate::Replied(reason)) => ("replied", Some(reason)),
        Some(Fate::Punted) => ("punted", None),
        Some(Fate::Dropped(reason)) => ("dropped", Some(reason)),
        None => ("unknown", None),
    };
    let left = matches!(record.fate, Some(Fate::Forwarded | Fate::Replied(_)));
    let sent = (left && record.sent.packet_len() > 0).then(|| hex(record.sent.bytes()));
    trace::Traced {
        number,
        time: record.at.as_nanos() as u64,
        worker: record.worker,
        interface: interface(record.ingress).unwrap_or_default(),
        received: Packet::read(
            received,
            record.received.packet_len().saturating_sub(ethernet::HEADER_LEN),
        ),
        steps,
        verdict: trace::Verdict {
            fate: fate.into(),
            reason: reason.map(|reason| reason.name().into()),
            interface: record.egress.filter(|_| left).and_then(interface),
        },
        frame: hex(frame),
        sent,
    }
}

fn words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Lookup(_) => "look-up".into(),
        Verdict::Forward(_) => "forward".into(),
        Verdict::Transmit(_) => "send the frame".into(),
        Verdict::Fragment(_) => "forward in fragments".into(),
        Verdict::TooLong(_) => "look at it once more".into(),
        Verdict::Reply(reason) => format!("answer {}", reason.name()),
        Verdict::Punt(_) => "punt".into(),
        Verdict::Drop(reason) => format!("drop {}", reason.name()),
        // The error may not be sent, for its kind or for the rate: what follows says whether it was.
        Verdict::Refuse(reason, 0) => format!("refuse {}", reason.name()),
        Verdict::Refuse(reason, parameter) => format!("refuse {}, {parameter}", reason.name()),
    }
}

fn address(v6: bool, key: u128) -> IpAddr {
    if v6 { IpAddr::V6(key.into()) } else { IpAddr::V4(((key >> 96) as u32).into()) }
}

impl trace::Step {
    fn look_up(&mut self, look_up: &LookUp, control: &Control) {
        let destination = address(look_up.v6, look_up.key);
        let key = key(look_up);
        // Only if it is still the one that the packet met.
        let route = key
            .filter(|key| control.entry_of(key) == Some(look_up.entry))
            .and_then(|key| control.rib.best(&key));
        self.look_up = Some(trace::LookUp {
            destination,
            table: sidewinder_config::Table(look_up.table).to_string(),
            prefix: key.map(|key| key.prefix),
            target: match look_up.found {
                Found::Policy { by_rule: true, .. } => Some("steered by a rule".into()),
                _ => route.map(|(_, route)| route.opinion.target.to_string()),
            },
            source: route.map(|(source, _)| source.name().into()),
        });
        match look_up.found {
            Found::Sid { address, prefix_len, behavior, flavors, hmac } => {
                let address = std::net::Ipv6Addr::from(address);
                let bound = IpNet::new(address.into(), prefix_len).ok().and_then(|prefix| {
                    let sid = control.sids.get(&Key { table: Key::MAIN, prefix })?;
                    Some((static_::policy(&sid.said.behavior)?, control.policy_of(sid)))
                });
                self.policy = bound.map(|(name, installed)| bound_policy(name, installed));
                self.sid = Some(trace::Sid {
                    sid: match prefix_len {
                        128 => address.to_string(),
                        len => format!("{address}/{len}"),
                    },
                    behavior: behavior.name().into(),
                    flavors: flavors.names().into_iter().map(Into::into).collect(),
                    hmac: (hmac != hmac::Policy::Ignore).then(|| hmac.name().into()),
                });
            }
            Found::Policy { id, list, .. } => {
                self.policy = Some(policy(id, list, control));
            }
            _ => {}
        }
    }
}

/// The policy that a binding SID stands for.
fn bound_policy(name: &str, installed: Option<&InstalledPolicy>) -> trace::Policy {
    // Of several lists it is not known which one was taken.
    let only = installed.and_then(|policy| match &*policy.said.lists {
        [list] => Some(list),
        _ => None,
    });
    trace::Policy {
        name: Some(name.into()),
        behavior: installed.map(|policy| policy.said.behavior.to_string()),
        list: only.map(|_| 1),
        segs: only
            .map(|list| list.segs.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
    }
}

fn policy(id: PolicyId, list: Option<u16>, control: &Control) -> trace::Policy {
    let said = control.policy_with(id);
    let segs = list.and_then(|list| said?.lists.get(usize::from(list)));
    trace::Policy {
        name: said.map(|said| said.name.clone()),
        behavior: said.map(|said| said.behavior.to_string()),
        list: list.map(|list| list + 1),
        segs: segs
            .map(|list| list.segs.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
    }
}

/// The prefix that a look-up found, as its route is known by.
fn key(look_up: &LookUp) -> Option<Key> {
    if look_up.found == Found::NoRoute {
        return None;
    }
    let prefix = IpNet::new(address(look_up.v6, look_up.key), look_up.prefix_len).ok()?;
    Some(Key { table: look_up.table, prefix: prefix.trunc() })
}

/// Neighbours that the route or the SID names.
fn hops(event: &Event, control: &Control) -> Vec<IpAddr> {
    let Event::LookUp(look_up) = event else { return Vec::new() };
    let route = key(look_up).and_then(|key| control.rib.best(&key));
    match route.map(|(_, route)| &route.opinion.target) {
        Some(Target::Via(hops)) => hops.iter().map(|hop| hop.address).collect(),
        Some(Target::Sid(said)) => {
            static_::hops(&said.behavior).into_iter().flatten().map(|hop| hop.address).collect()
        }
        _ => Vec::new(),
    }
}

/// The neighbour whose Ethernet address the frame has; where it has several addresses, one of
/// `hops`.
fn adjacency(leaving: Leaving, hops: &[IpAddr], control: &Control) -> trace::Adjacency {
    let mut mac = [0; 6];
    mac.copy_from_slice(&leaving.l2[..6]);
    let mut known: Vec<IpAddr> = control
        .nexthops
        .iter()
        .filter(|(port, address, _)| {
            *port == leaving.port && control.ports.mac_of(*port, *address) == Some(mac)
        })
        .map(|(_, address, _)| address)
        .collect();
    known.sort();
    let address = known.iter().find(|address| hops.contains(address)).or(known.first()).copied();
    trace::Adjacency {
        interface: control
            .ports
            .get(leaving.port)
            .map_or_else(String::new, |port| port.name.to_string()),
        address,
        mac: show::mac(mac),
    }
}
