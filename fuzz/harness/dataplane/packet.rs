//! Packets that an input says: layer by layer, with lengths and checksums as they should be, and
//! then with some bytes changed; or as they are.

use super::input::Input;
use crate::support::packet::{checksum, ethernet, icmpv6, ipv4, udp};
use sidewinder_dataplane::frame::MAX_PACKET;

/// Layers around what a packet carries, at most.
const LAYERS: u8 = 6;

/// Bytes of it that are changed afterwards, at most.
const CHANGES: u8 = 4;

/// Protocol numbers.
const HOP_BY_HOP: u8 = 0;
const IPV4: u8 = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
const IPV6: u8 = 41;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const ICMPV6: u8 = 58;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;
const ETHERNET: u8 = 143;

/// A frame for a port with these addresses: mostly with an Ethernet header as it should be.
pub fn frame(input: &mut Input<'_>, own: [u8; 6], neighbour: [u8; 6]) -> Vec<u8> {
    let how = input.byte();
    let packet = packet(input);
    let mut frame = match how {
        // From the Ethernet header on as the input has it.
        0xff => packet,
        _ => ethernet(own, neighbour, &packet),
    };
    match how {
        1 => frame[0] ^= 2,
        2 => frame[12..14].copy_from_slice(&input.word().to_be_bytes()),
        // Padded, as an Ethernet frame may be.
        3 => frame.extend([0xee; 46]),
        _ => {}
    }
    frame.truncate(MAX_PACKET);
    frame
}

/// An IP packet, or nearly.
pub fn packet(input: &mut Input<'_>) -> Vec<u8> {
    let how = input.byte();
    if how >= 0xf0 {
        let len = usize::from(input.word()).min(MAX_PACKET);
        return input.bytes(len).to_vec();
    }
    let layers: Vec<Layer> = (0..how % (LAYERS + 1)).map(|_| Layer::new(input)).collect();
    let mut stack = Stack::of_payload(input);
    layers.into_iter().rev().for_each(|layer| stack.put_around(layer));
    let mut bytes = stack.bytes;
    for _ in 0..input.byte() % (CHANGES + 1) {
        let (at, value) = (usize::from(input.byte()), input.byte());
        // Most of what matters is in the first headers.
        let at = if value & 0x80 == 0 { at } else { 4 * at };
        if let Some(byte) = bytes.get_mut(at) {
            *byte = input.byte();
        }
    }
    bytes
}

/// A header, without what it says of what follows it.
enum Layer {
    Ipv6 { flow_word: u32, hop_limit: u8, source: u128, destination: u128 },
    Srh { segs: Vec<u128>, left: u8, last: u8, flags: u8, tlvs: Vec<u8> },
    Options { kind: u8, content: Vec<u8> },
    Fragment { place: u16 },
    Ipv4 { tos: u8, fragment: u16, ttl: u8, source: u32, destination: u32, options: Vec<u8> },
    Ethernet { ether_type: Option<u16> },
}

impl Layer {
    fn new(input: &mut Input<'_>) -> Self {
        match input.below(10) {
            0..3 => Self::Ipv6 {
                flow_word: u32::from(input.word()) << 12,
                hop_limit: hop_limit(input),
                destination: input.address(),
                source: input.address(),
            },
            3..6 => {
                let count = input.below(6);
                let segs: Vec<u128> = (0..count).map(|_| input.address()).collect();
                let left = input.byte();
                let last = match input.byte() {
                    0..0xe0 => count.saturating_sub(1),
                    other => other & 7,
                };
                let flags = input.byte();
                // Whole units of eight bytes; what TLVs there are, the input says.
                let tlvs = usize::from(input.below(4)) * 8;
                let mut tlvs = vec![0; tlvs];
                tlvs.iter_mut().for_each(|byte| *byte = input.byte());
                Self::Srh { segs, left: left & 0x3f, last, flags, tlvs }
            }
            6 => {
                let kind = if input.byte() & 1 == 0 { HOP_BY_HOP } else { DESTINATION_OPTIONS };
                let units = usize::from(input.below(4));
                Self::Options { kind, content: vec![1; 6 + 8 * units] }
            }
            7 => Self::Fragment { place: input.word() },
            8 => Self::Ipv4 {
                tos: input.byte(),
                fragment: input.word(),
                ttl: hop_limit(input),
                destination: input.address_v4(),
                source: input.address_v4(),
                options: vec![1; 4 * usize::from(input.below(4))],
            },
            _ => Self::Ethernet { ether_type: (input.byte() & 1 == 1).then(|| input.word()) },
        }
    }
}

