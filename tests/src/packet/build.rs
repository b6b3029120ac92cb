//! Writing packets: a list of layers, from the outside in, becomes a frame with right lengths, next
//! headers and checksums. What is to be wrong is made wrong afterwards, in the bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{ETHERNET, Mac, SEGMENT_ROUTING, checksum, next};

/// One header, or the innermost bytes.
#[derive(Clone, Debug)]
pub enum Layer {
    /// An IPv6 header.
    Ipv6(Ipv6),
    /// An IPv4 header without options.
    Ipv4(Ipv4),
    /// Hop-by-Hop Options, padded by the builder.
    HopByHop(Vec<u8>),
    /// Destination Options, padded by the builder.
    DestOpts(Vec<u8>),
    /// A Fragment header: offset in units of 8 bytes, the M flag.
    Fragment(u16, bool),
    /// A routing header of any type: type, Segments Left, and bytes padded by the builder.
    Routing(u8, u8, Vec<u8>),
    /// A Segment Routing Header.
    Srh(Srh),
    /// UDP with a payload.
    Udp(u16, u16, Vec<u8>),
    /// A TCP segment with a payload.
    Tcp(u16, u16, Vec<u8>),
    /// ICMPv6: type, code, and what follows the checksum.
    Icmp6(u8, u8, Vec<u8>),
    /// Bytes under a Next Header value of one's choice.
    Raw(u8, Vec<u8>),
}

/// An IPv6 header; length and Next Header come from what follows.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6 {
    /// Traffic class.
    pub class: u8,
    /// Flow label, 20 bits.
    pub label: u32,
    /// Hop limit.
    pub hops: u8,
    /// Source.
    pub source: Ipv6Addr,
    /// Destination.
    pub destination: Ipv6Addr,
}

impl Ipv6 {
    /// A header with hop limit 64, traffic class and label zero.
    pub fn new(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self { class: 0, label: 0, hops: 64, source, destination }
    }
}

/// An IPv4 header; length, protocol and checksum come from the builder.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4 {
    /// Type of service.
    pub service: u8,
    /// Identification.
    pub id: u16,
    /// Don't Fragment.
    pub whole: bool,
    /// Time to live.
    pub hops: u8,
    /// Source.
    pub source: Ipv4Addr,
    /// Destination.
    pub destination: Ipv4Addr,
}

/// A Segment Routing Header (RFC 8754, 2).
#[derive(Clone, Debug)]
pub struct Srh {
    /// Segments Left.
    pub left: u8,
    /// Flags.
    pub flags: u8,
    /// Tag.
    pub tag: u16,
    /// Segment List as on the wire: the last segment of the way first.
    pub list: Vec<Ipv6Addr>,
    /// TLVs, which must be a multiple of 8 bytes.
    pub tlvs: Vec<u8>,
}

impl Srh {
    /// The header of a packet on its way to the first of `way`.
    pub fn starting(way: &[Ipv6Addr]) -> Self {
        let list: Vec<_> = way.iter().rev().copied().collect();
        let left = u8::try_from(list.len().saturating_sub(1)).unwrap_or(u8::MAX);
        Self { left, flags: 0, tag: 0, list, tlvs: Vec::new() }
    }

    /// The header as bytes, with what follows it named by `next`.
    pub fn bytes(&self, next: u8) -> Vec<u8> {
        let length = self.list.len() * 2 + self.tlvs.len() / 8;
        let last = self.list.len().wrapping_sub(1);
        // Longer lists do not fit a packet of the lab.
        let (length, last) = (length.to_le_bytes()[0], last.to_le_bytes()[0]);
        let mut bytes = vec![next, length, SEGMENT_ROUTING, self.left, last, self.flags];
        bytes.extend(self.tag.to_be_bytes());
        bytes.extend(self.list.iter().flat_map(Ipv6Addr::octets));
        bytes.extend(&self.tlvs);
        bytes
    }
}

/// A frame: Ethernet header, then the layers.
pub fn frame(destination: Mac, source: Mac, layers: &[Layer]) -> Vec<u8> {
    let kind: u16 = match layers.first() {
        Some(Layer::Ipv4(_)) => 0x0800,
        _ => 0x86dd,
    };
    let mut frame = Vec::with_capacity(ETHERNET + 128);
    frame.extend(destination);
    frame.extend(source);
    frame.extend(kind.to_be_bytes());
    frame.extend(packet(layers));
    frame
}

/// The layers without a link-layer header.
pub fn packet(layers: &[Layer]) -> Vec<u8> {
    encode(layers, Pseudo::default()).1
}

/// The addresses that an upper-layer checksum covers.
#[derive(Clone, Copy)]
struct Pseudo {
    source: Ipv6Addr,
    destination: Ipv6Addr,
}

impl Default for Pseudo {
    fn default() -> Self {
        Self { source: Ipv6Addr::UNSPECIFIED, destination: Ipv6Addr::UNSPECIFIED }
    }
}

