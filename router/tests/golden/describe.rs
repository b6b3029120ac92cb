//! Bytes become lines again, to show what came out where something else was expected.

use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr},
};

/// The lines of a packet that starts with an Ethernet header, or with an IP header.
pub fn packet(bytes: &[u8], ethernet: bool) -> String {
    let mut lines = String::new();
    let mut rest = bytes;
    let mut next = Next::Ip;
    if ethernet {
        let Some((header, after)) = bytes.split_at_checked(14) else { return hex(bytes) };
        let kind = u16::from_be_bytes([header[12], header[13]]);
        let (dst, src) = (mac(&header[..6]), mac(&header[6..12]));
        let _ = writeln!(lines, "  ethernet dst={dst} src={src} type={kind:#06x}");
        next = if matches!(kind, 0x86dd | 0x0800) { Next::Ip } else { Next::Payload };
        rest = after;
    }
    while !rest.is_empty() {
        let Some((line, len, after)) = header(rest, next) else { break };
        let _ = writeln!(lines, "  {line}");
        rest = &rest[len..];
        next = after;
    }
    if !rest.is_empty() {
        let _ = writeln!(lines, "  payload {}", hex(rest));
    }
    lines
}

/// Both packets in hexadecimal, 16 bytes a line, with marks under what differs.
pub fn difference(expected: &[u8], found: &[u8]) -> String {
    let mut lines = String::new();
    for start in (0..expected.len().max(found.len())).step_by(16) {
        let row = |bytes: &[u8]| -> Vec<Option<u8>> {
            (start..start + 16).map(|index| bytes.get(index).copied()).collect()
        };
        let (one, other) = (row(expected), row(found));
        if one == other {
            continue;
        }
        let text = |row: &[Option<u8>]| -> String {
            row.iter()
                .map(|byte| byte.map_or("   ".into(), |byte| format!(" {byte:02x}")))
                .collect()
        };
        let marks: String =
            one.iter().zip(&other).map(|(a, b)| if a == b { "   " } else { " ^^" }).collect();
        let _ = writeln!(lines, "  {start:4}  expected{}", text(&one));
        let _ = writeln!(lines, "        found   {}", text(&other));
        let _ = writeln!(lines, "                {}", marks.trim_end());
    }
    lines
}

/// Offset of the second IP header of an IPv6 packet.
pub fn inner(bytes: &[u8]) -> Option<usize> {
    let mut offset = 0;
    let mut next = Next::Ip;
    loop {
        let (_, len, after) = header(&bytes[offset..], next)?;
        offset += len;
        if matches!(after, Next::Ip) {
            return Some(offset);
        }
        next = after;
    }
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy)]
enum Next {
    Ip,
    Protocol(u8),
    Payload,
}

