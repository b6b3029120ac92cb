//! Attributes of netlink messages (`struct nlattr`), raw.

use netlink_packet_core::DecodeError;

/// Length and type of an attribute, in bytes.
const HEADER: usize = 4;

/// `NLA_TYPE_MASK`: the type without the flags for nesting and byte order.
const TYPE: u16 = 0x3fff;

/// Iterates over types and values; ends after the first attribute that is not framed as one.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        if rest.is_empty() {
            return None;
        }
        let framed = rest.first_chunk::<HEADER>().and_then(|&[len_0, len_1, kind_0, kind_1]| {
            let len = usize::from(u16::from_ne_bytes([len_0, len_1]));
            let value = rest.get(HEADER..len)?;
            self.0 = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
            Some((u16::from_ne_bytes([kind_0, kind_1]) & TYPE, value))
        });
        Some(framed.ok_or_else(|| "an attribute is cut short".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_padded_and_flags_are_left_out() {
        let bytes = [5, 0, 1, 0x80, 7, 0, 0, 0, 4, 0, 2, 0, 6, 0, 3, 0, 8, 9];
        let read: Vec<_> = Attributes(&bytes).map(Result::unwrap).collect();
        assert_eq!(read, [(1, &[7][..]), (2, &[]), (3, &[8, 9])]);
    }

    #[test]
    fn nonsense_is_one_error_and_the_end() {
        for bytes in [&[3, 0, 1, 0][..], &[9, 0, 1, 0, 1], &[4, 0]] {
            let read: Vec<_> = Attributes(bytes).map(|read| read.is_ok()).collect();
            assert_eq!(read, [false], "{bytes:?}");
        }
    }
}
