//! Ethernet frames to be found inside packets.

use super::Maker;
use crate::lab::star::WORLD_MACS;
use crate::packet::build::{self, Ipv6, Layer};
use crate::packet::{ETHERNET, mac, tag};

/// Where frames come from that are cargo.
pub const CARGO_SOURCE: &str = "02:00:00:00:0c:0d";

/// Destinations: a host, the next one, everyone, a switch, a group of IPv6.
const DESTINATIONS: &[&str] = &[
    "02:00:00:00:0b:ad",
    WORLD_MACS[2],
    "ff:ff:ff:ff:ff:ff",
    "01:80:c2:00:00:0e",
    "33:33:00:00:00:01",
];

impl Maker<'_> {
    /// A frame as it may come from a wire: of IPv6, of other protocols, tagged, with a length
    /// instead of a protocol (IEEE 802.3), and now and then too short for one, without a tag.
    pub(super) fn frame(&mut self) -> Vec<u8> {
        let destination: &&str = self.rng.pick(DESTINATIONS);
        let destination = mac(destination);
        let source = mac(CARGO_SOURCE);
        let payload = self.payload();
        let kind: &[u8] = match self.rng.below(40) {
            0..16 => {
                let host = super::address(super::HOST);
                let from = tag::address(super::address("2001:db8:a:1::"), self.id);
                let layers = [
                    Layer::Ipv6(Ipv6 { hops: self.rng.byte(), ..Ipv6::new(from, host) }),
                    Layer::Udp(self.rng.word(), 4789, payload),
                ];
                return build::frame(destination, source, &layers);
            }
            16..20 => &[0x08, 0x00],
            20..23 => &[0x08, 0x06],
            23..27 => &[0x81, 0x00, 0x00, 0x64, 0x88, 0xb5],
            27..29 => &[0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x00, 0x65, 0x08, 0x00],
            29..33 => &[0x88, 0xb5],
            33..35 => &[0x88, 0xcc],
            // A length; the last number that is one, and the first that is none.
            35..37 => &[0x00, 0x2e],
            37 => &[0x05, 0xff],
            38 => &[0x06, 0x00],
            _ => {
                let length = self.rng.below(ETHERNET + 6);
                let frame = [&destination[..], &source[..], &[0x88, 0xb5], &[7; 8]].concat();
                return frame[..length].to_vec();
            }
        };
        [&destination[..], &source[..], kind, &payload[..]].concat()
    }
}
