//! Errors about packets that this node has encapsulated: the sources of the packets inside are told
//! (RFC 8754, section 5.4; RFC 2473, section 8).

use super::{becomes_reply, may_be_answered, may_be_answered_v4, quote_v4, quote_v6};
use crate::{
    fib::{Fib, entry::TableIndex, table::left_aligned},
    packet::Packet,
    verdict::Reason,
    wire::{checksum, ext, icmpv4, icmpv6, ipv4, ipv6, protocol, srh},
};

/// The smallest MTUs there are, of IPv6 (RFC 8200, section 5) and of IPv4 (RFC 791).
const LEAST_V6: u32 = 1280;
const LEAST_V4: u32 = 68;

/// What the source of the packet inside is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Error {
    /// The packet does not reach the end of the segment list.
    Unreachable,
    /// With so many bytes in all it would.
    TooBig(u32),
}

/// The packet that the error is about, as much of it as is quoted.
struct Outer {
    /// The last segment of its list, or the destination where there is no list.
    last: u128,
    /// Where in it the packet inside begins.
    offset: usize,
    v6: bool,
}

/// Turns an error about an outer packet into one about the packet inside, to its source. `false`: it
/// is about something else, and for the host.
#[cold]
pub fn relay(packet: &mut Packet<'_>, fib: &Fib) -> bool {
    let Some((error, outer)) = read(packet.bytes()) else { return false };
    let start = ipv6::HEADER_LEN + icmpv6::HEADER_LEN + outer.offset;
    let Some(inner) = packet.bytes().get(start..) else { return false };
    let told = if outer.v6 {
        about_v6(error, outer.offset, inner)
    } else {
        about_v4(error, outer.offset, inner)
    };
    let Some(About { kind, code, parameter, destination, hop_limit }) = told else { return false };
    let source = packet.ipv6().map_or(0, |header| header.destination());
    let Some(table) = steering_table(fib, outer.v6, destination, source, outer.last) else {
        return false;
    };
    let silent = if outer.v6 { fib.node.icmp_source == 0 } else { fib.node.icmp_source_v4 == 0 };
    if silent || packet.pull_front(start).is_err() {
        return false;
    }
    packet.remember(outer.v6, destination, hop_limit);
    let quoted = if outer.v6 {
        quote_v6(packet, kind, code, parameter, &fib.node)
    } else {
        quote_v4(packet, kind, code, parameter, &fib.node)
    };
    packet.meta.home = table;
    becomes_reply(packet, Reason::OuterError);
    quoted
}

/// What an ICMPv6 error says, and what it is about, if that is a packet from where the error goes to
/// with a packet inside.
fn read(bytes: &[u8]) -> Option<(Error, Outer)> {
    let header = ipv6::Ipv6::new_checked(bytes)?;
    if header.next_header() != protocol::ICMPV6 {
        return None;
    }
    let (message, about) = bytes.get(ipv6::HEADER_LEN..)?.split_first_chunk::<8>()?;
    let [kind, code, _, _, parameter @ ..] = *message;
    let error = match (kind, code) {
        (icmpv6::kind::PACKET_TOO_BIG, _) => Error::TooBig(u32::from_be_bytes(parameter)),
        (icmpv6::kind::DESTINATION_UNREACHABLE, _) | (icmpv6::kind::TIME_EXCEEDED, 0) => {
            Error::Unreachable
        }
        _ => return None,
    };
    let pseudo = checksum::pseudo_header(
        header.source(),
        header.destination(),
        protocol::ICMPV6,
        header.payload_len(),
    );
    let sum = checksum::fold(pseudo + checksum::sum(&bytes[ipv6::HEADER_LEN..]));
    let outer = ipv6::Ipv6::new_checked(about)?;
    if sum != 0xffff || outer.source() != header.destination() {
        return None;
    }
    let (upper, offset) = ext::upper_layer(about)?;
    let v6 = match upper {
        protocol::IPV6 => true,
        protocol::IPV4 => false,
        _ => return None,
    };
    let last = match ext::walk(about).ok()?.srh() {
        Some(offset) => {
            let at = usize::from(offset) + srh::FIXED_LEN;
            u128::from_be_bytes(*about.get(at..)?.first_chunk()?)
        }
        None => outer.destination(),
    };
    Some((error, Outer { last, offset, v6 }))
}