/// The Next Header value that names the first layer, and the layers' bytes.
fn encode(layers: &[Layer], pseudo: Pseudo) -> (u8, Vec<u8>) {
    let Some((layer, rest)) = layers.split_first() else {
        return (next::NONE, Vec::new());
    };
    match layer {
        Layer::Ipv6(header) => {
            let destination = ultimate(header.destination, rest);
            let (inner, body) = encode(rest, Pseudo { source: header.source, destination });
            (next::IPV6, ipv6(header, inner, body))
        }
        Layer::Ipv4(header) => {
            let (inner, body) = encode(rest, pseudo);
            (next::IPV4, ipv4(header, inner, &body))
        }
        Layer::HopByHop(options) => {
            let (inner, body) = encode(rest, pseudo);
            (next::HOP_BY_HOP, [options_header(inner, options), body].concat())
        }
        Layer::DestOpts(options) => {
            let (inner, body) = encode(rest, pseudo);
            (next::DEST_OPTS, [options_header(inner, options), body].concat())
        }
        Layer::Fragment(offset, more) => {
            let (inner, body) = encode(rest, pseudo);
            let [high, low] = (offset << 3 | u16::from(*more)).to_be_bytes();
            (next::FRAGMENT, [vec![inner, 0, high, low, 0, 0, 0x12, 0x34], body].concat())
        }
        Layer::Routing(kind, left, data) => {
            let (inner, body) = encode(rest, pseudo);
            let padded = (data.len() + 4).next_multiple_of(8);
            let mut header = vec![inner, (padded / 8 - 1).to_le_bytes()[0], *kind, *left];
            header.extend(data);
            header.resize(padded, 0);
            (next::ROUTING, [header, body].concat())
        }
        Layer::Srh(srh) => {
            let (inner, body) = encode(rest, pseudo);
            (next::ROUTING, [srh.bytes(inner), body].concat())
        }
        Layer::Udp(source, destination, payload) => {
            let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
            let mut bytes = Vec::with_capacity(usize::from(length));
            for word in [*source, *destination, length, 0] {
                bytes.extend(word.to_be_bytes());
            }
            bytes.extend(payload);
            let sum = match pseudo.checksum(next::UDP, &bytes) {
                // Zero would say that there is none.
                0 => 0xffff,
                sum => sum,
            };
            bytes[6..8].copy_from_slice(&sum.to_be_bytes());
            (next::UDP, bytes)
        }
        Layer::Tcp(source, destination, payload) => {
            let mut bytes = [source.to_be_bytes(), destination.to_be_bytes()].concat();
            // Sequence and acknowledgement, header of 20 bytes, ACK and PSH, window.
            bytes.extend([0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x18, 0x20, 0, 0, 0, 0, 0]);
            bytes.extend(payload);
            let sum = pseudo.checksum(next::TCP, &bytes);
            bytes[16..18].copy_from_slice(&sum.to_be_bytes());
            (next::TCP, bytes)
        }
        Layer::Icmp6(kind, code, body) => {
            let mut bytes = vec![*kind, *code, 0, 0];
            bytes.extend(body);
            let sum = pseudo.checksum(next::ICMP6, &bytes);
            bytes[2..4].copy_from_slice(&sum.to_be_bytes());
            (next::ICMP6, bytes)
        }
        Layer::Raw(next, bytes) => (*next, bytes.clone()),
    }
}

impl Pseudo {
    fn checksum(self, protocol: u8, bytes: &[u8]) -> u16 {
        checksum::upper_layer(self.source, self.destination, protocol, bytes)
    }
}

/// Where a packet ends up: the last segment of its own routing header, if it has one.
fn ultimate(destination: Ipv6Addr, layers: &[Layer]) -> Ipv6Addr {
    for layer in layers {
        match layer {
            Layer::Srh(srh) if srh.left > 0 => return srh.list[0],
            Layer::HopByHop(_) | Layer::DestOpts(_) | Layer::Routing(..) | Layer::Srh(_) => {}
            _ => break,
        }
    }
    destination
}

fn ipv6(header: &Ipv6, next: u8, body: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let first = 6 << 28 | u32::from(header.class) << 20 | header.label & 0xf_ffff;
    let mut bytes = first.to_be_bytes().to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.extend([next, header.hops]);
    bytes.extend(header.source.octets());
    bytes.extend(header.destination.octets());
    bytes.extend(body);
    bytes
}

fn ipv4(header: &Ipv4, protocol: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + body.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![0x45, header.service];
    bytes.extend(length.to_be_bytes());
    bytes.extend(header.id.to_be_bytes());
    bytes.extend([u8::from(header.whole) << 6, 0, header.hops, protocol, 0, 0]);
    bytes.extend(header.source.octets());
    bytes.extend(header.destination.octets());
    let sum = checksum::plain(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn options_header(next: u8, options: &[u8]) -> Vec<u8> {
    let padded = (options.len() + 2).next_multiple_of(8);
    let mut header = vec![next, (padded / 8 - 1).to_le_bytes()[0]];
    header.extend(options);
    match padded - header.len() {
        0 => {}
        // Pad1, or PadN with its own length taken off.
        1 => header.push(0),
        space => {
            header.extend([1, (space - 2).to_le_bytes()[0]]);
            header.resize(padded, 0);
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_covers_the_last_segment() {
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        let (source, end, host) =
            (address("2001:db8::1"), address("fc00::e"), address("2001:db8::2"));
        let udp = || Layer::Udp(1, 2, vec![1, 2, 3]);
        let with = packet(&[
            Layer::Ipv6(Ipv6::new(source, end)),
            Layer::Srh(Srh::starting(&[end, host])),
            udp(),
        ]);
        let without = packet(&[Layer::Ipv6(Ipv6::new(source, host)), udp()]);
        assert_eq!(with[40..48], [17, 4, 4, 1, 1, 0, 0, 0]);
        assert_eq!(with[80..], without[40..]);
    }

    #[test]
    fn options_are_padded() {
        for length in 0..20 {
            assert_eq!(options_header(59, &vec![0; length]).len() % 8, 0);
        }
    }
}
