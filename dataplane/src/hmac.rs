//! Keys of the HMAC TLV, and what is signed with them (RFC 8754, section 2.1.2).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |      Type     |     Length    |D|        RESERVED             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                      HMAC Key ID (4 octets)                   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                      HMAC (variable)                         //
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! All that is signed stays as it is on the way, and is the same for every packet that takes a
//! segment list: a headend signs the list once, and not each packet.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::wire::{
    srh::{self, Fixed, flag},
    tlv,
};

/// Bytes of an SHA-256 digest, and of the field that holds it.
pub const DIGEST_LEN: usize = 32;

/// Bytes of a TLV with such a digest.
pub const TLV_LEN: usize = tlv::HEADER_LEN + DATA_LEN;

/// Bytes of its data: D and RESERVED, HMAC Key ID, HMAC.
const DATA_LEN: usize = 2 + 4 + DIGEST_LEN;

/// D: the destination is not in the segment list, which was reduced.
const D_BIT: u16 = 0x8000;

/// What the digest is computed of, and how an SRH says that it has one. Both ends of a key have to
/// agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Form {
    /// As RFC 8754 has it.
    #[default]
    Rfc8754,
    /// As Linux has it, which took it from a draft: the text goes without the 16 bits that follow
    /// Length, a flag of the SRH announces the TLV, and the bit D is not known.
    Linux,
}

/// A key, ready to be used: an algorithm, HMAC-SHA-256, and a pre-shared secret.
#[derive(Clone)]
pub struct Key {
    id: u32,
    form: Form,
    /// The state after the secret, which is not kept otherwise.
    keyed: Hmac<Sha256>,
}

/// Without anything of the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// The key of this HMAC Key ID.
    pub fn new(id: u32, form: Form, secret: &[u8]) -> Self {
        let keyed = match Hmac::new_from_slice(secret) {
            Ok(keyed) => keyed,
            Err(_) => unreachable!("HMAC takes secrets of any length"),
        };
        Self { id, form, keyed }
    }

    /// Its HMAC Key ID.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Puts a TLV behind the segment list of an SRH without TLVs, in packets from `source`.
    pub fn sign(&self, source: u128, srh: &mut Vec<u8>) {
        let Some(fixed) = srh.first_chunk().map(Fixed::new) else { return };
        let in_list = fixed.segments_left() <= fixed.last_entry();
        let bits = if in_list || self.form == Form::Linux { 0 } else { D_BIT };
        let hdr_ext_len = srh[srh::field::HDR_EXT_LEN];
        srh[srh::field::HDR_EXT_LEN] = hdr_ext_len.wrapping_add((TLV_LEN / 8) as u8);
        if self.form == Form::Linux {
            srh[srh::field::FLAGS] |= flag::HMAC;
        }
        let digest = self.text(source, srh, bits.to_be_bytes()).finalize().into_bytes();
        srh.extend([tlv::kind::HMAC, DATA_LEN as u8]);
        srh.extend(bits.to_be_bytes());
        srh.extend(self.id.to_be_bytes());
        srh.extend(digest);
    }

    /// Whether a packet's SRH is what was signed.
    fn is_right(&self, packet: &Signed<'_>) -> bool {
        let fixed = Fixed::new(packet.fixed);
        let left = fixed.segments_left();
        let is_current = if left <= fixed.last_entry() {
            let at = usize::from(srh::segment_at(left));
            packet.srh.get(at..).and_then(|rest| rest.first_chunk())
                == Some(&packet.destination.to_be_bytes())
        } else {
            // Linux says nothing of the first segment of a reduced list, and signs it all the same.
            self.form == Form::Linux || u16::from_be_bytes(packet.tlv.bits) & D_BIT != 0
        };
        // In constant time.
        is_current
            && self
                .text(packet.source, packet.srh, packet.tlv.bits)
                .verify_slice(packet.tlv.digest)
                .is_ok()
    }

    /// The state after the text (section 2.1.2.1).
    fn text(&self, source: u128, srh: &[u8], bits: [u8; 2]) -> Hmac<Sha256> {
        let mut text = self.keyed.clone();
        text.update(&source.to_be_bytes());
        text.update(srh.get(srh::field::LAST_ENTRY..=srh::field::FLAGS).unwrap_or_default());
        if self.form == Form::Rfc8754 {
            text.update(&bits);
        }
        text.update(&self.id.to_be_bytes());
        let last_entry = srh.get(srh::field::LAST_ENTRY).copied().unwrap_or(0);
        let end = srh::FIXED_LEN + srh::SEGMENT_LEN * (usize::from(last_entry) + 1);
        text.update(srh.get(srh::FIXED_LEN..end).unwrap_or_default());
        text
    }
}

