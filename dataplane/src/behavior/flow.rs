//! Which flow a packet belongs to: a hash that keeps a flow on one path and under one label.

use crate::wire::{ethernet, ipv4, ipv6, protocol};

const SEEDS: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0x8cb9_2ba7_2f3d_8dd7, 0xdb4f_0b91_75ae_2165];

/// The hash for ECMP: addresses and flow label (RFC 6438; RFC 8754, section 5.5), and the ports
/// where there is no label to tell flows apart.
#[inline]
pub fn hash(packet: &[u8]) -> u32 {
    match ipv6::Ipv6::new_checked(packet) {
        Some(header) if header.flow_label() != 0 => {
            mix(header.source(), header.destination(), u64::from(header.flow_label()))
        }
        _ => five_tuple(packet),
    }
}

/// The hash for the flow label of an outer header: addresses, protocol, ports and flow label of
/// the inner packet.
#[inline]
pub fn five_tuple(packet: &[u8]) -> u32 {
    match ipv6::Ipv6::new_checked(packet) {
        Some(header) => five_tuple_v6(header, packet[ipv6::HEADER_LEN..].first_chunk()),
        None => five_tuple_v4(packet),
    }
}

/// [`five_tuple`] of an IPv6 packet: its header and the first bytes behind it, if there are so many.
#[inline(always)]
pub fn five_tuple_v6(header: ipv6::Ipv6<'_>, behind: Option<&[u8; 4]>) -> u32 {
    let protocol = header.next_header();
    let ports = match behind {
        Some(ports) if has_ports(protocol) => u32::from_be_bytes(*ports),
        _ => 0,
    };
    let rest = u64::from(header.flow_label()) << 40 ^ u64::from(protocol) << 32 ^ u64::from(ports);
    mix(header.source(), header.destination(), rest)
}

#[inline(never)]
fn five_tuple_v4(packet: &[u8]) -> u32 {
    let Some(header) = ipv4::Ipv4::new_checked(packet) else { return 0 };
    let protocol = header.protocol();
    // Only the first fragment has ports: without them, all fragments keep to one path.
    let behind = packet.get(header.header_len()..).and_then(|behind| behind.first_chunk());
    let ports = match behind {
        Some(ports) if has_ports(protocol) && !header.is_fragment() => u32::from_be_bytes(*ports),
        _ => 0,
    };
    mix(
        u128::from(header.source()),
        u128::from(header.destination()),
        u64::from(protocol) << 32 ^ u64::from(ports),
    )
}

/// The same for a frame that is not IP, by its Ethernet header.
pub fn of_frame(header: &[u8; ethernet::HEADER_LEN]) -> u32 {
    let mut bytes = [0; 16];
    bytes[..ethernet::HEADER_LEN].copy_from_slice(header);
    mix(u128::from_be_bytes(bytes), 0, 0)
}

/// A flow label from a hash: 20 bits, never 0 (RFC 6437, section 2: 0 says "no label").
#[inline]
pub const fn label(hash: u32) -> u32 {
    let label = hash >> 12;
    if label == 0 { 1 } else { label }
}

#[inline(always)]
pub(crate) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, protocol::TCP | protocol::UDP | protocol::SCTP)
}

#[inline]
fn mix(source: u128, destination: u128, rest: u64) -> u32 {
    let hash = fold((source >> 64) as u64 ^ SEEDS[0], source as u64 ^ SEEDS[1])
        ^ fold((destination >> 64) as u64 ^ SEEDS[2], destination as u64 ^ SEEDS[3])
            .rotate_left(17)
        ^ rest.wrapping_mul(SEEDS[0]);
    (fold(hash ^ SEEDS[3], SEEDS[1]) >> 32) as u32
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn packet(source_port: u16, label: u32) -> Vec<u8> {
        let mut packet = ipv6::Header {
            flow_word: ipv6::flow_word(0, label),
            payload_len: 8,
            next_header: protocol::UDP,
            hop_limit: 64,
            source: 0x2001_0db8 << 96 | 1,
            destination: 0x2001_0db8 << 96 | 2,
        }
        .to_bytes()
        .to_vec();
        packet.extend(source_port.to_be_bytes());
        packet.extend([0, 80, 0, 8, 0, 0]);
        packet
    }

    /// C-085: the same flow has the same label, and 1 000 flows have nearly as many.
    #[test]
    fn labels_tell_flows_apart() {
        let labels: HashSet<u32> =
            (0..1000).map(|port| label(five_tuple(&packet(port, 0)))).collect();
        assert!(labels.len() > 990, "{}", labels.len());
        assert!(labels.iter().all(|label| (1..1 << 20).contains(label)));
        assert_eq!(five_tuple(&packet(7, 9)), five_tuple(&packet(7, 9)));
        // Spread: each of 16 ranges of labels has its share of 62.5, within four sigmas.
        for range in 0..16 {
            let share = labels.iter().filter(|label| **label >> 16 == range).count();
            assert!((32..95).contains(&share), "{share}");
        }
    }

    /// C-086: ECMP goes by the label where there is one, and by the ports where there is none.
    #[test]
    fn ecmp_goes_by_the_label() {
        assert_eq!(hash(&packet(1, 5)), hash(&packet(2, 5)));
        assert_ne!(hash(&packet(1, 5)), hash(&packet(1, 6)));
        assert_ne!(hash(&packet(1, 0)), hash(&packet(2, 0)));
    }
}
