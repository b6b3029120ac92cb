//! The flavor NEXT-CSID: RFC 9800, section 4.1.
//!
//! ```text
//! +-----------------------+---------------------+------------------------------+
//! | Locator-Block (LBL)   | C-SID (LNFL)        | Argument: the next C-SIDs, 0 |
//! +-----------------------+---------------------+------------------------------+
//! ```
//!
//! A destination address is a container of compressed SIDs. As long as there are more of them, the
//! argument moves up over the SID that was processed, and no extension header is looked at: the
//! packet needs no SRH. Where the argument is 0 the container is at its end, and the packet is
//! treated as without the flavor.
//!
//! What the functions here are given comes after the shift: section 4.1.1 looks up again, 4.1.2 goes
//! to an adjacency, 4.1.3 looks up in a table, 4.1.4 is in [`binding`](super::binding). The decapsulations have the flavor too, but nothing to
//! shift: they are the last of their container.

use super::{Flavors, end};
use crate::{
    fib::{Fib, Sid},
    packet::Packet,
    pipeline::{Run, ip},
    verdict::{Reason, Verdict},
    wire::{
        ext,
        ipv6::{
            self,
            field::{DESTINATION, HOP_LIMIT},
        },
    },
};

/// How the SID is divided: RFC 9800, section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// LBL: bits of the Locator-Block.
    pub block_bits: u8,
    /// LNFL: bits of Locator-Node and Function, the compressed SID.
    pub csid_bits: u8,
}

impl Layout {
    /// The layout as masks.
    #[inline(always)]
    pub(super) const fn shift(self) -> Shift {
        let argument_at = self.block_bits as u32 + self.csid_bits as u32;
        Shift {
            block: !low(128 - self.block_bits as u32),
            argument: if argument_at < 128 { low(128 - argument_at) } else { 0 },
            bits: self.csid_bits as u32 % 128,
        }
    }
}

/// The last `bits` bits.
const fn low(bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

/// What the shift of an argument takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    /// The bits that stay.
    block: u128,
    /// The bits that move.
    argument: u128,
    /// By how many.
    bits: u32,
}

impl Shift {
    /// The destination with the argument moved up; `None` if the argument is 0.
    #[inline(always)]
    const fn next(self, destination: u128) -> Option<u128> {
        let argument = destination & self.argument;
        if argument == 0 {
            return None;
        }
        Some(destination & self.block | argument << self.bits)
    }
}

/// End with NEXT-CSID, uN: the next segment of the container, by the FIB.
pub fn end(run: &mut Run<'_>, sid: &Sid, fib: &Fib) {
    let shift = sid.csid.shift();
    run.each(|packet| match advance(packet, shift) {
        Ok(true) => Verdict::Lookup(packet.meta.table),
        Ok(false) => base(packet, sid, fib, end::end),
        Err(verdict) => verdict,
    });
}

/// End.X with NEXT-CSID, uA: the next segment of the container, to an adjacency.
pub fn end_x(run: &mut Run<'_>, sid: &Sid, fib: &Fib) {
    let shift = sid.csid.shift();
    run.each(|packet| match advance(packet, shift) {
        Ok(true) => Verdict::Forward(sid.group),
        Ok(false) => base(packet, sid, fib, end::end_x),
        Err(verdict) => verdict,
    });
}

/// End.T with NEXT-CSID: the next segment of the container, by the FIB of a table.
pub fn end_t(run: &mut Run<'_>, sid: &Sid, fib: &Fib) {
    let shift = sid.csid.shift();
    run.each(|packet| match advance(packet, shift) {
        Ok(true) => Verdict::Lookup(sid.table),
        Ok(false) => base(packet, sid, fib, end::end_t),
        Err(verdict) => verdict,
    });
}

