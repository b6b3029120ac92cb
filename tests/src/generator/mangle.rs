//! Something wrong with a packet: one field, or its length.

use std::net::Ipv6Addr;

use super::rng::Rng;
use crate::differential::subject::LINK_LOCAL;
use crate::packet::parse::{Header, Kind, Layout};
use crate::packet::{ETHERNET, IPV6};

/// Addresses that a packet should not have, and some that lead to odd places.
const ODD_ADDRESSES: [&str; 12] = [
    "::",
    "::1",
    "ff02::1",
    "ff05::2",
    "ff0e::5",
    LINK_LOCAL,
    "::ffff:192.0.2.1",
    "fc00:0:1::1",
    "fc00:0:1:ffff::",
    "2001:db8:ffff::1",
    "2001:db8:b::1:9",
    "fec0::1",
];

/// Changes `frame`, and says how.
pub fn mangle(frame: &mut Vec<u8>, rng: &mut Rng) -> String {
    let layout = Layout::of(frame);
    let ip = layout.find(Kind::Ipv6);
    let srh = layout.srh();
    // An SRH has most to get wrong; a packet without one gets the rest.
    match (srh, ip) {
        (Some(srh), _) if rng.chance(50) => routing_header(frame, srh, rng),
        (_, Some(_)) if rng.chance(55) => ip_header(frame, ETHERNET, rng),
        _ => match (layout.inner(), rng.below(10)) {
            (Some(inner), 0..4) if inner.kind == Kind::Ipv6 => {
                format!("inner {}", ip_header(frame, inner.at, rng))
            }
            (_, 0..8) => whole_frame(frame, rng),
            _ => ethernet(frame, rng),
        },
    }
}

/// A field of the IPv6 header at `at`.
fn ip_header(frame: &mut [u8], at: usize, rng: &mut Rng) -> String {
    let Some(header) = frame.get_mut(at..at + IPV6) else { return "nothing".into() };
    let length = u16::from_be_bytes([header[4], header[5]]);
    match rng.below(12) {
        0 => {
            header[0] = header[0] & 0xf | *rng.pick(&[0, 4, 5, 7, 15]) << 4;
            format!("version {}", header[0] >> 4)
        }
        1 => {
            let [a, b, c] = [rng.byte(), rng.byte(), rng.byte()];
            header[0] = header[0] & 0xf0 | a & 0xf;
            (header[1], header[2], header[3]) = (b, c, rng.byte());
            "traffic class and flow label".into()
        }
        2..4 => {
            let wrong = match rng.below(6) {
                0 => 0,
                1 => length.wrapping_add(1),
                2 => length.wrapping_sub(1),
                3 => length.wrapping_sub(8),
                4 => u16::try_from(rng.below(usize::from(length) + 1)).unwrap_or(0),
                _ => rng.word(),
            };
            header[4..6].copy_from_slice(&wrong.to_be_bytes());
            format!("payload length {length} -> {wrong}")
        }
        4 | 5 => {
            let known = [0, 4, 6, 17, 41, 43, 44, 50, 51, 58, 59, 60, 135, 143];
            header[6] = if rng.chance(70) { *rng.pick(&known) } else { rng.byte() };
            format!("next header {}", header[6])
        }
        6..8 => {
            header[7] = *rng.pick(&[0, 0, 1, 1, 1, 2, 255]);
            format!("hop limit {}", header[7])
        }
        8 | 9 => odd_address(&mut header[8..24], "source", rng),
        _ => odd_address(&mut header[24..40], "destination", rng),
    }
}

fn odd_address(field: &mut [u8], name: &str, rng: &mut Rng) -> String {
    let address: Ipv6Addr = rng.pick(&ODD_ADDRESSES).parse().unwrap_or(Ipv6Addr::UNSPECIFIED);
    field.copy_from_slice(&address.octets());
    format!("{name} {address}")
}

