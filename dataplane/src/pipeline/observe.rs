//! Where a trace looks on: between the steps of a burst, at what the steps themselves left.
//!
//! The steps are the same code with a trace and without, compiled twice. [`Nobody`] looks on without
//! one, and none of this is in the code then. With one, its [`Session`] writes down what look-ups found,
//! what the packets and their verdicts are after each pass, and how they ended. It decides nothing and
//! works nothing out again, so that what it says is what happened.

use super::{pending::Pending, run::Others};
use crate::{
    fib::{
        Fib,
        entry::{Action, Entry, PolicyId, PortIndex, TableIndex},
    },
    frame::{BURST, Burst, PacketBuf},
    packet::{Meta, NOWHERE, Packet},
    port::Umem,
    trace::{
        Kind, Order, Session,
        record::{Event, Found, Leaving, LookUp, Outcome},
    },
    verdict::Fate,
    wire::{ethernet, ext, srh},
};

/// What there is to be seen of a burst between two steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) burst: &'a Burst,
    pub(super) umem: &'a Umem,
    pub(super) fib: &'a Fib,
    pub(super) metas: &'a [Meta; BURST],
    pub(super) pending: &'a Pending,
    pub(super) others: &'a Others,
}

/// Who looks on.
pub(super) trait Observer {
    /// A burst came in by a port.
    #[inline(always)]
    fn received(&mut self, _worker: usize, _ingress: PortIndex, _burst: &Burst, _umem: &Umem) {}

