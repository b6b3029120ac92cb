//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet (MAC) address, octets in the order they are sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Whether the group bit is set: multicast and broadcast addresses, which no interface owns.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 0x01 != 0
    }

    /// Whether all octets are zero, which no interface owns either.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 6]
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not six two-digit hexadecimal octets with `:` (or `-`) between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a MAC address is six octets of two hexadecimal digits, as in 02:00:00:00:02:02")]
pub struct BadMac;

impl FromStr for MacAddr {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0; 6];
        let mut parts = text.split(separator);
        for octet in &mut octets {
            let part = parts.next().ok_or(BadMac)?;
            // from_str_radix also takes a sign, which is not a digit.
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(BadMac);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| BadMac)?;
        }
        match parts.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(BadMac),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["02:00:00:00:02:02", "ff:ff:ff:ff:ff:ff"] {
            assert_eq!(text.parse::<MacAddr>().unwrap().to_string(), text);
        }
        assert_eq!("02-0A-00-00-02-02".parse(), Ok(MacAddr([2, 10, 0, 0, 2, 2])));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "02:00:00:00:02", "02:00:00:00:02:02:02", "2:0:0:0:2:2", "+2:00:00:00:02:02"]
        {
            assert_eq!(text.parse::<MacAddr>(), Err(BadMac), "{text}");
        }
    }

    #[test]
    fn group_bit() {
        assert!(MacAddr([0x33, 0x33, 0, 0, 0, 1]).is_multicast());
        assert!(!MacAddr([0x02, 0x33, 0, 0, 0, 1]).is_multicast());
        assert!(MacAddr([0; 6]).is_zero());
    }
}
