//! HMACs that a SID looks at.

use super::{Difference, Pair};
use crate::differential::chain;
use crate::differential::rfc::Why;
use crate::differential::subject::Demand;
use crate::packet::parse::{Kind, address};
use crate::packet::{ETHERNET, SEGMENT_ROUTING, hmac};

pub(super) const ROWS: &[Difference] = &[
    Difference {
        name: "HMAC error answered",
        rule: "RFC 8754, 2.1.2.1: \"If HMAC verification fails, an ICMP error message (parameter problem, \
               error code 0, pointing to the HMAC TLV) SHOULD be generated\"",
        holds: |pair| pair.fate.why == Why::HmacInvalid && pair.linux.is_empty(),
    },
    Difference {
        name: "TLV error answered",
        rule: "RFC 8754, 2.1: \"Detection of TLVs exceeding the boundary of the SRH Hdr Ext Len results in \
               an ICMP Parameter Problem, Code 0, message to the Source Address, pointing to the Hdr Ext \
               Len field of the SRH\"",
        holds: |pair| pair.fate.why == Why::Tlv && pair.linux.is_empty(),
    },
    Difference {
        name: "padding of one byte",
        rule: "RFC 8754, 2.1.1.1: \"A single Pad1 TLV MUST be used when a single byte of padding is \
               required\"; to Linux it has a length, too",
        holds: |pair| pair.signed().is_some_and(|srh| !linux_reads(srh)) && pair.linux.is_empty(),
    },
    Difference {
        name: "an HMAC is known by its type",
        rule: "RFC 8754, 2.1: \"Unrecognized Types MUST be ignored on receipt\"; Linux looks for it in the \
               last 40 bytes only, and if flag 0x08 is set",
        holds: |pair| {
            pair.signed().is_some_and(|srh| hmac::find(srh).ok().flatten() != linux_hmac(srh))
        },
    },
    Difference {
        name: "the current segment is what was signed",
        rule: "RFC 8754, 2.1.2.1: \"The HMAC verification begins by checking that the current segment is \
               equal to the destination address of the IPv6 header\"; Linux does not",
        holds: |pair| {
            let destination = address(pair.input, ETHERNET + 24);
            let differs = |srh: &[u8]| {
                srh[3] <= srh[4] && address(srh, 8 + 16 * usize::from(srh[3])) != destination
            };
            pair.fate.why == Why::HmacInvalid && pair.signed().is_some_and(differs)
        },
    },
    Difference {
        name: "an HMAC behind other headers",
        rule: "RFC 8200, 4.1, has Destination Options in front of a Routing header; Linux verifies what \
               follows the IPv6 header as if it were the SRH",
        holds: |pair| {
            // Behind an SRH another may come, which is looked at when the first one is done.
            let others = pair.has_any_before_srh() || pair.has_header_before_srh();
            pair.signed().is_some() && others
        },
    },
];

impl Pair<'_> {
    /// The SRH whose HMAC a SID looks at: the first with segments left, else the first.
    fn signed(&self) -> Option<&[u8]> {
        if self.subject.demand() == Demand::Ignore {
            return None;
        }
        let packet = self.input.get(ETHERNET..self.layout.end)?;
        let chain = chain::read(packet).ok()?;
        let srh = packet.get(chain.srh.or(chain.spent)?..)?;
        let srh = srh.get(..(usize::from(*srh.get(1)?) + 1) * 8)?;
        // Whose list fits it.
        (usize::from(srh[4]) < usize::from(srh[1]) / 2).then_some(srh)
    }

    /// Whether that SRH is not the first header, hop-by-hop options aside, which Linux has taken off.
    fn has_any_before_srh(&self) -> bool {
        let mut headers =
            self.layout.outer().skip(1).filter(|header| header.kind != Kind::HopByHop);
        headers.next().is_some_and(|header| match header.kind {
            Kind::Routing(SEGMENT_ROUTING) => self.input[header.at + 3] == 0,
            _ => true,
        })
    }
}

/// Whether Linux can read the TLVs of an SRH: to it each has a length (seg6_validate_srh).
fn linux_reads(srh: &[u8]) -> bool {
    let mut at = 8 + 16 * (usize::from(srh[4]) + 1);
    while at < srh.len() {
        let Some(length) = srh.get(at + 1) else { return false };
        at += 2 + usize::from(*length);
    }
    at == srh.len()
}

/// Where Linux finds the HMAC of an SRH (seg6_get_tlv_hmac).
fn linux_hmac(srh: &[u8]) -> Option<usize> {
    let at = srh.len().checked_sub(hmac::LENGTH)?;
    let is_there = srh[5] & hmac::FLAG != 0 && at >= 8 + 16 * (usize::from(srh[4]) + 1);
    (is_there && srh[at..at + 2] == [hmac::TYPE, 38]).then_some(at)
}
