//! Headers: what the views, the walk along the chain and the entry of a packet make of any bytes, and
//! what a plain reading of the RFCs makes of them.
//!
//! An input begins with one byte: whether a frame follows as it is, or as layers.

use std::cell::Cell;

use sidewinder_dataplane::{
    behavior::flow,
    fib::{Change, Node, entry::Entry, writer::Writer},
    frame::{FRAME_SIZE, MAX_PACKET},
    packet::{Meta, Packet},
    verdict::{Reason, Verdict},
    wire::{
        ext::{self, ByHeaders, Headers},
        ipv4, ipv6, srh,
    },
};

use super::{bench::twice, input::Input, packet, pipeline};
use crate::support::{
    packet::{address, checksum, word},
    router::{neighbour_mac, own_mac},
};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// Tries an input.
pub fn parser(data: &[u8]) {
    let mut input = Input::new(data);
    let frame = match input.byte() & 1 {
        0 => packet::frame(&mut input, own_mac(0), neighbour_mac(0)),
        _ => {
            let bytes = input.all();
            bytes[..bytes.len().min(MAX_PACKET)].to_vec()
        }
    };
    let bytes = frame.get(ETHERNET..).unwrap_or_default();
    views(bytes);
    walk(bytes);
    enter(&frame);
}

/// No view reads what is not there.
fn views(bytes: &[u8]) {
    if let Some(header) = ipv6::Ipv6::new_checked(bytes) {
        assert_eq!(header.source(), address(bytes, 8));
        assert_eq!(header.destination(), address(bytes, 24));
    }
    if let Some(header) = ipv4::Ipv4::new_checked(bytes) {
        let len = 4 * usize::from(bytes[0] & 0xf);
        assert_eq!((header.header_len(), header.total_len()), (len, word(bytes, 2)));
        assert_eq!(ipv4::checksum_is_right(bytes, len), checksum(&bytes[..len]) == 0);
    }
    if let Some(fixed) = bytes.first_chunk() {
        let header = srh::Fixed::new(fixed);
        let (room, last, left) = (fixed[1] / 2, fixed[4], fixed[3]);
        let fits = last < room && u16::from(left) <= u16::from(last) + 1;
        assert_eq!(header.is_consistent(), fits);
    }
    // The flow is one of the packet's own bytes.
    let longer = [bytes, &[0xff; 8]].concat();
    assert_eq!(flow::hash(bytes), flow::hash(&longer[..bytes.len()]));
    let _ = ext::upper_layer(bytes);
}

/// A header of the chain of an IPv6 packet: protocol, offset, offset of the byte that announces it, and
/// its length, if so much of it is there that it is known.
pub(super) type Link = (u8, usize, usize, Option<usize>);

/// The chain of extension headers, up to what is none, or is not there.
pub(super) fn chain(bytes: &[u8]) -> Vec<Link> {
    let mut links = Vec::new();
    let (mut kind, mut announced, mut at) = (bytes[6], 6, 40);
    loop {
        let len = match kind {
            43 if bytes.len() >= at + 4 => Some(8 * (usize::from(bytes[at + 1]) + 1)),
            0 | 60 if bytes.len() >= at + 2 => Some(8 * (usize::from(bytes[at + 1]) + 1)),
            44 if bytes.len() >= at + 8 => Some(8),
            _ => None,
        };
        links.push((kind, at, announced, len));
        match len {
            Some(len) if at + len <= bytes.len() => {
                (kind, announced, at) = (bytes[at], at, at + len);
            }
            _ => return links,
        }
    }
}

/// What the walk has to say: the SRH with the offset of the byte that announces it, the upper layer
/// with its offset, and whether it is a fragment's.
pub(super) type Found = (Option<(usize, usize)>, (u8, usize), bool);

/// RFC 8200, section 4, header by header, as far as this node has to go.
pub(super) fn found(bytes: &[u8]) -> Result<Found, Verdict> {
    const TRUNCATED: Verdict = Verdict::Drop(Reason::ExtensionHeader);
    let (mut spent_srh, mut fragment) = (None, false);
    if bytes.len() < 7 {
        return Err(TRUNCATED);
    }
    for (kind, at, announced, len) in chain(bytes) {
        if !matches!(kind, 0 | 43 | 44 | 60) {
            return Ok((spent_srh, (kind, at), fragment));
        }
        let len = len.ok_or(TRUNCATED)?;
        match kind {
            43 if bytes[at + 2] != 4 && bytes[at + 3] != 0 => {
                return Err(Verdict::Refuse(Reason::RoutingType, at as u32 + 2));
            }
            43 if bytes[at + 2] == 4 && bytes[at + 3] != 0 => {
                // The one to be processed: nothing behind it is looked at.
                return match at + len > bytes.len() {
                    true => Err(TRUNCATED),
                    false => Ok((Some((at, announced)), (bytes[at], at + len), fragment)),
                };
            }
            43 if bytes[at + 2] == 4 => spent_srh = spent_srh.or(Some((at, announced))),
            44 => {
                // An offset, or more fragments.
                fragment |= word(bytes, at + 2) & !6 != 0;
                if word(bytes, at + 2) >> 3 != 0 {
                    return Ok((spent_srh, (44, at), fragment));
                }
            }
            _ => {}
        }
        if at + len > bytes.len() {
            return Err(TRUNCATED);
        }
    }
    Err(TRUNCATED)
}

