//! What the file says of SIDs of this node.

use std::fmt;

use ipnet::Ipv6Net;

use super::{Hmac, NextHop, Table};

/// `[[locator]]`: a prefix that SIDs of this node are taken from (RFC 8986, 3.1).
///
/// The prefix length is `block_bits + node_bits`, and with `function_bits` at most 128.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locator {
    /// Its name.
    pub name: String,
    /// The locator itself.
    pub prefix: Ipv6Net,
    /// Bits of the SID block, which all nodes of the domain share.
    pub block_bits: u8,
    /// Bits that tell this node from the others.
    pub node_bits: u8,
    /// Bits of the function; what is left of the 128 is the argument.
    pub function_bits: u8,
}

impl Locator {
    /// Value of `function-bits` where the file gives none.
    pub const DEFAULT_FUNCTION_BITS: u8 = 16;
    /// Value of `node-bits` where the file gives neither it nor `block-bits`.
    pub const DEFAULT_NODE_BITS: u8 = 16;
}

/// `[[sid]]`: an address or prefix of ours, and what is done with packets to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSid {
    /// The SID; a /128 where the file gives an address, and with NEXT-CSID a prefix of its
    /// [`structure`](Self::structure)'s length.
    pub sid: Ipv6Net,
    /// What is done with packets to it.
    pub behavior: Behavior,
    /// Variations: NEXT-CSID of any behavior, the others of End, End.X and End.T.
    pub flavors: Flavors,
    /// How the SID is divided; with NEXT-CSID only.
    pub structure: Option<Structure>,
    /// What it asks of packets' HMAC TLVs (RFC 8754, 2.1.2).
    pub hmac: Hmac,
}

/// How a SID is divided (RFC 8986, 3.1; RFC 9800, 4). What is left of the 128 bits is the argument,
/// at least one bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Structure {
    /// Bits of the SID block, at least 1.
    pub block_bits: u8,
    /// Bits of the node; 0 where the compressed SID is local to this node.
    pub node_bits: u8,
    /// Bits of the function; together with those of the node at least 1.
    pub function_bits: u8,
}

impl Structure {
    /// Bits of the compressed SID: node and function.
    pub fn csid_bits(self) -> u8 {
        self.node_bits + self.function_bits
    }

    /// Bits that are left for the argument.
    pub fn argument_bits(self) -> u8 {
        128 - self.block_bits - self.csid_bits()
    }
}

/// An endpoint behavior with its parameters (RFC 8986, section 4). Displays as the RFC spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// `End` (4.1): go on to the next segment.
    End,
    /// `End.X` (4.2): go on to the next segment through one of these neighbours.
    EndX {
        /// The neighbours that share the flows, and those that stand in for them; one or more.
        next_hops: Vec<NextHop>,
    },
    /// `End.T` (4.3): look the next segment up in this table.
    EndT {
        /// The table.
        table: Table,
    },
    /// `End.DX6` (4.4): decapsulate IPv6 and send it to one of these neighbours.
    EndDx6 {
        /// As of End.X.
        next_hops: Vec<NextHop>,
    },
    /// `End.DX4` (4.5): decapsulate IPv4 and send it to one of these neighbours.
    EndDx4 {
        /// As of End.X, with IPv4 addresses.
        next_hops: Vec<NextHop>,
    },
    /// `End.DT6` (4.6): decapsulate IPv6 and look it up in this table.
    EndDt6 {
        /// The table.
        table: Table,
    },
    /// `End.DT4` (4.7): decapsulate IPv4 and look it up in this table.
    EndDt4 {
        /// The table.
        table: Table,
    },
    /// `End.DT46` (4.8): decapsulate IPv6 or IPv4 and look it up in this table.
    EndDt46 {
        /// The table.
        table: Table,
    },
    /// `End.DX2` (4.9): decapsulate an Ethernet frame and send it by this interface.
    EndDx2 {
        /// The interface.
        interface: String,
    },
    /// `End.B6.Encaps` (4.13): go on to the next segment, inside of what a policy of H.Encaps adds.
    EndB6Encaps {
        /// The policy's name.
        policy: String,
    },
    /// `End.B6.Encaps.Red` (4.14): the same with a policy of H.Encaps.Red.
    EndB6EncapsRed {
        /// The policy's name.
        policy: String,
    },
}

/// Flavors of SIDs (RFC 8986, 4.16; RFC 9800, 4.1). Displays as `PSP, USD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flavors {
    /// Penultimate Segment Pop of the SRH.
    pub psp: bool,
    /// Ultimate Segment Pop of the SRH.
    pub usp: bool,
    /// Ultimate Segment Decapsulation.
    pub usd: bool,
    /// The address is a container of compressed SIDs.
    pub next_csid: bool,
}

impl fmt::Display for Flavors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flavors = [
            ("PSP", self.psp),
            ("USP", self.usp),
            ("USD", self.usd),
            ("NEXT-CSID", self.next_csid),
        ];
        let names: Vec<_> =
            flavors.into_iter().filter_map(|(name, set)| set.then_some(name)).collect();
        f.pad(&names.join(", "))
    }
}
