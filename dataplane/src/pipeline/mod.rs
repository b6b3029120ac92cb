//! A burst of packets, from one port in to all ports out.
//!
//! Parse; then, for all packets that need it at once: look up, act; and round again for those
//! that a behavior gave a new destination. One pass for transit, two for End, End.DT6 and
//! H.Encaps.

use std::{sync::Arc, time::Instant};

use arrayvec::ArrayVec;
use crossbeam::utils::CachePadded;

use crate::{
    behavior::{flow, headend},
    counters::WorkerCounters,
    fib::{
        Fib, PortSettings,
        entry::{Action, Discard, Entry, GroupId, PortIndex, Punted, TableIndex},
        nexthop::State,
    },
    frame::{BURST, Burst, Frame, FreeList, PacketBuf},
    icmp,
    limiter::Limiter,
    packet::{Meta, Packet},
    port::{Punt, Umem},
    verdict::{Reason, Verdict},
    wire::{ethernet, ext},
};

pub(crate) mod ip;

/// Look-ups a packet may ask for. Segment lists that stay on one node longer are refused.
pub const MAX_PASSES: usize = 16;

/// Packets a second and worker to neighbours that are not known yet.
const ON_LINK_RATE: u32 = 200;

/// Packets a second and worker to the host itself.
const HOST_RATE: u32 = 50_000;

/// A packet on its way through.
#[derive(Debug)]
struct Slot {
    frame: Frame,
    meta: Meta,
    /// The port it leaves by; `None` as long as it stays, and for ever where it is dropped.
    egress: Option<PortIndex>,
}

