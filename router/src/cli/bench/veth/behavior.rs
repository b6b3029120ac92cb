//! What is measured: packets in, what a router has to make of them, and how it is told to.
//!
//! ```text
//!   generator ── g0 ═══ r0 ── router ── r1 ═══ s0 ── sink
//!                2001:db8:1::/64         2001:db8:2::/64
//! ```

use std::path::Path;

use sidewinder_dataplane::port::xdp::sink::Expectation;
use sidewinder_dataplane::wire::{ethernet, ipv6, protocol, srh};

use super::Router;

/// Ethernet addresses: the generator's, the router's two, the sink's.
pub const MACS: [ethernet::Mac; 4] =
    [[2, 0, 0, 0, 0, 0x10], [2, 0, 0, 0, 0, 0x20], [2, 0, 0, 0, 0, 0x21], [2, 0, 0, 0, 0, 0x30]];

/// Bytes of UDP payload.
const PAYLOAD: usize = 64;

/// By which the sink knows the generator's packets.
const MARK: [u8; 8] = *b"sw-bench";

/// The router's SIDs.
const END: u128 = 0xfc00_0000_0001_000e << 64;
const END_X: u128 = 0xfc00_0000_0001_e001 << 64;
const END_DT6: u128 = 0xfc00_0000_0001_00d6 << 64;
/// SIDs of others, behind the sink.
const SEGMENTS: [u128; 3] =
    [0xfc00_0000_0002_000e << 64, 0xfc00_0000_0003_000e << 64, 0xfc00_0000_0003_00d6 << 64];
/// Source of encapsulations.
const ENCAP_SOURCE: u128 = 0xfc00_0000_0001 << 80 | 1;
/// The customers: where packets come from, where they go untouched, and where with so many segments.
const CUSTOMER: u128 = 0x2001_0db8_000a << 80 | 1;
const PLAIN: u128 = 0x2001_0db8_000b << 80 | 1;
const fn steered(segments: usize) -> u128 {
    0x2001_0db8_00e0_0000 << 64 | (segments as u128) << 80 | 1
}

/// Hop limit of packets as they are sent.
const HOP_LIMIT: u8 = 64;

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    /// Forwarded untouched: what the others are compared with.
    Ipv6,
    /// End, with segments left after it.
    End,
    /// End.X, with segments left after it.
    EndX,
    /// End.DT6, without an SRH.
    EndDt6,
    /// H.Encaps with so many segments.
    HEncaps(usize),
}

impl Behavior {
    /// All of them, in the order of the output.
    pub const ALL: [Self; 6] =
        [Self::Ipv6, Self::End, Self::EndX, Self::EndDt6, Self::HEncaps(1), Self::HEncaps(3)];

