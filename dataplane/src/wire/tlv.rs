//! TLVs behind the segment list of an SRH (RFC 8754, section 2.1).

use super::srh;

/// Types of TLVs.
pub mod kind {
    /// One byte of padding, without a length.
    pub const PAD1: u8 = 0;
    /// The HMAC TLV.
    pub const HMAC: u8 = 5;
}

/// Bytes in front of a TLV's data.
pub const HEADER_LEN: usize = 2;

/// A TLV that runs over the end of its SRH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overrun;

/// Offset in `srh`, a whole and [consistent](srh::Fixed::is_consistent) header, of the first TLV of
/// a type. Those behind it are not looked at.
pub fn find(srh: &[u8], kind: u8) -> Result<Option<usize>, Overrun> {
    let Some(last_entry) = srh.get(srh::field::LAST_ENTRY) else { return Err(Overrun) };
    let mut at = srh::FIXED_LEN + srh::SEGMENT_LEN * (usize::from(*last_entry) + 1);
    while let Some(&found) = srh.get(at) {
        if found == kind::PAD1 {
            at += 1;
            continue;
        }
        let len = srh.get(at + 1).ok_or(Overrun)?;
        let end = at + HEADER_LEN + usize::from(*len);
        if end > srh.len() {
            return Err(Overrun);
        }
        if found == kind {
            return Ok(Some(at));
        }
        at = end;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::protocol;

    fn srh(tlvs: &[u8]) -> Vec<u8> {
        let mut bytes = srh::header(protocol::UDP, &[1, 2], false);
        bytes.extend(tlvs);
        bytes
    }

    /// C-005: Pad1 and PadN are stepped over, and so are TLVs that nobody knows.
    #[test]
    fn what_is_in_front_is_stepped_over() {
        for (tlvs, at) in [
            (&[5, 2, 9, 9][..], Some(40)),
            (&[0, 0, 5, 0][..], Some(42)),
            (&[4, 2, 0, 0, 5, 1, 7][..], Some(44)),
            (&[200, 1, 5, 0, 5, 0][..], Some(44)),
            (&[4, 2, 5, 0][..], None),
            (&[][..], None),
        ] {
            assert_eq!(find(&srh(tlvs), kind::HMAC), Ok(at), "{tlvs:?}");
        }
    }

    #[test]
    fn what_runs_over_the_end_is_none() {
        for tlvs in [&[5][..], &[5, 1][..], &[4, 3, 0, 0][..], &[0, 200][..]] {
            assert_eq!(find(&srh(tlvs), kind::HMAC), Err(Overrun), "{tlvs:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_lies_in_the_header(tlvs in proptest::collection::vec(0u8..8, 0..60)) {
            let bytes = srh(&tlvs);
            if let Ok(Some(at)) = find(&bytes, kind::HMAC) {
                prop_assert_eq!(bytes[at], kind::HMAC);
                prop_assert!(at + HEADER_LEN + usize::from(bytes[at + 1]) <= bytes.len());
            }
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = find(&bytes, kind::HMAC);
        }
    }
}
