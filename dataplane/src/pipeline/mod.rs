//! A burst of packets, from one port in to all ports out.
//!
//! Parse; then, for all packets that need it at once: look up, act; and round again for those
//! that a behavior gave a new destination. One pass for transit, two for End, End.DT6 and
//! H.Encaps.
//!
//! - [`parse`]: Ethernet and IP headers are checked, and what later steps ask for is remembered;
//! - [`pending`]: the packets of a pass, looked up together;
//! - [`run`]: those of them that one entry applies to, acted on together;
//! - [`forward`]: hop limit, MTU, adjacency, Ethernet header;
//! - [`classify`]: rules that steer packets by more than their destination;
//! - [`domain`]: what is not let in, and not let at SIDs;
//! - [`source_check`]: what cannot come from where it says;
//! - [`fragment`]: IPv4 packets that are too long and may be cut;
//! - [`layer2`]: Ethernet frames as cargo;
//! - [`ends`]: packets for the host, answers, drops;
//! - [`departures`]: the packets that leave, port by port;
//! - [`observe`]: where a trace looks on. Without one, nothing of it is there.

use std::sync::Arc;

use crossbeam::utils::CachePadded;

use crate::{
    behavior::hmac,
    counters::WorkerCounters,
    fib::{
        Fib, PortSettings, SourceCheck,
        entry::{Action, Discard, Entry, PortIndex, Punted},
    },
    frame::{BURST, Burst, FreeList},
    packet::{Meta, Packet},
    port::{Punt, Umem},
    trace::{Order, Session},
    verdict::{Fate, Reason, Verdict},
};

mod classify;
mod departures;
mod domain;
mod ends;
mod forward;
pub mod fragment;
pub(crate) mod ip;
mod layer2;
mod observe;
mod parse;
mod pending;
mod run;
mod source_check;

pub use run::Run;

use departures::{Departures, Ports};
use ends::Ends;
use forward::Forwarder;
use fragment::{Cutter, Waiting};
use observe::{Nobody, Observer, View, Watch};
use pending::Pending;
use run::Others;

/// Look-ups a packet may ask for. Segment lists that stay on one node longer are refused.
pub const MAX_PASSES: usize = 16;

/// What a worker needs to process a burst, and keeps between bursts.
#[derive(Debug)]
pub struct Pipeline {
    /// What is remembered of each packet, by its place in the burst.
    metas: Box<[Meta; BURST]>,
    /// The packets of the present pass.
    pending: Box<Pending>,
    /// Those that neither left nor need another look-up.
    others: Box<Others>,
    departures: Departures,
    /// Per port: packets to be sent.
    pub out: Box<[Burst]>,
    /// Fragments that are to be sent behind all of these.
    pub fragments: Waiting,
    /// Per port: how many packets it takes now. To be set before each burst. In cache lines of their
    /// own: another worker's may be next to them in memory.
    pub room: Box<[CachePadded<usize>]>,
    ends: Ends,
    worker: usize,
    counters: Arc<CachePadded<WorkerCounters>>,
    /// Whether somebody looks on: what is asked once a burst.
    is_watched: bool,
    watch: Watch,
}

/// What a worker lends the pipeline for a burst.
#[derive(Debug)]
pub struct Context<'a, U: Punt> {
    /// The memory of the worker's packets.
    pub umem: &'a mut Umem,
    /// The version of the FIB for this burst.
    pub fib: &'a Fib,
    /// Where frames go whose packets end here.
    pub free: &'a mut FreeList,
    /// The way to the host.
    pub punt: &'a mut U,
}

impl Pipeline {
    /// The pipeline of a worker with so many ports.
    pub fn new(worker: usize, ports: usize, counters: Arc<CachePadded<WorkerCounters>>) -> Self {
        Self {
            metas: Box::new([Meta::new(0, 0, 0, 0); BURST]),
            pending: Box::default(),
            others: Box::default(),
            departures: Departures::default(),
            out: (0..ports).map(|_| Burst::new()).collect(),
            fragments: Waiting::default(),
            room: vec![CachePadded::new(BURST); ports].into(),
            ends: Ends::default(),
            worker,
            counters,
            is_watched: false,
            watch: Watch::default(),
        }
    }