    /// Its name in output and on the command line, as `bench core` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv6 => "IPv6",
            Self::End => "End",
            Self::EndX => "End.X",
            Self::EndDt6 => "End.DT6",
            Self::HEncaps(1) => "H.Encaps-1",
            Self::HEncaps(_) => "H.Encaps-3",
        }
    }

    /// The packet that is offered. Its last eight bytes are for the generator's stamp.
    pub fn offered(self) -> Vec<u8> {
        let ip = match self {
            Self::Ipv6 => customer(PLAIN, HOP_LIMIT),
            Self::End | Self::EndX => self.with_srh(0, HOP_LIMIT),
            Self::EndDt6 => ip(0, protocol::IPV6, HOP_LIMIT, END_DT6, &customer(PLAIN, HOP_LIMIT)),
            Self::HEncaps(count) => customer(steered(count), HOP_LIMIT),
        };
        [&ethernet::header(MACS[1], MACS[0], ethernet::IPV6)[..], &ip].concat()
    }

    /// The packet that has to arrive.
    pub fn delivered(self, router: Router) -> Expectation {
        let ip = match self {
            Self::Ipv6 | Self::EndDt6 => customer(PLAIN, HOP_LIMIT - 1),
            Self::End | Self::EndX => self.with_srh(1, HOP_LIMIT - 1),
            Self::HEncaps(count) => {
                // Both headers are a hop: Sidewinder counts the inner packet's, which is forwarded
                // into the policy (RFC 2473, section 3.1), Linux that of the outer one, which takes
                // the inner packet's hop limit.
                let (outer, inner) = match router {
                    Router::Sidewinder => (HOP_LIMIT, HOP_LIMIT - 1),
                    Router::Linux | Router::LinuxSoftirq => (HOP_LIMIT - 1, HOP_LIMIT),
                };
                let mut payload = srh::header(protocol::IPV6, &SEGMENTS[..count], false);
                payload.extend(customer(steered(count), inner));
                let mut header = ip(0, protocol::ROUTING, outer, SEGMENTS[0], &payload);
                header[8..24].copy_from_slice(&ENCAP_SOURCE.to_be_bytes());
                header
            }
        };
        let bytes = [&ethernet::header(MACS[3], MACS[2], ethernet::IPV6)[..], &ip].concat();
        let mut mask = vec![0xff; bytes.len()];
        if matches!(self, Self::HEncaps(_)) {
            // The outer flow label is the router's choice (RFC 6437).
            let word = ethernet::HEADER_LEN;
            mask[word..word + 4].copy_from_slice(&(!ipv6::FLOW_LABEL_MASK).to_be_bytes());
        }
        Expectation { bytes, mask }
    }

    /// Three segments, of which the one at `at` is the destination.
    fn with_srh(self, at: usize, hop_limit: u8) -> Vec<u8> {
        let sid = if self == Self::EndX { END_X } else { END };
        let segs = [sid, SEGMENTS[0], SEGMENTS[2]];
        let mut payload = srh::header(protocol::UDP, &segs, false);
        payload[3] -= at as u8; // Segments Left
        payload.extend(udp());
        ip(0, protocol::ROUTING, hop_limit, segs[at], &payload)
    }
}

/// A customer's packet.
fn customer(destination: u128, hop_limit: u8) -> Vec<u8> {
    ip(0x1_2345, protocol::UDP, hop_limit, destination, &udp())
}

fn udp() -> Vec<u8> {
    let mut udp = Vec::new();
    udp.extend(49_152_u16.to_be_bytes());
    udp.extend(9_u16.to_be_bytes());
    udp.extend(((8 + PAYLOAD) as u16).to_be_bytes());
    // Nobody looks at the checksum: the stamp would change it.
    udp.extend([0, 0]);
    udp.extend([0; PAYLOAD - 16]);
    udp.extend(MARK);
    udp.extend([0; 8]);
    udp
}

fn ip(label: u32, next_header: u8, hop_limit: u8, destination: u128, payload: &[u8]) -> Vec<u8> {
    let header = ipv6::Header {
        flow_word: ipv6::flow_word(0, label),
        payload_len: payload.len() as u16,
        next_header,
        hop_limit,
        source: CUSTOMER,
        destination,
    };
    [&header.to_bytes()[..], payload].concat()
}

/// What `ip` is told in the router's namespace, whichever router it is.
pub const ADDRESSES: [&str; 4] = [
    "addr add fc00:0:1::1/128 dev lo nodad",
    "addr add 2001:db8:1::1/64 dev r0 nodad",
    "addr add 2001:db8:2::1/64 dev r1 nodad",
    "neigh replace 2001:db8:2::2 lladdr 02:00:00:00:00:30 dev r1 nud permanent",
];

/// What Linux is told to be that router.
pub const LINUX: [&str; 7] = [
    "route add 2001:db8:b::/48 via 2001:db8:2::2 dev r1",
    "route add fc00::/16 via 2001:db8:2::2 dev r1",
    "route add fc00:0:1:e::/128 encap seg6local action End dev r1",
    "route add fc00:0:1:e001::/128 encap seg6local action End.X nh6 2001:db8:2::2 dev r1",
    "route add fc00:0:1:d6::/128 encap seg6local action End.DT6 table 254 dev r1",
    "route add 2001:db8:e1::/48 encap seg6 mode encap segs fc00:0:2:e:: dev r1",
    "route add 2001:db8:e3::/48 encap seg6 mode encap segs \
     fc00:0:2:e::,fc00:0:3:e::,fc00:0:3:d6:: dev r1",
];

