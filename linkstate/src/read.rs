//! Reading bytes from a peer: nothing is read that is not there.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::reason::Reason;

/// What is still to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn ipv6(&mut self) -> Option<Ipv6Addr> {
        self.array::<16>().map(Ipv6Addr::from)
    }
}

/// TLVs with a type and a length of two octets each, one by one. The first that runs over the end
/// is an error, and the last item.
pub(crate) struct Tlvs<'a>(Reader<'a>);

/// TLVs in `bytes`.
pub(crate) fn tlvs(bytes: &[u8]) -> Tlvs<'_> {
    Tlvs(Reader::new(bytes))
}

impl<'a> Tlvs<'a> {
    fn read(&mut self) -> Option<(u16, &'a [u8])> {
        let kind = self.0.u16()?;
        let length = self.0.u16()?;
        Some((kind, self.0.take(length.into())?))
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<(u16, &'a [u8]), Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let tlv = self.read().ok_or(Reason::TlvOverrun);
        if tlv.is_err() {
            self.0 = Reader::new(&[]);
        }
        Some(tlv)
    }
}

/// All of `bytes`, which must be as many.
pub(crate) fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Reason> {
    bytes.try_into().map_err(|_| Reason::TlvLength)
}

pub(crate) fn u8_of(bytes: &[u8]) -> Result<u8, Reason> {
    exactly(bytes).map(u8::from_be_bytes)
}

pub(crate) fn u16_of(bytes: &[u8]) -> Result<u16, Reason> {
    exactly(bytes).map(u16::from_be_bytes)
}

pub(crate) fn u32_of(bytes: &[u8]) -> Result<u32, Reason> {
    exactly(bytes).map(u32::from_be_bytes)
}

/// Bytes per second. What is not a number, or below nothing, is no bandwidth.
pub(crate) fn bandwidth_of(bytes: &[u8]) -> Result<f32, Reason> {
    let value = f32::from_be_bytes(exactly(bytes)?);
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(Reason::TlvValue) }
}

pub(crate) fn ipv4_of(bytes: &[u8]) -> Result<Ipv4Addr, Reason> {
    exactly::<4>(bytes).map(Ipv4Addr::from)
}

pub(crate) fn ipv6_of(bytes: &[u8]) -> Result<Ipv6Addr, Reason> {
    exactly::<16>(bytes).map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tlvs_end_at_the_first_that_runs_over() {
        let bytes = [0, 1, 0, 1, 7, 0, 2, 0, 0, 0, 3, 0, 9, 1, 0, 4];
        let read: Vec<_> = tlvs(&bytes).collect();
        assert_eq!(read, [Ok((1, &[7][..])), Ok((2, &[][..])), Err(Reason::TlvOverrun)]);
    }

    #[test]
    fn nothing_is_read_that_is_not_there() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.u16(), Some(0x0102));
        assert_eq!(reader.take(2), None);
        assert_eq!(reader.rest(), [3]);
    }

    #[test]
    fn a_bandwidth_is_a_number() {
        assert_eq!(bandwidth_of(&1.25e9f32.to_be_bytes()), Ok(1.25e9));
        assert_eq!(bandwidth_of(&f32::NAN.to_be_bytes()), Err(Reason::TlvValue));
        assert_eq!(bandwidth_of(&[0; 3]), Err(Reason::TlvLength));
    }
}
