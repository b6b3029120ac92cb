//! Where Sidewinder is meant to differ from Linux, and the sentence that says so.
//!
//! Whatever Linux does, what Sidewinder sends must be what [`rfc`] says, byte for byte. A row then
//! only tells why Linux does something else.

mod cargo;
mod hmac;
mod ipv4;

use super::chain;
use super::rfc::{self, Fate, Why};
use super::side::Output;
use super::subject::{Demand, Family, Subject};
use crate::packet::parse::{Kind, Layout};
use crate::packet::{ETHERNET, IPV6, SEGMENT_ROUTING, next};

/// A difference that is meant.
#[derive(Debug)]
pub struct Difference {
    /// A short name.
    pub name: &'static str,
    /// The sentence that asks for what Sidewinder does.
    pub rule: &'static str,
    /// Whether Linux differs in this way.
    holds: fn(&Pair<'_>) -> bool,
}

/// A packet and both outputs.
#[derive(Debug)]
pub struct Pair<'a> {
    subject: Subject,
    input: &'a [u8],
    layout: Layout,
    linux: &'a [Output],
    sidewinder: &'a [Output],
    fate: Fate,
}

impl<'a> Pair<'a> {
    /// A packet, and what both routers made of it.
    pub fn new(
        subject: Subject,
        input: &'a [u8],
        linux: &'a [Output],
        sidewinder: &'a [Output],
    ) -> Self {
        let (layout, fate) = (Layout::of(input), rfc::fate(subject, input));
        Self { subject, input, layout, linux, sidewinder, fate }
    }

    /// Whether Sidewinder did what the RFCs ask.
    fn is_right(&self) -> bool {
        match self.fate.why {
            // What the host's kernel sends back is its own matter, if it is an answer at all.
            Why::Host => self.sidewinder.iter().all(|output| icmp(output).is_some()),
            _ => self.sidewinder == self.fate.outputs,
        }
    }

    /// Whether Linux sent an ICMPv6 error of this type and code, and nothing else.
    fn linux_says(&self, kind: u8, code: u8) -> bool {
        matches!(self.linux, [output] if icmp(output).is_some_and(|m| m[..2] == [kind, code]))
    }

    /// Whether both sent one frame on the same link, the same after `blur` was applied to both.
    fn differ_only(&self, blur: impl Fn(&mut Vec<u8>)) -> bool {
        let ([linux], [sidewinder]) = (self.linux, self.sidewinder) else { return false };
        let (mut left, mut right) = (linux.clone(), sidewinder.clone());
        blur(&mut left.frame);
        blur(&mut right.frame);
        left == right
    }

    fn has_hop_by_hop(&self) -> bool {
        !self.subject.takes_v4() && self.input.get(ETHERNET + 6) == Some(&next::HOP_BY_HOP)
    }

    /// Whether an SRH has anything after its segment list.
    fn has_tlvs(&self) -> bool {
        self.layout.outer().any(|header| {
            let last = self.input.get(header.at + 4).copied().unwrap_or(0);
            header.kind == Kind::Routing(SEGMENT_ROUTING)
                && header.length > 8 + 16 * (usize::from(last) + 1)
        })
    }

    /// Whether a header that Linux does not expect stands before the SRH that is processed.
    fn has_header_before_srh(&self) -> bool {
        let odd = |kind| matches!(kind, Kind::Fragment | Kind::Routing(_));
        self.layout.outer().filter(|header| odd(header.kind)).count() > 1
    }
}

