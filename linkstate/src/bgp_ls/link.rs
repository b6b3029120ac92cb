//! TLVs of a link (RFC 9552, section 5.3.2; RFC 8571; RFC 9514, section 4).

use super::attribute::{FromTlvs, add, items, name};
use super::node::msds;
use super::srv6::{Lan, end_x};
use super::{Limits, once};
use crate::read::{bandwidth_of, exactly, ipv4_of, ipv6_of, u16_of, u32_of};
use crate::reason::{Reason, Tally};
use crate::ted::{LinkAttributes, Measured, Tlv};

impl FromTlvs for LinkAttributes {
    fn tlv(
        &mut self,
        kind: u16,
        value: &[u8],
        limits: Limits,
        tally: &mut Tally,
    ) -> Result<bool, Reason> {
        match kind {
            267 => add(&mut self.msds, msds(value)?, limits)?,
            1028 => add(&mut self.local_router_ids, [ipv4_of(value)?.into()], limits)?,
            1029 => add(&mut self.local_router_ids, [ipv6_of(value)?.into()], limits)?,
            1030 => add(&mut self.remote_router_ids, [ipv4_of(value)?.into()], limits)?,
            1031 => add(&mut self.remote_router_ids, [ipv6_of(value)?.into()], limits)?,
            1088 if value.len() != 4 => return Err(Reason::TlvLength),
            // RFC 9104, section 2.1: the extended one holds the first 32 bits again.
            1088 if !self.admin_groups.is_empty() => {}
            1088 => add(&mut self.admin_groups, numbers(value)?, limits)?,
            1173 => {
                self.admin_groups.clear();
                add(&mut self.admin_groups, numbers(value)?, limits)?;
            }
            1089 => once(&mut self.max_bandwidth, bandwidth_of(value)?)?,
            1090 => once(&mut self.max_reservable, bandwidth_of(value)?)?,
            1091 => once(&mut self.unreserved, unreserved(value)?)?,
            1092 => once(&mut self.te_metric, u32_of(value)?)?,
            1093 => once(&mut self.protection, u16_of(value)?)?,
            1095 => once(&mut self.igp_metric, metric(value)?)?,
            1096 => add(&mut self.srlgs, numbers(value)?, limits)?,
            1098 => once(&mut self.name, name(value)?)?,
            1106 => {
                add(&mut self.adjacency_sids, [end_x(value, Lan::No, limits, tally)?], limits)?;
            }
            1107 => {
                add(&mut self.adjacency_sids, [end_x(value, Lan::Isis, limits, tally)?], limits)?;
            }
            1108 => {
                add(&mut self.adjacency_sids, [end_x(value, Lan::Ospf, limits, tally)?], limits)?;
            }
            1114 => once(&mut self.delay, measured(value)?)?,
            1115 => once(&mut self.delay_range, delay_range(value)?)?,
            1116 => once(&mut self.delay_variation, u24(u32_of(value)?))?,
            1117 => once(&mut self.loss, measured(value)?)?,
            1118 => once(&mut self.residual, bandwidth_of(value)?)?,
            1119 => once(&mut self.available, bandwidth_of(value)?)?,
            1120 => once(&mut self.utilized, bandwidth_of(value)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn other(&mut self) -> &mut Vec<Tlv> {
        &mut self.other
    }
}

fn numbers(value: &[u8]) -> Result<impl Iterator<Item = u32> + '_, Reason> {
    Ok(items(value)?.map(u32::from_be_bytes))
}

fn unreserved(value: &[u8]) -> Result<[f32; 8], Reason> {
    let bytes: [u8; 32] = exactly(value)?;
    let mut bandwidths = [0.0; 8];
    for (bandwidth, bytes) in bandwidths.iter_mut().zip(bytes.chunks_exact(4)) {
        *bandwidth = bandwidth_of(bytes)?;
    }
    Ok(bandwidths)
}

/// One octet of IS-IS with narrow metrics, of which two bits are something else, two of OSPF, three
/// of IS-IS with wide ones (RFC 9552, section 5.3.2.4).
fn metric(value: &[u8]) -> Result<u32, Reason> {
    match *value {
        [a] => Ok(u32::from(a & 0x3f)),
        [a, b] => Ok(u32::from_be_bytes([0, 0, a, b])),
        [a, b, c] => Ok(u32::from_be_bytes([0, a, b, c])),
        _ => Err(Reason::TlvLength),
    }
}

/// The lower three octets.
fn u24(value: u32) -> u32 {
    value & 0x00ff_ffff
}

fn measured(value: &[u8]) -> Result<Measured<u32>, Reason> {
    let value = u32_of(value)?;
    Ok(Measured { anomalous: value >> 31 == 1, value: u24(value) })
}

fn delay_range(value: &[u8]) -> Result<Measured<(u32, u32)>, Reason> {
    let bytes: [u8; 8] = exactly(value)?;
    let low = measured(&bytes[..4])?;
    let high = u24(u32_of(&bytes[4..])?);
    Ok(Measured { anomalous: low.anomalous, value: (low.value, high) })
}
