//! TLVs of a SID (RFC 9514, section 7).

use super::attribute::FromTlvs;
use super::srv6::structure;
use super::{Limits, once};
use crate::read::exactly;
use crate::reason::{Reason, Tally};
use crate::ted::{Behavior, BgpPeerNode, EndpointBehavior, SidAttributes, Tlv};

impl FromTlvs for SidAttributes {
    fn tlv(&mut self, kind: u16, value: &[u8], _: Limits, _: &mut Tally) -> Result<bool, Reason> {
        match kind {
            1250 => once(&mut self.endpoint, endpoint(value)?)?,
            1251 => once(&mut self.peer, peer(value)?)?,
            1252 => once(&mut self.structure, structure(value)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn other(&mut self) -> &mut Vec<Tlv> {
        &mut self.other
    }
}

fn endpoint(value: &[u8]) -> Result<EndpointBehavior, Reason> {
    let [a, b, flags, algorithm] = exactly(value)?;
    Ok(EndpointBehavior { behavior: Behavior(u16::from_be_bytes([a, b])), flags, algorithm })
}

fn peer(value: &[u8]) -> Result<BgpPeerNode, Reason> {
    let [flags, weight, _, _, a, b, c, d, identifier @ ..]: [u8; 12] = exactly(value)?;
    let asn = u32::from_be_bytes([a, b, c, d]);
    Ok(BgpPeerNode { flags, weight, asn, identifier: identifier.into() })
}
