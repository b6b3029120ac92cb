//! What changed in the kernel, with what was before where a reader needs to compare.

use super::requests::Dump;
use super::route::RouteMessage;
use super::route_dump::Extent;
use super::view::{Address, Link, Neighbour};

/// One change of the view. Never sent for a message that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A link appeared, or its name, MAC, MTU, state or kind is another one.
    LinkChanged {
        /// The link until now; `None` if it is new.
        before: Option<Link>,
        /// The link from now on.
        now: Link,
    },
    /// A link went away (deleted, or moved to another namespace). Its addresses and neighbours
    /// were removed before it, each with its own event.
    LinkRemoved(Link),
    /// An address appeared, or became usable or unusable (`tentative`).
    AddressAdded(Address),
    /// An address went away.
    AddressRemoved(Address),
    /// A neighbour appeared, or its MAC, usability or keeper is another one. Transitions of the
    /// kernel's state machine that keep all these (reachable to stale, say) are no event.
    NeighbourChanged {
        /// The neighbour until now; `None` if it is new.
        before: Option<Neighbour>,
        /// The neighbour from now on.
        now: Neighbour,
    },
    /// A neighbour went away.
    NeighbourRemoved(Neighbour),
    /// News of a route or a next-hop object; while routes are read, what there is. Nobody compares
    /// it with what was before.
    Route(RouteMessage),
    /// Routes are read anew: all that was told of them may be wrong from here on.
    DumpBegins(Extent),
    /// All routes have been told since the beginning; those that were not are gone, if nothing
    /// changed in the meantime. Otherwise they will be read again.
    DumpEnds(Extent, Dump),
}