/// The line of the header at the start of `bytes`, its length, and what follows it.
fn header(bytes: &[u8], next: Next) -> Option<(String, usize, Next)> {
    let byte = |index: usize| bytes.get(index).copied();
    let word = |index: usize| Some(u16::from_be_bytes([byte(index)?, byte(index + 1)?]));
    let protocol = match next {
        Next::Payload => return None,
        Next::Ip if byte(0)? >> 4 == 4 => return ipv4(bytes),
        Next::Ip => return ipv6(bytes),
        Next::Protocol(protocol) => protocol,
    };
    let extension = |len: usize| {
        let nh = byte(0)?;
        bytes.get(len - 1)?;
        Some((nh, after(nh)))
    };
    Some(match protocol {
        0 | 60 => {
            let len = 8 * (usize::from(byte(1)?) + 1);
            let (nh, next) = extension(len)?;
            let kind = if protocol == 0 { "hbh" } else { "destopts" };
            (format!("{kind} nh={nh} options={}", hex(&bytes[2..len])), len, next)
        }
        43 => {
            let hel = byte(1)?;
            let len = 8 * (usize::from(hel) + 1);
            let (nh, next) = extension(len)?;
            let (kind, sl) = (byte(2)?, byte(3)?);
            if kind != 4 {
                let data = hex(&bytes[4..len]);
                return Some((
                    format!("routing nh={nh} type={kind} sl={sl} data={data}"),
                    len,
                    next,
                ));
            }
            let (le, flags, tag) = (byte(4)?, byte(5)?, word(6)?);
            let count = (usize::from(le) + 1).min((len - 8) / 16);
            let segs: Vec<String> =
                bytes[8..8 + 16 * count].chunks(16).map(|bytes| v6(bytes).to_string()).collect();
            let mut line = format!(
                "srh nh={nh} hel={hel} sl={sl} le={le} flags={flags:#x} tag={tag} segs=[{}]",
                segs.join(", ")
            );
            let tlv = &bytes[8 + 16 * count..len];
            if !tlv.is_empty() {
                let _ = write!(line, " tlv={}", hex(tlv));
            }
            (line, len, next)
        }
        44 => {
            let (nh, mut next) = extension(8)?;
            let (place, id) = (word(2)?, u32::from_be_bytes(bytes[4..8].try_into().ok()?));
            if place >> 3 != 0 {
                next = Next::Payload;
            }
            let (offset, more) = (place >> 3, place & 7);
            (format!("fragment nh={nh} offset={offset} more={more} id={id}"), 8, next)
        }
        17 => {
            let (sport, dport, length) = (word(0)?, word(2)?, word(4)?);
            let sum = word(6)?;
            let line = format!("udp sport={sport} dport={dport} length={length} cksum={sum:#06x}");
            (line, 8, Next::Payload)
        }
        58 => {
            let (kind, code, sum) = (byte(0)?, byte(1)?, word(2)?);
            let value = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
            let field = match kind {
                2 => format!("mtu={value}"),
                4 => format!("pointer={value}"),
                128 | 129 => format!("id={} seq={}", value >> 16, value & 0xffff),
                _ => format!("unused={value}"),
            };
            let next = if kind < 128 { Next::Ip } else { Next::Payload };
            (format!("icmpv6 type={kind} code={code} {field} cksum={sum:#06x}"), 8, next)
        }
        _ => return None,
    })
}

fn ipv6(bytes: &[u8]) -> Option<(String, usize, Next)> {
    let header: &[u8; 40] = bytes.first_chunk()?;
    let first = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    let len = u16::from_be_bytes([header[4], header[5]]);
    let line = format!(
        "ipv6 src={} dst={} hl={} tc={} fl={:#x} nh={} payload-length={len}{}",
        v6(&header[8..24]),
        v6(&header[24..]),
        header[7],
        first >> 20 & 0xff,
        first & 0xf_ffff,
        header[6],
        if first >> 28 == 6 { String::new() } else { format!(" version={}", first >> 28) },
    );
    Some((line, 40, after(header[6])))
}

fn ipv4(bytes: &[u8]) -> Option<(String, usize, Next)> {
    let header: &[u8; 20] = bytes.first_chunk()?;
    let word = |index: usize| u16::from_be_bytes([header[index], header[index + 1]]);
    let ihl = header[0] & 0xf;
    let len = usize::from(ihl) * 4;
    let options = bytes.get(20..len)?;
    let v4 = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    let line = format!(
        "ipv4 src={} dst={} ttl={} tos={} proto={} ihl={ihl} total-length={} id={} df={} more={} \
         offset={} cksum={:#06x} options={}",
        v4(12),
        v4(16),
        header[8],
        header[1],
        header[9],
        word(2),
        word(4),
        word(6) >> 14,
        word(6) >> 13 & 1,
        word(6) & 0x1fff,
        word(10),
        hex(options),
    );
    Some((line, len, after(header[9])))
}

fn after(protocol: u8) -> Next {
    match protocol {
        4 | 41 => Next::Ip,
        _ => Next::Protocol(protocol),
    }
}

fn v6(bytes: &[u8]) -> Ipv6Addr {
    bytes.try_into().map(|octets: [u8; 16]| Ipv6Addr::from(octets)).unwrap_or(Ipv6Addr::UNSPECIFIED)
}

fn mac(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