/// What Sidewinder is told to be that router, with its worker on `core`.
pub fn configuration(core: usize, socket: &Path) -> String {
    format!(
        r#"[router]
name = "bench"
cores = [{core}]
encap-source = "fc00:0:1::1"
socket = "{}"

[[interface]]
name = "r0"
zero-copy = "never"                     # a virtual interface has none

[[interface]]
name = "r1"
zero-copy = "never"

[[locator]]
name = "main"
prefix = "fc00:0:1::/48"

[[sid]]
sid = "fc00:0:1:e::"
behavior = "End"

[[sid]]
sid = "fc00:0:1:e001::"
behavior = "End.X"
nh6 = "2001:db8:2::2"
interface = "r1"

[[sid]]
sid = "fc00:0:1:d6::"
behavior = "End.DT6"
table = "main"

[[policy]]
name = "one"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::"]

[[policy]]
name = "three"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::", "fc00:0:3:e::", "fc00:0:3:d6::"]

[[route]]
prefix = "2001:db8:e1::/48"
policy = "one"

[[route]]
prefix = "2001:db8:e3::/48"
policy = "three"

[[route]]
prefix = "2001:db8:b::/48"
nh6 = "2001:db8:2::2"
interface = "r1"

[[route]]
prefix = "fc00::/16"
nh6 = "2001:db8:2::2"
interface = "r1"
"#,
        socket.display()
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn the_configuration_is_good() {
        let text = configuration(1, Path::new("/tmp/bench.sock"));
        let checked = sidewinder_config::check(&text, "bench");
        let checked = checked.unwrap_or_else(|failure| panic!("{failure}"));
        assert!(checked.warnings.is_empty(), "{}", checked.warnings.render(false));
    }

    #[test]
    fn addresses_are_those_of_the_configurations() {
        let text = configuration(1, Path::new("/tmp/bench.sock"));
        for (address, said) in
            [(END, "fc00:0:1:e::"), (END_X, "fc00:0:1:e001::"), (END_DT6, "fc00:0:1:d6::")]
        {
            assert_eq!(Ipv6Addr::from(address).to_string(), said);
            assert!(text.contains(said) && LINUX.iter().any(|line| line.contains(said)));
        }
        assert_eq!(Ipv6Addr::from(steered(3)).to_string(), "2001:db8:e3::1");
        assert_eq!(Ipv6Addr::from(PLAIN).to_string(), "2001:db8:b::1");
        assert_eq!(Ipv6Addr::from(ENCAP_SOURCE).to_string(), "fc00:0:1::1");
        assert!(ADDRESSES[3].contains("02:00:00:00:00:30") && MACS[3][5] == 0x30);
    }

    #[test]
    fn packets_have_the_sizes_of_the_published_figures() {
        let sizes = Behavior::ALL.map(|behavior| {
            (behavior.offered().len(), behavior.delivered(Router::Sidewinder).bytes.len())
        });
        assert_eq!(sizes, [(126, 126), (182, 182), (182, 182), (166, 126), (126, 190), (126, 222)]);
    }

    #[test]
    fn end_moves_the_packet_to_the_next_segment() {
        let (before, after) =
            (Behavior::End.offered(), Behavior::End.delivered(Router::Linux).bytes);
        assert_eq!(ipv6::address_at(&before, 14 + 24), END);
        assert_eq!(ipv6::address_at(&after, 14 + 24), SEGMENTS[0]);
        assert_eq!((before[14 + 7], after[14 + 7]), (64, 63), "hop limit");
        assert_eq!((before[54 + 3], after[54 + 3]), (2, 1), "segments left");
        assert_eq!(before[58..174], after[58..174], "the rest is the same, up to the stamp");
    }
}
