//! What is done with IPv4: RFC 1812.

use std::net::Ipv4Addr;

use super::{End, HOPS, Hop, NO_ROUTE, Send, Step, Way, Why};
use crate::differential::subject::ROUTER4;
use crate::packet::checksum;

/// Longest ICMP error (RFC 1812, 4.3.2.3).
const LONGEST_ERROR: usize = 576;
const ICMP: u8 = 1;

impl Way {
    pub(super) fn address_v4(&self, at: usize) -> Ipv4Addr {
        let octets = self.packet.get(at..).and_then(|rest| rest.first_chunk::<4>());
        octets.copied().unwrap_or_default().into()
    }

    pub(super) fn look_up_v4(&mut self) -> Step {
        match self.subject.route_v4(self.address_v4(16)) {
            None => NO_ROUTE,
            Some(Hop::Link(link)) => Send(link),
            Some(Hop::Policy) => self.encapsulate(),
            Some(Hop::Sid | Hop::Router) => End(Why::Host),
        }
    }

    /// Becomes the ICMP error about what was received, which is told in ICMPv6's types, unless RFC
    /// 1812, 4.3.2.7, forbids it: not about an error, nor about a fragment but the first.
    pub(super) fn refuse_v4(&mut self, kind: u8) -> bool {
        let kind = match kind {
            1 => 3,
            3 => 11,
            _ => return false,
        };
        let packet = &self.received;
        let header = usize::from(packet[0] & 0xf) * 4;
        let is_error = |kind: &u8| matches!(kind, 3 | 4 | 5 | 11 | 12);
        if packet[9] == ICMP && packet.get(header).is_none_or(is_error) {
            return false;
        }
        if u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff != 0 {
            return false;
        }
        let quoted = &packet[..packet.len().min(LONGEST_ERROR - 20 - 8)];
        let mut message = [&[kind, 0, 0, 0, 0, 0, 0, 0], quoted].concat();
        let sum = checksum::plain(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let length = u16::try_from(20 + message.len()).unwrap_or(u16::MAX).to_be_bytes();
        // Internetwork control (4.3.2.5); not to be cut, which needs no identification (RFC 6864, 4.1).
        let mut answer = vec![0x45, 0xc0, length[0], length[1], 0, 0, 0x40, 0, HOPS, ICMP, 0, 0];
        let router: Ipv4Addr = ROUTER4.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
        answer.extend(router.octets());
        answer.extend(&packet[12..16]);
        answer.extend(message);
        write_checksum(&mut answer);
        self.answer(answer);
        true
    }
}

/// Writes the checksum of a header, options included.
pub(super) fn write_checksum(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 0xf) * 4;
    packet[10..12].fill(0);
    let sum = checksum::plain(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Addresses that a router does not forward to or from: 0/8, 127/8, link-local, and 224/3 (RFC 1812,
/// 4.2.2.11 and 5.3.7; RFC 3927, 7; there is no multicast routing here).
pub(super) fn out_of_scope(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    matches!(first, 0 | 127 | 224..) || address.is_link_local()
}