/// The error to be sent, and what has to be known of the packet that it is about.
struct About {
    kind: u8,
    code: u8,
    parameter: u32,
    destination: u128,
    hop_limit: u8,
}

/// RFC 2473, section 8.2.
fn about_v6(error: Error, overhead: usize, inner: &[u8]) -> Option<About> {
    let header = ipv6::Ipv6::new_checked(inner)?;
    let total = (ipv6::HEADER_LEN + header.payload_len()) as u32;
    let (kind, code, parameter) = match error {
        Error::Unreachable => (icmpv6::kind::DESTINATION_UNREACHABLE, 3, 0),
        Error::TooBig(_) if total <= LEAST_V6 => return None,
        Error::TooBig(mtu) => {
            let mtu = mtu.saturating_sub(overhead as u32);
            (icmpv6::kind::PACKET_TOO_BIG, 0, mtu.max(LEAST_V6))
        }
    };
    let (destination, hop_limit) = (header.destination(), header.hop_limit());
    may_be_answered(inner, kind).then_some(About { kind, code, parameter, destination, hop_limit })
}

/// RFC 2473, section 8.3.
fn about_v4(error: Error, overhead: usize, inner: &[u8]) -> Option<About> {
    use icmpv4::code::{FRAGMENTATION_NEEDED, HOST};
    let header = ipv4::Ipv4::new_checked(inner)?;
    let (code, parameter) = match error {
        Error::Unreachable => (HOST, 0),
        Error::TooBig(_) if !header.dont_fragment() => return None,
        Error::TooBig(mtu) => {
            (FRAGMENTATION_NEEDED, mtu.saturating_sub(overhead as u32).max(LEAST_V4))
        }
    };
    may_be_answered_v4(inner, header).then(|| About {
        kind: icmpv4::kind::DESTINATION_UNREACHABLE,
        code,
        parameter,
        destination: left_aligned(header.destination()),
        hop_limit: header.ttl(),
    })
}

