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

/// Whether a packet has what a SID asks for; else what becomes of it.
#[inline(never)]
pub fn verify(packet: &Packet<'_>, policy: Policy, keys: &Keys) -> Result<(), Verdict> {
    let missing = || match policy {
        Policy::Require => Err(Verdict::Drop(Reason::HmacMissing)),
        Policy::VerifyIfPresent | Policy::Ignore => Ok(()),
    };
    if policy == Policy::Ignore {
        return Ok(());
    }
    let bytes = packet.bytes();
    let Some(offset) = ext::walk(bytes)?.srh() else { return missing() };
    let refuse = |reason, at: usize| Err(Verdict::Refuse(reason, u32::from(offset) + at as u32));
    let truncated = Verdict::Drop(Reason::ExtensionHeader);
    let srh = bytes.get(usize::from(offset)..).ok_or(truncated)?;
    let fixed = srh::Fixed::new(srh.first_chunk().ok_or(truncated)?);
    let srh = srh.get(..usize::from(fixed.header_len())).ok_or(truncated)?;
    if !fixed.is_consistent() {
        // Where the TLVs begin cannot be told.
        return refuse(Reason::SegmentsLeft, srh::field::SEGMENTS_LEFT);
    }
    let at = match tlv::find(srh, tlv::kind::HMAC) {
        Ok(Some(at)) => at,
        Ok(None) => return missing(),
        Err(tlv::Overrun) => return refuse(Reason::TlvOverrun, srh::field::HDR_EXT_LEN),
    };
    let source = ipv6::address_at(bytes, ipv6::field::SOURCE);
    match keys.verify(source, packet.meta.key, srh, at) {
        Ok(()) => Ok(()),
        Err(Fault::KeyUnknown) => refuse(Reason::HmacKeyUnknown, at),
        Err(Fault::Invalid) => refuse(Reason::HmacInvalid, at),
    }
}
