//! The chain of IPv6 extension headers (RFC 8200, section 4).

use super::{ipv6, protocol, srh};
use crate::{
    packet::Packet,
    verdict::{Reason, Verdict},
};

/// What the walk along the chain found, in eight bytes: it travels in a register. Offsets are from
/// the start of the IPv6 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// See [`srh`](Self::srh); 0: there is none.
    srh: u16,
    /// Offset of the Next Header byte that announces that SRH.
    pub before_srh: u16,
    /// Protocol of the first header that is not an extension header.
    pub upper: u8,
    /// Offset of that header.
    pub upper_offset: u16,
    /// Whether the packet is a fragment of a longer one.
    pub fragment: bool,
}

impl Headers {
    /// Offset of the SRH, if there is one: the first with segments left, else the first.
    #[inline(always)]
    pub fn srh(self) -> Option<u16> {
        (self.srh != 0).then_some(self.srh)
    }
}

/// Bytes of a fragment header.
const FRAGMENT_LEN: usize = 8;

/// What is to be done with a packet, by its headers. A trait and not a closure, so that it can be
/// compiled into each of the cases that [`with_headers`] tells apart.
pub trait ByHeaders: Copy {
    /// Does it.
    fn act(self, packet: &mut Packet<'_>, headers: Headers) -> Verdict;
}

/// Does something to a packet by its headers: [`walk`], and what is to be done with what it finds.
///
/// The chains that nearly all packets for SIDs have are cases of their own, in which the compiler
/// knows whether there is an SRH, and where: an SRH with segments left or with the upper layer behind
/// it, or nothing before the upper layer.
#[inline(always)]
pub fn with_headers(packet: &mut Packet<'_>, todo: impl ByHeaders) -> Verdict {
    let len = packet.len();
    let Some(start) = packet.array::<{ SRH + 4 }>(0) else {
        return with_any_headers(packet, todo);
    };
    let first = start[ipv6::field::NEXT_HEADER];
    if first == protocol::ROUTING {
        let upper = start[SRH + srh::field::NEXT_HEADER];
        let end = SRH + 8 * (usize::from(start[SRH + srh::field::HDR_EXT_LEN]) + 1);
        let is_srh = start[SRH + srh::field::ROUTING_TYPE] == srh::ROUTING_TYPE;
        let active = start[SRH + srh::field::SEGMENTS_LEFT] != 0;
        if is_srh && end <= len && (active || !is_extension(upper)) {
            let headers = Headers {
                srh: SRH as u16,
                before_srh: ipv6::field::NEXT_HEADER as u16,
                upper,
                upper_offset: end as u16,
                fragment: false,
            };
            return todo.act(packet, headers);
        }
    } else if !is_extension(first) && len >= SRH {
        let headers = Headers {
            srh: 0,
            before_srh: 0,
            upper: first,
            upper_offset: SRH as u16,
            fragment: false,
        };
        return todo.act(packet, headers);
    }
    with_any_headers(packet, todo)
}

/// [`with_headers`] of any chain.
#[inline(never)]
fn with_any_headers(packet: &mut Packet<'_>, todo: impl ByHeaders) -> Verdict {
    match walk(packet.bytes()) {
        Ok(headers) => todo.act(packet, headers),
        Err(verdict) => verdict,
    }
}

/// Offset of an SRH directly behind the IPv6 header.
const SRH: usize = ipv6::HEADER_LEN;

#[inline(always)]
const fn is_extension(kind: u8) -> bool {
    matches!(
        kind,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::DESTINATION_OPTIONS
    )
}

/// Walks the chain of an IPv6 packet: over any headers in any order, never beyond the end.
///
/// A routing header of another type than the SRH's is passed over where it has no segments left,
/// and refused otherwise (RFC 8200, section 4.4). The walk ends at an SRH with segments left, since
/// headers are processed strictly in their order (section 4) and the packet goes on from there; and
/// at a fragment header with an offset, behind which there is nothing to interpret.
#[inline(never)]
pub fn walk(bytes: &[u8]) -> Result<Headers, Verdict> {
    let truncated = Verdict::Drop(Reason::ExtensionHeader);
    let mut kind = *bytes.get(ipv6::field::NEXT_HEADER).ok_or(truncated)?;
    let mut announced = ipv6::field::NEXT_HEADER;
    let mut offset = ipv6::HEADER_LEN;
    let mut found = Headers { srh: 0, before_srh: 0, upper: 0, upper_offset: 0, fragment: false };
    let mut found_spent = false;
    loop {
        let len = match kind {
            protocol::ROUTING => {
                let header: &[u8; 4] =
                    bytes.get(offset..).and_then(|rest| rest.first_chunk()).ok_or(truncated)?;
                let spent = header[srh::field::SEGMENTS_LEFT] == 0;
                if header[srh::field::ROUTING_TYPE] == srh::ROUTING_TYPE {
                    if found.srh == 0 || (found_spent && !spent) {
                        found.srh = offset as u16;
                        found.before_srh = announced as u16;
                        found_spent = spent;
                        let end = offset + 8 * (usize::from(header[srh::field::HDR_EXT_LEN]) + 1);
                        if !spent {
                            if end > bytes.len() {
                                return Err(truncated);
                            }
                            found.upper = header[srh::field::NEXT_HEADER];
                            found.upper_offset = end as u16;
                            return Ok(found);
                        }
                    }
                } else if !spent {
                    let pointer = offset + srh::field::ROUTING_TYPE;
                    return Err(Verdict::Refuse(Reason::RoutingType, pointer as u32));
                }
                8 * (usize::from(header[srh::field::HDR_EXT_LEN]) + 1)
            }
            protocol::HOP_BY_HOP | protocol::DESTINATION_OPTIONS => {
                8 * (usize::from(*bytes.get(offset + 1).ok_or(truncated)?) + 1)
            }
            protocol::FRAGMENT => {
                let header: &[u8; FRAGMENT_LEN] =
                    bytes.get(offset..).and_then(|rest| rest.first_chunk()).ok_or(truncated)?;
                let place = u16::from_be_bytes([header[2], header[3]]);
                found.fragment |= place & !6 != 0;
                if place >> 3 != 0 {
                    found.upper = protocol::FRAGMENT;
                    found.upper_offset = offset as u16;
                    return Ok(found);
                }
                FRAGMENT_LEN
            }
            _ => {
                found.upper = kind;
                found.upper_offset = offset as u16;
                return Ok(found);
            }
        };
        if offset + len > bytes.len() {
            return Err(truncated);
        }
        kind = bytes[offset];
        announced = offset;
        offset += len;
    }
}

/// Protocol and offset of the first header that is not an extension header, whatever the routing
/// headers on the way say. `None` where the packet ends before it.
#[cold]
pub fn upper_layer(bytes: &[u8]) -> Option<(u8, usize)> {
    let mut kind = *bytes.get(ipv6::field::NEXT_HEADER)?;
    let mut offset = ipv6::HEADER_LEN;
    loop {
        let len = match kind {
            protocol::ROUTING | protocol::HOP_BY_HOP | protocol::DESTINATION_OPTIONS => {
                8 * (usize::from(*bytes.get(offset + 1)?) + 1)
            }
            protocol::FRAGMENT => {
                let header: &[u8; FRAGMENT_LEN] = bytes.get(offset..)?.first_chunk()?;
                if u16::from_be_bytes([header[2], header[3]]) >> 3 != 0 {
                    return Some((protocol::FRAGMENT, offset));
                }
                FRAGMENT_LEN
            }
            _ => return Some((kind, offset)),
        };
        kind = *bytes.get(offset)?;
        offset += len;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;
    use crate::{frame::FRAME_SIZE, packet::Meta};

    fn packet(first: u8, rest: &[&[u8]]) -> Vec<u8> {
        let payload: Vec<u8> = rest.concat();
        let mut bytes = vec![0x60, 0, 0, 0, 0, payload.len() as u8, first, 64];
        bytes.extend([0; 32]);
        bytes.extend(payload);
        bytes
    }

    const OPTIONS: [u8; 8] = [0, 0, 1, 4, 0, 0, 0, 0];

    fn options(next: u8) -> Vec<u8> {
        let mut header = OPTIONS;
        header[0] = next;
        header.to_vec()
    }

    /// C-001: the SRH is found behind any chain, in any order.
    #[test]
    fn finds_the_srh_behind_other_headers() {
        let srh = srh::header(protocol::UDP, &[1, 2], false);
        let fragment = [protocol::ROUTING, 0, 0, 0, 0, 0, 0, 9];
        let empty_routing = [protocol::ROUTING, 0, 3, 0, 0, 0, 0, 0];
        let cases: [(u8, Vec<&[u8]>, u16); 5] = [
            (protocol::ROUTING, vec![&srh, b"udp"], 40),
            (0, vec![&*options(43).leak(), &srh, b"udp"], 48),
            (0, vec![&*options(60).leak(), &*options(43).leak(), &srh, b"udp"], 56),
            (protocol::FRAGMENT, vec![&fragment, &srh, b"udp"], 48),
            (protocol::ROUTING, vec![&empty_routing, &srh, b"udp"], 48),
        ];
        for (first, parts, at) in cases {
            let bytes = packet(first, &parts);
            let headers = walk(&bytes).unwrap();
            assert_eq!(headers.srh(), Some(at));
            assert_eq!(headers.upper, protocol::UDP);
            assert_eq!(usize::from(headers.upper_offset), usize::from(at) + srh.len());
            assert_eq!(bytes[usize::from(headers.before_srh)], protocol::ROUTING);
            // C-002: cut anywhere before the upper layer, it is refused.
            for len in 7..usize::from(headers.upper_offset) {
                assert_eq!(walk(&bytes[..len]), Err(Verdict::Drop(Reason::ExtensionHeader)));
            }
        }
    }

    /// C-003: other routing types are not an SRH.
    #[test]
    fn other_routing_headers_are_refused_while_they_have_segments_left() {
        for kind in [0, 2, 3, 5, 250] {
            let mut header = srh::header(protocol::UDP, &[1, 2], false);
            header[2] = kind;
            let bytes = packet(protocol::ROUTING, &[&header, b"udp"]);
            assert_eq!(walk(&bytes), Err(Verdict::Refuse(Reason::RoutingType, 42)));
            header[3] = 0;
            let bytes = packet(protocol::ROUTING, &[&header, b"udp"]);
            let headers = walk(&bytes).unwrap();
            assert_eq!((headers.srh(), headers.upper), (None, protocol::UDP));
        }
    }

    /// What comes after an SRH that is not done with is not looked at, however broken.
    #[test]
    fn segments_left_end_the_walk() {
        let mut srh = srh::header(protocol::ROUTING, &[1, 2], false);
        let broken = [protocol::UDP, 200, 9, 7, 0, 0, 0, 0];
        let headers = walk(&packet(protocol::ROUTING, &[&srh, &broken])).unwrap();
        assert_eq!((headers.srh(), headers.upper), (Some(40), protocol::ROUTING));
        srh[3] = 0;
        assert!(walk(&packet(protocol::ROUTING, &[&srh, &broken])).is_err());
    }

    /// C-007: behind the offset of a later fragment nothing is interpreted.
    #[test]
    fn a_later_fragment_ends_the_walk() {
        let mut srh = srh::header(protocol::FRAGMENT, &[1, 2], false);
        srh[3] = 0;
        let later = [protocol::ROUTING, 0, 0, 8, 0, 0, 0, 9];
        let headers = walk(&packet(protocol::ROUTING, &[&srh, &later, &[0xff; 20]])).unwrap();
        assert_eq!((headers.srh(), headers.upper), (Some(40), protocol::FRAGMENT));
        assert!(headers.fragment);
    }

    /// Tells the headers.
    #[derive(Clone, Copy)]
    struct Find<'a>(&'a Cell<Option<Headers>>);

    impl ByHeaders for Find<'_> {
        fn act(self, _: &mut Packet<'_>, headers: Headers) -> Verdict {
            self.0.set(Some(headers));
            Verdict::Reply(Reason::EchoRequest)
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = walk(&bytes);
        }

        /// The short cut says what the whole walk says.
        #[test]
        fn the_common_chains_are_no_exception(
            first in prop_oneof![Just(43u8), Just(41), Just(0), Just(44), any::<u8>()],
            len in 0u8..8,
            kind in prop_oneof![4 => Just(4u8), 1 => any::<u8>()],
            upper in prop_oneof![Just(43u8), Just(41), Just(60), any::<u8>()],
            left in 0u8..4,
            cut in 0usize..120,
        ) {
            let mut header = vec![0; 80];
            header[..4].copy_from_slice(&[upper, len, kind, left]);
            let mut bytes = packet(first, &[&header]);
            bytes.truncate(cut);
            // What is behind the packet in its frame is not the packet's.
            let mut frame = [0xff; FRAME_SIZE];
            frame[..bytes.len()].copy_from_slice(&bytes);
            let mut meta = Meta::new(0, 0, 0, bytes.len() as u32);
            let mut packet = Packet { frame: &mut frame, meta: &mut meta };
            let found = Cell::new(None);
            with_headers(&mut packet, Find(&found));
            prop_assert_eq!(walk(&bytes).ok(), found.get());
        }
    }
}
