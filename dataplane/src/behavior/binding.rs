//! End.B6.Encaps and End.B6.Encaps.Red: RFC 8986, sections 4.13 and 4.14; with NEXT-CSID RFC 9800,
//! sections 4.1.4 and 4.1.5.
//!
//! The next segment becomes the destination as at End, and the packet is then steered into a policy,
//! whose mode makes the one or the other of the two behaviors.

use super::{csid, end, headend};
use crate::{
    fib::{Fib, Sid},
    packet::Packet,
    pipeline::Run,
    verdict::Verdict,
    wire::ext::{ByHeaders, Headers},
};

/// What it takes to steer a packet.
#[derive(Clone, Copy)]
struct Steer<'a> {
    sid: &'a Sid,
    fib: &'a Fib,
    worker: usize,
}

impl Steer<'_> {
    /// Steers a packet whose next segment is its destination.
    #[inline(always)]
    fn encap(self, packet: &mut Packet<'_>) -> Verdict {
        match headend::encap(packet, self.sid.policy, self.fib, self.worker) {
            Ok(table) => Verdict::Lookup(table),
            Err(verdict) => verdict,
        }
    }
}

impl ByHeaders for Steer<'_> {
    #[inline(always)]
    fn act(self, packet: &mut Packet<'_>, headers: Headers) -> Verdict {
        match end::end(packet, headers, self.sid, self.fib) {
            Verdict::Lookup(_) => self.encap(packet),
            verdict => verdict,
        }
    }
}

/// The next segment, behind the headers of the SID's policy.
pub fn end_b6_encaps(run: &mut Run<'_>, sid: &Sid, fib: &Fib) {
    run.each_by_headers(Steer { sid, fib, worker: run.worker() });
}

/// With NEXT-CSID: the next segment of the container, behind the headers of the SID's policy.
pub fn end_b6_encaps_csid(run: &mut Run<'_>, sid: &Sid, fib: &Fib) {
    let (steer, shift) = (Steer { sid, fib, worker: run.worker() }, sid.csid.shift());
    run.each(|packet| match csid::advance(packet, shift) {
        Ok(true) => steer.encap(packet),
        Ok(false) => {
            csid::base(packet, sid, fib, |packet, headers, _, _| steer.act(packet, headers))
        }
        Err(verdict) => verdict,
    });
}