/// What a worker needs to process a burst, and keeps between bursts.
#[derive(Debug)]
pub struct Pipeline {
    slots: ArrayVec<Slot, BURST>,
    /// Per port: packets to be sent.
    pub out: Box<[Burst]>,
    /// Per port: how many packets it takes now. To be set before each burst.
    pub room: Box<[usize]>,
    /// Limits the ICMP errors we send.
    errors: Limiter,
    /// Limits the packets to neighbours that are to be found: someone who scans a link must not
    /// fill the kernel's table of them.
    on_link: Limiter,
    /// Limits the other packets for the host: each costs a system call.
    to_host: Limiter,
    /// The time of this burst, once something asked for it.
    now: Option<Instant>,
    worker: usize,
    counters: Arc<CachePadded<WorkerCounters>>,
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
            slots: ArrayVec::new(),
            out: (0..ports).map(|_| Burst::new()).collect(),
            room: vec![BURST; ports].into(),
            errors: Limiter::default(),
            on_link: Limiter::default(),
            to_host: Limiter::default(),
            now: None,
            worker,
            counters,
        }
    }

    /// Processes the packets that came in by a port. `burst` is empty afterwards: each packet is
    /// in [`out`](Self::out), or its frame is in the free list.
    pub fn process<U: Punt>(
        &mut self,
        ingress: PortIndex,
        burst: &mut Burst,
        context: &mut Context<'_, U>,
    ) {
        self.now = None;
        let mut pending = self.parse(ingress, burst, context);
        for _ in 0..MAX_PASSES {
            if pending.is_empty() {
                break;
            }
            pending = self.pass(&pending, context);
        }
        for _ in &pending {
            self.counters.count_drop(Reason::TooManyPasses);
        }
        self.finish(context.free);
    }

    /// Takes the packets over, and says which of them are to be looked up.
    fn parse<U: Punt>(
        &mut self,
        ingress: PortIndex,
        burst: &mut Burst,
        context: &mut Context<'_, U>,
    ) -> Pending {
        let mut pending = Pending::new();
        let mut bytes = 0;
        let count = burst.len();
        let settings = context.fib.ports.get(usize::from(ingress)).copied();
        for (index, packet) in burst.drain(..).enumerate() {
            bytes += u64::from(packet.len);
            let mut slot = Slot::new(packet, ingress, settings);
            let mut view = Packet { frame: context.umem.bytes(&slot.frame), meta: &mut slot.meta };
            match enter(&mut view, settings) {
                Ok(()) => pending.push(index as u8),
                Err(reason) => self.counters.count_drop(reason),
            }
            self.slots.push(slot);
        }
        if let Some(received) = self.counters.received.get(usize::from(ingress)) {
            received.add(count as u64, bytes);
        }
        pending
    }

    /// Looks the pending packets up, acts, and says which of them are pending again.
    fn pass<U: Punt>(&mut self, pending: &Pending, context: &mut Context<'_, U>) -> Pending {
        let entries = self.look_up(pending, context.fib);
        let mut again = Pending::new();
        for (&index, entry) in pending.iter().zip(entries) {
            let verdict = self.act(usize::from(index), entry, context);
            if self.settle(usize::from(index), verdict, context) {
                again.push(index);
            }
        }
        again
    }

    #[inline(always)]
    fn look_up(&self, pending: &Pending, fib: &Fib) -> [Entry; BURST] {
        let mut keys = [0; BURST];
        let mut entries = [Entry::NONE; BURST];
        let first = pending.first().map_or(0, |index| self.slots[usize::from(*index)].meta.table);
        let mut alike = true;
        for (key, index) in keys.iter_mut().zip(pending) {
            let meta = &self.slots[usize::from(*index)].meta;
            alike &= meta.v6 && meta.table == first;
            *key = meta.key;
        }
        match fib.tables.get(usize::from(first)) {
            Some(table) if alike => {
                let count = pending.len();
                table.v6.lookup_batch(&keys[..count], &mut entries[..count]);
            }
            _ => self.look_up_each(pending, fib, &mut entries),
        }
        entries
    }

    /// The look-up where the packets are of several tables, or IPv4.
    #[inline(never)]
    fn look_up_each(&self, pending: &Pending, fib: &Fib, entries: &mut [Entry; BURST]) {
        for (entry, index) in entries.iter_mut().zip(pending) {
            let Meta { table, v6, key, .. } = self.slots[usize::from(*index)].meta;
            if let Some(table) = fib.tables.get(usize::from(table)) {
                *entry = if v6 { table.v6.lookup(key) } else { table.v4.lookup(key) };
            }
        }
    }

    /// Does what the packet's entry says.
    #[inline(always)]
    fn act<U: Punt>(
        &mut self,
        index: usize,
        entry: Entry,
        context: &mut Context<'_, U>,
    ) -> Verdict {
        let slot = &mut self.slots[index];
        let fib = context.fib;
        let mut packet = Packet { frame: context.umem.bytes(&slot.frame), meta: &mut slot.meta };
        match entry.action() {
            Action::Forward(group) => Verdict::Forward(group),
            Action::Local(id) => {
                let Some(Some(sid)) = fib.sids.get(id as usize) else {
                    return Verdict::Refuse(Reason::NoRoute, 0);
                };
                sid.counters.add(self.worker, packet.len());
                match ext::walk(packet.bytes()) {
                    Ok(headers) => (sid.behavior.row().act)(&mut packet, &headers, sid, fib),
                    Err(verdict) => verdict,
                }
            }
            Action::Encap(id) => match fib.policies.get(id as usize) {
                Some(Some(policy)) => headend::encap(&mut packet, policy, fib, self.worker),
                _ => Verdict::Refuse(Reason::NoRoute, 0),
            },
            Action::NoRoute => Verdict::Refuse(Reason::NoRoute, 0),
            Action::Punt(Punted::Host) => to_host(&packet),
            Action::Punt(on_link) => Verdict::Punt(on_link),
            Action::Discard(Discard::Blackhole) => Verdict::Drop(Reason::Blackhole),
            Action::Discard(Discard::Unreachable) => Verdict::Refuse(Reason::Unreachable, 0),
            Action::Discard(Discard::Prohibit) => Verdict::Refuse(Reason::Prohibited, 0),
        }
    }

    /// Carries a verdict out. Says whether the packet needs another look-up.
    #[inline(always)]
    fn settle<U: Punt>(
        &mut self,
        index: usize,
        verdict: Verdict,
        context: &mut Context<'_, U>,
    ) -> bool {
        match verdict {
            Verdict::Lookup(table) => {
                self.slots[index].meta.table = table;
                true
            }
            Verdict::Reply(_) => true,
            Verdict::Forward(group) => match self.forward(index, group, context) {
                Ok(()) => false,
                Err(verdict) => self.settle_other(index, verdict, context),
            },
            other => self.settle_other(index, other, context),
        }
    }

    /// The verdicts that end a packet here, or turn it into an answer.
    #[inline(never)]
    fn settle_other<U: Punt>(
        &mut self,
        index: usize,
        verdict: Verdict,
        context: &mut Context<'_, U>,
    ) -> bool {
        let slot = &mut self.slots[index];
        let mut packet = Packet { frame: context.umem.bytes(&slot.frame), meta: &mut slot.meta };
        match verdict {
            Verdict::Punt(Punted::Solicit(port)) => {
                let now = *self.now.get_or_insert_with(Instant::now);
                if self.on_link.allows(ON_LINK_RATE, now) {
                    context.punt.solicit(port, packet.meta.key, packet.meta.v6);
                }
                self.counters.count_drop(Reason::NeighborUnresolved);
            }
            Verdict::Punt(punted) => {
                let now = *self.now.get_or_insert_with(Instant::now);
                let allowed = match punted {
                    Punted::Host => self.to_host.allows(HOST_RATE, now),
                    _ => self.on_link.allows(ON_LINK_RATE, now),
                };
                if !allowed {
                    self.counters.count_drop(Reason::PuntLimited);
                } else if !context.punt.punt(packet.bytes()) {
                    self.counters.count_drop(Reason::PuntFailed);
                } else {
                    match packet.meta.reply {
                        Some(reason) => self.counters.count_reply(reason),
                        None => self.counters.punted.add(1),
                    }
                }
            }
            Verdict::Drop(reason) => self.counters.count_drop(reason),
            Verdict::Refuse(reason, parameter) => {
                let now = *self.now.get_or_insert_with(Instant::now);
                // The limit comes last: what must not be answered takes nothing from it.
                if packet.meta.reply.is_none()
                    && icmp::error(&mut packet, reason, parameter, &context.fib.node)
                    && self.errors.allows(context.fib.node.icmp_rate, now)
                {
                    return true;
                }
                self.counters.count_drop(reason);
            }
            Verdict::Lookup(_) | Verdict::Forward(_) | Verdict::Reply(_) => {}
        }
        false
    }

    /// Hop limit, MTU, adjacency, Ethernet header.
    #[inline(always)]
    fn forward<U: Punt>(
        &mut self,
        index: usize,
        group: GroupId,
        context: &mut Context<'_, U>,
    ) -> Result<(), Verdict> {
        let slot = &mut self.slots[index];
        let fib = context.fib;
        let mut packet = Packet { frame: context.umem.bytes(&slot.frame), meta: &mut slot.meta };
        ip::spend_hop_limit(&mut packet)?;
        let group = fib.groups.get(group as usize).ok_or(Verdict::Refuse(Reason::NoRoute, 0))?;
        let id = group.pick(&fib.health, || flow::hash(packet.bytes())).map_err(
            |state| match state {
                State::Unresolved => Verdict::Refuse(Reason::NeighborUnresolved, 0),
                State::Down | State::Up => Verdict::Refuse(Reason::AdjacencyDown, 0),
            },
        )?;
        let down = Verdict::Refuse(Reason::AdjacencyDown, 0);
        let adjacency = fib.adjacencies.get(id as usize).ok_or(down)?;
        let len = packet.len();
        if len > usize::from(adjacency.mtu) {
            return Err(too_big(packet.meta, adjacency.mtu));
        }
        let port = usize::from(adjacency.port);
        let room = self.room.get_mut(port).ok_or(down)?;
        *room = room.checked_sub(1).ok_or(Verdict::Drop(Reason::TxRingFull))?;

        let ether_type = if packet.meta.v6 { ethernet::IPV6 } else { ethernet::IPV4 };
        let l2 = packet.push_front(ethernet::HEADER_LEN)?;
        l2[..12].copy_from_slice(&adjacency.l2);
        l2[12..].copy_from_slice(&ether_type.to_be_bytes());
        slot.egress = Some(adjacency.port);
        Ok(())
    }

    /// Hands the packets that leave to their ports' bursts, in the order they came in, and gives
    /// the other frames back.
    fn finish(&mut self, free: &mut FreeList) {
        for slot in self.slots.drain(..) {
            let Some(port) = slot.egress else {
                free.push(slot.frame);
                continue;
            };
            match slot.meta.reply {
                Some(reason) => self.counters.count_reply(reason),
                None => self.counters.forwarded.add(1),
            }
            let len = slot.meta.tail - slot.meta.head;
            if let Some(sent) = self.counters.sent.get(usize::from(port)) {
                sent.add(1, u64::from(len));
            }
            let packet = PacketBuf { frame: slot.frame, head: slot.meta.head, len };
            match self.out.get_mut(usize::from(port)) {
                Some(out) => out.push(packet),
                None => free.push(packet.frame),
            }
        }
    }
}

