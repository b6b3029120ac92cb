//! BGP messages (RFC 4271), as far as a session that only receives link-state needs them.
//!
//! Bytes in, messages out, and back. [`session`] is the state machine; sockets and clocks are
//! elsewhere.

pub mod attribute;
pub mod frame;
pub mod notification;
pub mod open;
pub mod route_refresh;
pub mod session;

pub use frame::{Frame, Kind, keepalive};
pub use notification::Notification;
pub use open::{Capability, Open};
pub use session::Session;

/// AFI of BGP-LS (RFC 9552, section 5).
pub const AFI_LINK_STATE: u16 = 16388;
/// SAFI of BGP-LS (RFC 9552, section 5).
pub const SAFI_LINK_STATE: u8 = 71;
