//! An IPv4 packet, cut in fragments: RFC 791, sections 2.3 and 3.2.

use std::ops::Range;

use super::ipv4::{self, field};

/// The longest header.
const MAX_HEADER_LEN: usize = 60;

/// Bytes that an offset counts as one.
const UNIT: usize = 8;

/// More Fragments.
const MORE: u16 = 0x2000;

/// The largest offset, in units.
const MAX_OFFSET: usize = 0x1fff;

/// A header of at most 60 bytes.
#[derive(Debug, Clone, Copy)]
struct Header {
    bytes: [u8; MAX_HEADER_LEN],
    len: usize,
}

impl Header {
    fn new(bytes: &[u8]) -> Option<Self> {
        let mut header = Self { bytes: [0; MAX_HEADER_LEN], len: bytes.len() };
        header.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(header)
    }

    /// The same with those options only that are in every fragment.
    fn of_later(self) -> Self {
        let mut header = Self { bytes: [0; MAX_HEADER_LEN], len: ipv4::HEADER_LEN };
        header.bytes[..ipv4::HEADER_LEN].copy_from_slice(&self.bytes[..ipv4::HEADER_LEN]);
        let mut at = ipv4::HEADER_LEN;
        while at < self.len {
            let len = match self.bytes[at] {
                option::END => break,
                option::NO_OPERATION => 1,
                _ => usize::from(self.bytes.get(at + 1).copied().unwrap_or(0)),
            };
            // What follows an option that makes no sense is none.
            if len == 0 || at + len > self.len || len == 1 && self.bytes[at] != option::NO_OPERATION
            {
                break;
            }
            if self.bytes[at] & option::COPIED != 0 {
                header.bytes[header.len..header.len + len]
                    .copy_from_slice(&self.bytes[at..at + len]);
                header.len += len;
            }
            at += len;
        }
        // Up to a word with what ends the options.
        header.len = header.len.next_multiple_of(4);
        header.bytes[0] = 0x40 | (header.len / 4) as u8;
        header
    }
}

/// Kinds of options.
mod option {
    /// No more.
    pub(super) const END: u8 = 0;
    /// Padding.
    pub(super) const NO_OPERATION: u8 = 1;
    /// Set in the kind of one that is in every fragment.
    pub(super) const COPIED: u8 = 0x80;
}

/// One fragment.
#[derive(Debug, Clone)]
pub struct Fragment {
    header: Header,
    /// Which bytes of the packet follow the header.
    pub data: Range<usize>,
}

impl Fragment {
    /// Its header, options and checksum included.
    pub fn header(&self) -> &[u8] {
        self.header.bytes.get(..self.header.len).unwrap_or_default()
    }

    /// Bytes of the fragment.
    pub fn total_len(&self) -> usize {
        self.header.len + self.data.len()
    }
}

/// The fragments of a packet, first to last.
#[derive(Debug, Clone)]
pub struct Fragments {
    /// Of the next one.
    header: Header,
    /// Of those behind the first.
    later: Header,
    /// Flags and offset of the packet itself.
    field: u16,
    /// Where its data begins and ends.
    begin: usize,
    end: usize,
    /// What is left of its data.
    at: usize,
    mtu: usize,
}

impl Fragments {
    /// Those of a whole packet, none of them longer than `mtu` bytes. `None` where it must not be cut
    /// (DF), or cannot.
    pub fn new(packet: &[u8], mtu: usize) -> Option<Self> {
        let view = ipv4::Ipv4::new_checked(packet)?;
        let (begin, end) = (view.header_len(), view.total_len());
        let header = Header::new(packet.get(..begin)?)?;
        let field = u16::from_be_bytes([packet[field::FRAGMENT], packet[field::FRAGMENT + 1]]);
        let last = usize::from(view.fragment_offset()) + end.saturating_sub(begin + 1) / UNIT;
        let fits = end <= packet.len() && last <= MAX_OFFSET && mtu >= begin + UNIT;
        let all = Self { header, later: header.of_later(), field, begin, end, at: begin, mtu };
        (fits && !view.dont_fragment()).then_some(all)
    }
}

impl Iterator for Fragments {
    type Item = Fragment;