/// A field of the routing header at `srh`.
fn routing_header(frame: &mut [u8], srh: Header, rng: &mut Rng) -> String {
    let header = &mut frame[srh.at..srh.at + srh.length];
    let entries = (srh.length - 8) / 16;
    match rng.below(16) {
        0 => {
            let known = [0, 4, 6, 17, 41, 43, 44, 58, 59, 60, 143];
            header[0] = if rng.chance(70) { *rng.pick(&known) } else { rng.byte() };
            format!("SRH next header {}", header[0])
        }
        1 | 2 => {
            let length = header[1];
            let near = [
                0,
                1,
                2,
                3,
                length.wrapping_add(1),
                length.wrapping_sub(1),
                length.wrapping_add(2),
                255,
            ];
            header[1] = if rng.chance(80) { *rng.pick(&near) } else { rng.byte() };
            format!("SRH length {length} -> {}", header[1])
        }
        3 => {
            header[2] = *rng.pick(&[0, 1, 2, 3, 5, 6, 255]);
            format!("routing type {}", header[2])
        }
        4..7 => {
            header[3] = near(entries, rng);
            format!("segments left {}", header[3])
        }
        7..9 => {
            header[4] = near(entries, rng);
            format!("last entry {}", header[4])
        }
        9..11 => {
            (header[3], header[4]) = (near(entries, rng), near(entries, rng));
            format!("segments left {}, last entry {}", header[3], header[4])
        }
        11 => {
            header[5] = rng.byte();
            format!("flags {:#x}", header[5])
        }
        12 => {
            (header[6], header[7]) = (rng.byte(), rng.byte());
            "tag".into()
        }
        13 | 14 if entries > 0 => {
            // Mostly the one that is next.
            let next = usize::from(header[3]).saturating_sub(1).min(entries - 1);
            let index = if rng.chance(70) { next } else { rng.below(entries) };
            let place = 8 + index * 16;
            let name = format!("segment {index}");
            odd_address(&mut header[place..place + 16], &name, rng)
        }
        _ => {
            let at = rng.below(header.len());
            header[at] ^= 1 << rng.below(8);
            format!("a bit of SRH byte {at}")
        }
    }
}

/// A number around the right one, or any.
fn near(entries: usize, rng: &mut Rng) -> u8 {
    let near = entries + rng.below(4);
    if rng.chance(80) { u8::try_from(near.saturating_sub(2)).unwrap_or(255) } else { rng.byte() }
}

/// The frame's length, or any bit of its headers.
fn whole_frame(frame: &mut Vec<u8>, rng: &mut Rng) -> String {
    match rng.below(10) {
        0..4 => {
            let length = ETHERNET + rng.below((frame.len() - ETHERNET).max(1));
            frame.truncate(length);
            format!("cut to {length} bytes")
        }
        4 | 5 => {
            let length = ETHERNET + rng.below((frame.len() - ETHERNET).max(1));
            frame.truncate(length);
            if let Some(payload) = length.checked_sub(ETHERNET + IPV6) {
                let payload = u16::try_from(payload).unwrap_or(0);
                frame[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&payload.to_be_bytes());
            }
            format!("cut to {length} bytes, and so does the header say")
        }
        6..8 => {
            let extra = 1 + rng.below(60);
            frame.extend(rng.bytes(extra));
            format!("{extra} bytes after the end")
        }
        _ => {
            let end = frame.len().min(ETHERNET + 140);
            let at = ETHERNET + rng.below((end - ETHERNET).max(1));
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
            format!("a bit of byte {at}")
        }
    }
}

fn ethernet(frame: &mut [u8], rng: &mut Rng) -> String {
    match rng.below(3) {
        0 => {
            frame[5] ^= 0x40;
            "another host's MAC".into()
        }
        1 => {
            frame[..6].copy_from_slice(&[0xff; 6]);
            "broadcast MAC".into()
        }
        _ => {
            frame[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
            "multicast MAC".into()
        }
    }
}
