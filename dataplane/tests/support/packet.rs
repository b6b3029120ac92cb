//! Packets as bytes, from the IP header on unless they say otherwise.

/// A UDP datagram with a checksum that nobody checks.
pub fn udp(sport: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = sport.to_be_bytes().to_vec();
    bytes.extend(2000u16.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0x12, 0x34]);
    bytes.extend(payload);
    bytes
}

/// An IPv6 packet.
pub fn ipv6(next: u8, hop_limit: u8, source: u128, destination: u128, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next, hop_limit]);
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// An SRH, its list in the order of the wire, and what follows it.
pub fn srh(next: u8, segs: &[u128], left: u8, last: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 2 * segs.len() as u8, 4, left, last, 0, 0, 0];
    segs.iter().for_each(|seg| bytes.extend(seg.to_be_bytes()));
    bytes.extend(payload);
    bytes
}

/// Eight bytes of options, and what follows them.
pub fn options(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0, 1, 4, 0, 0, 0, 0];
    bytes.extend(payload);
    bytes
}

/// A fragment header, and what follows it.
pub fn fragment(next: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0];
    bytes.extend((offset << 3 | u16::from(more)).to_be_bytes());
    bytes.extend(7u32.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// An IPv4 packet.
pub fn ipv4(protocol: u8, ttl: u8, source: u32, destination: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, ttl, protocol, 0, 0]);
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    let sum = checksum(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The same with neither flags nor an offset: a router may cut it.
pub fn ipv4_without_df(source: u32, destination: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ipv4(17, 64, source, destination, payload);
    bytes[6] = 0;
    bytes[10..12].fill(0);
    let sum = checksum(&bytes[..20]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An ICMPv6 message: header, checksum filled in, and body.
pub fn icmpv6(source: u128, destination: u128, head: [u8; 8], body: &[u8]) -> Vec<u8> {
    let mut message = head.to_vec();
    message.extend(body);
    message[2..4].fill(0);
    let mut covered = source.to_be_bytes().to_vec();
    covered.extend(destination.to_be_bytes());
    covered.extend((message.len() as u32).to_be_bytes());
    covered.extend([0, 0, 0, 58]);
    covered.extend(&message);
    let sum = checksum(&covered);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// A frame around an IP packet.
pub fn ethernet(destination: [u8; 6], source: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let mut bytes = destination.to_vec();
    bytes.extend(source);
    bytes.extend(match packet.first().map(|byte| byte >> 4) {
        Some(4) => [0x08, 0x00],
        _ => [0x86, 0xdd],
    });
    bytes.extend(packet);
    bytes
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The 16-bit number at an offset.
pub fn word(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

/// The address at an offset.
pub fn address(bytes: &[u8], at: usize) -> u128 {
    bytes[at..at + 16].iter().fold(0, |address, byte| address << 8 | u128::from(*byte))
}
