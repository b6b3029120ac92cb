//! The Segment Routing Header (RFC 8754, section 2).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Header   |  Hdr Ext Len  | Routing Type  | Segments Left |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Last Entry   |     Flags     |              Tag              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |            Segment List[0] (128-bit IPv6 address)             |
//! |                              ...                              |
//! |            Segment List[n] (128-bit IPv6 address)             |
//! |               Optional Type Length Value objects              |
//! ```

/// Routing Type of the SRH.
pub const ROUTING_TYPE: u8 = 4;

/// Bytes before the segment list.
pub const FIXED_LEN: usize = 8;

/// Bytes of one segment.
pub const SEGMENT_LEN: usize = 16;

/// Offsets of fields in the header.
pub mod field {
    /// Next Header.
    pub const NEXT_HEADER: usize = 0;
    /// Hdr Ext Len.
    pub const HDR_EXT_LEN: usize = 1;
    /// Routing Type.
    pub const ROUTING_TYPE: usize = 2;
    /// Segments Left.
    pub const SEGMENTS_LEFT: usize = 3;
    /// Last Entry.
    pub const LAST_ENTRY: usize = 4;
    /// Flags.
    pub const FLAGS: usize = 5;
}

/// Bits of the flags.
pub mod flag {
    /// The O-flag: a copy is asked for (RFC 9259, section 2.1).
    pub const OAM: u8 = 0x20;
    /// There is an HMAC TLV. Only in drafts of RFC 8754, and in Linux.
    pub const HMAC: u8 = 0x08;
}

/// The fixed part of an SRH, copied out of the packet.
#[derive(Debug, Clone, Copy)]
pub struct Fixed([u8; FIXED_LEN]);

impl Fixed {
    /// The fixed part in these bytes, whatever they are.
    #[inline(always)]
    pub const fn new(bytes: &[u8; FIXED_LEN]) -> Self {
        Self(*bytes)
    }

    /// Bytes of the header, segment list and TLVs included: 8 × (Hdr Ext Len + 1).
    #[inline(always)]
    pub fn header_len(self) -> u16 {
        8 * (u16::from(self.0[field::HDR_EXT_LEN]) + 1)
    }

    /// Protocol of what follows.
    #[inline(always)]
    pub const fn next_header(self) -> u8 {
        self.0[field::NEXT_HEADER]
    }

    /// Routing Type.
    #[inline(always)]
    pub const fn routing_type(self) -> u8 {
        self.0[field::ROUTING_TYPE]
    }

    /// Segments Left.
    #[inline(always)]
    pub const fn segments_left(self) -> u8 {
        self.0[field::SEGMENTS_LEFT]
    }

    /// Last Entry: the index of the last element of the segment list.
    #[inline(always)]
    pub const fn last_entry(self) -> u8 {
        self.0[field::LAST_ENTRY]
    }

    /// Whether the segment list fits into the header and Segments Left into the list, a reduced
    /// list included: RFC 8986, section 4.1, S08 and S09. A header too short for any segment is
    /// inconsistent, whatever it says.
    #[inline(always)]
    pub fn is_consistent(self) -> bool {
        // A segment takes two of the units that Hdr Ext Len counts.
        let room = self.0[field::HDR_EXT_LEN] / 2;
        let last_entry = self.last_entry();
        last_entry < room && u16::from(self.segments_left()) <= u16::from(last_entry) + 1
    }
}

/// Offset of Segment List\[index\] from the start of the header.
#[inline(always)]
pub fn segment_at(index: u8) -> u16 {
    (FIXED_LEN + SEGMENT_LEN * usize::from(index)) as u16
}

/// The bytes of an SRH without TLVs.
///
/// `segs` is the segment list first to last as an operator writes it; `reduced` leaves out the
/// first, which then stands in the destination address only (RFC 8754, section 4.1.1).
/// Segments Left is set to reach the first segment.
pub fn header(next_header: u8, segs: &[u128], reduced: bool) -> Vec<u8> {
    let listed = if reduced { &segs[1.min(segs.len())..] } else { segs };
    let hdr_ext_len = 2 * listed.len();
    let mut bytes = vec![
        next_header,
        hdr_ext_len as u8,
        ROUTING_TYPE,
        segs.len().saturating_sub(1) as u8,
        listed.len().saturating_sub(1) as u8,
        0,
        0,
        0,
    ];
    for segment in listed.iter().rev() {
        bytes.extend_from_slice(&segment.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// C-008, C-012, C-013: the check equals RFC 8986, section 4.1, S08 and S09, in numbers
        /// that cannot underflow.
        #[test]
        fn consistency_is_the_rfcs(hdr_ext_len: u8, left: u8, last: u8) {
            let srh = Fixed::new(&[0, hdr_ext_len, ROUTING_TYPE, left, last, 0, 0, 0]);
            let max_last_entry = i32::from(hdr_ext_len) / 2 - 1;
            let (signed_left, last) = (i32::from(left), i32::from(last));
            prop_assert_eq!(
                srh.is_consistent(),
                !(last > max_last_entry || signed_left > last + 1)
            );
            if srh.is_consistent() && left > 0 {
                prop_assert!(segment_at(left - 1) + SEGMENT_LEN as u16 <= srh.header_len());
            }
        }
    }

    #[test]
    fn a_header_reads_back() {
        for (reduced, len, last_entry, second) in [(false, 56, 2, 1), (true, 40, 1, 1)] {
            let bytes = header(41, &[1, 2, 3], reduced);
            let srh = Fixed::new(bytes.first_chunk().unwrap());
            assert_eq!((srh.header_len(), bytes.len()), (len, usize::from(len)));
            assert_eq!((srh.segments_left(), srh.last_entry()), (2, last_entry));
            assert_eq!((srh.next_header(), srh.routing_type()), (41, ROUTING_TYPE));
            let at = usize::from(segment_at(second));
            assert_eq!(bytes[at..at + SEGMENT_LEN], 2u128.to_be_bytes());
            assert!(srh.is_consistent());
        }
    }
}
