//! IPv4 for a headend.

use std::ops::Range;

use super::Difference;
use crate::differential::rfc::Why;
use crate::differential::side::Output;
use crate::packet::ETHERNET;
use crate::packet::parse::{Kind, Layout};

pub(super) const ROWS: &[Difference] = &[
    Difference {
        name: "address scope of IPv4",
        rule: "RFC 3927, 7: \"A router MUST NOT forward a packet with an IPv4 Link-Local source or \
               destination address\"; RFC 1112, 4: \"class E IP addresses, i.e., those with \"1111\" as \
               their high-order four bits, are reserved\"; Linux forwards both",
        holds: |pair| pair.subject.takes_v4() && pair.fate.why == Why::Scope,
    },
    Difference {
        name: "IPv4 in H.Encaps",
        rule: "RFC 8986, 5.1, S03: \"Set outer Payload Length, Traffic Class, Hop Limit, and Flow Label \
               fields\", here those of the packet, and S05, of its TTL; Linux leaves the TTL and writes \
               traffic class 0",
        holds: |pair| pair.subject.takes_v4() && pair.differ_only(|frame| blur_v4(frame, 8..9)),
    },
    Difference {
        name: "header of an ICMP error",
        rule: "RFC 1349, 5.1: \"An ICMP error message is always sent with the default TOS\"; RFC 6864, 4.1: \
               \"Originating sources MAY set the IPv4 ID field of atomic datagrams to any value\"; Linux \
               takes over the TOS, and sends what may be cut, with a number",
        holds: |pair| {
            let answered = matches!(pair.fate.why, Why::HopLimit | Why::NoRoute);
            let blur = |frame: &mut Vec<u8>| {
                blur_v4(frame, 1..2);
                blur_v4(frame, 4..8);
            };
            pair.subject.takes_v4() && answered && pair.differ_only(blur)
        },
    },
    Difference {
        name: "the TTL comes first",
        rule: "RFC 8986, 5.1, S05: \"Decrement inner IPv6 Hop Limit or IPv4 TTL\", which is used up; Linux \
               encapsulates it",
        holds: |pair| {
            let is_v6 = |output: &Output| output.frame.get(12..14) == Some(&[0x86, 0xdd]);
            pair.subject.takes_v4()
                && pair.fate.why == Why::HopLimit
                && pair.linux.iter().any(is_v6)
        },
    },
    Difference {
        name: "every packet without a route is answered",
        rule: "RFC 1812, 4.3.3.1: \"the router MUST generate a Destination Unreachable, Code 0 (Network \
               Unreachable) ICMP message\"; Linux answers a source once a second",
        holds: |pair| {
            let is_owed = pair.fate.why == Why::NoRoute && !pair.fate.outputs.is_empty();
            pair.subject.takes_v4() && is_owed && pair.linux.is_empty()
        },
    },
    Difference {
        name: "options of IPv4 left alone",
        rule: "RFC 1812, 5.3.13.1: \"Unrecognized IP options in forwarded packets MUST be passed through \
               unchanged\", and none is recognized; Linux answers what it cannot read",
        holds: |pair| {
            pair.subject.takes_v4() && pair.input.get(ETHERNET).is_some_and(|byte| byte & 0xf > 5)
        },
    },
];

/// Blurs these fields of the innermost IPv4 header, its checksum, and of an outer header what a headend
/// takes over from it.
fn blur_v4(frame: &mut [u8], fields: Range<usize>) {
    let layout = Layout::of(frame);
    if let Some(outer) = layout.find(Kind::Ipv6) {
        frame[outer.at..outer.at + 4].fill(0);
        frame[outer.at + 7] = 0;
    }
    if let Some(header) = layout.find(Kind::Ipv4) {
        frame[header.at..][fields].fill(0);
        frame[header.at..][10..12].fill(0);
    }
}
