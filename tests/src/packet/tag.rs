//! The number that a test packet carries, so that it is known again in whatever comes out: in its
//! source address, which an ICMP error carries back as the destination, and in its payload.

use std::net::Ipv6Addr;

/// Eight bytes that hold a number of 24 bits and tell themselves from chance.
pub type Tag = [u8; 8];

const MAGIC: [u8; 2] = [0x5d, 0xa7];

/// The tag of number `id`.
pub fn tag(id: u32) -> Tag {
    let [_, a, b, c] = id.to_be_bytes();
    // Multiplied by an odd constant: a changed bit anywhere changes the check in several places.
    let [x, y, z, _] = (id & 0xff_ffff).wrapping_mul(0x9e37_79b1).to_be_bytes();
    [MAGIC[0], MAGIC[1], a, b, c, x, y, z]
}

/// `net` with the tag of number `id` in its lower half.
pub fn address(net: Ipv6Addr, id: u32) -> Ipv6Addr {
    let mut octets = net.octets();
    octets[8..].copy_from_slice(&tag(id));
    octets.into()
}

/// The number of the first whole tag in `frame`.
pub fn find(frame: &[u8]) -> Option<u32> {
    frame.windows(8).filter(|window| window[..2] == MAGIC).find_map(|window| {
        let id = u32::from_be_bytes([0, window[2], window[3], window[4]]);
        (window == tag(id)).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_again() {
        let net: Ipv6Addr = "2001:db8::".parse().unwrap();
        let mut frame = [0; 60];
        frame[22..38].copy_from_slice(&address(net, 123_456).octets());
        assert_eq!(find(&frame), Some(123_456));
        frame[33] ^= 4;
        assert_eq!(find(&frame), None);
    }
}
