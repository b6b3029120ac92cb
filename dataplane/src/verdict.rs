//! What becomes of a packet.

use crate::fib::entry::{AdjacencyId, GroupId, PortIndex, Punted, TableIndex};

/// What a behavior says is to be done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Look the destination up in this table.
    Lookup(TableIndex),
    /// Send it to a next-hop group, without a look-up.
    Forward(GroupId),
    /// It is an Ethernet frame: send it by this port as it is.
    Transmit(PortIndex),
    /// It is longer than this adjacency says, which may mean that it is to be looked at once more.
    TooLong(AdjacencyId),
    /// It is IPv4, or was when it came, and too long for this adjacency: send it there in fragments.
    Fragment(AdjacencyId),
    /// It has become an answer to its sender: look the destination up in the table it came by.
    Reply(Reason),
    /// Give it to the host.
    Punt(Punted),
    /// Drop it without a word.
    Drop(Reason),
    /// Drop it, and owe its source the ICMP error that goes with the reason. The number is what
    /// the error carries: a pointer for Parameter Problem, an MTU for Packet Too Big.
    Refuse(Reason, u32),
}

/// How a packet ended: what is counted, once for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It went on to another node.
    Forwarded,
    /// It became an answer to its sender, which was sent or given to the host.
    Replied(Reason),
    /// The host has it.
    Punted,
    /// Nobody has it.
    Dropped(Reason),
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a packet was dropped, or answered. One name everywhere: counters, command line,
        /// logs, metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// The chosen next hop's link is down.
    AdjacencyDown = "adjacency-down",
    /// A route says so: blackhole.
    Blackhole = "blackhole",
    /// A frame to somebody else's Ethernet address.
    DestinationMac = "destination-mac-not-ours",
    /// Not a drop: an echo request to a SID, answered.
    EchoRequest = "echo-request",
    /// An extension header runs over the end of the packet.
    ExtensionHeader = "extension-header-truncated",
    /// A fragment that would have to be reassembled at a SID.
    FragmentToSid = "fragment-to-sid",
    /// The HMAC TLV is not what its key signs of the packet, or the destination is not the current
    /// segment.
    HmacInvalid = "hmac-invalid",
    /// The HMAC TLV names a key that there is not.
    HmacKeyUnknown = "hmac-key-unknown",
    /// No HMAC TLV, at a SID that requires one.
    HmacMissing = "hmac-missing",
    /// Hop limit or TTL is used up.
    HopLimitExceeded = "hop-limit-exceeded",
    /// An ICMPv6 message to a SID that is not for a SID to answer.
    IcmpToSid = "icmp-to-sid",
    /// The packet inside an encapsulation is not what it says, or shorter.
    InnerPacket = "inner-packet-invalid",
    /// Version, length or checksum of the IP header are wrong.
    IpHeader = "ip-header-invalid",
    /// No frame was free for a fragment.
    NoFrame = "no-free-frame",
    /// More headers to push than there is headroom.
    NoHeadroom = "no-headroom",
    /// Next Header 59: nothing to process.
    NoNextHeader = "no-next-header",
    /// No prefix covers the destination.
    NoRoute = "no-route",
    /// The next hop's Ethernet address is not known.
    NeighborUnresolved = "neighbor-unresolved",
    /// Neither IPv4 nor IPv6.
    NotIp = "not-ip",
    /// Not a drop: an ICMP error about a packet that was encapsulated here, passed on to the source of
    /// what is inside.
    OuterError = "outer-error",
    /// Longer than the egress interface's MTU.
    PacketTooBig = "packet-too-big",
    /// A route says so: prohibit.
    Prohibited = "prohibited",
    /// The host would not take the packet.
    PuntFailed = "punt-failed",
    /// More packets for the host than it is to be bothered with.
    PuntLimited = "punt-limited",
    /// From an address that is not reached by the interface it came in by, or not at all.
    ReversePath = "reverse-path",
    /// A routing header that is not an SRH, with segments left.
    RoutingType = "routing-type-unknown",
    /// Addresses that a router does not forward: multicast, link-local, unspecified, loopback.
    Scope = "address-scope",
    /// Segments Left or Last Entry do not fit the SRH.
    SegmentsLeft = "segments-left-invalid",
    /// Segments left at a SID that ends the segment list.
    SegmentsLeftAtEnd = "segments-left-at-end",
    /// From outside the SR domain, and for a SID block.
    SidFromOutside = "sid-from-outside",
    /// For a SID of ours, from a source that may not use it.
    SidSource = "sid-source-refused",
    /// For a SID, and about to leave the SR domain.
    SidToOutside = "sid-to-outside",
    /// From outside the SR domain, with a source inside of it.
    SourceFromOutside = "source-from-outside",
    /// A TLV that runs over the end of its SRH, at a SID that looks at TLVs.
    TlvOverrun = "tlv-overrun",
    /// Round and round between our own SIDs and policies.
    TooManyPasses = "too-many-passes",
    /// The egress port's ring is full.
    TxRingFull = "tx-ring-full",
    /// A route says so: unreachable.
    Unreachable = "unreachable",
    /// The SID does not take what follows the SRH.
    UpperLayer = "upper-layer-header",
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Type and code of the ICMPv6 error we owe for it (RFC 4443; RFC 8986, section 4.1.1).
    pub const fn icmpv6(self) -> Option<(u8, u8)> {
        use crate::wire::icmpv6::kind::*;
        Some(match self {
            Self::NoRoute | Self::Unreachable => (DESTINATION_UNREACHABLE, 0),
            Self::Prohibited => (DESTINATION_UNREACHABLE, 1),
            Self::AdjacencyDown | Self::NeighborUnresolved => (DESTINATION_UNREACHABLE, 3),
            Self::PacketTooBig => (PACKET_TOO_BIG, 0),
            Self::HopLimitExceeded => (TIME_EXCEEDED, 0),
            Self::SegmentsLeft | Self::SegmentsLeftAtEnd | Self::RoutingType => {
                (PARAMETER_PROBLEM, 0)
            }
            // RFC 8754, sections 2.1.2.1 and 2.1.
            Self::HmacInvalid | Self::HmacKeyUnknown | Self::TlvOverrun => (PARAMETER_PROBLEM, 0),
            Self::UpperLayer => (PARAMETER_PROBLEM, 4),
            _ => return None,
        })
    }
}

impl Reason {
    /// Type and code of the ICMPv4 error we owe for it (RFC 792; RFC 1812, section 5.2.7). An
    /// IPv4 packet that is too big is refused only where it must not be fragmented: see
    /// [`icmp::error`](crate::icmp::error).
    pub const fn icmpv4(self) -> Option<(u8, u8)> {
        use crate::wire::icmpv4::{code, kind::*};
        Some(match self {
            Self::NoRoute | Self::Unreachable => (DESTINATION_UNREACHABLE, code::NETWORK),
            Self::Prohibited => (DESTINATION_UNREACHABLE, code::PROHIBITED),
            Self::AdjacencyDown => (DESTINATION_UNREACHABLE, code::HOST),
            Self::PacketTooBig => (DESTINATION_UNREACHABLE, code::FRAGMENTATION_NEEDED),
            Self::HopLimitExceeded => (TIME_EXCEEDED, 0),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_kebab_case() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::COUNT);
        for name in names {
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            );
        }
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
