//! A frame on one line, for the message of a failed test.

use std::fmt::Write;

use super::parse::{Header, Kind, Layout, address, addresses};
use super::{SEGMENT_ROUTING, next};

/// The frame's headers with the fields that matter, and its length.
pub fn line(frame: &[u8]) -> String {
    let layout = Layout::of(frame);
    let mut text = format!("{} bytes", frame.len());
    for header in &layout.headers {
        text.push_str(" | ");
        describe(&mut text, frame, *header);
    }
    if let Some(broken) = layout.broken {
        let _ = write!(text, " | ({broken})");
    }
    if layout.end < frame.len() {
        let _ = write!(text, " | {} bytes of padding", frame.len() - layout.end);
    }
    text
}

fn describe(text: &mut String, frame: &[u8], header: Header) {
    let bytes = &frame[header.at..header.at + header.length];
    // Writing to a string cannot fail.
    let _ = match header.kind {
        Kind::Ethernet => write!(text, "{} > {}", mac(&bytes[6..12]), mac(&bytes[..6])),
        Kind::Ipv6 => {
            let first = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let (version, class, label) = (first >> 28, first >> 20 & 0xff, first & 0xf_ffff);
            let length = u16::from_be_bytes([bytes[4], bytes[5]]);
            let (source, destination) = addresses(frame, header.at).unzip();
            let (source, destination) = (source.unwrap(), destination.unwrap());
            write!(
                text,
                "IPv6 {source} > {destination} hl {} len {length} nh {}",
                bytes[7], bytes[6]
            )
            .and_then(|()| if version == 6 { Ok(()) } else { write!(text, " version {version}") })
            .and_then(|()| write!(text, " tc {class:#x} fl {label:#x}"))
        }
        Kind::Ipv4 if bytes.len() >= 20 => {
            let address = |at: usize| {
                format!("{}.{}.{}.{}", bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
            };
            write!(
                text,
                "IPv4 {} > {} ttl {} proto {}",
                address(12),
                address(16),
                bytes[8],
                bytes[9]
            )
        }
        Kind::Ipv4 => write!(text, "IPv4 with a header of {} bytes", bytes.len()),
        Kind::HopByHop => write!(text, "HBH {}", bytes.len()),
        Kind::DestOpts => write!(text, "DestOpts {}", bytes.len()),
        Kind::Fragment => {
            let field = u16::from_be_bytes([bytes[2], bytes[3]]);
            write!(text, "Fragment offset {} M {}", field >> 3, field & 1)
        }
        Kind::Routing(SEGMENT_ROUTING) => srh(text, frame, header),
        Kind::Routing(kind) => write!(text, "Routing type {kind} sl {}", bytes[3]),
        Kind::Upper(protocol) => upper(text, protocol, bytes),
    };
}

fn srh(text: &mut String, frame: &[u8], header: Header) -> std::fmt::Result {
    let bytes = &frame[header.at..header.at + header.length];
    let tag = u16::from_be_bytes([bytes[6], bytes[7]]);
    write!(
        text,
        "SRH nh {} hel {} sl {} le {} flags {:#x} tag {tag:#x} [",
        bytes[0], bytes[1], bytes[3], bytes[4], bytes[5]
    )?;
    let fits = (header.length - 8) / 16;
    let count = fits.min(usize::from(bytes[4]) + 1);
    for index in 0..count {
        let separator = if index == 0 { "" } else { " " };
        let segment = address(frame, header.at + 8 + index * 16).ok_or(std::fmt::Error)?;
        write!(text, "{separator}{segment}")?;
    }
    write!(text, "] +{}", header.length - 8 - count * 16)
}

fn upper(text: &mut String, protocol: u8, bytes: &[u8]) -> std::fmt::Result {
    let length = bytes.len();
    let port =
        |at: usize| bytes.get(at..at + 2).map_or(0, |port| u16::from_be_bytes([port[0], port[1]]));
    match protocol {
        next::UDP => write!(text, "UDP {} > {} ({length})", port(0), port(2)),
        next::TCP => write!(text, "TCP {} > {} ({length})", port(0), port(2)),
        next::ICMP6 if length >= 8 => {
            let value = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            write!(text, "ICMPv6 {}/{} {value} ({length})", bytes[0], bytes[1])?;
            // An error quotes a packet; what it quotes is half of the matter.
            if bytes[0] < 128 && length > 48 {
                let quoted = [&[0; 12], &[0x86, 0xdd][..], &bytes[8..]].concat();
                write!(text, " quoting {{{}}}", line(&quoted))?;
            }
            Ok(())
        }
        next::NONE => write!(text, "no next header ({length})"),
        _ => write!(text, "protocol {protocol} ({length})"),
    }
}

fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