fn hop_limit(input: &mut Input<'_>) -> u8 {
    match input.byte() {
        few @ ..16 => few,
        _ => 64,
    }
}

/// What is inside, with its protocol number.
struct Stack {
    protocol: u8,
    bytes: Vec<u8>,
    /// Where an ICMPv6 message begins whose checksum lacks the addresses.
    icmpv6: Option<usize>,
}

impl Stack {
    fn of_payload(input: &mut Input<'_>) -> Self {
        let (protocol, bytes) = match input.below(8) {
            0 => (UDP, udp(1, &vec![7; usize::from(input.byte()) * 7])),
            1 => (TCP, vec![5; 20 + usize::from(input.byte()) * 6]),
            2 => {
                let kind = match input.byte() {
                    0..0xc0 => 128,
                    other => other,
                };
                let len = usize::from(input.byte());
                (ICMPV6, [&[kind, 0, 0, 0, 0, 1, 0, 1][..], &vec![9; len]].concat())
            }
            3 => (NO_NEXT_HEADER, Vec::new()),
            4 => (input.byte(), vec![3; usize::from(input.byte())]),
            5 => (1, [&[input.byte(), 0, 0, 0, 0, 0, 0, 0][..], &[4; 28]].concat()),
            _ => {
                let protocol = input.byte();
                let len = usize::from(input.byte());
                (protocol, input.bytes(len).to_vec())
            }
        };
        let icmpv6 = (protocol == ICMPV6 && bytes.len() >= 8).then_some(0);
        Self { protocol, bytes, icmpv6 }
    }

    fn put_around(&mut self, layer: Layer) {
        let (protocol, header) = match layer {
            Layer::Ipv6 { flow_word, hop_limit, source, destination } => {
                self.finish_icmpv6(source, destination);
                let mut header = (6 << 28 | flow_word).to_be_bytes().to_vec();
                header.extend((self.bytes.len().min(0xffff) as u16).to_be_bytes());
                header.extend([self.protocol, hop_limit]);
                header.extend(source.to_be_bytes());
                header.extend(destination.to_be_bytes());
                (IPV6, header)
            }
            Layer::Srh { segs, left, last, flags, tlvs } => {
                let units = (2 * segs.len() + tlvs.len() / 8) as u8;
                let mut header = vec![self.protocol, units, 4, left, last, flags, 0, 0];
                segs.iter().for_each(|segment| header.extend(segment.to_be_bytes()));
                header.extend(tlvs);
                (ROUTING, header)
            }
            Layer::Options { kind, content } => {
                let units = (content.len() / 8) as u8;
                (kind, [&[self.protocol, units][..], &content].concat())
            }
            Layer::Fragment { place } => {
                let [high, low] = place.to_be_bytes();
                (FRAGMENT, vec![self.protocol, 0, high, low, 0, 0, 0, 7])
            }
            Layer::Ipv4 { tos, fragment, ttl, source, destination, options } => {
                self.icmpv6 = None;
                let mut header = ipv4(self.protocol, ttl, source, destination, &[]);
                header[0] += (options.len() / 4) as u8;
                header[1] = tos;
                let len = (header.len() + options.len() + self.bytes.len()).min(0xffff) as u16;
                header[2..4].copy_from_slice(&len.to_be_bytes());
                header[6..8].copy_from_slice(&fragment.to_be_bytes());
                header[10..12].fill(0);
                header.extend(options);
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                (IPV4, header)
            }
            Layer::Ethernet { ether_type } => {
                let mut header = ethernet([2, 0, 0, 0, 9, 1], [2, 0, 0, 0, 9, 2], &self.bytes);
                header.truncate(14);
                if let Some(ether_type) = ether_type {
                    header[12..].copy_from_slice(&ether_type.to_be_bytes());
                }
                (ETHERNET, header)
            }
        };
        self.icmpv6 = self.icmpv6.map(|at| at + header.len());
        self.bytes.splice(0..0, header);
        self.protocol = protocol;
    }

    /// The checksum of an ICMPv6 message, for the addresses of the IPv6 header around it.
    fn finish_icmpv6(&mut self, source: u128, destination: u128) {
        let Some(at) = self.icmpv6.take() else { return };
        let Some((head, body)) = self.bytes[at..].split_first_chunk::<8>() else { return };
        let message = icmpv6(source, destination, *head, body);
        self.bytes.splice(at.., message);
    }
}