    /// Has a session look on, or ends one, from the next burst on. What was on before is given back:
    /// its memory is the control thread's.
    pub fn watch(&mut self, order: Order) -> Option<Box<Session>> {
        let ended = self.watch.set(order);
        self.is_watched = !self.watch.is_empty();
        ended
    }

    /// Processes the packets that came in by a port. `burst` is empty afterwards: each packet is
    /// in [`out`](Self::out), or its frame is in the free list.
    #[inline(never)]
    pub fn process<U: Punt>(
        &mut self,
        ingress: PortIndex,
        burst: &mut Burst,
        context: &mut Context<'_, U>,
    ) {
        if self.is_watched {
            return self.process_watched(ingress, burst, context);
        }
        self.work(ingress, burst, context, &mut Nobody);
    }

    /// The same, while somebody looks on.
    #[cold]
    #[inline(never)]
    fn process_watched<U: Punt>(
        &mut self,
        ingress: PortIndex,
        burst: &mut Burst,
        context: &mut Context<'_, U>,
    ) {
        let mut watch = std::mem::take(&mut self.watch);
        self.work(ingress, burst, context, &mut watch);
        watch.commit();
        self.watch = watch;
    }

    /// What both do: the same code, compiled once with an observer and once without.
    #[inline(always)]
    fn work<U: Punt, O: Observer>(
        &mut self,
        ingress: PortIndex,
        burst: &mut Burst,
        context: &mut Context<'_, U>,
        observer: &mut O,
    ) {
        self.ends.begin();
        self.departures.begin();
        observer.received(self.worker, ingress, burst, context.umem);
        let port = context.fib.ports.get(usize::from(ingress));
        let policy = port.and_then(|port| port.policy);
        // What comes in here is looked at once more, behind the first look-up.
        let mut is_special = port.is_some_and(PortSettings::is_special);
        match policy {
            None => self.parse(ingress, burst, context, observer),
            Some(policy) => self.parse_frames(ingress, policy, burst, context, observer),
        }
        for _ in 0..MAX_PASSES {
            if self.pending.is_empty() {
                break;
            }
            self.pending.look_up(context.fib);
            if is_special {
                is_special = false;
                self.enter(ingress, burst, context, observer);
            }
            observer.looked_up(&self.view(burst, context.umem, context.fib));
            self.act(burst, context.umem, context.fib);
            observer.acted(&self.view(burst, context.umem, context.fib));
            if !self.others.is_empty() {
                self.settle(burst, context, observer);
            }
        }
        for place in 0..self.pending.len() {
            self.counters.count_drop(Reason::TooManyPasses);
            observer.ended(self.pending.index(place), Fate::Dropped(Reason::TooManyPasses));
        }
        observer.leaving(&self.view(burst, context.umem, context.fib));
        let mut ports = Ports { out: &mut self.out, room: &mut self.room, free: context.free };
        self.departures.finish(burst, &self.metas, &mut ports, &self.counters, observer);
    }

    /// What came in by a port that is unlike others was looked up: some of it may be dropped, and
    /// rules may have another way for some.
    #[inline(never)]
    fn enter<U: Punt>(
        &mut self,
        ingress: PortIndex,
        burst: &Burst,
        context: &mut Context<'_, U>,
        observer: &mut impl Observer,
    ) {
        let Some(port) = context.fib.ports.get(usize::from(ingress)) else { return };
        if port.external {
            self.keep_out(burst, context.umem, context.fib, observer);
        }
        if port.source_check != SourceCheck::Off {
            self.check_sources(ingress, port, burst, context.umem, context.fib, observer);
        }
        if port.has_rules {
            self.classify(ingress, burst, context.umem, context.fib);
        }
    }

    /// What there is to be seen between two steps.
    #[inline(always)]
    fn view<'a>(&'a self, burst: &'a Burst, umem: &'a Umem, fib: &'a Fib) -> View<'a> {
        let Self { metas, pending, others, .. } = self;
        View { burst, umem, fib, metas, pending, others }
    }

