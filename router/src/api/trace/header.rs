//! A packet's headers, as far as they are read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use sidewinder_dataplane::wire::{icmpv6, ipv4, ipv6, protocol, srh};

/// Headers that are read at most: more are a packet that nobody means well with.
const MOST: usize = 16;

/// A packet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Packet {
    /// Bytes, from the IP header on.
    pub length: usize,
    /// Its headers, outermost first.
    pub headers: Vec<Header>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "header")]
pub enum Header {
    /// IPv6.
    Ipv6 {
        /// Source address.
        source: Ipv6Addr,
        /// Destination address.
        destination: Ipv6Addr,
        /// Hop limit.
        hop_limit: u8,
        /// Traffic class.
        traffic_class: u8,
        /// Flow label.
        flow_label: u32,
        /// Bytes behind the header.
        payload_length: usize,
        /// Protocol of what follows.
        next_header: u8,
    },
    /// The Segment Routing Header.
    Srh {
        /// Segments Left.
        segments_left: u8,
        /// Last Entry.
        last_entry: u8,
        /// Flags.
        flags: u8,
        /// Tag.
        tag: u16,
        /// The segment list, first to last: the opposite of the order in the header.
        segs: Vec<Ipv6Addr>,
        /// Bytes of TLVs.
        tlv_length: usize,
        /// Protocol of what follows.
        next_header: u8,
    },
    /// Another extension header.
    Extension {
        /// Its protocol number.
        protocol: u8,
        /// Its bytes.
        length: usize,
    },
    /// IPv4.
    Ipv4 {
        /// Source address.
        source: Ipv4Addr,
        /// Destination address.
        destination: Ipv4Addr,
        /// Time To Live.
        ttl: u8,
        /// Type of Service.
        tos: u8,
        /// Bytes, the header included.
        total_length: usize,
        /// Protocol of what follows.
        protocol: u8,
    },
    /// TCP, UDP or SCTP.
    Ports {
        /// Its protocol number.
        protocol: u8,
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
    },
    /// ICMP or ICMPv6.
    Icmp {
        /// Whether it is ICMPv6.
        v6: bool,
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// What the message carries: pointer, MTU, identifier and sequence number.
        parameter: u32,
    },
    /// Anything else, with its protocol number.
    Other {
        /// Its protocol number.
        protocol: u8,
    },
}

impl Packet {
    /// Reads the headers of a packet of `length` bytes, of which the beginning is there.
    pub fn read(bytes: &[u8], length: usize) -> Self {
        let mut packet = Self { length, headers: Vec::new() };
        let mut next = match bytes.first().map(|byte| byte >> 4) {
            Some(6) => protocol::IPV6,
            Some(4) => protocol::IPV4,
            _ => return packet,
        };
        let mut rest = bytes;
        while packet.headers.len() < MOST {
            let Some((header, len, following)) = read(next, rest) else { break };
            packet.headers.push(header);
            let Some(following) = following else { break };
            next = following;
            rest = rest.get(len..).unwrap_or_default();
        }
        packet
    }
}

