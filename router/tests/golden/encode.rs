//! Headers become bytes: lengths, checksums and next headers are computed where a line does not
//! say otherwise.
//!
//! Written from the RFCs, and on purpose without the data plane's own writers: what both would get
//! wrong in the same way could not be seen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::syntax::{Header, address_bytes, hex, mac};

/// Bytes of a packet, some of which are not known beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes {
    pub bytes: Vec<u8>,
    /// Flow labels that the case names instead of giving their value: offset of the IPv6 header,
    /// and the name.
    pub labels: Vec<(usize, String)>,
}

/// What a line may refer to.
#[derive(Debug, Clone, Default)]
pub struct Around<'a> {
    /// Source and destination of frames whose `ethernet` line leaves them out.
    pub macs: ([u8; 6], [u8; 6]),
    /// The packet that came in, from its IP header on: what `quote` quotes.
    pub invoking: &'a [u8],
}

/// Addresses that a checksum covers.
#[derive(Debug, Clone, Copy)]
struct Pseudo {
    source: IpAddr,
    /// The ultimate destination (RFC 8200, section 8.1).
    destination: IpAddr,
    /// Bytes of the innermost IPv6 packet in front of this header.
    before: usize,
}

/// The bytes of a frame: an Ethernet header is put in front if the lines start with none.
pub fn frame(headers: &[Header], around: &Around<'_>) -> Result<Bytes, String> {
    if headers.first().is_some_and(|header| header.kind == "ethernet") {
        return packet(headers, around);
    }
    let mut all = vec![Header::parse(0, "ethernet")?];
    all.extend_from_slice(headers);
    packet(&all, around)
}

/// The bytes of what the lines say.
pub fn packet(headers: &[Header], around: &Around<'_>) -> Result<Bytes, String> {
    let nowhere = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let pseudo = Pseudo { source: nowhere, destination: nowhere, before: 0 };
    encode(headers, pseudo, around)
}

fn encode(headers: &[Header], pseudo: Pseudo, around: &Around<'_>) -> Result<Bytes, String> {
    let Some((header, rest)) = headers.split_first() else { return Ok(Bytes::default()) };
    let inside = inside(header, pseudo)?;
    let mut after = encode(rest, inside, around)?;
    let next = rest.first();
    let (mut bytes, label) = match header.kind.as_str() {
        "ethernet" => (ethernet(header, next, &mut after.bytes, around)?, None),
        "ipv6" => ipv6(header, next, after.bytes.len())?,
        "ipv4" => (ipv4(header, next, after.bytes.len())?, None),
        "hbh" | "destopts" => (options(header, next)?, None),
        "srh" => (srh(header, next)?, None),
        "routing" => (routing(header, next)?, None),
        "fragment" => (fragment(header, next)?, None),
        "udp" => (udp(header, &after.bytes, pseudo)?, None),
        "tcp" => (tcp(header, &after.bytes, pseudo)?, None),
        "icmpv6" => (icmpv6(header, &after.bytes, pseudo)?, None),
        "payload" => (payload(header)?, None),
        "quote" => (quote(header, pseudo, around)?, None),
        "none" => (Vec::new(), None),
        _ => return Err(header.fault("not a header")),
    };
    header.all_asked()?;
    let len = bytes.len();
    bytes.append(&mut after.bytes);
    let labels = label
        .into_iter()
        .map(|name| (0, name))
        .chain(after.labels.into_iter().map(|(offset, name)| (offset + len, name)))
        .collect();
    Ok(Bytes { bytes, labels })
}

/// What the headers behind this one are covered by.
fn inside(header: &Header, outside: Pseudo) -> Result<Pseudo, String> {
    Ok(match header.kind.as_str() {
        "ipv6" => Pseudo {
            source: IpAddr::V6(header.required("src")?),
            destination: IpAddr::V6(header.required("dst")?),
            before: 40,
        },
        "ipv4" => Pseudo {
            source: IpAddr::V4(header.required("src")?),
            destination: IpAddr::V4(header.required("dst")?),
            before: 0,
        },
        "srh" => {
            let segs: Vec<Ipv6Addr> = header.list("segs")?;
            let mut inside = Pseudo { before: outside.before + 8 + 16 * segs.len(), ..outside };
            if let (true, Some(last)) = (header.number::<u8>("sl", 0)? > 0, segs.first()) {
                inside.destination = IpAddr::V6(*last);
            }
            inside
        }
        "icmpv6" | "fragment" => Pseudo { before: outside.before + 8, ..outside },
        _ => outside,
    })
}

/// The protocol number that announces a header.
fn protocol(next: Option<&Header>) -> u64 {
    match next.map(|header| header.kind.as_str()) {
        Some("hbh") => 0,
        Some("ipv4") => 4,
        Some("tcp") => 6,
        Some("udp") => 17,
        Some("ipv6") => 41,
        Some("srh" | "routing") => 43,
        Some("fragment") => 44,
        Some("icmpv6") => 58,
        Some("destopts") => 60,
        Some("ethernet") => 143,
        // "Use for experimentation and testing" (RFC 3692).
        Some("payload") => 253,
        _ => 59,
    }
}

