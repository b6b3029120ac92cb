//! Packets that end here: given to the host, answered, dropped.

use std::time::Instant;

use crate::{
    fib::{Fib, entry::Punted},
    icmp,
    limiter::Limiter,
    packet::Packet,
    port::Punt,
    verdict::{Fate, Reason, Verdict},
    wire::{ext, srh},
};

/// Packets a second and worker to neighbours that are not known yet.
const ON_LINK_RATE: u32 = 200;

/// Packets a second and worker to the host itself.
const HOST_RATE: u32 = 50_000;

/// What it takes to end a packet: limits, and the time they go by.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Limits the ICMP errors we send.
    errors: Limiter,
    /// Limits the packets to neighbours that are to be found: someone who scans a link must not
    /// fill the kernel's table of them.
    on_link: Limiter,
    /// Limits the other packets for the host: each costs a system call.
    to_host: Limiter,
    /// The time of this burst, once something asked for it.
    now: Option<Instant>,
}

impl Ends {
    /// A new burst: time has passed.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        self.now = None;
    }

    /// Carries out a verdict that ends a packet here, or turns it into an answer. Says how it ended;
    /// `None`: there is an answer to be looked up.
    #[inline(never)]
    pub(super) fn settle<U: Punt>(
        &mut self,
        packet: &mut Packet<'_>,
        verdict: Verdict,
        fib: &Fib,
        punt: &mut U,
    ) -> Option<Fate> {
        match verdict {
            // Who asks for a look-up is not sent here, and would have it; nor is what is sent on.
            Verdict::Reply(_)
            | Verdict::Lookup(_)
            | Verdict::Forward(_)
            | Verdict::Fragment(_)
            | Verdict::TooLong(_)
            | Verdict::Transmit(_) => None,
            Verdict::Punt(Punted::Solicit(port)) => {
                let now = self.now();
                if self.on_link.allows(ON_LINK_RATE, now) {
                    punt.solicit(port, packet.meta.key, packet.meta.v6);
                }
                Some(Fate::Dropped(Reason::NeighborUnresolved))
            }
            // Beside an answer of ours, which the host is to have.
            Verdict::Punt(Punted::Host)
                if packet.meta.reply.is_none() && icmp::relay::relay(packet, fib) =>
            {
                let now = self.now();
                let allowed = self.errors.allows(fib.node.icmp_rate, now);
                if allowed { None } else { Some(Fate::Dropped(Reason::OuterError)) }
            }
            Verdict::Punt(punted) => Some(self.punt(packet, punted, punt)),
            Verdict::Drop(reason) => Some(Fate::Dropped(reason)),
            Verdict::Refuse(reason, parameter) => {
                // The limit comes last: what must not be answered takes nothing from it.
                let now = self.now();
                if packet.meta.reply.is_none()
                    && icmp::error(packet, reason, parameter, &fib.node)
                    && self.errors.allows(fib.node.icmp_rate, now)
                {
                    return None;
                }
                Some(Fate::Dropped(reason))
            }
        }
    }

    fn punt<U: Punt>(&mut self, packet: &Packet<'_>, punted: Punted, punt: &mut U) -> Fate {
        let now = self.now();
        let allowed = match punted {
            Punted::Host => self.to_host.allows(HOST_RATE, now),
            _ => self.on_link.allows(ON_LINK_RATE, now),
        };
        if !allowed {
            Fate::Dropped(Reason::PuntLimited)
        } else if !punt.punt(packet.bytes()) {
            Fate::Dropped(Reason::PuntFailed)
        } else {
            packet.meta.reply.map_or(Fate::Punted, Fate::Replied)
        }
    }

    fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }
}

/// A packet for an address of the host. The host does not process routing headers: one with
/// segments left is refused here (RFC 8754, section 4.3.2; RFC 8200, section 4.4).
#[cold]
pub(super) fn to_host(packet: &Packet<'_>) -> Verdict {
    if !packet.meta.v6 {
        return Verdict::Punt(Punted::Host);
    }
    match ext::walk(packet.bytes()).map(|headers| headers.srh()) {
        Ok(Some(offset)) => {
            let at = usize::from(offset);
            match packet.bytes().get(at + srh::field::SEGMENTS_LEFT) {
                Some(0) => Verdict::Punt(Punted::Host),
                _ => Verdict::Refuse(
                    Reason::RoutingType,
                    u32::from(offset) + srh::field::ROUTING_TYPE as u32,
                ),
            }
        }
        Ok(None) => Verdict::Punt(Punted::Host),
        Err(verdict) => verdict,
    }
}