/// What is verified of a packet.
#[derive(Debug, Clone, Copy)]
struct Signed<'a> {
    source: u128,
    destination: u128,
    fixed: &'a [u8; srh::FIXED_LEN],
    /// All of the SRH.
    srh: &'a [u8],
    tlv: Tlv<'a>,
}

/// The fields of an HMAC TLV with a digest of the length that there is.
#[derive(Debug, Clone, Copy)]
struct Tlv<'a> {
    bits: [u8; 2],
    key_id: u32,
    digest: &'a [u8; DIGEST_LEN],
}

impl<'a> Tlv<'a> {
    fn at(srh: &'a [u8], at: usize) -> Option<Self> {
        let (header, data) = srh.get(at..)?.split_first_chunk::<{ tlv::HEADER_LEN }>()?;
        if usize::from(header[1]) != DATA_LEN {
            return None;
        }
        let (bits, rest) = data.split_first_chunk()?;
        let (key_id, rest) = rest.split_first_chunk()?;
        let key_id = u32::from_be_bytes(*key_id);
        Some(Self { bits: *bits, key_id, digest: rest.first_chunk()? })
    }
}

/// Why a TLV proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no key of its HMAC Key ID.
    KeyUnknown,
    /// The digest is another, or none of ours, or the destination is not the current segment.
    Invalid,
}

/// All keys, by HMAC Key ID. Several are valid at a time: see section 2.1.2.2 on key roll-over.
#[derive(Debug, Clone, Default)]
pub struct Keys(Box<[Key]>);

impl Keys {
    /// These keys, each of an ID of its own.
    pub fn new(mut keys: Vec<Key>) -> Self {
        keys.sort_by_key(Key::id);
        Self(keys.into())
    }

    /// The key of this ID.
    pub fn get(&self, id: u32) -> Option<&Key> {
        let at = self.0.binary_search_by_key(&id, Key::id).ok()?;
        self.0.get(at)
    }