/// Tells the headers.
#[derive(Clone, Copy)]
struct Tell<'a>(&'a Cell<Option<Headers>>);

impl ByHeaders for Tell<'_> {
    fn act(self, _: &mut Packet<'_>, headers: Headers) -> Verdict {
        self.0.set(Some(headers));
        Verdict::Reply(Reason::EchoRequest)
    }
}

/// The walk finds what a plain one finds, and the short cut finds the same.
fn walk(bytes: &[u8]) {
    let walked = ext::walk(bytes);
    let as_found = walked.map(|headers| {
        let srh = headers.srh().map(|at| (usize::from(at), usize::from(headers.before_srh)));
        (srh, (headers.upper, usize::from(headers.upper_offset)), headers.fragment)
    });
    assert_eq!(as_found, found(bytes));
    // What is behind the packet in its frame is not the packet's.
    let mut frame = [0xff; FRAME_SIZE];
    frame[..bytes.len()].copy_from_slice(bytes);
    let mut meta = Meta::new(0, 0, 0, bytes.len() as u32);
    let mut packet = Packet { frame: &mut frame, meta: &mut meta };
    let told = Cell::new(None);
    ext::with_headers(&mut packet, Tell(&told));
    assert_eq!(walked.ok(), told.get(), "the short cut");
}

/// What enters is forwarded or refused, as a plain reading has it.
fn enter(frame: &[u8]) {
    let outcome = twice(transit, |bench| bench.offer(0, frame));
    let refused: Vec<_> = outcome.reasons().collect();
    match entered(frame) {
        Ok(mut packet) => {
            assert_eq!(refused, []);
            let ether_type = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [0x08, 0x00] };
            match packet[0] >> 4 {
                6 => packet[7] -= 1,
                _ => {
                    packet[8] -= 1;
                    let len = 4 * usize::from(packet[0] & 0xf);
                    packet[10..12].fill(0);
                    let sum = checksum(&packet[..len]);
                    packet[10..12].copy_from_slice(&sum.to_be_bytes());
                }
            }
            let l2 = [&neighbour_mac(1)[..], &own_mac(1), &ether_type].concat();
            assert_eq!(outcome.sent[1], [[l2, packet].concat()]);
        }
        Err(reason) => assert_eq!(refused, [(reason, 1)]),
    }
}

/// A router that has one way for everything, and sends no errors.
fn transit() -> Writer {
    let mut writer = pipeline::plain(u16::MAX);
    writer.stage(Change::Node(Node::default()));
    for v4 in [false, true] {
        writer.stage(Change::Route { table: 0, v4, key: 0, len: 0, entry: Entry::forward(1) });
    }
    assert!(writer.publish());
    writer
}

/// The packet in a frame, without what is behind it.
fn entered(frame: &[u8]) -> Result<Vec<u8>, Reason> {
    let (l2, packet) = frame.split_at_checked(ETHERNET).ok_or(Reason::NotIp)?;
    if l2[..6] != own_mac(0) {
        return Err(Reason::DestinationMac);
    }
    let version = match word(l2, 12) {
        0x86dd => 6,
        0x0800 => 4,
        _ => return Err(Reason::NotIp),
    };
    if packet.first().is_none_or(|first| first >> 4 != version) {
        return Err(Reason::IpHeader);
    }
    let (total, hop_limit) = if version == 6 { entered_v6(packet)? } else { entered_v4(packet)? };
    if hop_limit <= 1 {
        return Err(Reason::HopLimitExceeded);
    }
    Ok(packet[..total].to_vec())
}

/// Its length, and its hop limit.
fn entered_v6(packet: &[u8]) -> Result<(usize, u8), Reason> {
    if packet.len() < 40 || 40 + word(packet, 4) > packet.len() {
        return Err(Reason::IpHeader);
    }
    // RFC 4291: unspecified, loopback, link-local, multicast.
    let stays =
        |address: u128| address <= 1 || address >> 118 == 0xfe80 >> 6 || address >> 120 == 0xff;
    if stays(address(packet, 8)) || stays(address(packet, 24)) {
        return Err(Reason::Scope);
    }
    Ok((40 + word(packet, 4), packet[7]))
}

fn entered_v4(packet: &[u8]) -> Result<(usize, u8), Reason> {
    let header = 4 * usize::from(packet[0] & 0xf);
    let is_whole = packet.len() >= 20 && packet.len() >= header && header >= 20;
    if !is_whole || word(packet, 2) < header || word(packet, 2) > packet.len() {
        return Err(Reason::IpHeader);
    }
    if checksum(&packet[..header]) != 0 {
        return Err(Reason::IpHeader);
    }
    // RFC 1812, section 5.3.7; RFC 3927, section 7.
    let stays =
        |address: &[u8]| matches!(address[0], 0 | 127 | 224..) || address[..2] == [169, 254];
    if stays(&packet[12..16]) || stays(&packet[16..20]) {
        return Err(Reason::Scope);
    }
    Ok((word(packet, 2), packet[8]))
}
