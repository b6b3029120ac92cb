//! The IP header of a packet that enters: from a port, or out of an encapsulation.

use crate::{
    fib::table::left_aligned,
    packet::Packet,
    verdict::{Reason, Verdict},
    wire::{ipv4, ipv6},
};

/// Checks the IP header at the packet's head, cuts off what follows the packet (an Ethernet frame
/// may be padded), and remembers the packet as received.
#[inline(always)]
pub(crate) fn enter(packet: &mut Packet<'_>) -> Result<(), Reason> {
    let len = packet.len();
    let header = packet.array::<{ ipv6::HEADER_LEN }>(0);
    let Some(header) = header.filter(|header| len >= header.len() && header[0] >> 4 == 6) else {
        return enter_v4(packet);
    };
    let total = ipv6::total_len(header);
    if total > len {
        return Err(Reason::IpHeader);
    }
    let destination = ipv6::address_at(header, ipv6::field::DESTINATION);
    let (first, hop_limit) = (header[ipv6::field::SOURCE], header[ipv6::field::HOP_LIMIT]);
    let source_leaves_scope = !is_surely_unicast_v6(first)
        && leaves_scope_for_sure_v6(ipv6::address_at(header, ipv6::field::SOURCE));
    if source_leaves_scope || leaves_scope_v6(destination) {
        return Err(Reason::Scope);
    }
    packet.meta.tail = packet.meta.head + total as u32;
    packet.remember(true, destination, hop_limit);
    Ok(())
}

#[inline(never)]
fn enter_v4(packet: &mut Packet<'_>) -> Result<(), Reason> {
    let bytes = packet.bytes();
    let header = ipv4::Ipv4::new_checked(bytes).ok_or(Reason::IpHeader)?;
    let (source, destination) = (header.source(), header.destination());
    let (len, ttl) = (header.total_len(), header.ttl());
    if len > bytes.len() || !ipv4::checksum_is_right(bytes, header.header_len()) {
        return Err(Reason::IpHeader);
    }
    if leaves_scope_v4(source) || leaves_scope_v4(destination) {
        return Err(Reason::Scope);
    }
    packet.truncate(len);
    packet.remember(false, left_aligned(destination), ttl);
    Ok(())
}

/// Addresses that are not forwarded: multicast (no multicast routing here), link-local, loopback
/// and unspecified (RFC 4291, sections 2.5.2, 2.5.3 and 2.5.6).
#[inline(always)]
pub(crate) const fn leaves_scope_v6(address: u128) -> bool {
    !is_surely_unicast_v6((address >> 120) as u8) && leaves_scope_for_sure_v6(address)
}

/// Whether an address that begins with this byte is sure to be one that a router forwards: the
/// others begin with 00, fe or ff.
#[inline(always)]
pub(crate) const fn is_surely_unicast_v6(first: u8) -> bool {
    first.wrapping_sub(1) < 0xfd
}

#[cold]
const fn leaves_scope_for_sure_v6(address: u128) -> bool {
    address <= 1 || ipv6::is_multicast(address) || ipv6::is_link_local(address)
}

/// The same for IPv4: 0/8, 127/8, 169.254/16, and 224/3 with multicast, reserved and broadcast.
const fn leaves_scope_v4(address: u32) -> bool {
    let first = address >> 24;
    first == 0 || first == 127 || first >= 224 || address >> 16 == 0xa9fe
}

/// Takes one off the hop limit or TTL, unless this node has done so already.
#[inline(always)]
pub(crate) fn spend_hop_limit(packet: &mut Packet<'_>) -> Result<(), Verdict> {
    if packet.meta.hop_limit_spent {
        return Ok(());
    }
    if !packet.meta.v6 {
        return spend_ttl(packet);
    }
    spend_hop_limit_of(packet.array_mut(0).ok_or(Verdict::Drop(Reason::IpHeader))?)
}

/// Takes one off the hop limit of an IPv6 header.
#[inline(always)]
pub(crate) fn spend_hop_limit_of(header: &mut [u8; ipv6::HEADER_LEN]) -> Result<(), Verdict> {
    let hop_limit = &mut header[ipv6::field::HOP_LIMIT];
    if *hop_limit <= 1 {
        return Err(Verdict::Refuse(Reason::HopLimitExceeded, 0));
    }
    *hop_limit -= 1;
    Ok(())
}

fn spend_ttl(packet: &mut Packet<'_>) -> Result<(), Verdict> {
    let bytes = packet.bytes_mut();
    if *bytes.get(ipv4::field::TTL).ok_or(Verdict::Drop(Reason::IpHeader))? <= 1 {
        return Err(Verdict::Refuse(Reason::HopLimitExceeded, 0));
    }
    ipv4::decrement_ttl(bytes);
    Ok(())
}
