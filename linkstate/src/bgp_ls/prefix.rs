//! TLVs of a prefix (RFC 9552, section 5.3.3; RFC 9514, section 5; RFC 9085).

use super::attribute::{self, FromTlvs, add, items};
use super::{Limits, once};
use crate::read::{Reader, exactly, ipv6_of, u8_of, u32_of};
use crate::reason::{Reason, Tally};
use crate::ted::{Locator, PrefixAttributes, Tlv};
use std::net::IpAddr;

impl FromTlvs for PrefixAttributes {
    fn tlv(
        &mut self,
        kind: u16,
        value: &[u8],
        limits: Limits,
        tally: &mut Tally,
    ) -> Result<bool, Reason> {
        match kind {
            1152 => self.igp_flags = u8_of(value)?,
            1153 => {
                let tags = items(value)?.map(|tag| u32::from_be_bytes(tag).into());
                add(&mut self.tags, tags, limits)?;
            }
            1154 => add(&mut self.tags, items(value)?.map(u64::from_be_bytes), limits)?,
            1155 => once(&mut self.metric, u32_of(value)?)?,
            1156 => once(&mut self.forwarding_address, address(value)?)?,
            1162 => once(&mut self.locator, locator(value, limits, tally)?)?,
            // As many as the protocol defines: one octet in IS-IS and OSPF, until now.
            1170 if value.len() > 8 => return Err(Reason::TlvLength),
            1170 => once(&mut self.attribute_flags, value.into())?,
            1171 => once(&mut self.source_router_id, address(value)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn other(&mut self) -> &mut Vec<Tlv> {
        &mut self.other
    }
}

fn address(value: &[u8]) -> Result<IpAddr, Reason> {
    match value.len() {
        4 => exactly::<4>(value).map(IpAddr::from),
        _ => ipv6_of(value).map(IpAddr::from),
    }
}

/// RFC 9514, section 5.1.
fn locator(value: &[u8], limits: Limits, tally: &mut Tally) -> Result<Locator, Reason> {
    let mut reader = Reader::new(value);
    let mut fixed = || {
        let (flags, algorithm) = (reader.u8()?, reader.u8()?);
        reader.u16()?;
        Some(Locator { flags, algorithm, metric: reader.u32()?, other: Vec::new() })
    };
    let mut locator = fixed().ok_or(Reason::TlvLength)?;
    locator.other = attribute::read::<SubTlvs>(reader.rest(), limits, tally).0;
    Ok(locator)
}

/// Sub-TLVs of which none is known.
#[derive(Default)]
struct SubTlvs(Vec<Tlv>);

impl FromTlvs for SubTlvs {
    fn tlv(&mut self, _: u16, _: &[u8], _: Limits, _: &mut Tally) -> Result<bool, Reason> {
        Ok(false)
    }

    fn other(&mut self) -> &mut Vec<Tlv> {
        &mut self.0
    }
}