    fn next(&mut self) -> Option<Fragment> {
        let left = self.end - self.at;
        if left == 0 {
            return None;
        }
        let mut header = std::mem::replace(&mut self.header, self.later);
        let room = self.mtu - header.len;
        let is_last = left <= room;
        let len = if is_last { left } else { room / UNIT * UNIT };
        let offset = (self.at - self.begin) / UNIT;
        let more = if is_last { 0 } else { MORE };
        let field = (self.field | more) + offset as u16;
        let total_len = (header.len + len) as u16;
        header.bytes[field::TOTAL_LEN..field::TOTAL_LEN + 2]
            .copy_from_slice(&total_len.to_be_bytes());
        header.bytes[field::FRAGMENT..field::FRAGMENT + 2].copy_from_slice(&field.to_be_bytes());
        ipv4::write_checksum(header.bytes.get_mut(..header.len)?);
        let data = self.at..self.at + len;
        self.at = data.end;
        Some(Fragment { header, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// A packet with these options and data, at an offset in units.
    fn packet(options: &[u8], data: &[u8], offset: u16, more: bool) -> Vec<u8> {
        let header = ipv4::Header {
            tos: 0x28,
            total_len: (20 + options.len() + data.len()) as u16,
            ttl: 9,
            protocol: 17,
            source: 0xc000_0201,
            destination: 0xcb00_7101,
        };
        let mut bytes = [&header.to_bytes()[..], options, data].concat();
        bytes[0] = 0x45 + (options.len() / 4) as u8;
        bytes[4..6].copy_from_slice(&[0x12, 0x34]);
        let field = offset | if more { MORE } else { 0 };
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        ipv4::write_checksum(&mut bytes[..20 + options.len()]);
        bytes
    }

    /// What a receiver makes of fragments that it gets in any order.
    fn reassemble(fragments: &[Vec<u8>], first: u16) -> (Vec<u8>, bool) {
        let mut data = Vec::new();
        let mut more_at_end = false;
        let mut sorted: Vec<_> = fragments.iter().collect();
        let view = |bytes: &[u8]| ipv4::Ipv4::new_checked(bytes).unwrap().fragment_offset();
        sorted.sort_by_key(|bytes| std::cmp::Reverse(view(bytes)));
        for bytes in sorted {
            let header = ipv4::Ipv4::new_checked(bytes).unwrap();
            let at = 8 * usize::from(header.fragment_offset() - first);
            let piece = &bytes[header.header_len()..];
            if data.len() < at + piece.len() {
                data.resize(at + piece.len(), 0);
                more_at_end = bytes[6] & 0x20 != 0;
            } else {
                assert_ne!(bytes[6] & 0x20, 0, "only the last has no more behind it");
                assert_eq!(piece.len() % 8, 0);
            }
            data[at..at + piece.len()].copy_from_slice(piece);
        }
        (data, more_at_end)
    }

    proptest! {
        /// The fragments make the packet again, none is too long, and each header is right.
        #[test]
        fn fragments_are_the_packet(
            data in vec(any::<u8>(), 1..1700),
            words in 0usize..10,
            mtu in 68usize..1500,
            offset in 0u16..0x1f00,
            more: bool,
        ) {
            let options: Vec<u8> = [0x94, 4, 0, 0].repeat(words);
            let bytes = packet(&options, &data, offset, more);
            let fragments: Vec<Vec<u8>> = Fragments::new(&bytes, mtu)
                .unwrap()
                .map(|one| {
                    assert_eq!(one.total_len(), one.header().len() + one.data.len());
                    [one.header(), &bytes[one.data.clone()]].concat()
                })
                .collect();
            for one in &fragments {
                let header = ipv4::Ipv4::new_checked(one).unwrap();
                prop_assert!(one.len() <= mtu);
                prop_assert_eq!(header.total_len(), one.len());
                prop_assert!(ipv4::checksum_is_right(one, header.header_len()));
                prop_assert_eq!(&one[4..6], &bytes[4..6]);
                prop_assert_eq!(&one[8..10], &bytes[8..10]);
                prop_assert_eq!(&one[12..20], &bytes[12..20]);
                // The router alert is copied.
                prop_assert_eq!(&one[20..header.header_len()], &options[..]);
            }
            prop_assert_eq!(reassemble(&fragments, offset), (data, more));
        }

        /// Options may be any bytes.
        #[test]
        fn any_options(options in vec(any::<u8>(), 0..=40), mtu in 68usize..200) {
            let options = &options[..options.len() / 4 * 4];
            let bytes = packet(options, &[7; 500], 0, false);
            let mut all = Fragments::new(&bytes, mtu).unwrap();
            let first = all.next().unwrap();
            prop_assert_eq!(&first.header()[20..], options);
            for one in all {
                let header = one.header();
                prop_assert_eq!(usize::from(header[0]), 0x40 + header.len() / 4);
                prop_assert!(header.len() <= 20 + options.len());
                prop_assert!(ipv4::checksum_is_right(header, header.len()));
            }
        }
    }

    /// Of the options those with the copied flag are in all fragments, the others in the first.
    #[test]
    fn copied_options() {
        let record_route = [7, 7, 4, 0, 0, 0, 0];
        let security = [0x82, 4, 1, 2];
        let options = [&record_route[..], &[1], &security, &[0, 0, 0, 0]].concat();
        let bytes = packet(&options, &[1; 100], 0, false);
        let all: Vec<_> = Fragments::new(&bytes, 80).unwrap().collect();
        assert_eq!(all[0].header()[20..], options);
        assert_eq!(all[1].header()[20..], security);
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn what_is_not_cut() {
        let mut bytes = packet(&[], &[1; 100], 0, false);
        assert_eq!(Fragments::new(&bytes, 27).map(|all| all.count()), None);
        assert_eq!(Fragments::new(&bytes, 28).map(|all| all.count()), Some(13));
        assert_eq!(Fragments::new(&bytes[..119], 68).map(|all| all.count()), None);
        bytes[6] = 0x40;
        assert!(Fragments::new(&bytes, 68).is_none());
        // Further than an offset reaches.
        assert!(Fragments::new(&packet(&[], &[1; 100], 0x1ffe, false), 68).is_none());
    }
}