    /// Does what the entries of a pass say. Who needs another look-up is pending again.
    #[inline(always)]
    fn act(&mut self, burst: &mut Burst, umem: &mut Umem, fib: &Fib) {
        let count = self.pending.begin();
        let mut run = Run {
            umem,
            burst,
            metas: &mut self.metas,
            pending: &mut self.pending,
            forwarder: Forwarder { fib, departures: &mut self.departures },
            others: &mut self.others,
            places: 0..0,
            bytes: 0,
            worker: self.worker,
        };
        let mut place = 0;
        while place < count {
            let entry = run.pending.entry(place);
            if let Some(group) = entry.as_forward() {
                run.forward(place, group);
                place += 1;
            } else if let Some(policy) = entry.as_encap() {
                run.encap(place, policy, self.worker);
                place += 1;
            } else {
                run.places = run.pending.run(place, count);
                place = run.places.end;
                apply(entry, &mut run, fib, self.worker);
            }
        }
    }

    /// Carries out the verdicts on packets of the pass that are unlike most.
    #[inline(never)]
    fn settle<U: Punt>(
        &mut self,
        burst: &mut Burst,
        context: &mut Context<'_, U>,
        observer: &mut impl Observer,
    ) {
        let packets = burst.len();
        for (index, verdict) in self.others.drain(..) {
            let index = usize::from(index);
            let Some(buf) = burst.get_mut(index) else { continue };
            let meta = &mut self.metas[index % BURST];
            let mut verdict = verdict;
            let leaves = match verdict {
                Verdict::Transmit(port) => {
                    let packet = Packet { frame: context.umem.bytes(&buf.frame), meta };
                    let place = (packet.meta.head as u16, packet.len() as u16);
                    let port_settings = context.fib.ports.get(usize::from(port));
                    layer2::check(&packet, port_settings).map(|()| {
                        (buf.head, buf.len) = place;
                        Some(port)
                    })
                }
                Verdict::Fragment(adjacency) => {
                    let mut cutter = Cutter {
                        waiting: &mut self.fragments,
                        packets,
                        room: &mut self.room,
                        free: context.free,
                        umem: context.umem,
                        counters: &self.counters,
                    };
                    cutter.cut(buf, meta, adjacency, context.fib).map(Some)
                }
                _ => Ok(None),
            };
            match leaves {
                Ok(Some(port)) => {
                    meta.egress = port;
                    self.departures.note(port);
                    continue;
                }
                Ok(None) => {}
                Err(reason) => verdict = Verdict::Drop(reason),
            }
            let mut packet = Packet { frame: context.umem.bytes(&buf.frame), meta };
            match self.ends.settle(&mut packet, verdict, context.fib, context.punt) {
                Some(fate) => {
                    observer.ended(index, fate);
                    self.counters.count(fate);
                }
                None => {
                    observer.answered(index, &packet);
                    self.departures.reply();
                    self.pending.push(index, packet.meta);
                }
            }
        }
    }
}

/// Does what an entry says to the packets that it applies to.
#[inline(always)]
fn apply(entry: Entry, run: &mut Run<'_>, fib: &Fib, worker: usize) {
    let verdict = match entry.action() {
        Action::Local(id) => match fib.sids.get(id as usize) {
            Some(Some(sid)) => {
                if fib.domain.sources.is_empty() && sid.hmac == hmac::Policy::Ignore {
                    (sid.behavior.act(sid.flavors))(run, sid, fib);
                } else {
                    domain::apply_checked(run, sid, fib);
                }
                return sid.counters.add(worker, run.packets() as u64, run.bytes);
            }
            _ => Verdict::Refuse(Reason::NoRoute, 0),
        },
        Action::Punt(Punted::Host) => return run.each(|packet| ends::to_host(packet)),
        Action::Punt(on_link) => Verdict::Punt(on_link),
        Action::Discard(Discard::Blackhole) => Verdict::Drop(Reason::Blackhole),
        Action::Discard(Discard::Unreachable) => Verdict::Refuse(Reason::Unreachable, 0),
        Action::Discard(Discard::Prohibit) => Verdict::Refuse(Reason::Prohibited, 0),
        // The others do not come here.
        Action::NoRoute | Action::Forward(_) | Action::Encap(_) => {
            Verdict::Refuse(Reason::NoRoute, 0)
        }
    };
    run.each(|_| verdict);
}
