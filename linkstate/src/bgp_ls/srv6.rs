//! TLVs that links and SIDs have in common (RFC 9514, sections 4 and 8).

use super::attribute::{self, FromTlvs};
use super::{Limits, once};
use crate::read::{Reader, exactly};
use crate::reason::{Reason, Tally};
use crate::ted::{AdjacencySid, Behavior, RouterId, SidStructure, Tlv};

/// What names the neighbor of a LAN End.X SID.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lan {
    /// Nothing: there is only one.
    No,
    /// A system ID.
    Isis,
    /// A Router ID.
    Ospf,
}

/// End.X SID and LAN End.X SID (RFC 9514, sections 4.1 and 4.2).
pub(super) fn end_x(
    value: &[u8],
    lan: Lan,
    limits: Limits,
    tally: &mut Tally,
) -> Result<AdjacencySid, Reason> {
    let mut reader = Reader::new(value);
    let mut fixed = || {
        let behavior = Behavior(reader.u16()?);
        let (flags, algorithm, weight) = (reader.u8()?, reader.u8()?, reader.u8()?);
        reader.u8()?;
        let neighbor = match lan {
            Lan::No => None,
            Lan::Isis => Some(RouterId::new(reader.take(6)?)?),
            Lan::Ospf => Some(RouterId::new(reader.take(4)?)?),
        };
        let (sid, structure, other) = (reader.ipv6()?, None, Vec::new());
        Some(AdjacencySid { sid, behavior, flags, algorithm, weight, neighbor, structure, other })
    };
    let mut sid = fixed().ok_or(Reason::TlvLength)?;
    let sub = attribute::read::<SubTlvs>(reader.rest(), limits, tally);
    (sid.structure, sid.other) = (sub.structure, sub.other);
    Ok(sid)
}

#[derive(Default)]
struct SubTlvs {
    structure: Option<SidStructure>,
    other: Vec<Tlv>,
}

impl FromTlvs for SubTlvs {
    fn tlv(&mut self, kind: u16, value: &[u8], _: Limits, _: &mut Tally) -> Result<bool, Reason> {
        if kind != 1252 {
            return Ok(false);
        }
        once(&mut self.structure, structure(value)?)?;
        Ok(true)
    }

    fn other(&mut self) -> &mut Vec<Tlv> {
        &mut self.other
    }
}

/// SID Structure: all parts together are no longer than a SID (RFC 9514, section 8).
pub(super) fn structure(value: &[u8]) -> Result<SidStructure, Reason> {
    let [block, node, function, argument] = exactly(value)?;
    if [block, node, function, argument].into_iter().map(u32::from).sum::<u32>() > 128 {
        return Err(Reason::TlvValue);
    }
    Ok(SidStructure { block, node, function, argument })
}
