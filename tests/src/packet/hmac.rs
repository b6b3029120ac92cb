//! The HMAC TLV of an SRH (RFC 8754, 2.1.2) in the form that Linux has, from seg6_hmac.c.

use std::net::Ipv6Addr;

use ::hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Its type.
pub const TYPE: u8 = 5;
/// Its length: two bytes, and the 38 that its length field says.
pub const LENGTH: usize = 40;
/// The flag of the SRH that announces it to Linux.
pub const FLAG: u8 = 8;
/// Keys that both routers know. The first is what headends sign with.
pub const KEYS: [(u32, &str); 2] = [(1, "known to both ends"), (2, "the one that comes after it")];

/// A TLV that names a key, without a digest.
pub fn unsigned(key: u32) -> Vec<u8> {
    let mut tlv = vec![TYPE, LENGTH as u8 - 2, 0, 0];
    tlv.extend(key.to_be_bytes());
    tlv.resize(LENGTH, 0);
    tlv
}

/// The digest of an SRH in packets from `source` by the key of an ID: of the source, Last Entry, the
/// flags, the ID and the segment list, but not of the 16 bits that follow the TLV's length. `None` if
/// the key is not known, or the list runs over the header's end.
pub fn digest(key: u32, source: Ipv6Addr, srh: &[u8]) -> Option<[u8; 32]> {
    let (_, secret) = KEYS.into_iter().find(|(id, _)| *id == key)?;
    let list = srh.get(8..8 + 16 * (usize::from(*srh.get(4)?) + 1))?;
    let mut keyed = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    keyed.update(&source.octets());
    keyed.update(srh.get(4..6)?);
    keyed.update(&key.to_be_bytes());
    keyed.update(list);
    Some(keyed.finalize().into_bytes().into())
}

/// A TLV that runs over the end of its SRH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun;

/// Where the first HMAC TLV of an SRH is, whose list fits it (RFC 8754, 2.1).
pub fn find(srh: &[u8]) -> Result<Option<usize>, Overrun> {
    let mut at = 8 + 16 * (usize::from(srh[4]) + 1);
    loop {
        match (srh.get(at), srh.get(at + 1)) {
            (None, _) => return Ok(None),
            // Pad1 is its type only.
            (Some(0), _) => at += 1,
            (Some(kind), Some(length)) if at + 2 + usize::from(*length) <= srh.len() => {
                if *kind == TYPE {
                    return Ok(Some(at));
                }
                at += 2 + usize::from(*length);
            }
            _ => return Err(Overrun),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::Srh;
    use super::*;

    #[test]
    fn found_behind_padding_and_not_behind_the_end() {
        let srh = |tlvs: &[u8]| {
            let list = vec![Ipv6Addr::LOCALHOST; 2];
            Srh { tlvs: tlvs.to_vec(), ..Srh::starting(&list) }.bytes(59)
        };
        let hmac = unsigned(1);
        assert_eq!(find(&srh(&[])), Ok(None));
        assert_eq!(find(&srh(&hmac)), Ok(Some(40)));
        assert_eq!(find(&srh(&[&[0, 0, 4, 4, 0, 0, 0, 0], &hmac[..]].concat())), Ok(Some(48)));
        assert_eq!(find(&srh(&[5, 7, 0, 0, 0, 0, 0, 0])), Err(Overrun));
    }
}