/// RFC 9800, section 4.1.1, S01 to S07. `false`: the argument is 0, and nothing was changed.
#[inline(always)]
pub(super) fn advance(packet: &mut Packet<'_>, shift: Shift) -> Result<bool, Verdict> {
    let Some(next) = shift.next(packet.meta.key) else { return Ok(false) };
    let header = packet
        .array_mut::<{ ipv6::HEADER_LEN }>(0)
        .ok_or(Verdict::Drop(Reason::ExtensionHeader))?;
    if header[HOP_LIMIT] <= 1 {
        return Err(Verdict::Refuse(Reason::HopLimitExceeded, 0));
    }
    if ip::leaves_scope_v6(next) {
        // Of a block so short that whoever writes the container has a say in it.
        return Err(Verdict::Drop(Reason::Scope));
    }
    header[HOP_LIMIT] -= 1;
    header[DESTINATION..].copy_from_slice(&next.to_be_bytes());
    packet.meta.key = next;
    packet.meta.hop_limit_spent = true;
    Ok(true)
}

/// The end of the container: RFC 8986, with the other flavors (RFC 9800, section 4.1.7).
#[inline(never)]
pub(super) fn base(
    packet: &mut Packet<'_>,
    sid: &Sid,
    fib: &Fib,
    act: impl Fn(&mut Packet<'_>, ext::Headers, &Sid, &Fib) -> Verdict,
) -> Verdict {
    match ext::walk(packet.bytes()) {
        Ok(headers) => act(packet, headers, sid, fib),
        Err(verdict) => verdict,
    }
}

/// What a behavior is with the flavor.
#[derive(Debug)]
pub struct Row {
    /// Its code point at IANA; those with PSP, USP, PSP and USP follow in this order.
    pub code_point: u16,
    /// Its code point with USD, likewise.
    pub code_point_usd: Option<u16>,
    /// What it does.
    pub act: super::Act,
}

impl Row {
    /// The code point with these flavors besides.
    pub(super) fn code_point(&self, flavors: Flavors) -> u16 {
        flavors.offset_of(self.code_point, self.code_point_usd)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The RFC's own words on a string of bits: C-130, C-131.
    fn by_bits(layout: Layout, destination: u128) -> Option<u128> {
        let bits: Vec<u8> = (0..128).map(|at| (destination >> (127 - at)) as u8 & 1).collect();
        let (block, csid) = (usize::from(layout.block_bits), usize::from(layout.csid_bits));
        let argument = &bits[block + csid..];
        if argument.iter().all(|bit| *bit == 0) {
            return None;
        }
        let mut next = bits[..block].to_vec();
        next.extend(argument);
        next.resize(128, 0);
        Some(next.iter().fold(0, |address, bit| address << 1 | u128::from(*bit)))
    }

    proptest! {
        /// C-130, C-131, C-133: for any layout and any argument.
        #[test]
        fn the_shift_is_the_rfcs(block_bits in 0..=128u8, csid_bits in 0..=128u8, destination: u128, zeros in 0..=128u32) {
            let csid_bits = csid_bits.min(128 - block_bits);
            let layout = Layout { block_bits, csid_bits };
            // Arguments that end early, too.
            let destination = destination & !low(zeros);
            let expected = by_bits(layout, destination);
            prop_assert_eq!(layout.shift().next(destination), expected);
        }
    }

    /// C-138: blocks of 16, 32 and 48 bits. C-136: a C-SID of 0 within the argument is moved like any other; only an argument of nothing
    /// but zeros is the end.
    #[test]
    fn the_usual_layouts() {
        let next = |block_bits, csid_bits, destination: &str| {
            let destination: std::net::Ipv6Addr = destination.parse().unwrap();
            let layout = Layout { block_bits, csid_bits };
            let next = layout.shift().next(destination.into())?;
            Some(std::net::Ipv6Addr::from(next).to_string())
        };
        assert_eq!(next(32, 16, "fcbb:bbbb:1:2:3::").as_deref(), Some("fcbb:bbbb:2:3::"));
        assert_eq!(next(32, 16, "fcbb:bbbb:1:0:3::").as_deref(), Some("fcbb:bbbb:0:3::"));
        assert_eq!(next(32, 32, "fcbb:bbbb:1:e000:2:3::").as_deref(), Some("fcbb:bbbb:2:3::"));
        assert_eq!(next(48, 16, "2001:db8:b1:10:f123::").as_deref(), Some("2001:db8:b1:f123::"));
        assert_eq!(next(16, 32, "fc00:1:2:3:4:5:6:7").as_deref(), Some("fc00:3:4:5:6:7::"));
        assert_eq!(next(32, 16, "fcbb:bbbb:1::"), None);
    }
}
