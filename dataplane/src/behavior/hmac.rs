//! Whether packets may use a SID, by the HMAC TLV of their SRH: RFC 8754, section 2.1.2.1.
//!
//! It is looked at before the behavior is (section 4.3.1.1, S06), at the end of a segment list,
//! too: what a behavior takes out of the packet there is what the list was signed for.

use crate::{
    hmac::{Fault, Keys},
    packet::Packet,
    verdict::{Reason, Verdict},
    wire::{ext, ipv6, srh, tlv},
};

/// What a SID asks of the packets for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Policy {
    /// Nothing: TLVs are not looked at (section 2.1).
    #[default]
    Ignore,
    /// An HMAC that there is has to be right.
    VerifyIfPresent,
    /// There is an HMAC, and it is right.
    Require,
}

impl Policy {
    /// Its name, as the configuration has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::VerifyIfPresent => "verify-if-present",
            Self::Require => "require",
        }
    }
}

/// An HMAC TLV: the offset of its SRH in the packet, the SRH, and the offset of the TLV in that.
type Found<'a> = (u16, &'a [u8], usize);

/// Whether a packet has what a SID asks for; else what becomes of it.
#[inline(never)]
pub fn verify(packet: &Packet<'_>, policy: Policy, keys: &Keys) -> Result<(), Verdict> {
    if policy == Policy::Ignore {
        return Ok(());
    }
    let bytes = packet.bytes();
    let Some((offset, srh, at)) = find(bytes)? else {
        return match policy {
            Policy::Require => Err(Verdict::Drop(Reason::HmacMissing)),
            Policy::VerifyIfPresent | Policy::Ignore => Ok(()),
        };
    };
    let source = ipv6::address_at(bytes, ipv6::field::SOURCE);
    match keys.verify(source, packet.meta.key, srh, at) {
        Ok(()) => Ok(()),
        Err(Fault::KeyUnknown) => Err(refuse(Reason::HmacKeyUnknown, offset, at)),
        Err(Fault::Invalid) => Err(refuse(Reason::HmacInvalid, offset, at)),
    }
}

/// Whether a packet has an HMAC TLV, right or wrong: what can be told without a digest.
pub fn is_signed(packet: &Packet<'_>) -> bool {
    find(packet.bytes()).is_ok_and(|found| found.is_some())
}

/// The HMAC TLV of a packet, if it has one.
fn find(bytes: &[u8]) -> Result<Option<Found<'_>>, Verdict> {
    const TRUNCATED: Verdict = Verdict::Drop(Reason::ExtensionHeader);
    let Some(offset) = ext::walk(bytes)?.srh() else { return Ok(None) };
    let srh = bytes.get(usize::from(offset)..).ok_or(TRUNCATED)?;
    let fixed = srh::Fixed::new(srh.first_chunk().ok_or(TRUNCATED)?);
    let srh = srh.get(..usize::from(fixed.header_len())).ok_or(TRUNCATED)?;
    if !fixed.is_consistent() {
        // Where the TLVs begin cannot be told.
        return Err(refuse(Reason::SegmentsLeft, offset, srh::field::SEGMENTS_LEFT));
    }
    match tlv::find(srh, tlv::kind::HMAC) {
        Ok(at) => Ok(at.map(|at| (offset, srh, at))),
        Err(tlv::Overrun) => Err(refuse(Reason::TlvOverrun, offset, srh::field::HDR_EXT_LEN)),
    }
}

/// An error that points to a byte of the SRH.
fn refuse(reason: Reason, srh: u16, at: usize) -> Verdict {
    Verdict::Refuse(reason, u32::from(srh) + at as u32)
}