fn next_header(header: &Header, next: Option<&Header>) -> Result<u8, String> {
    header.number("nh", protocol(next))
}

fn ethernet(
    header: &Header,
    next: Option<&Header>,
    after: &mut Vec<u8>,
    around: &Around<'_>,
) -> Result<Vec<u8>, String> {
    let address = |key, default: [u8; 6]| match header.text(key) {
        None => Ok(default),
        Some(text) => mac(text).ok_or_else(|| header.fault(format!("{key}={text}: not a MAC"))),
    };
    let kind = match next.map(|header| header.kind.as_str()) {
        Some("ipv6") => 0x86dd,
        Some("ipv4") => 0x0800,
        // "Local Experimental Ethertype 1" (IEEE 802).
        _ => 0x88b5,
    };
    let (source, destination) = around.macs;
    let mut bytes = address("dst", destination)?.to_vec();
    bytes.extend(address("src", source)?);
    bytes.extend(header.number::<u16>("type", kind)?.to_be_bytes());
    // Bytes after the packet, as short frames have them.
    after.resize(after.len() + header.number::<usize>("padding", 0)?, 0);
    if let Some(len) = header.parsed::<usize>("cut")? {
        after.truncate(len);
    }
    Ok(bytes)
}

fn ipv6(
    header: &Header,
    next: Option<&Header>,
    payload: usize,
) -> Result<(Vec<u8>, Option<String>), String> {
    let name = header.text("fl").filter(|text| text.starts_with('<')).map(str::to_owned);
    let label = if name.is_some() { 0 } else { header.number::<u32>("fl", 0)? };
    let class: u8 = header.number("tc", 0)?;
    let version: u32 = header.number("version", 6)?;
    let word = version << 28 | u32::from(class) << 20 | label;
    let mut bytes = word.to_be_bytes().to_vec();
    bytes.extend(header.number::<u16>("payload-length", payload as u64)?.to_be_bytes());
    bytes.push(next_header(header, next)?);
    bytes.push(header.number("hl", 64)?);
    bytes.extend(header.required::<Ipv6Addr>("src")?.octets());
    bytes.extend(header.required::<Ipv6Addr>("dst")?.octets());
    Ok((bytes, name))
}

fn ipv4(header: &Header, next: Option<&Header>, payload: usize) -> Result<Vec<u8>, String> {
    let options = header.hex("options")?.unwrap_or_default();
    let len = 20 + options.len();
    let mut bytes = vec![
        header.number::<u8>("version", 4)? << 4 | header.number::<u8>("ihl", len as u64 / 4)?,
        header.number("tos", 0)?,
    ];
    bytes.extend(header.number::<u16>("total-length", (len + payload) as u64)?.to_be_bytes());
    bytes.extend(header.number::<u16>("id", 0)?.to_be_bytes());
    let fragment = header.number::<u16>("df", 0)? << 14
        | header.number::<u16>("more", 0)? << 13
        | header.number::<u16>("offset", 0)?;
    bytes.extend(fragment.to_be_bytes());
    bytes.push(header.number("ttl", 64)?);
    bytes.push(header.number("proto", protocol(next))?);
    bytes.extend([0, 0]);
    bytes.extend(header.required::<Ipv4Addr>("src")?.octets());
    bytes.extend(header.required::<Ipv4Addr>("dst")?.octets());
    bytes.extend(options);
    let sum = header.number::<u16>("cksum", u64::from(checksum(&bytes)))?;
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    Ok(bytes)
}

/// Hop-by-hop or destination options; one PadN that fills 8 bytes if the line says nothing.
fn options(header: &Header, next: Option<&Header>) -> Result<Vec<u8>, String> {
    let options = header.hex("options")?.unwrap_or_else(|| vec![1, 4, 0, 0, 0, 0]);
    let len = 2 + options.len();
    if !len.is_multiple_of(8) {
        return Err(header.fault(format!("{len} bytes are no multiple of 8")));
    }
    let mut bytes = vec![next_header(header, next)?, header.number("hel", len as u64 / 8 - 1)?];
    bytes.extend(options);
    Ok(bytes)
}

fn srh(header: &Header, next: Option<&Header>) -> Result<Vec<u8>, String> {
    let segs: Vec<Ipv6Addr> = header.list("segs")?;
    let tlv = header.hex("tlv")?.unwrap_or_default();
    let len = 8 + 16 * segs.len() + tlv.len();
    if !len.is_multiple_of(8) {
        return Err(header.fault(format!("{len} bytes are no multiple of 8")));
    }
    let mut bytes = vec![
        next_header(header, next)?,
        header.number("hel", len as u64 / 8 - 1)?,
        header.number("type", 4)?,
        header.required("sl")?,
        header.number("le", (segs.len() as u64).saturating_sub(1))?,
        header.number("flags", 0)?,
    ];
    bytes.extend(header.number::<u16>("tag", 0)?.to_be_bytes());
    segs.iter().for_each(|seg| bytes.extend(seg.octets()));
    bytes.extend(tlv);
    Ok(bytes)
}