/// Indices of the packets that need a look-up.
type Pending = ArrayVec<u8, BURST>;

impl Slot {
    #[inline(always)]
    fn new(packet: PacketBuf, ingress: PortIndex, settings: Option<PortSettings>) -> Self {
        let table: TableIndex = settings.map_or(0, |settings| settings.table);
        let tail = packet.head.saturating_add(packet.len);
        let meta = Meta::new(ingress, table, packet.head, tail);
        Self { frame: packet.frame, meta, egress: None }
    }
}

/// Takes the Ethernet header off and checks what is behind it.
#[inline(always)]
fn enter(packet: &mut Packet<'_>, settings: Option<PortSettings>) -> Result<(), Reason> {
    let header = ethernet::Ethernet::new_checked(packet.bytes()).ok_or(Reason::NotIp)?;
    let (destination, ether_type) = (header.destination(), header.ether_type());
    if settings.is_none_or(|settings| settings.mac != destination) {
        return Err(Reason::DestinationMac);
    }
    packet.meta.head += ethernet::HEADER_LEN as u16;
    let version = packet.bytes().first().map_or(0, |byte| byte >> 4);
    match (ether_type, version) {
        (ethernet::IPV6, 6) | (ethernet::IPV4, 4) => ip::enter(packet),
        (ethernet::IPV6 | ethernet::IPV4, _) => Err(Reason::IpHeader),
        _ => Err(Reason::NotIp),
    }
}

