//! ICMP for IPv4 (RFC 792).

/// Bytes of the header of an error message.
pub const HEADER_LEN: usize = 8;

/// An error message is no longer than this (RFC 1812, section 4.3.2.3).
pub const MAX_ERROR_LEN: usize = 576;

/// Message types.
pub mod kind {
    /// Destination Unreachable.
    pub const DESTINATION_UNREACHABLE: u8 = 3;
    /// Source Quench.
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Time Exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter Problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
}

/// Codes of Destination Unreachable (RFC 1812, section 5.2.7.1).
pub mod code {
    /// No route to the network.
    pub const NETWORK: u8 = 0;
    /// The host cannot be reached.
    pub const HOST: u8 = 1;
    /// Fragmentation needed, and Don't Fragment set.
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// Communication administratively prohibited.
    pub const PROHIBITED: u8 = 13;
}

/// Whether a message of this type is an error.
pub const fn is_error(kind: u8) -> bool {
    matches!(
        kind,
        kind::DESTINATION_UNREACHABLE
            | kind::SOURCE_QUENCH
            | kind::REDIRECT
            | kind::TIME_EXCEEDED
            | kind::PARAMETER_PROBLEM
    )
}