/// A header, its length, and what follows it, if that can be read.
fn read(kind: u8, bytes: &[u8]) -> Option<(Header, usize, Option<u8>)> {
    match kind {
        protocol::IPV6 => {
            let header = ipv6::Ipv6::new_checked(bytes)?;
            let next_header = header.next_header();
            let header = Header::Ipv6 {
                source: header.source().into(),
                destination: header.destination().into(),
                hop_limit: header.hop_limit(),
                traffic_class: header.traffic_class(),
                flow_label: header.flow_label(),
                payload_length: header.payload_len(),
                next_header,
            };
            Some((header, ipv6::HEADER_LEN, Some(next_header)))
        }
        protocol::IPV4 => {
            let header = ipv4::Ipv4::new_checked(bytes)?;
            let (protocol, first) = (header.protocol(), header.fragment_offset() == 0);
            let len = header.header_len();
            let header = Header::Ipv4 {
                source: header.source().into(),
                destination: header.destination().into(),
                ttl: header.ttl(),
                tos: header.tos(),
                total_length: header.total_len(),
                protocol,
            };
            Some((header, len, first.then_some(protocol)))
        }
        protocol::ROUTING if bytes.get(srh::field::ROUTING_TYPE) == Some(&srh::ROUTING_TYPE) => {
            read_srh(bytes)
        }
        protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS => {
            let length = 8 * (usize::from(*bytes.get(1)?) + 1);
            Some((Header::Extension { protocol: kind, length }, length, Some(*bytes.first()?)))
        }
        protocol::FRAGMENT => {
            let first = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]) >> 3 == 0;
            let header = Header::Extension { protocol: kind, length: 8 };
            Some((header, 8, first.then_some(*bytes.first()?)))
        }
        protocol::TCP | protocol::UDP | protocol::SCTP => {
            let ports: &[u8; 4] = bytes.first_chunk()?;
            let header = Header::Ports {
                protocol: kind,
                source_port: u16::from_be_bytes([ports[0], ports[1]]),
                destination_port: u16::from_be_bytes([ports[2], ports[3]]),
            };
            Some((header, 4, None))
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let message: &[u8; icmpv6::HEADER_LEN] = bytes.first_chunk()?;
            let [kind_of, code, _, _, a, b, c, d] = *message;
            let header = Header::Icmp {
                v6: kind == protocol::ICMPV6,
                kind: kind_of,
                code,
                parameter: u32::from_be_bytes([a, b, c, d]),
            };
            Some((header, icmpv6::HEADER_LEN, None))
        }
        other => Some((Header::Other { protocol: other }, 0, None)),
    }
}

fn read_srh(bytes: &[u8]) -> Option<(Header, usize, Option<u8>)> {
    let fixed: &[u8; srh::FIXED_LEN] = bytes.first_chunk()?;
    let header = srh::Fixed::new(fixed);
    let len = usize::from(header.header_len());
    let listed = (usize::from(header.last_entry()) + 1)
        .min(len.saturating_sub(srh::FIXED_LEN) / srh::SEGMENT_LEN);
    let list = bytes.get(srh::FIXED_LEN..).unwrap_or_default();
    let (segs, _) = list.as_chunks::<{ srh::SEGMENT_LEN }>();
    let segs: Vec<Ipv6Addr> =
        segs.iter().take(listed).rev().map(|seg| u128::from_be_bytes(*seg).into()).collect();
    let header = Header::Srh {
        segments_left: header.segments_left(),
        last_entry: header.last_entry(),
        flags: fixed[5],
        tag: u16::from_be_bytes([fixed[6], fixed[7]]),
        tlv_length: len - srh::FIXED_LEN - srh::SEGMENT_LEN * listed,
        segs,
        next_header: header.next_header(),
    };
    Some((header, len, Some(fixed[srh::field::NEXT_HEADER])))
}

impl Header {
    /// Source and destination, of an IP header.
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match self {
            Self::Ipv6 { source, destination, .. } => {
                Some(((*source).into(), (*destination).into()))
            }
            Self::Ipv4 { source, destination, .. } => {
                Some(((*source).into(), (*destination).into()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the bytes are, reading ends, and no header is made up.
    #[test]
    fn any_bytes_are_read() {
        let inner = [&[0x60, 0, 0, 0, 0, 0, 59, 64][..], &[1; 32]].concat();
        let mut srh = vec![41, 4, 4, 1, 1, 0, 0, 7];
        srh.extend([2; 16]);
        srh.extend([3; 16]);
        let bytes = [&[0x60, 0, 0, 0, 0, 80, 43, 9][..], &[4; 32], &srh, &inner].concat();
        let packet = Packet::read(&bytes, bytes.len());
        let [
            Header::Ipv6 { hop_limit: 9, .. },
            Header::Srh { segs, tag: 7, .. },
            Header::Ipv6 { hop_limit: 64, .. },
            Header::Other { protocol: 59 },
        ] = &packet.headers[..]
        else {
            panic!("{packet:?}")
        };
        let byte = |byte: u8| Ipv6Addr::from([byte; 16]);
        assert_eq!(segs, &[byte(3), byte(2)]);
        for len in 0..bytes.len() {
            let short = Packet::read(&bytes[..len], bytes.len());
            assert!(short.headers.len() <= packet.headers.len());
        }
        for byte in 0..=255 {
            Packet::read(&[&[0x60, 0, 0, 0, 0, 80, byte, 9][..], &[byte; 200]].concat(), 208);
        }
    }
}
