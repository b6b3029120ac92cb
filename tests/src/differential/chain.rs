//! The chain of headers of an IPv6 packet, as a node that the packet is addressed to must read it
//! (RFC 8200, 4; RFC 8754, 4.3.1.1).

use crate::packet::{IPV6, SEGMENT_ROUTING, next};

/// What the chain holds. Offsets are from the start of the IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// An SRH with segments left. The reading ends here: headers are processed strictly in their
    /// order, and this one sends the packet on.
    pub srh: Option<usize>,
    /// The byte that announces that SRH.
    pub announced: usize,
    /// The first SRH without segments left.
    pub spent: Option<usize>,
    /// What follows the last extension header, if there is no such SRH.
    pub upper: u8,
    /// Where that is.
    pub upper_at: usize,
    /// Whether the packet is part of a larger one.
    pub fragment: bool,
}

/// Why a chain cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A header runs over the end of the packet.
    Cut,
    /// A routing header of an unknown type with segments left; its type field is here.
    RoutingType(usize),
}

/// Reads the chain of a packet that is cut to its payload length: C-001, C-003, C-008.
pub fn read(packet: &[u8]) -> Result<Chain, Broken> {
    let mut chain =
        Chain { srh: None, announced: 0, spent: None, upper: 0, upper_at: 0, fragment: false };
    let (mut announced, mut at) = (6, IPV6);
    loop {
        let kind = *packet.get(announced).ok_or(Broken::Cut)?;
        let field = |offset: usize| packet.get(at + offset).copied().ok_or(Broken::Cut);
        let length = match kind {
            next::HOP_BY_HOP | next::DEST_OPTS => (usize::from(field(1)?) + 1) * 8,
            next::ROUTING => {
                let (length, routing_type, left) = (field(1)?, field(2)?, field(3)?);
                let length = (usize::from(length) + 1) * 8;
                match (routing_type, left) {
                    (SEGMENT_ROUTING, 0) => {
                        chain.spent.get_or_insert(at);
                    }
                    (_, 0) => {}
                    (SEGMENT_ROUTING, _) if at + length > packet.len() => return Err(Broken::Cut),
                    (SEGMENT_ROUTING, _) => {
                        (chain.srh, chain.announced) = (Some(at), announced);
                        return Ok(chain);
                    }
                    _ => return Err(Broken::RoutingType(at + 2)),
                }
                length
            }
            next::FRAGMENT => {
                let place = u16::from_be_bytes([field(2)?, field(3)?]);
                field(7)?;
                // All but the two reserved bits: an offset, or more to come.
                chain.fragment |= place & !6 != 0;
                if place >> 3 != 0 {
                    // What follows is the middle of something.
                    (chain.upper, chain.upper_at) = (kind, at);
                    return Ok(chain);
                }
                8
            }
            _ => {
                (chain.upper, chain.upper_at) = (kind, at);
                return Ok(chain);
            }
        };
        if at + length > packet.len() {
            return Err(Broken::Cut);
        }
        (announced, at) = (at, at + length);
    }
}

/// The upper layer of a packet, whatever its routing headers say, and even if the header before it
/// says that it lies beyond the end. `None` where the packet ends before it is named.
pub fn upper(packet: &[u8]) -> Option<(u8, usize)> {
    let (mut announced, mut at) = (6, IPV6);
    loop {
        let kind = *packet.get(announced)?;
        let length = match kind {
            next::HOP_BY_HOP | next::DEST_OPTS | next::ROUTING => {
                (usize::from(*packet.get(at + 1)?) + 1) * 8
            }
            next::FRAGMENT => {
                let header = packet.get(at..at + 8)?;
                if u16::from_be_bytes([header[2], header[3]]) >> 3 != 0 {
                    return Some((kind, at));
                }
                8
            }
            _ => return Some((kind, at)),
        };
        (announced, at) = (at, at + length);
    }
}
