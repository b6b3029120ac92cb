//! Encapsulations of routes (`RTA_ENCAP`): seg6 and seg6local, as in `linux/seg6_iptunnel.h` and
//! `linux/seg6_local.h`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::DecodeError;

use super::attributes::Attributes;
use super::route::{address, number};

/// `LWTUNNEL_ENCAP_SEG6`.
const SEG6: u16 = 5;
/// `LWTUNNEL_ENCAP_SEG6_LOCAL`.
const SEG6_LOCAL: u16 = 7;

/// `SEG6_IPTUNNEL_SRH`: the mode as an int, and the SRH.
const IPTUNNEL_SRH: u16 = 1;

/// `SEG6_LOCAL_…`.
mod local {
    pub const ACTION: u16 = 1;
    pub const SRH: u16 = 2;
    pub const TABLE: u16 = 3;
    pub const NH4: u16 = 4;
    pub const NH6: u16 = 5;
    pub const IIF: u16 = 6;
    pub const OIF: u16 = 7;
    pub const BPF: u16 = 8;
    pub const VRF_TABLE: u16 = 9;
    pub const COUNTERS: u16 = 10;
    pub const FLAVORS: u16 = 11;
}

/// `SEG6_LOCAL_FLV_…`.
mod flavor {
    pub const OPERATION: u16 = 1;
    pub const BLOCK_BITS: u16 = 2;
    pub const NODE_FUNCTION_BITS: u16 = 3;
}

/// Bits of `SEG6_LOCAL_FLV_OPERATION`.
pub mod operation {
    /// Penultimate Segment Pop.
    pub const PSP: u32 = 1 << 1;
    /// Ultimate Segment Pop.
    pub const USP: u32 = 1 << 2;
    /// Ultimate Segment Decapsulation.
    pub const USD: u32 = 1 << 3;
    /// NEXT-C-SID (RFC 9800).
    pub const NEXT_CSID: u32 = 1 << 4;
}

/// Bits of block, and of node and function, where `flavors next-csid` says nothing else.
const DEFAULT_CSID_BITS: (u8, u8) = (32, 16);

/// What a route does to packets before they go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Encap {
    /// `encap seg6`: segments are pushed.
    Seg6(Seg6),
    /// `encap seg6local`: the destination is a SID of ours.
    Local(Box<Local>),
    /// An encapsulation of another kind, or one that says what is not understood: its name.
    Other(&'static str),
}

/// `mode` of `encap seg6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// `inline`: an SRH is put into the packet.
    Inline,
    /// `encap`: H.Encaps.
    Encap,
    /// `l2encap`: H.Encaps.L2.
    L2Encap,
    /// `encap.red`: H.Encaps.Red.
    EncapRed,
    /// `l2encap.red`: H.Encaps.L2.Red.
    L2EncapRed,
}

impl Mode {
    fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Inline,
            1 => Self::Encap,
            2 => Self::L2Encap,
            3 => Self::EncapRed,
            4 => Self::L2EncapRed,
            _ => return None,
        })
    }

    /// Its name in iproute2.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Encap => "encap",
            Self::L2Encap => "l2encap",
            Self::EncapRed => "encap.red",
            Self::L2EncapRed => "l2encap.red",
        }
    }
}

/// `encap seg6`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seg6 {
    /// How the segments are pushed.
    pub mode: Mode,
    /// First to last; at least one.
    pub segs: Vec<Ipv6Addr>,
}

/// `action` of `encap seg6local`. Displays as iproute2 spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is an action as iproute2 spells it")]
pub enum Action {
    End,
    EndX,
    EndT,
    EndDx2,
    EndDx6,
    EndDx4,
    EndDt6,
    EndDt4,
    EndB6,
    EndB6Encaps,
    EndBm,
    EndS,
    EndAs,
    EndAm,
    EndBpf,
    EndDt46,
    /// One that is newer than this program, by its number.
    Other(u32),
}

impl Action {
    /// In the order of `SEG6_LOCAL_ACTION_…`, from 1.
    const ALL: [(Self, &'static str); 16] = [
        (Self::End, "End"),
        (Self::EndX, "End.X"),
        (Self::EndT, "End.T"),
        (Self::EndDx2, "End.DX2"),
        (Self::EndDx6, "End.DX6"),
        (Self::EndDx4, "End.DX4"),
        (Self::EndDt6, "End.DT6"),
        (Self::EndDt4, "End.DT4"),
        (Self::EndB6, "End.B6"),
        (Self::EndB6Encaps, "End.B6.Encaps"),
        (Self::EndBm, "End.BM"),
        (Self::EndS, "End.S"),
        (Self::EndAs, "End.AS"),
        (Self::EndAm, "End.AM"),
        (Self::EndBpf, "End.BPF"),
        (Self::EndDt46, "End.DT46"),
    ];

    fn of(number: u32) -> Self {
        let known = (number as usize).checked_sub(1).and_then(|index| Self::ALL.get(index));
        known.map_or(Self::Other(number), |(action, _)| *action)
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Other(number) => write!(f, "action {number}"),
            known => {
                f.pad(Self::ALL.iter().find(|(action, _)| action == known).map_or("", |a| a.1))
            }
        }
    }
}

