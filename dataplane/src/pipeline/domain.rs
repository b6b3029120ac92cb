//! The border of the SR domain: RFC 8754, section 5.1.

use super::{Pipeline, Run, observe::Observer};
use crate::{
    fib::{Fib, Prefix, Sid},
    packet::Packet,
    verdict::{Fate, Reason, Verdict},
    wire::ipv6,
};

fn is_in(prefixes: &[Prefix], address: u128) -> bool {
    prefixes.iter().any(|prefix| prefix.contains(address))
}

impl Pipeline {
    /// Drops what came in from outside and is for a SID block.
    #[inline(never)]
    pub(super) fn keep_out(&mut self, fib: &Fib, observer: &mut impl Observer) {
        const REASON: Reason = Reason::SidFromOutside;
        let blocks = &fib.domain.blocks;
        let is_let_in = |key, v6: bool| !v6 || !is_in(blocks, key);
        self.pending.retain(is_let_in, |index| {
            self.counters.count_drop(REASON);
            observer.ended(index, Fate::Dropped(REASON));
        });
    }
}

/// Applies a SID to those of its packets whose source is one of the domain's.
#[inline(never)]
pub(super) fn apply_checked(run: &mut Run<'_>, sid: &Sid, fib: &Fib) {
    let act = sid.behavior.act(sid.flavors);
    let (places, mut bytes) = (run.places.clone(), 0);
    for place in places.clone() {
        run.places = place..place + 1;
        if run.is_from(place, |packet| is_in(&fib.domain.sources, source(packet))) {
            act(run, sid, fib);
        } else {
            run.each(|_| Verdict::Drop(Reason::SidSource));
        }
        bytes += run.bytes;
    }
    (run.places, run.bytes) = (places, bytes);
}

fn source(packet: &Packet<'_>) -> u128 {
    packet.ipv6().map_or(0, |header| ipv6::Ipv6::source(&header))
}
