//! Whether a packet may use a SID by its HMAC: RFC 8754, 2.1.2.1.

use super::{End, Refuse, Step, Way, Why, address_at, value};
use crate::differential::chain::Chain;
use crate::differential::subject::Demand;
use crate::packet::hmac;

impl Way {
    /// What becomes of a packet that may not, before anything else is done with it: RFC 8754, 4.3.1.1,
    /// S06 and S07; at the end of the list, too: C-004, C-120 to C-124.
    pub(super) fn verify(&self, chain: Chain) -> Option<Step> {
        let missing = match self.subject.demand() {
            Demand::Ignore => return None,
            Demand::IfPresent => None,
            Demand::Require => Some(End(Why::HmacMissing)),
        };
        let Some(at) = chain.srh.or(chain.spent) else { return missing };
        let srh = &self.packet[at..][..(usize::from(self.packet[at + 1]) + 1) * 8];
        let [left, last] = [3, 4].map(|field| usize::from(srh[field]));
        // Where the TLVs begin cannot be told.
        if last + 1 > usize::from(srh[1]) / 2 || left > last + 1 {
            return Some(Refuse(Why::SegmentsLeft, 4, 0, value(at + 3)));
        }
        match hmac::find(srh) {
            Err(hmac::Overrun) => Some(Refuse(Why::Tlv, 4, 0, value(at + 1))),
            Ok(None) => missing,
            Ok(Some(tlv)) if self.is_right(srh, &srh[tlv..]) => None,
            Ok(Some(tlv)) => Some(Refuse(Why::HmacInvalid, 4, 0, value(at + tlv))),
        }
    }

    /// Linux does not say of a reduced list, by the bit D, that it is one.
    fn is_right(&self, srh: &[u8], tlv: &[u8]) -> bool {
        let (left, last) = (srh[3], srh[4]);
        let current = address_at(srh, 8 + 16 * usize::from(left));
        if left <= last && current != self.destination() {
            return false;
        }
        if usize::from(tlv[1]) + 2 != hmac::LENGTH {
            return false;
        }
        let key = u32::from_be_bytes([tlv[4], tlv[5], tlv[6], tlv[7]]);
        hmac::digest(key, self.source(), srh).is_some_and(|digest| tlv[8..hmac::LENGTH] == digest)
    }
}
