//! ROUTE-REFRESH: everything of an address family anew, please (RFC 2918, RFC 7313).

use super::frame::{self, Kind};
use crate::read::Reader;

/// A ROUTE-REFRESH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteRefresh {
    /// Address family.
    pub afi: u16,
    /// 0: a request; 1 and 2: begin and end of what was asked for (RFC 7313).
    pub subtype: u8,
    /// Subsequent address family.
    pub safi: u8,
}

impl RouteRefresh {
    /// A request for all of link-state.
    pub const LINK_STATE: Self =
        Self { afi: super::AFI_LINK_STATE, subtype: 0, safi: super::SAFI_LINK_STATE };

    /// From what follows the header of a message; `None` if it is too short.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(Self { afi: reader.u16()?, subtype: reader.u8()?, safi: reader.u8()? })
    }

    /// As a message.
    pub fn encode(&self) -> Vec<u8> {
        let [high, low] = self.afi.to_be_bytes();
        frame::message(Kind::RouteRefresh, &[high, low, self.subtype, self.safi])
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_written() {
        let bytes = RouteRefresh::LINK_STATE.encode();
        assert_eq!(bytes[16..], [0, 23, 5, 0x40, 0x04, 0, 71]);
        assert_eq!(RouteRefresh::decode(&bytes[19..]), Some(RouteRefresh::LINK_STATE));
    }
}