/// `encap seg6local`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Local {
    /// What is done.
    pub action: Action,
    /// Segments to be pushed, first to last (End.B6 and End.B6.Encaps).
    pub segs: Vec<Ipv6Addr>,
    /// `table`, or `vrftable`: the table of a VRF device.
    pub table: Option<u32>,
    /// The IPv4 neighbour.
    pub nh4: Option<Ipv4Addr>,
    /// The IPv6 neighbour.
    pub nh6: Option<Ipv6Addr>,
    /// Index of the incoming link; 0: none.
    pub iif: u32,
    /// Index of the outgoing link; 0: none.
    pub oif: u32,
    /// Whether packets are counted.
    pub counters: bool,
    /// [`operation`]s, as bits.
    pub flavors: u32,
    /// Bits of the block, and of node and function, with [`operation::NEXT_CSID`].
    pub csid_bits: (u8, u8),
    /// It says something that is not understood.
    pub unknown: bool,
}

/// Reads an encapsulation of this type (`LWTUNNEL_ENCAP_…`).
///
/// Fails if attributes are not framed as such.
pub fn encap(kind: u16, value: &[u8]) -> Result<Encap, DecodeError> {
    Ok(match kind {
        SEG6 => seg6(value)?.map_or(Encap::Other("seg6"), Encap::Seg6),
        SEG6_LOCAL => match local(value)? {
            Some(local) => Encap::Local(Box::new(local)),
            None => Encap::Other("seg6local"),
        },
        1 => Encap::Other("mpls"),
        2 => Encap::Other("ip"),
        3 => Encap::Other("ila"),
        4 => Encap::Other("ip6"),
        6 => Encap::Other("bpf"),
        8 => Encap::Other("rpl"),
        9 => Encap::Other("ioam6"),
        10 => Encap::Other("xfrm"),
        _ => Encap::Other("an unknown kind"),
    })
}

fn seg6(value: &[u8]) -> Result<Option<Seg6>, DecodeError> {
    let mut read = None;
    for attribute in Attributes(value) {
        let (IPTUNNEL_SRH, value) = attribute? else { return Ok(None) };
        read = value.split_first_chunk::<4>().and_then(|(mode, header)| {
            let mode = Mode::of(u32::from_ne_bytes(*mode))?;
            let mut segs = segments(header)?;
            // Its place is kept for the packet's own destination.
            if mode == Mode::Inline {
                segs.pop();
            }
            (!segs.is_empty()).then_some(Seg6 { mode, segs })
        });
    }
    Ok(read)
}

/// The segments of an SRH, first to last. `None` for one with TLVs (HMAC), or that is none.
fn segments(header: &[u8]) -> Option<Vec<Ipv6Addr>> {
    let (&[_next, len, 4, _left, last, _flags, _, _], rest) = header.split_first_chunk::<8>()?
    else {
        return None;
    };
    let count = usize::from(last) + 1;
    if usize::from(len) != 2 * count || rest.len() < 16 * count {
        return None;
    }
    let (segments, _) = rest[..16 * count].as_chunks::<16>();
    Some(segments.iter().rev().map(|segment| Ipv6Addr::from(*segment)).collect())
}

fn local(value: &[u8]) -> Result<Option<Local>, DecodeError> {
    let mut action = None;
    let mut read = Local {
        action: Action::End,
        segs: Vec::new(),
        table: None,
        nh4: None,
        nh6: None,
        iif: 0,
        oif: 0,
        counters: false,
        flavors: 0,
        csid_bits: DEFAULT_CSID_BITS,
        unknown: false,
    };
    for attribute in Attributes(value) {
        let (kind, value) = attribute?;
        let mut understood = true;
        match kind {
            local::ACTION => action = number(value).map(Action::of),
            local::SRH => match segments(value) {
                Some(segs) => read.segs = segs,
                None => understood = false,
            },
            local::TABLE | local::VRF_TABLE => read.table = number(value),
            local::NH4 | local::NH6 => match address(value) {
                Some(IpAddr::V4(address)) => read.nh4 = Some(address),
                Some(IpAddr::V6(address)) => read.nh6 = Some(address),
                None => understood = false,
            },
            local::IIF => read.iif = number(value).unwrap_or(0),
            local::OIF => read.oif = number(value).unwrap_or(0),
            local::COUNTERS => read.counters = true,
            local::FLAVORS => understood = flavors(value, &mut read)?,
            local::BPF => {}
            _ => understood = false,
        }
        read.unknown |= !understood;
    }
    Ok(action.map(|action| Local { action, ..read }))
}

/// Says whether all was understood.
fn flavors(value: &[u8], read: &mut Local) -> Result<bool, DecodeError> {
    let mut understood = true;
    for attribute in Attributes(value) {
        let (kind, value) = attribute?;
        match (kind, value) {
            (flavor::OPERATION, value) => read.flavors = number(value).unwrap_or(u32::MAX),
            (flavor::BLOCK_BITS, [bits]) => read.csid_bits.0 = *bits,
            (flavor::NODE_FUNCTION_BITS, [bits]) => read.csid_bits.1 = *bits,
            _ => understood = false,
        }
    }
    Ok(understood)
}
