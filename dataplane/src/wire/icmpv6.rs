//! ICMPv6 (RFC 4443).

/// Bytes of the header of an error or an echo message.
pub const HEADER_LEN: usize = 8;

/// The smallest IPv6 MTU; an error message is no longer than it (RFC 4443, section 2.4 (c)).
pub const MAX_ERROR_LEN: usize = 1280;

/// Message types.
pub mod kind {
    /// Destination Unreachable.
    pub const DESTINATION_UNREACHABLE: u8 = 1;
    /// Packet Too Big.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Time Exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter Problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo Request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Echo Reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Redirect Message: informational by number, but an error is never sent about it.
    pub const REDIRECT: u8 = 137;
}
