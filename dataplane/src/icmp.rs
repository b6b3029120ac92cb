//! What we answer: ICMP errors and echo replies, built in the frame of the packet they answer.
//!
//! [`relay`] has errors of other nodes about packets that this one has encapsulated.

use crate::{
    fib::{Node, table::left_aligned},
    packet::Packet,
    verdict::{Reason, Verdict},
    wire::{checksum, ext, icmpv4, icmpv6, ipv4, ipv6, protocol},
};

pub mod relay;

/// Bytes in front of the quoted packet.
const ERROR_LEN: usize = ipv6::HEADER_LEN + icmpv6::HEADER_LEN;

/// The hop limit of answers.
const HOP_LIMIT: u8 = 64;

/// Whether an error may be sent about the packet, which must be as it was received: RFC 4443,
/// section 2.4 (e).
fn may_be_answered(bytes: &[u8], kind: u8) -> bool {
    let Some(header) = ipv6::Ipv6::new_checked(bytes) else { return false };
    let (source, destination) = (header.source(), header.destination());
    // Unspecified, loopback and multicast sources name no single node.
    if source <= 1 || ipv6::is_multicast(source) {
        return false;
    }
    if ipv6::is_multicast(destination) && kind != icmpv6::kind::PACKET_TOO_BIG {
        return false;
    }
    match ext::upper_layer(bytes) {
        Some((protocol::ICMPV6, offset)) => {
            bytes.get(offset).is_some_and(|kind| *kind >= 128 && *kind != icmpv6::kind::REDIRECT)
        }
        Some(_) => true,
        None => false,
    }
}

/// The same for IPv4: RFC 1812, section 4.3.2.7. That the addresses are of single nodes was checked
/// when the packet came in.
fn may_be_answered_v4(bytes: &[u8], header: ipv4::Ipv4<'_>) -> bool {
    let about_an_error = header.protocol() == protocol::ICMP
        && bytes.get(header.header_len()).is_none_or(|kind| icmpv4::is_error(*kind));
    header.fragment_offset() == 0 && !about_an_error
}

/// Turns a packet into the ICMP error that it calls for, in the version of the packet as it was
/// received. `false` where no error may be sent.
#[cold]
pub fn error(packet: &mut Packet<'_>, reason: Reason, parameter: u32, node: &Node) -> bool {
    if packet.meta.received.ethernet {
        return false;
    }
    let place = packet.meta.received_at(parameter);
    packet.restore();
    let answered = if packet.meta.v6 {
        error_v6(packet, reason, parameter, place, node)
    } else {
        error_v4(packet, reason, parameter, node)
    };
    if answered {
        becomes_reply(packet, reason);
    }
    answered
}

/// The error about an IPv6 packet. `place` is where the byte was when the packet came that a pointer
/// points to: with a header that was put in here, the sender has nothing to do.
fn error_v6(
    packet: &mut Packet<'_>,
    reason: Reason,
    parameter: u32,
    place: Option<u32>,
    node: &Node,
) -> bool {
    let Some((kind, code)) = reason.icmpv6() else { return false };
    let parameter = match (kind, place) {
        (icmpv6::kind::PARAMETER_PROBLEM, None) => return false,
        (icmpv6::kind::PARAMETER_PROBLEM, Some(place)) => place,
        _ => parameter,
    };
    may_be_answered(packet.bytes(), kind) && quote_v6(packet, kind, code, parameter, node)
}

