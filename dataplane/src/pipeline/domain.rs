//! The border of the SR domain: RFC 8754, section 5.1.

use super::{Pipeline, Run, observe::Observer};
use crate::{
    behavior::hmac,
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

/// Applies a SID to those of its packets that may use it: whose source is one of the domain's, and
/// whose HMAC is what the SID asks for.
#[inline(never)]
pub(super) fn apply_checked(run: &mut Run<'_>, sid: &Sid, fib: &Fib) {
    let act = sid.behavior.act(sid.flavors);
    let (places, mut bytes) = (run.places.clone(), 0);
    for place in places.clone() {
        run.places = place..place + 1;
        match run.look(place, |packet| admit(packet, sid, fib)) {
            Ok(()) => act(run, sid, fib),
            Err(verdict) => run.each(|_| verdict),
        }
        bytes += run.bytes;
    }
    (run.places, run.bytes) = (places, bytes);
}

/// Whether a packet may use a SID; else what becomes of it.
fn admit(packet: &Packet<'_>, sid: &Sid, fib: &Fib) -> Result<(), Verdict> {
    let sources = &fib.domain.sources;
    if !sources.is_empty() && !is_in(sources, source(packet)) {
        return Err(Verdict::Drop(Reason::SidSource));
    }
    hmac::verify(packet, sid.hmac, &fib.hmac_keys)
}

fn source(packet: &Packet<'_>) -> u128 {
    packet.ipv6().map_or(0, |header| ipv6::Ipv6::source(&header))
}
