//! The IPv6 header (RFC 8200, section 3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Traffic Class |           Flow Label                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |         Payload Length        |  Next Header  |   Hop Limit   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Source Address (16 bytes)                 |
//! |                   Destination Address (16 bytes)              |
//! ```

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = 40;

/// Offsets of fields in the header.
pub mod field {
    /// Payload Length, 2 bytes.
    pub const PAYLOAD_LEN: usize = 4;
    /// Next Header.
    pub const NEXT_HEADER: usize = 6;
    /// Hop Limit.
    pub const HOP_LIMIT: usize = 7;
    /// Source Address, 16 bytes.
    pub const SOURCE: usize = 8;
    /// Destination Address, 16 bytes.
    pub const DESTINATION: usize = 24;
}

/// View of an IPv6 header.
#[derive(Debug, Clone, Copy)]
pub struct Ipv6<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Ipv6<'a> {
    /// The header at the start of `bytes`, if they are long enough and the version is 6.
    #[inline]
    pub fn new_checked(bytes: &'a [u8]) -> Option<Self> {
        bytes.first_chunk().filter(|header: &&[u8; HEADER_LEN]| header[0] >> 4 == 6).map(Self)
    }

    /// The header in bytes that are known to be one.
    #[inline(always)]
    pub const fn new(header: &'a [u8; HEADER_LEN]) -> Self {
        Self(header)
    }

    /// Version, traffic class and flow label, as one word.
    #[inline]
    pub fn flow_word(&self) -> u32 {
        let [word, ..] = self.0.as_chunks::<4>().0 else { return 0 };
        u32::from_be_bytes(*word)
    }

    /// Traffic class.
    #[inline]
    pub fn traffic_class(&self) -> u8 {
        (self.flow_word() >> 20) as u8
    }

    /// Flow label, 20 bits.
    #[inline]
    pub fn flow_label(&self) -> u32 {
        self.flow_word() & FLOW_LABEL_MASK
    }

    /// Bytes after this header.
    #[inline]
    pub fn payload_len(&self) -> usize {
        usize::from(u16::from_be_bytes([self.0[4], self.0[5]]))
    }

    /// Protocol of what follows.
    #[inline]
    pub fn next_header(&self) -> u8 {
        self.0[field::NEXT_HEADER]
    }

    /// Hop limit.
    #[inline]
    pub fn hop_limit(&self) -> u8 {
        self.0[field::HOP_LIMIT]
    }

    /// Source address.
    #[inline]
    pub fn source(&self) -> u128 {
        address_at(self.0, field::SOURCE)
    }

    /// Destination address.
    #[inline]
    pub fn destination(&self) -> u128 {
        address_at(self.0, field::DESTINATION)
    }
}

/// Bytes of the packet with this header: the header, and what it announces.
#[inline(always)]
pub fn total_len(header: &[u8; HEADER_LEN]) -> usize {
    let len = [header[field::PAYLOAD_LEN], header[field::PAYLOAD_LEN + 1]];
    HEADER_LEN + usize::from(u16::from_be_bytes(len))
}

/// The bits of the first word that are the flow label.
pub const FLOW_LABEL_MASK: u32 = 0xf_ffff;

/// The address at `offset`. All zero where the bytes are too short.
#[inline]
pub fn address_at(bytes: &[u8], offset: usize) -> u128 {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |address| u128::from_be_bytes(*address))
}

/// A header, ready to be written in front of a packet.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// Version, traffic class and flow label.
    pub flow_word: u32,
    /// Bytes after the header.
    pub payload_len: u16,
    /// Protocol of what follows.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub source: u128,
    /// Destination address.
    pub destination: u128,
}

impl Header {
    /// The header's bytes.
    #[inline]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&self.flow_word.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.payload_len.to_be_bytes());
        bytes[6] = self.next_header;
        bytes[7] = self.hop_limit;
        bytes[8..24].copy_from_slice(&self.source.to_be_bytes());
        bytes[24..].copy_from_slice(&self.destination.to_be_bytes());
        bytes
    }
}

/// Version 6 with this traffic class and flow label (20 bits).
#[inline]
pub const fn flow_word(traffic_class: u8, flow_label: u32) -> u32 {
    6 << 28 | (traffic_class as u32) << 20 | flow_label & FLOW_LABEL_MASK
}

/// `ff00::/8`: multicast.
#[inline]
pub const fn is_multicast(address: u128) -> bool {
    address >> 120 == 0xff
}

/// `fe80::/10`: link-local unicast.
#[inline]
pub const fn is_link_local(address: u128) -> bool {
    address >> 118 == 0xfe80 >> 6
}
