//! The Internet checksum (RFC 1071) over an IPv6 pseudo-header (RFC 8200, 8.1).

use std::net::Ipv6Addr;

/// The checksum of an upper-layer packet whose own checksum field is zero.
pub fn upper_layer(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, bytes: &[u8]) -> u16 {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut pseudo = Vec::with_capacity(40);
    pseudo.extend(source.octets());
    pseudo.extend(destination.octets());
    pseudo.extend(length.to_be_bytes());
    pseudo.extend([0, 0, 0, protocol]);
    // Both parts have an even length up to the end of the second.
    !fold(sum(&pseudo) + sum(bytes))
}

/// The checksum of a plain run of bytes, such as an IPv4 header.
pub fn plain(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

fn sum(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let pairs: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    // An odd byte counts as the high half of a word that ends in zero.
    pairs + rest.first().map_or(0, |byte| u64::from(*byte) << 8)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Folded to 16 bits by the loop.
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example() {
        assert_eq!(plain(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn echo_request_of_a_capture() {
        // ping6 ::1, identifier 1, sequence 1, no data.
        let bytes = [128, 0, 0, 0, 0, 1, 0, 1];
        let checksum = upper_layer(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, 58, &bytes);
        assert_eq!(checksum, !(0x8000 + 1 + 1 + 1 + 1 + 8 + 58));
    }
}