/// Packet Too Big, with the MTU that the packet as received would have to fit: what was pushed
/// in front of it is taken off, down to the smallest MTU there may be (RFC 2473, section 7).
#[cold]
fn too_big(meta: &Meta, mtu: u16) -> Verdict {
    let pushed = u32::from(meta.received.head.saturating_sub(meta.head));
    let least = if meta.received.v6 { 1280 } else { 68 };
    Verdict::Refuse(Reason::PacketTooBig, u32::from(mtu).saturating_sub(pushed).max(least))
}

/// A packet for an address of the host. The host does not process routing headers: one with
/// segments left is refused here (RFC 8754, section 4.3.2; RFC 8200, section 4.4).
#[cold]
fn to_host(packet: &Packet<'_>) -> Verdict {
    if !packet.meta.v6 {
        return Verdict::Punt(Punted::Host);
    }
    match ext::walk(packet.bytes()) {
        Ok(ext::Headers { srh: Some(offset), .. }) => {
            let at = usize::from(offset);
            match packet.bytes().get(at + crate::wire::srh::field::SEGMENTS_LEFT) {
                Some(0) => Verdict::Punt(Punted::Host),
                _ => Verdict::Refuse(
                    Reason::RoutingType,
                    u32::from(offset) + crate::wire::srh::field::ROUTING_TYPE as u32,
                ),
            }
        }
        Ok(_) => Verdict::Punt(Punted::Host),
        Err(verdict) => verdict,
    }
}