    /// Verifies the TLV at `at` of an SRH, in a packet with these addresses (section 2.1.2.1).
    pub fn verify(
        &self,
        source: u128,
        destination: u128,
        srh: &[u8],
        at: usize,
    ) -> Result<(), Fault> {
        let (Some(fixed), Some(tlv)) = (srh.first_chunk(), Tlv::at(srh, at)) else {
            return Err(Fault::Invalid);
        };
        let key = self.get(tlv.key_id).ok_or(Fault::KeyUnknown)?;
        let signed = Signed { source, destination, fixed, srh, tlv };
        if key.is_right(&signed) { Ok(()) } else { Err(Fault::Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::protocol;

    const SOURCE: u128 = 0xfc00_0000_0001 << 80 | 1;
    const SEGS: [u128; 3] = [0xa << 64, 0xb << 64, 0xc << 64];
    const SECRET: &[u8] = b"What do ya want for nothing?";

    fn keys(form: Form) -> Keys {
        Keys::new(vec![Key::new(9, form, b"another"), Key::new(7, form, SECRET)])
    }

    /// An SRH that key 7 signed, and the offset of its TLV.
    fn signed(form: Form, reduced: bool) -> (Vec<u8>, usize) {
        let mut bytes = srh::header(protocol::IPV6, &SEGS, reduced);
        let at = bytes.len();
        Key::new(7, form, SECRET).sign(SOURCE, &mut bytes);
        (bytes, at)
    }

    /// C-121: RFC 4231, section 4.3, test case 2.
    #[test]
    fn the_digest_is_hmac_sha_256() {
        let mut keyed = Key::new(1, Form::Rfc8754, b"Jefe").keyed;
        keyed.update(b"what do ya want for nothing?");
        let digest = keyed.finalize().into_bytes();
        let words: Vec<u32> =
            digest.chunks(4).map(|word| u32::from_be_bytes(*word.first_chunk().unwrap())).collect();
        assert_eq!(
            words,
            [
                0x5bdc_c146,
                0xbf60_754e,
                0x6a04_2426,
                0x0895_75c7,
                0x5a00_3f08,
                0x9d27_3983,
                0x9dec_58b9,
                0x64ec_3843,
            ]
        );
    }

    /// C-122: the bytes that are signed, one after the other, in either form.
    #[test]
    fn what_the_digest_covers() {
        for (form, flags, bits) in [(Form::Rfc8754, 0, &[0, 0][..]), (Form::Linux, 8, &[])] {
            let (bytes, at) = signed(form, false);
            let mut text = SOURCE.to_be_bytes().to_vec();
            text.extend([2, flags]);
            text.extend(bits);
            text.extend(7u32.to_be_bytes());
            SEGS.iter().rev().for_each(|seg| text.extend(seg.to_be_bytes()));
            let mut whole = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
            whole.update(&text);
            assert_eq!(bytes[at..at + 8], [5, 38, 0, 0, 0, 0, 0, 7]);
            assert_eq!(bytes[at + 8..], whole.finalize().into_bytes()[..]);
            assert_eq!(bytes.len(), 8 * (usize::from(bytes[1]) + 1));
        }
    }

    /// C-120, C-122: each bit that is covered counts, and the addresses do.
    #[test]
    fn no_covered_bit_can_be_changed() {
        for form in [Form::Rfc8754, Form::Linux] {
            let (bytes, at) = signed(form, false);
            let verify = |source, bytes: &[u8]| keys(form).verify(source, SEGS[0], bytes, at);
            assert_eq!(verify(SOURCE, &bytes), Ok(()));
            for bit in 0..128 {
                assert_eq!(verify(SOURCE ^ 1 << bit, &bytes), Err(Fault::Invalid));
            }
            let covered = (4..6).chain(8..at).chain(at..bytes.len());
            for byte in covered {
                for bit in 0..8 {
                    let mut bytes = bytes.clone();
                    bytes[byte] ^= 1 << bit;
                    // Linux does not sign the 16 bits, and the type is whom it was found by.
                    let free = form == Form::Linux && (at + 2..at + 4).contains(&byte);
                    if !free && byte != at {
                        assert!(verify(SOURCE, &bytes).is_err(), "byte {byte}, bit {bit}");
                    }
                }
            }
        }
    }

    /// Segments Left and the tag are not covered: the one changes on the way.
    #[test]
    fn a_signed_list_is_right_at_each_of_its_segments() {
        let (mut bytes, at) = signed(Form::Rfc8754, false);
        for (index, segment) in SEGS.into_iter().enumerate() {
            bytes[srh::field::SEGMENTS_LEFT] = 2 - index as u8;
            let verify = |destination| keys(Form::Rfc8754).verify(SOURCE, destination, &bytes, at);
            assert_eq!(verify(segment), Ok(()));
            // C-123: the destination has to be the current segment.
            assert_eq!(verify(segment ^ 1), Err(Fault::Invalid));
        }
    }

    /// C-123: without the bit D the first segment of a reduced list could be any address.
    #[test]
    fn the_first_segment_of_a_reduced_list() {
        let (mut bytes, at) = signed(Form::Rfc8754, true);
        assert_eq!(bytes[at + 2..at + 4], [0x80, 0]);
        let verify = |bytes: &[u8]| keys(Form::Rfc8754).verify(SOURCE, SEGS[0], bytes, at);
        assert_eq!(verify(&bytes), Ok(()));
        bytes[at + 2] = 0;
        assert_eq!(verify(&bytes), Err(Fault::Invalid));
        // Linux leaves it 0.
        let (bytes, at) = signed(Form::Linux, true);
        assert_eq!(bytes[at + 2..at + 4], [0, 0]);
        assert_eq!(keys(Form::Linux).verify(SOURCE, SEGS[0], &bytes, at), Ok(()));
    }

    /// C-125: two keys at a time.
    #[test]
    fn keys_roll_over() {
        let keys = keys(Form::Rfc8754);
        for (id, secret, expected) in [
            (7, SECRET, Ok(())),
            (9, b"another", Ok(())),
            (9, SECRET, Err(Fault::Invalid)),
            (8, SECRET, Err(Fault::KeyUnknown)),
        ] {
            let mut bytes = srh::header(protocol::IPV6, &SEGS, false);
            let at = bytes.len();
            Key::new(id, Form::Rfc8754, secret).sign(SOURCE, &mut bytes);
            assert_eq!(keys.verify(SOURCE, SEGS[0], &bytes, at), expected);
        }
    }

    #[test]
    fn a_key_does_not_tell_its_secret() {
        let text = format!("{:?}", keys(Form::Linux));
        assert_eq!(text, "Keys([Key { id: 7, form: Linux, .. }, Key { id: 9, form: Linux, .. }])");
    }
}