/// An IPv6 packet, as much of it as fits into 1280 bytes (RFC 4443, section 2.4 (c)), behind an
/// ICMPv6 header, to its source.
fn quote_v6(packet: &mut Packet<'_>, kind: u8, code: u8, parameter: u32, node: &Node) -> bool {
    if node.icmp_source == 0 {
        return false;
    }
    let source = ipv6::address_at(packet.bytes(), ipv6::field::SOURCE);
    packet.truncate(icmpv6::MAX_ERROR_LEN - ERROR_LEN);
    let len = packet.len() + icmpv6::HEADER_LEN;
    let Ok(room) = packet.push_front(ERROR_LEN) else { return false };
    let outer = ipv6::Header {
        flow_word: ipv6::flow_word(0, 0),
        payload_len: len as u16,
        next_header: protocol::ICMPV6,
        hop_limit: node.hop_limit,
        source: node.icmp_source,
        destination: source,
    };
    room[..ipv6::HEADER_LEN].copy_from_slice(&outer.to_bytes());
    let header = &mut room[ipv6::HEADER_LEN..];
    header.fill(0);
    header[0] = kind;
    header[1] = code;
    header[4..].copy_from_slice(&parameter.to_be_bytes());
    packet.meta.key = source;
    write_checksum(packet);
    true
}

/// The error about an IPv4 packet.
fn error_v4(packet: &mut Packet<'_>, reason: Reason, parameter: u32, node: &Node) -> bool {
    let Some((kind, code)) = reason.icmpv4() else { return false };
    let Some(header) = ipv4::Ipv4::new_checked(packet.bytes()) else { return false };
    // A packet that is too big is cut in fragments, unless it forbids that: nobody is told.
    let fragmentable = reason == Reason::PacketTooBig && !header.dont_fragment();
    !fragmentable
        && may_be_answered_v4(packet.bytes(), header)
        && quote_v4(packet, kind, code, parameter, node)
}

/// An IPv4 packet, as much of it as fits into 576 bytes (RFC 1812, section 4.3.2.3), behind an ICMP
/// header, to its source.
fn quote_v4(packet: &mut Packet<'_>, kind: u8, code: u8, parameter: u32, node: &Node) -> bool {
    let Some(header) = ipv4::Ipv4::new_checked(packet.bytes()) else { return false };
    let source = header.source();
    if node.icmp_source_v4 == 0 {
        return false;
    }
    const LEN: usize = ipv4::HEADER_LEN + icmpv4::HEADER_LEN;
    packet.truncate(icmpv4::MAX_ERROR_LEN - LEN);
    let total_len = (packet.len() + LEN) as u16;
    let Ok(room) = packet.push_front(LEN) else { return false };
    let outer = ipv4::Header {
        // Internetwork control (RFC 1812, section 4.3.2.5).
        tos: 0xc0,
        total_len,
        ttl: node.hop_limit,
        protocol: protocol::ICMP,
        source: node.icmp_source_v4,
        destination: source,
    };
    room[..ipv4::HEADER_LEN].copy_from_slice(&outer.to_bytes());
    let header = &mut room[ipv4::HEADER_LEN..];
    header.fill(0);
    header[0] = kind;
    header[1] = code;
    header[4..].copy_from_slice(&parameter.to_be_bytes());
    packet.meta.key = left_aligned(source);
    if let Some(message) = packet.bytes_mut().get_mut(ipv4::HEADER_LEN..) {
        let sum = !checksum::fold(checksum::sum(message));
        if let Some(field) = message.get_mut(2..4) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }
    true
}

/// Turns an echo request to a SID into its reply, from the SID. `offset` is where the ICMPv6
/// message starts; an SRH in front of it is not sent back.
#[cold]
pub fn echo_reply(packet: &mut Packet<'_>, offset: usize) -> Verdict {
    let malformed = Verdict::Drop(Reason::IcmpToSid);
    let Some(header) = packet.ipv6() else { return malformed };
    let (source, destination, flow_word) =
        (header.source(), header.destination(), header.flow_word());
    let message = packet.bytes().get(offset..).unwrap_or(&[]);
    let pseudo = checksum::pseudo_header(source, destination, protocol::ICMPV6, message.len());
    if message.len() < icmpv6::HEADER_LEN
        || checksum::fold(pseudo + checksum::sum(message)) != 0xffff
        || source <= 1
        || ipv6::is_multicast(source)
    {
        return malformed;
    }
    let len = message.len();
    if let Err(verdict) = packet.pull_front(offset - ipv6::HEADER_LEN) {
        return verdict;
    }
    let reply = ipv6::Header {
        flow_word,
        payload_len: len as u16,
        next_header: protocol::ICMPV6,
        hop_limit: HOP_LIMIT,
        source: destination,
        destination: source,
    };
    if let Some(header) = packet.bytes_mut().first_chunk_mut() {
        *header = reply.to_bytes();
    }
    packet.meta.key = source;
    packet.set_byte(ipv6::HEADER_LEN, icmpv6::kind::ECHO_REPLY);
    write_checksum(packet);
    becomes_reply(packet, Reason::EchoRequest);
    Verdict::Reply(Reason::EchoRequest)
}

