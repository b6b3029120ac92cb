//! The border of the SR domain: RFC 8754, section 5.1.

use super::{Pipeline, Run, observe::Observer, pending::LookedUp};
use crate::{
    behavior::hmac,
    fib::{
        Fib, Prefix, Sid,
        entry::{Action, Entry},
    },
    frame::{BURST, Burst},
    packet::Packet,
    port::Umem,
    verdict::{Fate, Reason, Verdict},
    wire::ipv6,
};

pub(super) fn is_in(prefixes: &[Prefix], address: u128) -> bool {
    prefixes.iter().any(|prefix| prefix.contains(address))
}

impl Pipeline {
    /// Drops what came in from outside and is for a SID block. A packet with an HMAC goes on to a SID
    /// of ours that requires one, and which verifies it: an exception as in section 7.
    #[inline(never)]
    pub(super) fn keep_out(
        &mut self,
        burst: &Burst,
        umem: &mut Umem,
        fib: &Fib,
        observer: &mut impl Observer,
    ) {
        let Self { pending, metas, counters, .. } = self;
        let keep = |found: &LookedUp| {
            let is_let_in = !found.v6
                || !is_in(&fib.domain.blocks, found.key)
                || is_guarded(found.entry, fib)
                    && burst.get(found.index).is_some_and(|buf| {
                        let meta = &mut metas[found.index % BURST];
                        hmac::is_signed(&Packet { frame: umem.bytes(&buf.frame), meta })
                    });
            if is_let_in { Ok(()) } else { Err(Reason::SidFromOutside) }
        };
        pending.retain(keep, |index, reason| {
            counters.count_drop(reason);
            observer.ended(index, Fate::Dropped(reason));
        });
    }
}

/// Whether an entry leads to a SID that nobody uses without a valid HMAC.
pub(super) fn is_guarded(entry: Entry, fib: &Fib) -> bool {
    let Action::Local(id) = entry.action() else { return false };
    let sid = fib.sids.get(id as usize).and_then(Option::as_ref);
    sid.is_some_and(|sid| sid.hmac == hmac::Policy::Require)
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
    // From outside nothing comes to a SID but by one that verifies it, this one or one before: whoever
    // signs packets may be anywhere, and is believed to be who the source says.
    let ingress = fib.ports.get(usize::from(packet.meta.ingress));
    let is_vouched_for = ingress.is_some_and(|port| port.external);
    if !is_vouched_for && !sources.is_empty() && !is_in(sources, source(packet)) {
        return Err(Verdict::Drop(Reason::SidSource));
    }
    hmac::verify(packet, sid.hmac, &fib.hmac_keys)
}

fn source(packet: &Packet<'_>) -> u128 {
    packet.ipv6().map_or(0, |header| ipv6::Ipv6::source(&header))
}
