//! The BGP-LS attribute: TLVs that belong to whatever NLRI they come with.

use std::sync::Arc;

use super::{Limits, Shared};
use crate::read::tlvs;
use crate::reason::{Reason, Tally};
use crate::ted::{LinkAttributes, NodeAttributes, PrefixAttributes, SidAttributes, Tlv};

/// Something that is read from TLVs.
pub(super) trait FromTlvs: Default {
    /// Takes one of them. `Ok(false)`: it is not known here.
    fn tlv(
        &mut self,
        kind: u16,
        value: &[u8],
        limits: Limits,
        tally: &mut Tally,
    ) -> Result<bool, Reason>;

    /// Where those are kept that are not known.
    fn other(&mut self) -> &mut Vec<Tlv>;
}

/// Reads all that can be read of `bytes`, and counts what cannot.
pub(super) fn read<T: FromTlvs>(bytes: &[u8], limits: Limits, tally: &mut Tally) -> T {
    let mut object = T::default();
    let mut unknown = 0;
    for tlv in tlvs(bytes) {
        let taken = tlv.and_then(|(kind, value)| {
            if object.tlv(kind, value, limits, tally)? {
                return Ok(());
            }
            unknown += value.len() + 4;
            if unknown > limits.unknown {
                return Err(Reason::UnknownLimit);
            }
            object.other().push(Tlv { kind, value: value.into() });
            Ok(())
        });
        if let Err(reason) = taken {
            tally.count(reason);
        }
    }
    object
}

/// Adds to a list as much as it may hold.
pub(super) fn add<T>(
    list: &mut Vec<T>,
    items: impl IntoIterator<Item = T>,
    limits: Limits,
) -> Result<(), Reason> {
    for item in items {
        if list.len() >= limits.list {
            return Err(Reason::ListLimit);
        }
        list.push(item);
    }
    Ok(())
}

/// A value that is a list of items of `N` octets.
pub(super) fn items<const N: usize>(
    value: &[u8],
) -> Result<impl Iterator<Item = [u8; N]> + '_, Reason> {
    let (items, rest) = value.as_chunks::<N>();
    if rest.is_empty() { Ok(items.iter().copied()) } else { Err(Reason::TlvLength) }
}

/// A name, without what a terminal could take for a command.
pub(super) fn name(value: &[u8]) -> Result<Box<str>, Reason> {
    if value.is_empty() || value.len() > 255 {
        return Err(Reason::TlvLength);
    }
    let text = String::from_utf8_lossy(value);
    Ok(text.chars().filter(|c| !c.is_control()).collect())
}

/// The attribute of one UPDATE, read for each kind of NLRI in it, once.
pub(super) struct Attribute<'a> {
    bytes: &'a [u8],
    limits: Limits,
    node: Shared<NodeAttributes>,
    link: Shared<LinkAttributes>,
    prefix: Shared<PrefixAttributes>,
    sid: Shared<SidAttributes>,
}

impl<'a> Attribute<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: Limits) -> Self {
        Self { bytes, limits, node: None, link: None, prefix: None, sid: None }
    }

    pub(super) fn of_node(&mut self, tally: &mut Tally) -> Arc<NodeAttributes> {
        let Self { bytes, limits, node, .. } = self;
        node.get_or_insert_with(|| read::<NodeAttributes>(bytes, *limits, tally).into()).clone()
    }

    pub(super) fn of_link(&mut self, tally: &mut Tally) -> Arc<LinkAttributes> {
        let Self { bytes, limits, link, .. } = self;
        link.get_or_insert_with(|| read::<LinkAttributes>(bytes, *limits, tally).into()).clone()
    }

    pub(super) fn of_prefix(&mut self, tally: &mut Tally) -> Arc<PrefixAttributes> {
        let Self { bytes, limits, prefix, .. } = self;
        prefix.get_or_insert_with(|| read::<PrefixAttributes>(bytes, *limits, tally).into()).clone()
    }

    pub(super) fn of_sid(&mut self, tally: &mut Tally) -> Arc<SidAttributes> {
        let Self { bytes, limits, sid, .. } = self;
        sid.get_or_insert_with(|| read::<SidAttributes>(bytes, *limits, tally).into()).clone()
    }
}