fn becomes_reply(packet: &mut Packet<'_>, reason: Reason) {
    packet.meta.reply = Some(reason);
    packet.meta.table = packet.meta.home;
    packet.meta.hop_limit_spent = true;
}

/// Fills in the checksum of an IPv6 packet whose only header is ICMPv6.
fn write_checksum(packet: &mut Packet<'_>) {
    let Some(header) = packet.ipv6() else { return };
    let pseudo = checksum::pseudo_header(
        header.source(),
        header.destination(),
        protocol::ICMPV6,
        header.payload_len(),
    );
    let Some(message) = packet.bytes_mut().get_mut(ipv6::HEADER_LEN..) else { return };
    if message.len() < icmpv6::HEADER_LEN {
        return;
    }
    message[2..4].fill(0);
    let sum = !checksum::fold(pseudo + checksum::sum(message));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FRAME_SIZE, HEADROOM};
    use crate::packet::Meta;

    /// C-063: Time Exceeded for IPv4, with the packet as it was received.
    #[test]
    fn an_ipv4_error_quotes_the_packet_as_received() {
        let node = Node { icmp_source_v4: 0xc000_0201, ..Node::default() };
        let inner = ipv4::Header {
            tos: 0,
            total_len: 28,
            ttl: 1,
            protocol: protocol::UDP,
            source: 0xc633_6401,
            destination: 0xcb00_7101,
        };
        let original = [&inner.to_bytes()[..], &[0, 7, 0, 9, 0, 8, 0, 0]].concat();
        let answer = |bytes: &[u8], reason| {
            let mut frame = [0; FRAME_SIZE];
            let head = HEADROOM as u32;
            let mut meta = Meta::new(0, 0, head, head + bytes.len() as u32);
            let mut packet = Packet { frame: &mut frame, meta: &mut meta };
            packet.bytes_mut().copy_from_slice(bytes);
            packet.remember(false, left_aligned(inner.destination), bytes[8]);
            // Changed on the way, as forwarding does.
            ipv4::decrement_ttl(packet.bytes_mut());
            error(&mut packet, reason, 1400, &node).then(|| packet.bytes().to_vec())
        };
        let reply = answer(&original, Reason::HopLimitExceeded).unwrap();
        let outer = ipv4::Ipv4::new_checked(&reply).unwrap();
        assert_eq!((outer.source(), outer.destination()), (node.icmp_source_v4, inner.source));
        assert!(ipv4::checksum_is_right(&reply, ipv4::HEADER_LEN));
        assert_eq!(checksum::fold(checksum::sum(&reply[20..])), 0xffff);
        assert_eq!(reply[20..22], [11, 0]);
        assert_eq!(reply[28..], original);
        // C-100: Fragmentation Needed carries the MTU, and goes only to who forbade fragments.
        assert_eq!(answer(&original, Reason::PacketTooBig).unwrap()[20..28][6..], [5, 120]);
        let mut fragmentable = original.clone();
        fragmentable[6] = 0;
        ipv4::write_checksum(&mut fragmentable[..20]);
        assert_eq!(answer(&fragmentable, Reason::PacketTooBig), None);
        // C-041: no error about an error.
        let mut about = original.clone();
        about[9] = protocol::ICMP;
        about[20] = 3;
        ipv4::write_checksum(&mut about[..20]);
        assert_eq!(answer(&about, Reason::NoRoute), None);
    }
}
