//! SRHs with HMAC TLVs: right ones, and every way to have one that is not.

use super::rng::Rng;
use crate::packet::build::Srh;
use crate::packet::parse::{Header, Kind, Layout, address};
use crate::packet::{ETHERNET, SEGMENT_ROUTING, hmac};

/// Puts HMAC TLVs without a digest into an SRH: where Linux looks for one, in most of them.
pub(super) fn unsigned(srh: &mut Srh, rng: &mut Rng) {
    let mut tlv = || {
        // Both keys, one that nobody has, and the one that means none.
        hmac::unsigned(*rng.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 3, 0]))
    };
    let (first, second) = (tlv(), tlv());
    srh.tlvs = match rng.below(40) {
        0..4 => Vec::new(),
        // PadN before it, or an unknown one.
        4..8 => [&[4, 6, 0, 0, 0, 0, 0, 0], &first[..]].concat(),
        8..10 => [&[200, 6, 1, 2, 3, 4, 5, 6], &first[..]].concat(),
        // Pad1 before it.
        10..12 => [&[0, 0, 4, 4, 0, 0, 0, 0], &first[..]].concat(),
        // Not the last.
        12..14 => [&first[..], &[4, 6, 0, 0, 0, 0, 0, 0]].concat(),
        14..17 => [first, second].concat(),
        // A digest of another length; one that runs over the end.
        17 => [&[5, 22], &first[2..24]].concat(),
        18 => [&[5, 46], &first[2..40], &[0; 8]].concat(),
        19 => [&[5, 60], &first[2..40]].concat(),
        20 => [&[0, 0, 0, 0, 0, 0, 0, 0], &first[..]].concat(),
        _ => first,
    };
    srh.flags = match rng.below(20) {
        0 => 0,
        1 => rng.byte(),
        _ => hmac::FLAG,
    };
}

/// Fills in the digests of all TLVs that look like HMACs, most of them.
pub(super) fn sign(frame: &mut [u8], rng: &mut Rng) {
    let Some(source) = address(frame, ETHERNET + 8) else { return };
    for srh in headers(frame) {
        let bytes = frame[srh.at..srh.at + srh.length].to_vec();
        for at in (8..srh.length).step_by(2) {
            let Some(tlv) = bytes.get(at..at + hmac::LENGTH) else { break };
            if tlv[..4] != [hmac::TYPE, 38, 0, 0] || rng.chance(6) {
                continue;
            }
            let key = u32::from_be_bytes([tlv[4], tlv[5], tlv[6], tlv[7]]);
            if let Some(digest) = hmac::digest(key, source, &bytes) {
                frame[srh.at + at + 8..][..32].copy_from_slice(&digest);
            }
        }
    }
}

/// Something wrong with what is signed, or with the signature.
pub(super) fn mangle(frame: &mut Vec<u8>, rng: &mut Rng) -> String {
    let Some(srh) = headers(frame).next() else { return "nothing".into() };
    let list = 16 * (usize::from(frame[srh.at + 4]) + 1);
    let tlvs = 8 + list;
    if tlvs >= srh.length {
        return bit(frame, srh.at, srh.length, "the SRH", rng);
    }
    let (at, length) = (srh.at + tlvs, srh.length - tlvs);
    match rng.below(20) {
        0..3 => bit(frame, ETHERNET + 8, 16, "the source", rng),
        3..5 => bit(frame, srh.at + 4, 2, "Last Entry or flags", rng),
        5..8 => bit(frame, srh.at + 8, list, "a segment", rng),
        8 => bit(frame, at, 2, "the TLV's type or length", rng),
        9 => bit(frame, at + 2, 2.min(length - 2), "the reserved field", rng),
        10 => bit(frame, at + 4, 4.min(length - 4), "the key's ID", rng),
        11..14 => bit(frame, at, length, "the TLVs", rng),
        14 | 15 => {
            frame[srh.at + 3] = rng.byte() % 6;
            format!("segments left {}, with that in the text", frame[srh.at + 3])
        }
        16 | 17 => {
            // The SRH ends within its TLVs, and what is behind is cut out.
            let cut = 8 * (1 + rng.below(length / 8));
            frame.drain(srh.at + srh.length - cut..srh.at + srh.length);
            frame[srh.at + 1] -= (cut / 8) as u8;
            shorten(frame, cut);
            format!("{cut} bytes of TLVs cut out")
        }
        18 => {
            frame[srh.at + 1] -= (1 + rng.below(length / 8)) as u8;
            format!("SRH length {}", frame[srh.at + 1])
        }
        _ => {
            frame[at + 1] = rng.byte();
            format!("TLV length {}", frame[at + 1])
        }
    }
}

/// The SRHs of the outer packet.
fn headers(frame: &[u8]) -> impl Iterator<Item = Header> + use<> {
    let layout = Layout::of(frame);
    let is_srh = |header: &Header| header.kind == Kind::Routing(SEGMENT_ROUTING);
    layout.outer().filter(is_srh).filter(|srh| srh.length >= 24).collect::<Vec<_>>().into_iter()
}

fn bit(frame: &mut [u8], at: usize, length: usize, what: &str, rng: &mut Rng) -> String {
    let byte = rng.below(length.max(1));
    if let Some(byte) = frame.get_mut(at + byte) {
        *byte ^= 1 << rng.below(8);
    }
    format!("a bit of {what}, byte {byte}")
}

fn shorten(frame: &mut [u8], cut: usize) {
    if let Some(field) = frame.get_mut(ETHERNET + 4..ETHERNET + 6) {
        let length = u16::from_be_bytes([field[0], field[1]]);
        field.copy_from_slice(&length.wrapping_sub(cut as u16).to_be_bytes());
    }
}
