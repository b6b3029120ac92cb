//! Whether packets may have come from where their source says: BCP 38 (RFC 2827), with the checks of
//! RFC 3704, sections 2.2 and 2.4, which RFC 8754, section 7, wants at the edges of the domain.

use super::{
    Pipeline,
    domain::{is_guarded, is_in},
    observe::Observer,
    pending::{LookedUp, Pending},
};
use crate::{
    fib::{
        Fib, PortSettings, SourceCheck,
        entry::{Action, Entry, PortIndex, Punted},
        table::left_aligned,
    },
    frame::{BURST, Burst},
    port::Umem,
    verdict::{Fate, Reason},
    wire::{ipv4, ipv6},
};

impl Pipeline {
    /// Drops what came in by a port and cannot come from there.
    #[inline(never)]
    pub(super) fn check_sources(
        &mut self,
        ingress: PortIndex,
        port: &PortSettings,
        burst: &Burst,
        umem: &Umem,
        fib: &Fib,
        observer: &mut impl Observer,
    ) {
        let Self { pending, metas, counters, .. } = self;
        let mut sources = Pending::default();
        for place in 0..pending.len() {
            let index = pending.index(place);
            let Some(buf) = burst.get(index) else { continue };
            let mut meta = metas[index % BURST];
            let packet = umem.bytes_ref(&buf.frame).get(meta.head as usize..meta.tail as usize);
            meta.key = source(packet.unwrap_or_default(), meta.v6);
            sources.push(index, &meta);
        }
        if port.source_check != SourceCheck::Domain {
            sources.look_up(fib);
        }
        let mut places = 0..BURST;
        let keep = |found: &LookedUp| {
            let place = places.next().unwrap_or(0);
            // The HMAC, which is verified there, covers the source.
            if port.external && is_guarded(found.entry, fib) {
                return Ok(());
            }
            let is_edge = port.external || port.source_check == SourceCheck::Domain;
            if is_edge && found.v6 && is_ours(sources.key(place), fib) {
                return Err(Reason::SourceFromOutside);
            }
            let entry = sources.entry(place);
            let is_known = match port.source_check {
                SourceCheck::Off | SourceCheck::Domain => true,
                SourceCheck::Loose => is_somewhere(entry),
                SourceCheck::Strict => is_behind(entry, ingress, fib),
            };
            if is_known { Ok(()) } else { Err(Reason::ReversePath) }
        };
        pending.retain(keep, |index, reason| {
            counters.count_drop(reason);
            observer.ended(index, Fate::Dropped(reason));
        });
    }
}

/// The source of a packet, left-aligned.
fn source(packet: &[u8], v6: bool) -> u128 {
    if v6 {
        ipv6::Ipv6::new_checked(packet).map_or(0, |header| header.source())
    } else {
        ipv4::Ipv4::new_checked(packet).map_or(0, |header| left_aligned(header.source()))
    }
}

/// Whether an address is one of the domain's: a SID, or what SIDs may be used from.
fn is_ours(address: u128, fib: &Fib) -> bool {
    is_in(&fib.domain.blocks, address) || is_in(&fib.domain.sources, address)
}

/// Whether an address is reached by some way: not this node's own, and not sent nowhere.
fn is_somewhere(entry: Entry) -> bool {
    match entry.action() {
        _ if entry == Entry::LEFT => true,
        Action::Forward(_) | Action::Encap(_) => true,
        Action::Punt(Punted::OnLink | Punted::Solicit(_)) => true,
        Action::Punt(Punted::Host) => false,
        Action::NoRoute | Action::Local(_) | Action::Discard(_) => false,
    }
}

/// Whether an address is reached by a port: by any of the next hops, up or down.
fn is_behind(entry: Entry, port: PortIndex, fib: &Fib) -> bool {
    match entry.action() {
        // The kernel knows by which.
        _ if entry == Entry::LEFT => true,
        Action::Forward(group) => fib.groups.get(group as usize).is_some_and(|group| {
            group.buckets().iter().chain(group.backups()).any(|id| {
                fib.adjacencies.get(*id as usize).is_some_and(|adjacency| adjacency.port == port)
            })
        }),
        Action::Punt(Punted::Solicit(link)) => link == port,
        // A neighbour that only the kernel finds, on one of our links. Once found it has a next hop.
        Action::Punt(Punted::OnLink) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left to the kernel is somewhere, and what is this node's own is no source of others.
    #[test]
    fn routes_of_the_kernel_lead_somewhere() {
        let fib = Fib::default();
        assert!(is_somewhere(Entry::LEFT) && is_behind(Entry::LEFT, 0, &fib));
        assert!(!is_somewhere(Entry::HOST) && !is_behind(Entry::HOST, 0, &fib));
        assert!(!is_somewhere(Entry::NONE) && !is_behind(Entry::NONE, 0, &fib));
    }
}
