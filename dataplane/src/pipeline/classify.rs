//! Steering by rules ([`fib::rules`](crate::fib::rules)): between the first look-up and what it leads
//! to, of packets that came in by an interface with rules.

use super::Pipeline;
use crate::{
    fib::{
        Fib,
        entry::{Action, Entry, PortIndex, Punted},
    },
    frame::{BURST, Burst},
    port::Umem,
};

impl Pipeline {
    /// Has rules say where packets go that are neither for a SID of ours nor for the host.
    #[inline(never)]
    pub(super) fn classify(&mut self, ingress: PortIndex, burst: &Burst, umem: &Umem, fib: &Fib) {
        let Some(rules) = fib.rules.get(usize::from(ingress)) else { return };
        for place in 0..self.pending.len() {
            let found = self.pending.entry(place).action();
            if matches!(found, Action::Local(_) | Action::Punt(Punted::Host)) {
                continue;
            }
            let index = self.pending.index(place);
            let Some(buf) = burst.get(index) else { continue };
            let meta = &self.metas[index % BURST];
            let packet = umem.bytes_ref(&buf.frame).get(meta.head as usize..meta.tail as usize);
            let policy = rules.policy_of(packet.unwrap_or_default(), meta.v6, self.worker);
            if let Some(policy) = policy {
                self.pending.redirect(place, Entry::encap(policy));
            }
        }
    }
}
