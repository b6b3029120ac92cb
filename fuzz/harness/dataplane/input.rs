//! What an input says, byte by byte.
//!
//! An input that is too short goes on with zeros, and numbers that are too large are cut to what
//! there is: every input says something, and one that differs in little says nearly the same.

use crate::support::router::{OWN, host, segment, sid};

/// An input, and how much of it is read.
#[derive(Clone)]
pub struct Input<'a> {
    rest: &'a [u8],
}

/// Addresses that lead to something unlike the others.
const SPECIAL: [u128; 8] = [
    OWN,
    0,
    1,
    0xff02 << 112 | 1,
    0xfe80 << 112 | 1,
    segment(2, 1),
    segment(3, 1),
    0xffff_ffff_ffff_ffff_ffff_ffff_ffff_ffff,
];

/// The same for IPv4. The networks of the first three are routed, and the last ones go nowhere.
const SPECIAL_V4: [u32; 8] = [
    0xc000_0201,
    0xc633_6401,
    0xcb00_7101,
    0x0a00_0001,
    0x0808_0808,
    0xe000_0001,
    0x7f00_0001,
    0xa9fe_0001,
];

impl<'a> Input<'a> {
    /// An input, from its beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all of it is read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    /// Two bytes.
    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// So many bytes, or what is left.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    /// All that is left.
    pub fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// An IPv6 address: one byte says which of those that lead somewhere, or that 16 more are the
    /// address itself.
    pub fn address(&mut self) -> u128 {
        match self.byte() {
            function @ ..0x20 => sid(u16::from(function) + 0xd0),
            function @ 0x20..0x40 => sid(u16::from(function) + 0x90),
            which @ 0x40..0x60 => segment(u16::from(which & 0xf), u16::from(self.byte())),
            which @ 0x60..0x80 => self.container(which & 7),
            which @ 0x80..0xe0 => host(u16::from(which & 0x1f), u64::from(which >> 5)),
            which @ 0xe0..0xf0 => SPECIAL[usize::from(which & 7)],
            0xf0.. => (0..16).fold(0, |address, _| address << 8 | u128::from(self.byte())),
        }
    }

    /// A container of compressed SIDs of 16 bits, behind the block fc00:0::/32.
    fn container(&mut self, count: u8) -> u128 {
        let argument = (0..count.min(6)).fold(0, |bits, place| {
            let csid = u128::from(self.byte());
            bits | csid << (80 - 16 * u32::from(place))
        });
        segment(0, 0) | argument
    }

    /// An IPv4 address, likewise.
    pub fn address_v4(&mut self) -> u32 {
        match self.byte() {
            which @ ..0xf0 => SPECIAL_V4[usize::from(which & 7)] + u32::from(which >> 5),
            0xf0.. => u32::from(self.word()) << 16 | u32::from(self.word()),
        }
    }
}
