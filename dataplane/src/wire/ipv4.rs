//! The IPv4 header (RFC 791, section 3.1).

use super::checksum;

/// Bytes of the header without options.
pub const HEADER_LEN: usize = 20;

/// Offsets of fields in the header.
pub mod field {
    /// Type of service: DSCP and ECN.
    pub const TOS: usize = 1;
    /// Total length, 2 bytes.
    pub const TOTAL_LEN: usize = 2;
    /// Flags and fragment offset, 2 bytes.
    pub const FRAGMENT: usize = 6;
    /// Time to live.
    pub const TTL: usize = 8;
    /// Header checksum, 2 bytes.
    pub const CHECKSUM: usize = 10;
}

/// View of an IPv4 header.
#[derive(Debug, Clone, Copy)]
pub struct Ipv4<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Ipv4<'a> {
    /// The header at the start of `bytes`, if they are long enough for it and its options, the
    /// version is 4 and the total length covers the header.
    #[inline]
    pub fn new_checked(bytes: &'a [u8]) -> Option<Self> {
        let header = Self(bytes.first_chunk()?);
        let len = header.header_len();
        (header.0[0] >> 4 == 4
            && len >= HEADER_LEN
            && bytes.len() >= len
            && header.total_len() >= len)
            .then_some(header)
    }

    /// Bytes of the header with options.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.0[0] & 0xf) * 4
    }

    /// Bytes of the packet.
    #[inline]
    pub fn total_len(&self) -> usize {
        usize::from(u16::from_be_bytes([self.0[2], self.0[3]]))
    }

    /// DSCP and ECN.
    #[inline]
    pub fn tos(&self) -> u8 {
        self.0[field::TOS]
    }

    /// Whether the packet must not be fragmented (DF).
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        self.0[field::FRAGMENT] & 0x40 != 0
    }

    /// Whether the packet is a fragment, the first (more fragments follow) or a later one.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        u16::from_be_bytes([self.0[6], self.0[7]]) & 0x3fff != 0
    }

    /// Offset of the fragment in the packet it is of, in units of 8 bytes; 0 for the first, and for
    /// what is no fragment.
    pub fn fragment_offset(&self) -> u16 {
        u16::from_be_bytes([self.0[6], self.0[7]]) & 0x1fff
    }

    /// Time to live.
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.0[field::TTL]
    }

    /// Protocol of what follows.
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.0[9]
    }

    /// Source address.
    #[inline]
    pub fn source(&self) -> u32 {
        u32::from_be_bytes([self.0[12], self.0[13], self.0[14], self.0[15]])
    }

    /// Destination address.
    #[inline]
    pub fn destination(&self) -> u32 {
        u32::from_be_bytes([self.0[16], self.0[17], self.0[18], self.0[19]])
    }
}

/// Whether the header of `bytes` (a checked packet) has a right checksum.
#[inline]
pub fn checksum_is_right(bytes: &[u8], header_len: usize) -> bool {
    bytes.get(..header_len).is_some_and(|header| checksum::fold(checksum::sum(header)) == 0xffff)
}

/// A header without options, ready to be written in front of a packet.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// DSCP and ECN.
    pub tos: u8,
    /// Bytes of the packet, this header included.
    pub total_len: u16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of what follows.
    pub protocol: u8,
    /// Source address.
    pub source: u32,
    /// Destination address.
    pub destination: u32,
}

impl Header {
    /// The header's bytes, with the checksum. The packet must not be fragmented.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = 0x45;
        bytes[field::TOS] = self.tos;
        bytes[2..4].copy_from_slice(&self.total_len.to_be_bytes());
        bytes[field::FRAGMENT] = 0x40;
        bytes[field::TTL] = self.ttl;
        bytes[9] = self.protocol;
        bytes[12..16].copy_from_slice(&self.source.to_be_bytes());
        bytes[16..].copy_from_slice(&self.destination.to_be_bytes());
        write_checksum(&mut bytes);
        bytes
    }
}

/// Fills in the checksum of a header, options included.
pub fn write_checksum(header: &mut [u8]) {
    if let Some(field) = header.get_mut(field::CHECKSUM..field::CHECKSUM + 2) {
        field.fill(0);
    }
    let sum = !checksum::fold(checksum::sum(header));
    if let Some(field) = header.get_mut(field::CHECKSUM..field::CHECKSUM + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Takes one off the time to live and mends the checksum (RFC 1624).
#[inline]
pub fn decrement_ttl(header: &mut [u8]) {
    let Some(header) = header.first_chunk_mut::<HEADER_LEN>() else { return };
    header[field::TTL] = header[field::TTL].wrapping_sub(1);
    let old = u16::from_be_bytes([header[10], header[11]]);
    // The word of TTL and protocol lost 0x0100, so the complement sum gains as much.
    // 0xffff, the other zero of one's complement, carries as well: a header whose checksum is
    // computed anew never has it.
    let sum = u32::from(old) + 0x0100;
    let new = (sum + u32::from(sum >= 0xffff)) as u16;
    header[10..12].copy_from_slice(&new.to_be_bytes());
}