/// The first row that explains the outputs; none if Sidewinder did not do what it should.
pub fn explain(pair: &Pair<'_>) -> Option<&'static Difference> {
    if !pair.is_right() {
        return None;
    }
    let special = [cargo::ROWS, hmac::ROWS, ipv4::ROWS];
    special.into_iter().chain([DIFFERENCES]).flatten().find(|difference| (difference.holds)(pair))
}

/// The intended differences of all subjects.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "SRH error answered",
        rule: "RFC 8986, 4.1, S10 and 4.4, S03: \"Send an ICMP Parameter Problem to the Source Address \
               with Code 0 (Erroneous header field encountered) and Pointer set to the Segments Left \
               field, interrupt packet processing, and discard the packet\"",
        holds: |pair| pair.fate.why == Why::SegmentsLeft,
    },
    Difference {
        name: "upper-layer error answered",
        rule: "RFC 8986, 4.1.1, S04: \"Send an ICMP Parameter Problem to the Source Address with \
               Code 4 (SR Upper-layer Header Error) and Pointer set to the offset of the \
               Upper-Layer header, interrupt packet processing, and discard the packet\"",
        holds: |pair| pair.fate.why == Why::UpperLayer,
    },
    Difference {
        name: "unknown routing type answered",
        rule: "RFC 8200, 4.4: \"the node must discard the packet and send an ICMP Parameter \
               Problem, Code 0, message to the packet's Source Address, pointing to the \
               unrecognized Routing Type\"",
        holds: |pair| pair.fate.why == Why::RoutingType,
    },
    Difference {
        name: "SID answers ping",
        rule: "RFC 8986, 4.1.1, S01: \"If (Upper-Layer header type is allowed by local \
               configuration)\", and ICMPv6 is",
        holds: |pair| pair.fate.why == Why::Echo,
    },
    Difference {
        name: "address scope",
        rule: "RFC 4291, 2.5.6: \"Routers must not forward any packets with Link-Local source or \
               destination addresses to other links\"; 2.5.2: \"An IPv6 packet with a source address \
               of unspecified must never be forwarded\"; no answer either",
        holds: |pair| pair.fate.why == Why::Scope,
    },
    Difference {
        name: "host address is no SID",
        rule: "RFC 8754, 4.3.2: \"If Segments Left is zero, the node must ignore the routing header \
               and proceed to process the next header in the packet\"; Linux decapsulates, and does \
               not deliver to itself what a SID took out",
        holds: |pair| pair.fate.why == Why::Host,
    },
    Difference {
        name: "hop-by-hop options left alone",
        rule: "RFC 8200, 4: \"nodes along a packet's delivery path only examine and process the \
               Hop-by-Hop Options header if explicitly configured to do so\"",
        holds: |pair| {
            pair.has_hop_by_hop()
                && (pair.linux.is_empty() || (0..3).any(|code| pair.linux_says(4, code)))
        },
    },
    Difference {
        name: "payload length 0 is no jumbogram",
        rule: "RFC 8200, 3: \"Length of the IPv6 payload, i.e., the rest of the packet following this \
               IPv6 header, in octets\"; Linux goes by the frame when Hop-by-Hop Options follow",
        holds: |pair| pair.has_hop_by_hop() && pair.input[ETHERNET + 4..ETHERNET + 6] == [0, 0],
    },
    Difference {
        name: "TLVs not processed",
        rule: "RFC 8754, 4.3.1.1, S06: \"If local configuration requires TLV processing\", and it does \
               not; Linux drops what it cannot read there",
        holds: |pair| {
            pair.subject.demand() == Demand::Ignore && pair.linux.is_empty() && pair.has_tlvs()
        },
    },
    Difference {
        name: "hop limit first",
        rule: "RFC 8986, 4.1, S05: \"If (IPv6 Hop Limit <= 1) { Send an ICMP Time Exceeded message to \
               the Source Address\", before the SRH is looked into and the packet is changed",
        holds: |pair| pair.subject.family() == Family::Endpoint && pair.fate.why == Why::HopLimit,
    },
    Difference {
        name: "hop limit at every SID",
        rule: "RFC 8986, 4.1, S12: \"Decrement IPv6 Hop Limit by 1\", also where the next segment is on \
               the same node",
        holds: |pair| {
            pair.subject.family() == Family::Endpoint
                && pair.differ_only(|frame| frame[ETHERNET + 7] = 0)
        },
    },
    Difference {
        name: "SRH behind other headers",
        rule: "RFC 8200, 4.4: \"If Segments Left is zero, the node must ignore the Routing header and \
               proceed to process the next header in the packet\"; 8986, 4.16.1: \"Update the Next \
               Header field in the preceding header\"; Linux pops only a first SRH, and not behind a \
               Fragment header",
        holds: |pair| pair.subject.pops() && pair.linux.is_empty() && pair.has_header_before_srh(),
    },
    Difference {
        name: "PSP with NEXT-CSID",
        rule: "RFC 9800, 4.1.7: behind the last compressed SID of a container, PSP is what it is without \
               NEXT-CSID; Linux takes both flavors, and pops nothing then",
        holds: |pair| {
            let ([linux], [sidewinder]) = (pair.linux, pair.sidewinder) else { return false };
            // The addresses: hop limits differ behind two SIDs of one node, as without PSP.
            let header = ETHERNET + 8..ETHERNET + IPV6;
            pair.subject == Subject::UNPsp
                && linux.frame.len() > sidewinder.frame.len()
                && linux.frame.get(header.clone()) == sidewinder.frame.get(header)
        },
    },
    Difference {
        name: "inner packet has its own length",
        rule: "RFC 8200, 3: \"Length of the IPv6 payload, i.e., the rest of the packet following this \
               IPv6 header, in octets\": what is cut short is no packet, what follows is no part of it, \
               and a version other than 6 is no IPv6; Linux forwards all of them",
        holds: |pair| {
            let is_packet = pair.subject != Subject::EndDx2;
            let family = pair.subject.family();
            is_packet && family == Family::Decap && pair.fate.changed && !pair.linux.is_empty()
        },
    },
    Difference {
        name: "fragments are not decapsulated",
        rule: "RFC 8200, 4.5: \"At the destination, fragment packets are reassembled into their \
               original, unfragmented form\"; a SID does not, and takes nothing out of a part",
        holds: |pair| {
            pair.subject.family() == Family::Decap && pair.fate.why == Why::NothingToProcess
        },
    },
    Difference {
        name: "IPv4 is forwarded",
        rule: "RFC 8986, 4.5, S03: \"Forward the exposed IPv4 packet to the L3 adjacency J\"; Linux \
               reads what the outer header left behind as IPv4 options, and drops it",
        holds: |pair| {
            pair.subject == Subject::EndDx4
                && pair.fate.why == Why::Forwarded
                && pair.linux.is_empty()
        },
    },
    Difference {
        name: "hop limits of H.Encaps",
        rule: "RFC 8986, 5.1, S03: \"Set outer Payload Length, Traffic Class, Hop Limit, and Flow Label \
               fields\" and S05: \"Decrement inner IPv6 Hop Limit\"; Linux copies it out and \
               decrements the outer one",
        holds: |pair| {
            !pair.subject.segments().is_empty()
                && pair.differ_only(|frame| {
                    let inner = Layout::of(frame).inner().map_or(ETHERNET, |header| header.at);
                    frame[ETHERNET + 7] = 0;
                    frame[inner + 7] = 0;
                })
        },
    },
    Difference {
        name: "inserted behind hop-by-hop options",
        rule: "RFC 8200, 4: the Hop-by-Hop Options header \"must immediately follow the IPv6 header\"; Linux \
               puts the SRH in front of it",
        holds: |pair| matches!(pair.subject, Subject::Insert(_)) && pair.has_hop_by_hop(),
    },
    Difference {
        name: "no error about the unreadable",
        rule: "RFC 4443, 2.4 (e.1): an error must not be sent as a result of receiving \"An ICMPv6 error \
               message\", which a packet that ends before its upper layer is named may be",
        holds: |pair| {
            let packet = pair.input.get(ETHERNET..pair.layout.end).unwrap_or_default();
            let error = |output| icmp(output).is_some_and(|message| message[0] < 128);
            pair.sidewinder.is_empty()
                && chain::upper(packet).is_none()
                && pair.linux.iter().all(error)
        },
    },
    Difference {
        name: "headend answers",
        rule: "RFC 4443, 3.3: \"it MUST discard the packet and originate an ICMPv6 Time Exceeded message \
               with Code 0 to the source of the packet\", and 3.2, Packet Too Big; Linux sends them to \
               the outer source, itself",
        holds: |pair| {
            let owed = matches!(pair.fate.why, Why::HopLimit | Why::TooBig);
            !pair.subject.segments().is_empty() && owed && pair.linux.is_empty()
        },
    },
    Difference {
        name: "what an insertion leaves of the MTU",
        rule: "RFC 4443, 3.2: \"MTU: The Maximum Transmission Unit of the next-hop link\", to whose packet \
               nothing is added; Linux tells it to a source whose packet it then makes longer again",
        holds: |pair| {
            let ([linux], [sidewinder]) = (pair.linux, pair.sidewinder) else { return false };
            let told = [linux, sidewinder].map(|output| icmp(output).and_then(mtu));
            let inserted = pair.subject.inserted();
            let [Some(linux), Some(sidewinder)] = told else { return false };
            inserted > 0 && pair.fate.why == Why::TooBig && linux == sidewinder + inserted
        },
    },
    Difference {
        name: "quoted as received",
        rule: "RFC 4443, 2.4 (c): \"Every ICMPv6 error message (type < 128) MUST include as much of \
               the IPv6 offending (invoking) packet (the packet that caused the error) as possible\"",
        holds: |pair| match (pair.linux, pair.sidewinder) {
            ([linux], [sidewinder]) if pair.fate.changed => {
                match (icmp(linux), icmp(sidewinder)) {
                    // The same but for the checksum and the quotation.
                    (Some(linux), Some(sidewinder)) => {
                        linux[0] < 128
                            && linux[..2] == sidewinder[..2]
                            && linux[4..8] == sidewinder[4..8]
                    }
                    _ => false,
                }
            }
            _ => false,
        },
    },
];

/// The MTU that a Packet Too Big tells.
fn mtu(message: &[u8]) -> Option<usize> {
    let mtu = message.get(4..8).filter(|_| message[0] == 2)?;
    Some(mtu.iter().fold(0, |mtu, byte| mtu << 8 | usize::from(*byte)))
}

/// The ICMPv6 message of a frame that has nothing but that after its IPv6 header.
fn icmp(output: &Output) -> Option<&[u8]> {
    let packet = output.frame.get(ETHERNET..)?;
    let message = packet.get(IPV6..).filter(|message| message.len() >= 8)?;
    (packet[6] == next::ICMP6).then_some(message)
}
