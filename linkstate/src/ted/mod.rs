//! The traffic engineering database: nodes, links, prefixes and SIDs, and what has changed.
//!
//! Objects are keyed by what BGP-LS keys them by, and reached by small numbers that stay the same
//! as long as the object is there. A link or a prefix may come before its node: the node is there
//! from then on, but not [announced](Node::announced).

mod attribute;
mod change;
mod event;
mod key;
mod names;
mod objects;
mod slab;
mod stale;
mod store;

pub use attribute::{
    AdjacencySid, Behavior, BgpPeerNode, EndpointBehavior, LinkAttributes, Locator, Measured, Msd,
    NodeAttributes, NodeFlags, PrefixAttributes, SidAttributes, SidStructure,
};
pub use change::Changes;
pub use event::Event;
pub use key::{
    Instance, LinkDescriptor, Nlri, NodeDescriptor, NodeKey, PrefixDescriptor, Protocol, RouterId,
    SidDescriptor, Tlv,
};
pub use names::FindError;
pub use objects::{Link, LinkId, Node, NodeId, Prefix, PrefixId, Sid, SidId};
pub use store::{Limits, Ted};
