//! Packets that one entry of the FIB applies to, one after the other: what is to be known of the
//! entry is read once for all of them, and what a behavior has found out of a packet is still at
//! hand when the packet goes on.

use std::ops::Range;

use arrayvec::ArrayVec;

use super::{forward::Forwarder, pending::Pending};
use crate::{
    behavior::headend,
    fib::entry::{AdjacencyId, GroupId, PolicyId},
    frame::{BURST, Burst},
    packet::{Meta, Packet},
    port::Umem,
    verdict::Verdict,
    wire::ext::{self, ByHeaders},
};

/// Packets that neither go on nor round again, by their place in the burst.
pub(super) type Others = ArrayVec<(u8, Verdict), BURST>;

/// Packets that an entry applies to.
#[derive(Debug)]
pub struct Run<'a> {
    /// The memory of the packets.
    pub(super) umem: &'a mut Umem,
    /// The burst that the packets are part of.
    pub(super) burst: &'a mut Burst,
    /// What is remembered of the packets of the burst.
    pub(super) metas: &'a mut [Meta; BURST],
    /// The packets of the pass, and of the next one.
    pub(super) pending: &'a mut Pending,
    /// The way out.
    pub(super) forwarder: Forwarder<'a>,
    /// Where packets go that neither leave nor need another look-up.
    pub(super) others: &'a mut Others,
    /// The packets' places in the pass.
    pub(super) places: Range<usize>,
    /// Bytes of all of them, as they were before the behavior.
    pub(super) bytes: u64,
    /// The worker that does it.
    pub(super) worker: usize,
}

impl Run<'_> {
    /// How many packets there are.
    pub fn packets(&self) -> usize {
        self.places.len()
    }

    /// The number of the worker that does it, for counters.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Does the same to every packet, and what the verdict on it says.
    #[inline(always)]
    pub fn each(&mut self, act: impl Fn(&mut Packet<'_>) -> Verdict) {
        let mut bytes = 0;
        for place in self.places.clone() {
            self.one(place, |packet| {
                bytes += packet.len() as u64;
                act(packet)
            });
        }
        self.bytes = bytes;
    }

    /// Asks something of a packet of the pass.
    pub(super) fn look(
        &mut self,
        place: usize,
        ask: impl Fn(&Packet<'_>) -> Result<(), Verdict>,
    ) -> Result<(), Verdict> {
        let index = self.pending.index(place);
        // Each place has a packet.
        let Some(buf) = self.burst.get(index) else { return Ok(()) };
        let meta = &mut self.metas[index % BURST];
        ask(&Packet { frame: self.umem.bytes(&buf.frame), meta })
    }

    /// Does the same to every packet whose headers make sense.
    #[inline(always)]
    pub fn each_by_headers(&mut self, todo: impl ByHeaders) {
        self.each(|packet| ext::with_headers(packet, todo));
    }

    /// Does something to a packet of the pass, and what the verdict on it says.
    #[inline(always)]
    fn one(&mut self, place: usize, act: impl FnOnce(&mut Packet<'_>) -> Verdict) {
        let index = self.pending.index(place);
        let Some(buf) = self.burst.get_mut(index) else { return };
        let meta = &mut self.metas[index % BURST];
        let mut packet = Packet { frame: self.umem.bytes(&buf.frame), meta };
        let verdict = match act(&mut packet) {
            Verdict::Lookup(table) => {
                packet.meta.table = table;
                return self.pending.push(index, packet.meta);
            }
            Verdict::Forward(group) => match self.forwarder.forward(&mut packet, group) {
                Ok(place) => {
                    (buf.head, buf.len) = place;
                    return;
                }
                Err(verdict) => verdict,
            },
            verdict => verdict,
        };
        self.otherwise(index, verdict);
    }

    /// Sends a packet of the pass on.
    #[inline(always)]
    pub(super) fn forward(&mut self, place: usize, group: GroupId) {
        self.one(place, |_| Verdict::Forward(group));
    }

    /// Steers a packet of the pass into a policy.
    #[inline(always)]
    pub(super) fn encap(&mut self, place: usize, policy: PolicyId, worker: usize) {
        let index = self.pending.index(place);
        let Some(buf) = self.burst.get_mut(index) else { return };
        let meta = &mut self.metas[index % BURST];
        let mut packet = Packet { frame: self.umem.bytes(&buf.frame), meta };
        match headend::encap(&mut packet, policy, self.forwarder.fib, worker) {
            Ok(table) => {
                packet.meta.table = table;
                self.pending.push_v6(index, table, packet.meta.key);
            }
            Err(verdict) => self.otherwise(index, verdict),
        }
    }

    /// A packet is longer than its adjacency says, and may leave there all the same.
    #[cold]
    #[inline(never)]
    fn look_again(&mut self, index: usize, id: AdjacencyId) {
        let Some(buf) = self.burst.get_mut(index) else { return };
        let meta = &mut self.metas[index % BURST];
        let mut packet = Packet { frame: self.umem.bytes(&buf.frame), meta };
        match self.forwarder.look_again(&mut packet, id) {
            Ok(place) => (buf.head, buf.len) = place,
            // Each packet is here once at most: there is always a place.
            Err(verdict) => drop(self.others.try_push((index as u8, verdict))),
        }
    }

    /// A packet neither leaves nor is to be looked up.
    #[inline(always)]
    fn otherwise(&mut self, index: usize, verdict: Verdict) {
        if let Verdict::TooLong(id) = verdict {
            return self.look_again(index, id);
        }
        // Each packet is here once at most: there is always a place.
        let _ = self.others.try_push((index as u8, verdict));
    }
}
