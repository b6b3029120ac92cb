//! Packets written and read by hand: the side of the tests that knows what the RFCs ask.

pub mod build;
pub mod checksum;
pub mod hex;
pub mod hmac;
pub mod parse;
pub mod summary;
pub mod tag;

/// Length of an Ethernet header.
pub const ETHERNET: usize = 14;
/// Length of an IPv6 header.
pub const IPV6: usize = 40;

/// A MAC address.
pub type Mac = [u8; 6];

/// Values of a Next Header field.
pub mod next {
    /// Hop-by-Hop Options.
    pub const HOP_BY_HOP: u8 = 0;
    /// IPv4 in IPv6.
    pub const IPV4: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IPv6.
    pub const IPV6: u8 = 41;
    /// Routing header.
    pub const ROUTING: u8 = 43;
    /// Fragment header.
    pub const FRAGMENT: u8 = 44;
    /// ICMPv6.
    pub const ICMP6: u8 = 58;
    /// Nothing follows.
    pub const NONE: u8 = 59;
    /// Destination Options.
    pub const DEST_OPTS: u8 = 60;
    /// An Ethernet frame.
    pub const ETHERNET: u8 = 143;
}

/// Routing Type of the Segment Routing Header.
pub const SEGMENT_ROUTING: u8 = 4;

/// The MAC address that `text` spells; a mistake in it is a mistake in the test.
pub fn mac(text: &str) -> Mac {
    let bytes: Vec<u8> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("{text} is no MAC")))
        .collect();
    bytes.try_into().unwrap_or_else(|_| panic!("{text} is no MAC"))
}