/// The table in which the packet inside was steered into a policy: where its source is. Several tables
/// may steer the same destination; the segment list tells them apart, as its last segment does at its
/// other end. Where no table does, a rule did, or an interface: then it is the main table.
fn steering_table(
    fib: &Fib,
    v6: bool,
    destination: u128,
    source: u128,
    last: u128,
) -> Option<TableIndex> {
    let mut found = None;
    for (index, table) in fib.tables.iter().enumerate() {
        let tree = if v6 { &table.v6 } else { &table.v4 };
        let Some(policy) = tree.lookup(destination).as_encap() else { continue };
        let Some(Some(policy)) = fib.policies.get(policy as usize) else { continue };
        let mut lists = policy.lists.iter().filter(|list| list.source() == source);
        if lists.clone().any(|list| list.last() == last) {
            return Some(index as TableIndex);
        }
        // A segment may have been shortened on its way, as NEXT-CSID does.
        if lists.next().is_some() {
            found.get_or_insert(index as TableIndex);
        }
    }
    let by_rule = fib.rules.iter().any(|rules| !rules.is_empty());
    found.or_else(|| {
        let policies = fib.policies.iter().flatten();
        let mut ours = policies.filter(|policy| {
            policy.lists.iter().any(|list| list.source() == source && list.last() == last)
        });
        ours.next().map(|policy| policy.table).filter(|_| by_rule)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        behavior::headend::{Mode, SegmentList},
        counters::PacketCounters,
        fib::{Node, Policy, entry::Entry, table::Table},
        frame::{FRAME_SIZE, HEADROOM},
        packet::Meta,
    };

    const OURS: u128 = 0xfc00_0000_0001 << 80 | 1;
    const LAST: u128 = 0xfc00_0000_0003 << 80 | 0xd4 << 64;
    const FAR: u32 = 0xc633_6401;

    /// A node that steers [`FAR`] into a list with one segment.
    fn fib() -> Fib {
        let counters = PacketCounters::new(1);
        let list = SegmentList::new(Mode::EncapsRed, &[LAST], OURS, 64, counters);
        let mut table = Table { number: 254, ..Table::default() };
        table.v4.insert(left_aligned(FAR), 32, Entry::encap(0));
        Fib {
            tables: vec![Table::default(), table],
            policies: vec![Some(Policy { lists: vec![list], buckets: vec![0], table: 0 })],
            node: Node { icmp_source: OURS, icmp_source_v4: 0xc000_02fe, ..Node::default() },
            ..Fib::default()
        }
    }

    /// An error about an outer packet with an IPv4 packet inside, and that packet.
    fn error(kind: u8, parameter: u32, dont_fragment: bool) -> (Vec<u8>, Vec<u8>) {
        let inner = ipv4::Header {
            tos: 0,
            total_len: 1400,
            ttl: 63,
            protocol: protocol::UDP,
            source: 0xc633_6301,
            destination: FAR,
        };
        let mut inner = [&inner.to_bytes()[..], &[9; 40]].concat();
        inner[6] = if dont_fragment { 0x40 } else { 0 };
        ipv4::write_checksum(&mut inner[..ipv4::HEADER_LEN]);
        let header = |source, destination, next_header, payload_len| ipv6::Header {
            flow_word: ipv6::flow_word(0, 0),
            payload_len,
            next_header,
            hop_limit: 9,
            source,
            destination,
        };
        let outer = header(OURS, LAST, protocol::IPV4, 1400).to_bytes();
        let mut message = [&[kind, 0, 0, 0], &parameter.to_be_bytes()[..], &outer, &inner].concat();
        let sum = checksum::pseudo_header(7, OURS, protocol::ICMPV6, message.len());
        let sum = !checksum::fold(sum + checksum::sum(&message));
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let header = header(7, OURS, protocol::ICMPV6, message.len() as u16);
        ([&header.to_bytes()[..], &message].concat(), inner)
    }

    fn relayed(bytes: &[u8]) -> Option<(Vec<u8>, Meta)> {
        let mut frame = [0; FRAME_SIZE];
        let head = HEADROOM as u32;
        let mut meta = Meta::new(0, 0, head, head + bytes.len() as u32);
        let mut packet = Packet { frame: &mut frame, meta: &mut meta };
        packet.bytes_mut().copy_from_slice(bytes);
        packet.remember(true, OURS, 64);
        relay(&mut packet, &fib()).then(|| (packet.bytes().to_vec(), *packet.meta))
    }

    /// C-046: Fragmentation Needed with what is left of the MTU, in the table of the packet inside, to
    /// who forbade fragments; to others nothing is said.
    #[test]
    fn an_ipv4_source_is_told() {
        use icmpv4::code::{FRAGMENTATION_NEEDED, HOST};
        for (kind, code, mtu) in [
            (icmpv6::kind::PACKET_TOO_BIG, FRAGMENTATION_NEEDED, [5, 80]), // 1400 - 40
            (icmpv6::kind::DESTINATION_UNREACHABLE, HOST, [0, 0]),
        ] {
            let (bytes, inner) = error(kind, 1400, true);
            let (reply, meta) = relayed(&bytes).unwrap();
            let header = ipv4::Ipv4::new_checked(&reply).unwrap();
            assert!(ipv4::checksum_is_right(&reply, ipv4::HEADER_LEN));
            assert_eq!((header.source(), header.destination()), (0xc000_02fe, 0xc633_6301));
            assert_eq!(reply[20..22], [icmpv4::kind::DESTINATION_UNREACHABLE, code]);
            assert_eq!(checksum::fold(checksum::sum(&reply[20..])), 0xffff);
            assert_eq!(reply[26..28], mtu);
            assert_eq!(reply[28..], inner);
            assert_eq!((meta.table, meta.v6, meta.key), (1, false, left_aligned(0xc633_6301)));
        }
        let (bytes, _) = error(icmpv6::kind::PACKET_TOO_BIG, 1400, false);
        assert!(relayed(&bytes).is_none());
    }
}
