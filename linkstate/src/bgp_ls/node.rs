//! TLVs of a node (RFC 9552, section 5.3.1; RFC 9514, section 3; RFC 8814; RFC 9085).

use super::Limits;
use super::attribute::{FromTlvs, add, items, name};
use super::once;
use crate::read::{ipv4_of, ipv6_of, u8_of};
use crate::reason::{Reason, Tally};
use crate::ted::{Msd, NodeAttributes, NodeFlags, Tlv};

impl FromTlvs for NodeAttributes {
    fn tlv(
        &mut self,
        kind: u16,
        value: &[u8],
        limits: Limits,
        _: &mut Tally,
    ) -> Result<bool, Reason> {
        match kind {
            263 => add(&mut self.topologies, topologies(value)?, limits)?,
            266 => add(&mut self.msds, msds(value)?, limits)?,
            1024 => self.flags = NodeFlags(u8_of(value)?),
            1026 => once(&mut self.name, name(value)?)?,
            // An area of IS-IS has up to 13 octets (ISO 10589, section 7.1.1).
            1027 if !(1..=13).contains(&value.len()) => return Err(Reason::TlvLength),
            1027 => add(&mut self.areas, [value.into()], limits)?,
            1028 => add(&mut self.router_ids, [ipv4_of(value)?.into()], limits)?,
            1029 => add(&mut self.router_ids, [ipv6_of(value)?.into()], limits)?,
            1035 => add(&mut self.algorithms, value.iter().copied(), limits)?,
            1038 => once(&mut self.srv6_flags, srv6_capabilities(value)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn other(&mut self) -> &mut Vec<Tlv> {
        &mut self.other
    }
}

/// Multi-Topology Identifiers: 12 bits each (RFC 9552, section 5.2.2.1).
fn topologies(value: &[u8]) -> Result<impl Iterator<Item = u16> + '_, Reason> {
    Ok(items(value)?.map(|item| u16::from_be_bytes(item) & 0x0fff))
}

/// MSDs (RFC 8814, section 3).
pub(super) fn msds(value: &[u8]) -> Result<impl Iterator<Item = Msd> + '_, Reason> {
    Ok(items(value)?.map(|[kind, value]| Msd { kind, value }))
}

/// Flags of two octets, and two that are reserved; sub-TLVs may follow (RFC 9514, section 3.1).
fn srv6_capabilities(value: &[u8]) -> Result<u16, Reason> {
    let (fixed, _) = value.split_first_chunk::<4>().ok_or(Reason::TlvLength)?;
    Ok(u16::from_be_bytes([fixed[0], fixed[1]]))
}
