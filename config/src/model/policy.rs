//! What the file says of SR policies (RFC 9256).

use std::net::Ipv6Addr;

use super::{Headend, Structure};

/// `[[policy]]`: what to encapsulate packets with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Its name, which routes refer to.
    pub name: String,
    /// How the segments are written into the packet.
    pub behavior: Headend,
    /// Color and endpoint, by which routes may refer to it, too (RFC 9256, 2.1).
    pub color: Option<Color>,
    /// Its candidate paths (RFC 9256, 2.2), where the file writes them as such. Of those that are valid
    /// the one with the highest preference is used.
    pub paths: Vec<CandidatePath>,
    /// One or more segment lists; flows are shared among those of the path by weight.
    pub lists: Vec<SegmentList>,
    /// Whether consecutive segments with a known structure are packed into containers.
    pub compress: bool,
    /// Outer source address, already defaulted to the router's `encap_source`.
    pub source: Ipv6Addr,
    /// ID of the key that signs the segment lists with an HMAC TLV, if they are signed.
    pub hmac_key: Option<u32>,
}

/// What traffic a policy is for, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color {
    /// The color.
    pub color: u32,
    /// The endpoint.
    pub endpoint: Ipv6Addr,
}

/// A candidate path of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CandidatePath {
    /// Its name; `None`: it is known by its preference.
    pub name: Option<String>,
    /// The higher, the better; no two of a policy have the same.
    pub preference: u32,
}

impl CandidatePath {
    /// Preference where the file gives none (RFC 9256, 2.7).
    pub const DEFAULT_PREFERENCE: u32 = 100;
}

/// One way of a policy through the network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SegmentList {
    /// SIDs, first to last; where nodes are named, none until they are found in the topology.
    pub segs: Vec<Ipv6Addr>,
    /// How the file divides the SIDs, one by one, as far as it does: they take NEXT-CSID.
    pub structures: Vec<Option<Structure>>,
    /// Names or router IDs of nodes, or SIDs, first to last, each of which is one segment; none
    /// where there are SIDs only.
    pub via: Vec<String>,
    /// Share of the flows, 1 to 255, relative to the other lists.
    pub weight: u8,
    /// The candidate path that it is of, by its place in [`Policy::paths`]; 0 where there are none.
    pub path: usize,
}

impl SegmentList {
    /// How many segments it has; at least one.
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.segs.len() + self.via.len()
    }
}

impl Policy {
    /// A policy without a color, with these lists.
    pub fn new(behavior: Headend, lists: Vec<SegmentList>, source: Ipv6Addr) -> Self {
        let (name, color, paths, hmac_key) = Default::default();
        Self { name, behavior, color, paths, lists, compress: false, source, hmac_key }
    }

    /// Bytes that encapsulating with `segments` segments, as they are written, adds to a packet.
    pub fn overhead(&self, segments: usize) -> usize {
        match self.hmac_key {
            Some(_) => self.behavior.signed_overhead(segments),
            None => self.behavior.overhead(segments),
        }
    }

    /// Whether there is more than one list, so that one that cannot be used has others instead.
    pub fn has_choice(&self) -> bool {
        self.lists.len() > 1
    }
}

impl std::fmt::Display for CandidatePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.preference),
            None => write!(f, "{}", self.preference),
        }
    }
}