/// A routing header of any type.
fn routing(header: &Header, next: Option<&Header>) -> Result<Vec<u8>, String> {
    let data = header.hex("data")?.unwrap_or_else(|| vec![0; 4]);
    let len = 4 + data.len();
    if !len.is_multiple_of(8) {
        return Err(header.fault(format!("{len} bytes are no multiple of 8")));
    }
    let mut bytes = vec![
        next_header(header, next)?,
        header.number("hel", len as u64 / 8 - 1)?,
        header.required("type")?,
        header.required("sl")?,
    ];
    bytes.extend(data);
    Ok(bytes)
}

fn fragment(header: &Header, next: Option<&Header>) -> Result<Vec<u8>, String> {
    let place = header.number::<u16>("offset", 0)? << 3 | header.number::<u16>("more", 0)?;
    let mut bytes = vec![next_header(header, next)?, 0];
    bytes.extend(place.to_be_bytes());
    bytes.extend(header.number::<u32>("id", 1)?.to_be_bytes());
    Ok(bytes)
}

fn udp(header: &Header, after: &[u8], pseudo: Pseudo) -> Result<Vec<u8>, String> {
    let mut bytes = header.number::<u16>("sport", 1000)?.to_be_bytes().to_vec();
    bytes.extend(header.number::<u16>("dport", 2000)?.to_be_bytes());
    bytes.extend(header.number::<u16>("length", (8 + after.len()) as u64)?.to_be_bytes());
    bytes.extend([0, 0]);
    covered(header, bytes, 6, after, pseudo, 17)
}

fn tcp(header: &Header, after: &[u8], pseudo: Pseudo) -> Result<Vec<u8>, String> {
    let mut bytes = header.number::<u16>("sport", 1000)?.to_be_bytes().to_vec();
    bytes.extend(header.number::<u16>("dport", 2000)?.to_be_bytes());
    bytes.extend(header.number::<u32>("seq", 0)?.to_be_bytes());
    bytes.extend(header.number::<u32>("ack", 0)?.to_be_bytes());
    bytes.extend([5 << 4, header.number("flags", 2)?]);
    bytes.extend(header.number::<u16>("window", 1024)?.to_be_bytes());
    bytes.extend([0; 4]);
    covered(header, bytes, 16, after, pseudo, 6)
}

/// An error carries a pointer, an MTU or nothing in its second word; an echo message its
/// identifier and sequence number.
fn icmpv6(header: &Header, after: &[u8], pseudo: Pseudo) -> Result<Vec<u8>, String> {
    let kind: u8 = header.required("type")?;
    let mut bytes = vec![kind, header.number("code", 0)?, 0, 0];
    let word: u32 = match kind {
        2 => header.required("mtu")?,
        4 => header.required("pointer")?,
        128 | 129 => header.number::<u32>("id", 1)? << 16 | header.number::<u32>("seq", 1)?,
        _ => header.number("unused", 0)?,
    };
    bytes.extend(word.to_be_bytes());
    covered(header, bytes, 2, after, pseudo, 58)
}

/// Fills in the checksum of an upper-layer header.
fn covered(
    header: &Header,
    mut bytes: Vec<u8>,
    at: usize,
    after: &[u8],
    pseudo: Pseudo,
    protocol: u16,
) -> Result<Vec<u8>, String> {
    let mut text = address_bytes(pseudo.source);
    text.extend(address_bytes(pseudo.destination));
    text.extend(((bytes.len() + after.len()) as u32).to_be_bytes());
    text.extend(u32::from(protocol).to_be_bytes());
    text.extend(&bytes);
    text.extend(after);
    let sum = match checksum(&text) {
        // "No checksum" in UDP.
        0 if protocol == 17 => 0xffff,
        sum => sum,
    };
    let sum = header.number::<u16>("cksum", u64::from(sum))?;
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    Ok(bytes)
}

/// `"text"`, hexadecimal, or `len=…` bytes that count up.
fn payload(header: &Header) -> Result<Vec<u8>, String> {
    if let Some(len) = header.parsed::<usize>("len")? {
        return Ok((0..len).map(|index| index as u8).collect());
    }
    let mut bytes = Vec::new();
    for word in &header.words {
        match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
            Some(text) => bytes.extend(text.as_bytes()),
            None => bytes.extend(hex(word).ok_or_else(|| header.fault("neither text nor hex"))?),
        }
    }
    Ok(bytes)
}

/// `quote in`: "as much of invoking packet as possible without the ICMPv6 packet exceeding the
/// minimum IPv6 MTU" (RFC 4443, section 3). `quote inner`: from its second IP header on.
fn quote(header: &Header, pseudo: Pseudo, around: &Around<'_>) -> Result<Vec<u8>, String> {
    let invoking = match header.words.first().map(String::as_str) {
        Some("in") => around.invoking,
        Some("inner") => {
            let start = crate::describe::inner(around.invoking)
                .ok_or_else(|| header.fault("there is no inner packet"))?;
            &around.invoking[start..]
        }
        _ => return Err(header.fault("`quote in` or `quote inner`")),
    };
    Ok(invoking[..invoking.len().min(1280 - pseudo.before)].to_vec())
}

/// The Internet checksum (RFC 1071), word by word.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