    /// The frames of an interface were steered into a policy: those that are to be looked up now.
    #[inline(always)]
    fn steered(&mut self, _policy: PolicyId, _view: &View<'_>) {}

    /// The packets of a pass were looked up.
    #[inline(always)]
    fn looked_up(&mut self, _view: &View<'_>) {}

    /// What was found was done to them: those with a new destination are pending again, and those
    /// that neither do nor leave are among the others.
    #[inline(always)]
    fn acted(&mut self, _view: &View<'_>) {}

    /// A packet has become an answer.
    #[inline(always)]
    fn answered(&mut self, _index: usize, _packet: &Packet<'_>) {}

    /// A packet ended otherwise than by leaving.
    #[inline(always)]
    fn ended(&mut self, _index: usize, _fate: Fate) {}

    /// The packets with an egress port are ready for it. Of those that it then has no room for it is
    /// said that they [`ended`](Self::ended).
    #[inline(always)]
    fn leaving(&mut self, _view: &View<'_>) {}
}

/// Nobody looks on.
#[derive(Debug)]
pub(super) struct Nobody;

impl Observer for Nobody {}

/// Those who look on.
#[derive(Debug, Default)]
pub(super) struct Watch {
    trace: Option<Box<Session>>,
    marked: Option<Box<Session>>,
}

impl Watch {
    /// Whether nobody does.
    pub(super) fn is_empty(&self) -> bool {
        self.trace.is_none() && self.marked.is_none()
    }

    /// Begins a session, or ends one. Says which one is over.
    pub(super) fn set(&mut self, order: Order) -> Option<Box<Session>> {
        let place = match order.kind {
            Kind::Trace => &mut self.trace,
            Kind::Marked => &mut self.marked,
        };
        std::mem::replace(place, order.session)
    }

    /// The burst is over.
    pub(super) fn commit(&mut self) {
        self.sessions().for_each(Session::commit);
    }

    fn sessions(&mut self) -> impl Iterator<Item = &mut Session> {
        [&mut self.trace, &mut self.marked].into_iter().filter_map(|session| session.as_deref_mut())
    }

    /// Those that write something of this burst down.
    fn busy(&mut self) -> impl Iterator<Item = &mut Session> {
        self.sessions().filter(|session| !session.is_idle())
    }
}

impl Observer for Watch {
    fn received(&mut self, worker: usize, ingress: PortIndex, burst: &Burst, umem: &Umem) {
        for session in self.sessions() {
            if !session.begin(worker, ingress) {
                continue;
            }
            for (index, buf) in burst.iter().enumerate() {
                session.record(index, frame(buf, umem), &[]);
            }
        }
    }

    fn steered(&mut self, id: PolicyId, view: &View<'_>) {
        for session in self.busy() {
            for place in 0..view.pending.len() {
                let index = view.pending.index(place);
                let (packet, meta) = (view.packet(index), &view.metas[index % BURST]);
                session.step(index, |step| {
                    step.event = Event::Steered { id, list: list_of(view.fib, id, packet) };
                    step.outcome = Some(Outcome::LookUp { table: number(view.fib, meta.table) });
                    step.after.take(packet);
                });
            }
        }
    }

    fn looked_up(&mut self, view: &View<'_>) {
        if let Some(session) = self.marked.as_deref_mut().filter(|it| it.looks_for_marked()) {
            for index in view.marked() {
                if session.allows_marked(index) {
                    let l2 = view.frame(index).get(..ethernet::HEADER_LEN).unwrap_or_default();
                    session.record(index, l2, view.packet(index));
                }
            }
        }
        for session in self.busy() {
            for place in 0..view.pending.len() {
                let index = view.pending.index(place);
                session.step(index, |step| {
                    let (meta, entry) = (&view.metas[index % BURST], view.pending.entry(place));
                    step.event = Event::LookUp(look_up(meta, entry, view.fib));
                });
            }
        }
    }

    fn acted(&mut self, view: &View<'_>) {
        for session in self.busy() {
            for (index, verdict) in view.others {
                let index = usize::from(*index);
                session.close(index, Outcome::Verdict(*verdict), view.packet(index));
            }
            for place in 0..view.pending.len() {
                let index = view.pending.index(place);
                let meta = &view.metas[index % BURST];
                let table = number(view.fib, meta.table);
                let packet = view.packet(index);
                session.close(index, Outcome::LookUp { table }, packet);
                session.took_list(index, |policy| list_of(view.fib, policy, packet));
            }
            // What is neither is ready to leave.
            for index in view.leaving() {
                let Some((l2, packet)) = view.frame(index).split_first_chunk::<12>() else {
                    continue;
                };
                let port = view.metas[index % BURST].egress;
                let packet = packet.get(ethernet::HEADER_LEN - l2.len()..).unwrap_or_default();
                session.close(index, Outcome::Leaves(Leaving { port, l2: *l2 }), packet);
            }
        }
    }

    fn answered(&mut self, index: usize, packet: &Packet<'_>) {
        let Some(reason) = packet.meta.reply else { return };
        for session in self.busy() {
            session.step(index, |step| {
                step.event = Event::Answered(reason);
                step.after.take(packet.bytes());
            });
        }
    }

    fn ended(&mut self, index: usize, fate: Fate) {
        for session in self.busy() {
            if let Some(record) = session.active(index) {
                record.fate = Some(fate);
            }
        }
    }

    fn leaving(&mut self, view: &View<'_>) {
        for session in self.busy() {
            for index in view.leaving() {
                let Some(record) = session.active(index) else { continue };
                let meta = &view.metas[index % BURST];
                record.egress = Some(meta.egress);
                record.sent.take(view.frame(index));
                record.fate = Some(meta.reply.map_or(Fate::Forwarded, Fate::Replied));
            }
        }
    }
}

/// A packet's frame, from the Ethernet header on: as it came until it is ready to leave, and then as
/// it leaves.
fn frame<'a>(buf: &PacketBuf, umem: &'a Umem) -> &'a [u8] {
    let start = usize::from(buf.head);
    umem.bytes_ref(&buf.frame).get(start..start + usize::from(buf.len)).unwrap_or_default()
}

impl View<'_> {
    /// A packet that did not leave, from the IP header on.
    fn packet(&self, index: usize) -> &[u8] {
        let Some(buf) = self.burst.get(index) else { return &[] };
        let meta = &self.metas[index % BURST];
        let packet = meta.head as usize..meta.tail as usize;
        self.umem.bytes_ref(&buf.frame).get(packet).unwrap_or_default()
    }

    fn frame(&self, index: usize) -> &[u8] {
        self.burst.get(index).map_or(&[], |buf| frame(buf, self.umem))
    }

    /// The packets that are ready to leave.
    fn leaving(&self) -> impl Iterator<Item = usize> {
        let metas = self.metas.iter().take(self.burst.len()).enumerate();
        metas.filter(|(_, meta)| meta.egress != NOWHERE).map(|(index, _)| index)
    }

    /// The packets for SIDs of ours whose SRH has the O-flag.
    fn marked(&self) -> impl Iterator<Item = usize> {
        let for_us =
            |place: &usize| matches!(self.pending.entry(*place).action(), Action::Local(_));
        let indices = (0..self.pending.len()).filter(for_us).map(|place| self.pending.index(place));
        indices.filter(|index| is_marked(self.packet(*index)))
    }
}

/// Whether a packet's SRH has the O-flag.
fn is_marked(packet: &[u8]) -> bool {
    let srh = ext::walk(packet).ok().and_then(|headers| headers.srh());
    let flags = srh.and_then(|offset| packet.get(usize::from(offset) + srh::field::FLAGS));
    flags.is_some_and(|flags| flags & srh::flag::OAM != 0)
}

/// The number the kernel knows a table by.
fn number(fib: &Fib, table: TableIndex) -> u32 {
    fib.tables.get(usize::from(table)).map_or(0, |table| table.number)
}

/// What a look-up was for, and what it found. The prefix is looked up again, in the same version of
/// the FIB.
fn look_up(meta: &Meta, entry: Entry, fib: &Fib) -> LookUp {
    let lpm = fib
        .tables
        .get(usize::from(meta.table))
        .map(|table| if meta.v6 { &table.v6 } else { &table.v4 });
    let (by_prefix, prefix_len) = lpm.map_or((Entry::NONE, 0), |lpm| lpm.lookup_prefix(meta.key));
    let found = match entry.action() {
        Action::NoRoute => Found::NoRoute,
        Action::Forward(group) => Found::Group(group),
        Action::Encap(id) => Found::Policy { id, list: None, by_rule: by_prefix != entry },
        Action::Punt(punted) => Found::Host(punted),
        Action::Discard(discard) => Found::Discard(discard),
        Action::Local(id) => match fib.sids.get(id as usize) {
            Some(Some(sid)) => Found::Sid {
                address: sid.address,
                prefix_len: sid.prefix_len,
                behavior: sid.behavior,
                flavors: sid.flavors,
                hmac: sid.hmac,
            },
            _ => Found::NoRoute,
        },
    };
    let (table, v6, key) = (number(fib, meta.table), meta.v6, meta.key);
    LookUp { table, v6, key, prefix_len, entry, found }
}

/// Which of a policy's lists the headers at the beginning of a packet are of.
fn list_of(fib: &Fib, policy: PolicyId, packet: &[u8]) -> Option<u16> {
    let place = match fib.policies.get(policy as usize) {
        Some(Some(policy)) => policy.lists.iter().position(|list| list.is_in_front_of(packet)),
        _ => {
            let policy = fib.insertions.get(policy as usize)?.as_ref()?;
            policy.lists.iter().position(|list| list.is_first_of(packet))
        }
    };
    place.map(|list| list as u16)
}
