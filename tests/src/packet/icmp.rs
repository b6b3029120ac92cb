//! The ICMPv6 errors that a router owes (RFC 4443), written from the packet that earned them.

use std::net::Ipv6Addr;

use super::build::{Ipv6, Layer, frame};
use super::parse::{Layout, addresses};
use super::{ETHERNET, IPV6, Mac};

/// Largest ICMPv6 error: the least MTU of IPv6 (RFC 4443, 2.4 (c)).
const LARGEST: usize = 1280;

/// One kind of error: type, code, and the 32 bits after the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Pointer, MTU, or unused.
    pub value: u32,
}

impl Error {
    /// Time Exceeded: hop limit exceeded in transit.
    pub const HOP_LIMIT: Self = Self { kind: 3, code: 0, value: 0 };

    /// Destination Unreachable with a code.
    pub const fn unreachable(code: u8) -> Self {
        Self { kind: 1, code, value: 0 }
    }

    /// Parameter Problem: code, and the offset of the offence from the start of the IPv6 header.
    pub fn parameter(code: u8, pointer: usize) -> Self {
        Self { kind: 4, code, value: u32::try_from(pointer).unwrap_or(u32::MAX) }
    }

    /// The frame that a router at `source` sends back for `invoking`, quoting it as it came in; its
    /// hop limit is the sender's choice.
    pub fn answer(
        self,
        invoking: &[u8],
        source: Ipv6Addr,
        hops: u8,
        from: Mac,
        to: Mac,
    ) -> Vec<u8> {
        let layout = Layout::of(invoking);
        let quoted = &invoking[ETHERNET..layout.end.max(ETHERNET)];
        let quoted = &quoted[..quoted.len().min(LARGEST - IPV6 - 8)];
        let destination =
            addresses(invoking, ETHERNET).map_or(Ipv6Addr::UNSPECIFIED, |pair| pair.0);
        let body = [&self.value.to_be_bytes(), quoted].concat();
        let header = Ipv6 { hops, ..Ipv6::new(source, destination) };
        frame(to, from, &[Layer::Ipv6(header), Layer::Icmp6(self.kind, self.code, body)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_fits() {
        let a: Ipv6Addr = "2001:db8::1".parse().unwrap();
        for (payload, whole) in [(10, 40 + 8 + 40 + 18), (1400, 1280)] {
            let layers = [Layer::Ipv6(Ipv6::new(a, a)), Layer::Udp(1, 2, vec![7; payload])];
            let invoking = frame([1; 6], [2; 6], &layers);
            let answer = Error::HOP_LIMIT.answer(&invoking, a, 64, [3; 6], [4; 6]);
            assert_eq!(answer.len(), ETHERNET + whole);
        }
    }
}
