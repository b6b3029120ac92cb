//! OPEN, and what a speaker says it is capable of (RFC 4271, section 4.2; RFC 5492).

use std::net::Ipv4Addr;

use super::frame::{self, Kind};
use super::notification::{Notification, code, open};
use crate::read::Reader;

/// The AS number that stands for one that does not fit two octets (RFC 6793).
const AS_TRANS: u16 = 23456;
/// Optional parameters with a length of two octets follow (RFC 9072).
const EXTENDED: u8 = 255;
const CAPABILITIES: u8 = 2;

/// Something that a speaker is capable of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// An address family (RFC 4760).
    Multiprotocol {
        /// Address family.
        afi: u16,
        /// Subsequent address family.
        safi: u8,
    },
    /// Route refresh (RFC 2918).
    RouteRefresh,
    /// Messages of up to 65 535 bytes (RFC 8654).
    ExtendedMessage,
    /// Graceful restart: its flags and restart time, and families whose forwarding it keeps (RFC
    /// 4724, section 3).
    GracefulRestart(Vec<u8>),
    /// AS numbers of four octets, and its own (RFC 6793).
    FourOctetAs(u32),
    /// Route refresh that says where it begins and ends (RFC 7313).
    EnhancedRouteRefresh,
    /// Any other.
    Other {
        /// Capability code.
        code: u8,
        /// Its value.
        value: Vec<u8>,
    },
}

impl Capability {
    /// Link-state NLRI (RFC 9552, section 5).
    pub const LINK_STATE: Self =
        Self::Multiprotocol { afi: super::AFI_LINK_STATE, safi: super::SAFI_LINK_STATE };

    /// A capability that is too short is one we do not know: it is ignored (RFC 5492, section 5).
    fn decode(code: u8, value: &[u8]) -> Self {
        let known = match (code, value) {
            (1, [a, b, _, safi]) => {
                Some(Self::Multiprotocol { afi: u16::from_be_bytes([*a, *b]), safi: *safi })
            }
            (2, []) => Some(Self::RouteRefresh),
            (6, []) => Some(Self::ExtendedMessage),
            (64, [_, _, ..]) => Some(Self::GracefulRestart(value.to_vec())),
            (65, _) => value.try_into().ok().map(|asn| Self::FourOctetAs(u32::from_be_bytes(asn))),
            (70, []) => Some(Self::EnhancedRouteRefresh),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other { code, value: value.to_vec() })
    }

    /// Adds it to a list of capabilities.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (code, value): (u8, Vec<u8>) = match self {
            Self::Multiprotocol { afi, safi } => {
                let [high, low] = afi.to_be_bytes();
                (1, vec![high, low, 0, *safi])
            }
            Self::RouteRefresh => (2, vec![]),
            Self::ExtendedMessage => (6, vec![]),
            Self::GracefulRestart(value) => (64, value.clone()),
            Self::FourOctetAs(asn) => (65, asn.to_be_bytes().to_vec()),
            Self::EnhancedRouteRefresh => (70, vec![]),
            Self::Other { code, value } => (*code, value.clone()),
        };
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        out.extend([code, length]);
        out.extend(&value[..length.into()]);
    }
}

/// An OPEN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// AS number; that of the capability, where it is there.
    pub asn: u32,
    /// Seconds without a message after which the session ends; 0: never.
    pub hold_time: u16,
    /// BGP Identifier.
    pub identifier: Ipv4Addr,
    /// What the speaker is capable of.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// An OPEN for a session that receives link-state.
    pub fn link_state(asn: u32, hold_time: u16, identifier: Ipv4Addr) -> Self {
        let capabilities = vec![
            Capability::LINK_STATE,
            Capability::RouteRefresh,
            Capability::ExtendedMessage,
            // No family of ours outlives a restart; it asks the peer for End-of-RIB.
            Capability::GracefulRestart(vec![0, 0]),
            Capability::FourOctetAs(asn),
            Capability::EnhancedRouteRefresh,
        ];
        Self { asn, hold_time, identifier, capabilities }
    }

    /// Whether the speaker has this capability.
    pub fn has(&self, capability: &Capability) -> bool {
        self.capabilities.contains(capability)
    }

    /// Whether AS numbers in its AS_PATHs have four octets, if we can do that too.
    pub fn has_four_octet_as(&self) -> bool {
        self.capabilities.iter().any(|c| matches!(c, Capability::FourOctetAs(_)))
    }

    /// Whether the speaker marks the end of what it tells first, and comes back after a restart.
    pub fn has_graceful_restart(&self) -> bool {
        self.capabilities.iter().any(|c| matches!(c, Capability::GracefulRestart(_)))
    }

    /// From what follows the header of a message. The error is what to answer.
    pub fn decode(body: &[u8]) -> Result<Self, Notification> {
        let error = |subcode, data: &[u8]| Notification::new(code::OPEN, subcode, data);
        let short = || error(open::UNSPECIFIC, &[]);
        let mut reader = Reader::new(body);
        if reader.u8().ok_or_else(short)? != 4 {
            return Err(error(open::VERSION, &4u16.to_be_bytes()));
        }
        let asn = reader.u16().ok_or_else(short)?;
        let hold_time = reader.u16().ok_or_else(short)?;
        if matches!(hold_time, 1 | 2) {
            return Err(error(open::HOLD_TIME, &[]));
        }
        let identifier = Ipv4Addr::from(reader.array::<4>().ok_or_else(short)?);
        if identifier.is_unspecified() {
            return Err(error(open::IDENTIFIER, &[]));
        }
        let capabilities = parameters(reader)?;
        let four_octets = capabilities.iter().find_map(|c| match c {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        });
        let asn = four_octets.unwrap_or(asn.into());
        if asn == 0 {
            return Err(error(open::PEER_AS, &[]));
        }
        Ok(Self { asn, hold_time, identifier, capabilities })
    }

    /// As a message; `None` if there are more capabilities than fit.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut capabilities = Vec::new();
        self.capabilities.iter().for_each(|capability| capability.encode(&mut capabilities));
        let mut body = vec![4];
        body.extend(u16::try_from(self.asn).unwrap_or(AS_TRANS).to_be_bytes());
        body.extend(self.hold_time.to_be_bytes());
        body.extend(self.identifier.octets());
        let length = u8::try_from(capabilities.len()).ok()?;
        body.extend([length.checked_add(2).filter(|&l| l < EXTENDED)?, CAPABILITIES, length]);
        body.extend(capabilities);
        frame::message(Kind::Open, &body)
    }
}

