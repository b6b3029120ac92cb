//! Where a trace looks on: between the steps of a burst, at what the steps themselves left.
//!
//! The steps are the same code with a trace and without, compiled twice. [`Nobody`] looks on without
//! one, and none of this is in the code then. With one, a [`Session`] writes down what look-ups found,
//! what the packets and their verdicts are after each pass, and how they ended. It decides nothing and
//! works nothing out again, so that what it says is what happened.

use std::time::SystemTime;

use super::{pending::Pending, run::Others};
use crate::{
    fib::{
        Fib, Policy,
        entry::{Action, Entry, PortIndex, TableIndex},
    },
    frame::{BURST, Burst},
    packet::{Meta, NOWHERE, Packet},
    port::Umem,
    trace::{
        Session,
        record::{Event, Found, Leaving, LookUp, Outcome, Step},
    },
    verdict::Fate,
    wire::ethernet,
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

    /// The packets of a pass were looked up.
    #[inline(always)]
    fn looked_up(&mut self, _pending: &Pending, _metas: &[Meta; BURST], _fib: &Fib) {}

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

impl Observer for Session {
    fn received(&mut self, worker: usize, ingress: PortIndex, burst: &Burst, umem: &Umem) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for (buf, record) in burst.iter().zip(self.records_mut()) {
            let start = usize::from(buf.head);
            let frame = umem.bytes_ref(&buf.frame);
            let frame = frame.get(start..start + usize::from(buf.len)).unwrap_or_default();
            record.begin(worker, now, ingress, frame);
        }
        self.begin(burst.len());
    }

    fn looked_up(&mut self, pending: &Pending, metas: &[Meta; BURST], fib: &Fib) {
        for place in 0..pending.len() {
            let index = pending.index(place);
            let look_up = look_up(&metas[index % BURST], pending.entry(place), fib);
            self.step(index, |step| {
                step.event = Event::LookUp(look_up);
                step.outcome = None;
                step.after.clear();
            });
        }
    }

    fn acted(&mut self, view: &View<'_>) {
        for (index, verdict) in view.others {
            let bytes = view.packet(usize::from(*index));
            self.close(usize::from(*index), Outcome::Verdict(*verdict), bytes);
        }
        for place in 0..view.pending.len() {
            let index = view.pending.index(place);
            let table = number(view.fib, view.metas[index % BURST].table);
            self.close(index, Outcome::LookUp { table }, view.packet(index));
        }
        // What is neither is ready to leave.
        for (index, (buf, meta)) in view.burst.iter().zip(view.metas).enumerate() {
            if meta.egress == NOWHERE {
                continue;
            }
            let start = usize::from(buf.head);
            let frame = view.umem.bytes_ref(&buf.frame);
            let frame = frame.get(start..start + usize::from(buf.len)).unwrap_or_default();
            if let Some((l2, packet)) = frame.split_first_chunk::<{ ethernet::HEADER_LEN }>() {
                let mut addresses = [0; 12];
                addresses.copy_from_slice(&l2[..12]);
                let leaving = Leaving { port: meta.egress, l2: addresses };
                self.close(index, Outcome::Leaves(leaving), packet);
            }
        }
        for record in self.records_mut().take(view.burst.len()) {
            if let Some(Step { event: Event::LookUp(look_up), outcome, after }) =
                record.steps.last_mut()
                && let Found::Policy { id, list } = &mut look_up.found
                && matches!(outcome, Some(Outcome::LookUp { .. }))
            {
                let policy = view.fib.policies.get(*id as usize).and_then(Option::as_ref);
                *list = policy.and_then(|policy| list_of(policy, after.bytes()));
            }
        }
    }

    fn answered(&mut self, index: usize, packet: &Packet<'_>) {
        let Some(reason) = packet.meta.reply else { return };
        self.step(index, |step| {
            step.event = Event::Answered(reason);
            step.outcome = None;
            step.after.take(packet.bytes());
        });
    }

    fn ended(&mut self, index: usize, fate: Fate) {
        if let Some(record) = self.record(index) {
            record.fate = Some(fate);
        }
    }

    fn leaving(&mut self, view: &View<'_>) {
        for (index, (buf, meta)) in view.burst.iter().zip(view.metas).enumerate() {
            if meta.egress == NOWHERE {
                continue;
            }
            let start = usize::from(buf.head);
            let frame = view.umem.bytes_ref(&buf.frame);
            let Some(record) = self.record(index) else { continue };
            record.egress = Some(meta.egress);
            record.sent.take(frame.get(start..start + usize::from(buf.len)).unwrap_or_default());
            record.fate = Some(meta.reply.map_or(Fate::Forwarded, Fate::Replied));
        }
    }
}

impl View<'_> {
    /// A packet that did not leave, from the IP header on.
    fn packet(&self, index: usize) -> &[u8] {
        let Some(buf) = self.burst.get(index) else { return &[] };
        let meta = &self.metas[index % BURST];
        let packet = meta.head as usize..meta.tail as usize;
        self.umem.bytes_ref(&buf.frame).get(packet).unwrap_or_default()
    }
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
    let prefix_len = lpm.map_or(0, |lpm| lpm.lookup_prefix(meta.key).1);
    let found = match entry.action() {
        Action::NoRoute => Found::NoRoute,
        Action::Forward(group) => Found::Group(group),
        Action::Encap(id) => Found::Policy { id, list: None },
        Action::Punt(punted) => Found::Host(punted),
        Action::Discard(discard) => Found::Discard(discard),
        Action::Local(id) => match fib.sids.get(id as usize) {
            Some(Some(sid)) => Found::Sid {
                address: sid.address,
                prefix_len: sid.prefix_len,
                behavior: sid.behavior,
                flavors: sid.flavors,
            },
            _ => Found::NoRoute,
        },
    };
    LookUp { table: number(fib, meta.table), v6: meta.v6, key: meta.key, prefix_len, found }
}

/// Which of a policy's lists the headers at the beginning of a packet are of.
fn list_of(policy: &Policy, packet: &[u8]) -> Option<u16> {
    policy.lists.iter().position(|list| list.is_in_front_of(packet)).map(|list| list as u16)
}
