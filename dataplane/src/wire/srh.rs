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
}

/// View of an SRH.
#[derive(Debug, Clone, Copy)]
pub struct Srh<'a>(&'a [u8]);

impl<'a> Srh<'a> {
    /// The SRH at the start of `bytes`, if they hold all that Hdr Ext Len announces and the
    /// Routing Type is 4. Last Entry and Segments Left are not checked: see
    /// [`is_consistent`](Self::is_consistent).
    #[inline]
    pub fn new_checked(bytes: &'a [u8]) -> Option<Self> {
        let fixed: &[u8; FIXED_LEN] = bytes.first_chunk()?;
        let len = 8 * (usize::from(fixed[field::HDR_EXT_LEN]) + 1);
        (fixed[field::ROUTING_TYPE] == ROUTING_TYPE).then_some(())?;
        bytes.get(..len).map(Self)
    }

    /// Bytes of the header, segment list and TLVs included: 8 × (Hdr Ext Len + 1).
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: the fixed part is always there.
    #[inline]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Protocol of what follows.
    #[inline]
    pub fn next_header(&self) -> u8 {
        self.0[field::NEXT_HEADER]
    }

    /// Segments Left.
    #[inline]
    pub fn segments_left(&self) -> u8 {
        self.0[field::SEGMENTS_LEFT]
    }

    /// Last Entry: the index of the last element of the segment list.
    #[inline]
    pub fn last_entry(&self) -> u8 {
        self.0[field::LAST_ENTRY]
    }

    /// Whether the segment list fits into the header and Segments Left into the list, a reduced
    /// list included: RFC 8986, section 4.1, S08 and S09. A header too short for any segment is
    /// inconsistent, whatever it says.
    #[inline]
    pub fn is_consistent(&self) -> bool {
        let room = (self.len() - FIXED_LEN) / SEGMENT_LEN;
        let last_entry = usize::from(self.last_entry());
        last_entry < room && usize::from(self.segments_left()) <= last_entry + 1
    }

    /// Segment List\[index\], if it lies inside the header.
    #[inline]
    pub fn segment(&self, index: usize) -> Option<[u8; SEGMENT_LEN]> {
        self.0.get(FIXED_LEN + SEGMENT_LEN * index..)?.first_chunk().copied()
    }
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
        fn consistency_is_the_rfcs(hdr_ext_len in 0u8..40, left: u8, last: u8) {
            let mut bytes = vec![0; 8 * (usize::from(hdr_ext_len) + 1)];
            bytes[1] = hdr_ext_len;
            bytes[2] = ROUTING_TYPE;
            bytes[3] = left;
            bytes[4] = last;
            let max_last_entry = i32::from(hdr_ext_len) / 2 - 1;
            let (left, last) = (i32::from(left), i32::from(last));
            let srh = Srh::new_checked(&bytes).unwrap();
            prop_assert_eq!(srh.is_consistent(), !(last > max_last_entry || left > last + 1));
        }

        #[test]
        fn views_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), index: u8) {
            if let Some(srh) = Srh::new_checked(&bytes) {
                prop_assert!(srh.len() <= bytes.len());
                srh.segment(usize::from(index));
                if srh.is_consistent() && srh.segments_left() > 0 {
                    prop_assert!(srh.segment(usize::from(srh.segments_left()) - 1).is_some());
                }
            }
        }
    }

    #[test]
    fn a_header_reads_back() {
        let bytes = header(41, &[1, 2, 3], false);
        let srh = Srh::new_checked(&bytes).unwrap();
        assert_eq!((srh.len(), srh.segments_left(), srh.last_entry()), (56, 2, 2));
        assert_eq!(srh.segment(0), Some(3u128.to_be_bytes()));
        assert!(srh.is_consistent());
        let reduced = header(41, &[1, 2, 3], true);
        let srh = Srh::new_checked(&reduced).unwrap();
        assert_eq!((srh.len(), srh.segments_left(), srh.last_entry()), (40, 2, 1));
        assert_eq!(srh.segment(1), Some(2u128.to_be_bytes()));
        assert!(srh.is_consistent());
    }
}