/// The capabilities in the optional parameters.
fn parameters(mut reader: Reader<'_>) -> Result<Vec<Capability>, Notification> {
    let malformed = || Notification::new(code::OPEN, open::UNSPECIFIC, &[]);
    let mut length = usize::from(reader.u8().ok_or_else(malformed)?);
    let extended = length == usize::from(EXTENDED) && reader.rest().first() == Some(&EXTENDED);
    if extended {
        reader.u8();
        length = reader.u16().ok_or_else(malformed)?.into();
    }
    let mut reader = Reader::new(reader.take(length).ok_or_else(malformed)?);
    let mut capabilities = Vec::new();
    while !reader.is_empty() {
        let kind = reader.u8().ok_or_else(malformed)?;
        let length = if extended { reader.u16() } else { reader.u8().map(u16::from) }
            .ok_or_else(malformed)?;
        let mut value = Reader::new(reader.take(length.into()).ok_or_else(malformed)?);
        if kind != CAPABILITIES {
            return Err(Notification::new(code::OPEN, open::PARAMETER, &[]));
        }
        while !value.is_empty() {
            let code = value.u8().ok_or_else(malformed)?;
            let length = value.u8().ok_or_else(malformed)?;
            let value = value.take(length.into()).ok_or_else(malformed)?;
            capabilities.push(Capability::decode(code, value));
        }
    }
    Ok(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Open {
        Open::link_state(4_200_000_000, 90, Ipv4Addr::new(1, 1, 1, 1))
    }

    #[test]
    fn is_read_as_it_is_written() {
        let bytes = ours().encode().unwrap();
        assert_eq!(bytes[20..22], AS_TRANS.to_be_bytes());
        assert_eq!(Open::decode(&bytes[frame::HEADER..]), Ok(ours()));
    }

    #[test]
    fn extended_parameters_are_read() {
        let bytes = ours().encode().unwrap();
        let body = &bytes[frame::HEADER..];
        let parameters = &body[12..];
        let mut long = body[..9].to_vec();
        long.extend([255, 255]);
        long.extend((parameters.len() as u16 + 3).to_be_bytes());
        long.extend([CAPABILITIES, 0, parameters.len() as u8]);
        long.extend(parameters);
        assert_eq!(Open::decode(&long), Ok(ours()));
    }

    #[test]
    fn what_is_wrong_is_answered() {
        let bytes = ours().encode().unwrap();
        let wrong = |at: usize, value: &[u8]| {
            let mut body = bytes[frame::HEADER..].to_vec();
            body[at..at + value.len()].copy_from_slice(value);
            Open::decode(&body).unwrap_err().subcode
        };
        assert_eq!(wrong(0, &[3]), open::VERSION);
        assert_eq!(wrong(3, &[0, 2]), open::HOLD_TIME);
        assert_eq!(wrong(5, &[0; 4]), open::IDENTIFIER);
        assert_eq!(wrong(10, &[1]), open::PARAMETER);
        assert_eq!(wrong(9, &[254]), open::UNSPECIFIC);
    }

    #[test]
    fn cut_short_it_is_an_error() {
        let bytes = ours().encode().unwrap();
        for length in frame::HEADER..bytes.len() {
            assert!(Open::decode(&bytes[frame::HEADER..length]).is_err(), "{length}");
        }
    }
}
