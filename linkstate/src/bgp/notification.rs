//! NOTIFICATION: why a session ends (RFC 4271, sections 4.5 and 6).

use std::fmt;

use super::frame::{self, Kind};
use crate::read::Reader;

/// Error codes (RFC 4271, section 4.5).
pub mod code {
    /// Message Header Error.
    pub const HEADER: u8 = 1;
    /// OPEN Message Error.
    pub const OPEN: u8 = 2;
    /// UPDATE Message Error.
    pub const UPDATE: u8 = 3;
    /// Hold Timer Expired.
    pub const HOLD_TIMER: u8 = 4;
    /// Finite State Machine Error.
    pub const FSM: u8 = 5;
    /// Cease.
    pub const CEASE: u8 = 6;
    /// ROUTE-REFRESH Message Error (RFC 7313).
    pub const ROUTE_REFRESH: u8 = 7;
    /// Send Hold Timer Expired (RFC 9687).
    pub const SEND_HOLD_TIMER: u8 = 8;
}

/// Subcodes of Message Header Error.
pub mod header {
    /// Connection Not Synchronized.
    pub const NOT_SYNCHRONIZED: u8 = 1;
    /// Bad Message Length.
    pub const BAD_LENGTH: u8 = 2;
    /// Bad Message Type.
    pub const BAD_TYPE: u8 = 3;
}

/// Subcodes of OPEN Message Error.
pub mod open {
    /// Unspecific.
    pub const UNSPECIFIC: u8 = 0;
    /// Unsupported Version Number.
    pub const VERSION: u8 = 1;
    /// Bad Peer AS.
    pub const PEER_AS: u8 = 2;
    /// Bad BGP Identifier.
    pub const IDENTIFIER: u8 = 3;
    /// Unsupported Optional Parameter.
    pub const PARAMETER: u8 = 4;
    /// Unacceptable Hold Time.
    pub const HOLD_TIME: u8 = 6;
    /// Unsupported Capability (RFC 5492).
    pub const CAPABILITY: u8 = 7;
}

/// Subcodes of UPDATE Message Error.
pub mod update {
    /// Malformed Attribute List.
    pub const ATTRIBUTE_LIST: u8 = 1;
    /// Unrecognized Well-known Attribute.
    pub const UNRECOGNIZED: u8 = 2;
    /// Optional Attribute Error.
    pub const OPTIONAL_ATTRIBUTE: u8 = 9;
}

/// Subcodes of Cease (RFC 4486).
pub mod cease {
    /// Maximum Number of Prefixes Reached.
    pub const MAX_PREFIXES: u8 = 1;
    /// Administrative Shutdown.
    pub const SHUTDOWN: u8 = 2;
    /// Peer De-configured.
    pub const DECONFIGURED: u8 = 3;
    /// Connection Rejected.
    pub const REJECTED: u8 = 5;
    /// Other Configuration Change.
    pub const CONFIGURATION: u8 = 6;
    /// Connection Collision Resolution.
    pub const COLLISION: u8 = 7;
    /// Hard Reset (RFC 8538).
    pub const HARD_RESET: u8 = 9;
}

/// Why a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// What it is about; depends on the code.
    pub data: Vec<u8>,
}

impl Notification {
    /// One with this code, subcode and data.
    pub fn new(code: u8, subcode: u8, data: &[u8]) -> Self {
        Self { code, subcode, data: data.to_vec() }
    }

    /// A Message Header Error.
    pub fn header(subcode: u8, data: &[u8]) -> Self {
        Self::new(code::HEADER, subcode, data)
    }

    /// An UPDATE Message Error.
    pub fn update(subcode: u8) -> Self {
        Self::new(code::UPDATE, subcode, &[])
    }

    /// A Cease.
    pub fn cease(subcode: u8) -> Self {
        Self::new(code::CEASE, subcode, &[])
    }

    /// Whether nothing is to be kept of what the session told (RFC 8538, section 3), because it
    /// will not be told again.
    pub fn is_final(&self) -> bool {
        self.code == code::CEASE && matches!(self.subcode, cease::DECONFIGURED | cease::HARD_RESET)
    }

    /// From what follows the header of a message; `None` if it is too short.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let (code, subcode) = (reader.u8()?, reader.u8()?);
        Some(Self::new(code, subcode, reader.rest()))
    }

    /// As a message. Data that would not fit is cut.
    pub fn encode(&self) -> Vec<u8> {
        let room = frame::MAX - frame::HEADER - 2;
        let data = &self.data[..self.data.len().min(room)];
        let body = [&[self.code, self.subcode][..], data].concat();
        frame::message(Kind::Notification, &body).unwrap_or_default()
    }

    /// What an administrator has to say of it (RFC 9003), without what a terminal could take for a
    /// command.
    pub fn communication(&self) -> Option<String> {
        if self.code != code::CEASE || !matches!(self.subcode, 2 | 4) {
            return None;
        }
        let mut reader = Reader::new(&self.data);
        let length = reader.u8()?;
        let text = std::str::from_utf8(reader.take(length.into())?).ok()?;
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        (!text.is_empty()).then_some(text)
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.code, self.subcode) {
            (1, 1) => "message header: connection not synchronized",
            (1, 2) => "message header: bad message length",
            (1, 3) => "message header: bad message type",
            (1, _) => "message header error",
            (2, 1) => "OPEN: unsupported version number",
            (2, 2) => "OPEN: bad peer AS",
            (2, 3) => "OPEN: bad BGP identifier",
            (2, 4) => "OPEN: unsupported optional parameter",
            (2, 6) => "OPEN: unacceptable hold time",
            (2, 7) => "OPEN: unsupported capability",
            (2, _) => "OPEN message error",
            (3, 1) => "UPDATE: malformed attribute list",
            (3, 2) => "UPDATE: unrecognized well-known attribute",
            (3, 9) => "UPDATE: optional attribute error",
            (3, _) => "UPDATE message error",
            (4, _) => "hold timer expired",
            (5, 1) => "finite state machine: unexpected message in OpenSent",
            (5, 2) => "finite state machine: unexpected message in OpenConfirm",
            (5, 3) => "finite state machine: unexpected message in Established",
            (5, _) => "finite state machine error",
            (6, 1) => "maximum number of prefixes reached",
            (6, 2) => "administrative shutdown",
            (6, 3) => "peer de-configured",
            (6, 4) => "administrative reset",
            (6, 5) => "connection rejected",
            (6, 6) => "other configuration change",
            (6, 7) => "connection collision resolution",
            (6, 8) => "out of resources",
            (6, 9) => "hard reset",
            (6, 10) => "BFD down",
            (6, _) => "cease",
            (7, _) => "ROUTE-REFRESH message error",
            (8, _) => "send hold timer expired",
            (code, subcode) => return write!(f, "error {code}, subcode {subcode}"),
        })?;
        match self.communication() {
            Some(text) => write!(f, ": “{text}”"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_written() {
        let shutdown = Notification::new(6, 2, b"\x03bye");
        let bytes = shutdown.encode();
        let frame = frame::first(&bytes, frame::MAX).unwrap().unwrap();
        assert_eq!(Notification::decode(frame.body), Some(shutdown.clone()));
        assert_eq!(shutdown.to_string(), "administrative shutdown: “bye”");
    }

    #[test]
    fn does_not_say_what_a_terminal_would_obey() {
        let shutdown = Notification::new(6, 2, b"\x05a\x1b[2J");
        assert_eq!(shutdown.communication().as_deref(), Some("a[2J"));
        assert_eq!(Notification::new(6, 2, b"\xffshort").communication(), None);
    }
}
