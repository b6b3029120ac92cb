//! Where one message ends and the next begins (RFC 4271, section 4.1).

use super::notification::{Notification, header};
use crate::read::Reader;

/// Length of the header that every message has.
pub const HEADER: usize = 19;
/// The longest message.
pub const MAX: usize = 4096;
/// The longest message where both sides have the extended message capability (RFC 8654).
pub const MAX_EXTENDED: usize = 65535;

/// Kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Opens a session.
    Open = 1,
    /// Announces and withdraws.
    Update = 2,
    /// Says what is wrong, and closes the session.
    Notification = 3,
    /// Keeps the session alive.
    Keepalive = 4,
    /// Asks for everything anew (RFC 2918).
    RouteRefresh = 5,
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        use Kind::*;
        [Open, Update, Notification, Keepalive, RouteRefresh].into_iter().find(|k| *k as u8 == code)
    }

    /// The shortest message of the kind.
    const fn min(self) -> usize {
        HEADER
            + match self {
                Self::Open => 10,
                Self::Update | Self::RouteRefresh => 4,
                Self::Notification => 2,
                Self::Keepalive => 0,
            }
    }
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// What follows the header.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// How many bytes it took.
    pub fn length(&self) -> usize {
        HEADER + self.body.len()
    }
}

/// The first message in `buffer`; `None` if it is not yet whole. `max` is the longest UPDATE,
/// NOTIFICATION or ROUTE-REFRESH; the others never are longer than [`MAX`] (RFC 8654, section 4).
pub fn first(buffer: &[u8], max: usize) -> Result<Option<Frame<'_>>, Notification> {
    let mut reader = Reader::new(buffer);
    // What cannot become a header is refused before it is whole.
    let marker = &buffer[..buffer.len().min(16)];
    if marker.iter().any(|&byte| byte != 0xff) {
        return Err(Notification::header(header::NOT_SYNCHRONIZED, &[]));
    }
    let (Some(_), Some(length), Some(code)) = (reader.take(16), reader.u16(), reader.u8()) else {
        return Ok(None);
    };
    let Some(kind) = Kind::of(code) else {
        return Err(Notification::header(header::BAD_TYPE, &[code]));
    };
    let max = match kind {
        Kind::Open => MAX,
        Kind::Keepalive => HEADER,
        Kind::Update | Kind::Notification | Kind::RouteRefresh => max,
    };
    if !(kind.min()..=max).contains(&length.into()) {
        return Err(Notification::header(header::BAD_LENGTH, &length.to_be_bytes()));
    }
    Ok(reader.take(usize::from(length) - HEADER).map(|body| Frame { kind, body }))
}

/// A message of `kind`. `None` if it would be too long.
pub fn message(kind: Kind, body: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(HEADER + body.len()).ok()?;
    let mut bytes = vec![0xff; 16];
    bytes.extend(length.to_be_bytes());
    bytes.push(kind as u8);
    bytes.extend(body);
    Some(bytes)
}

/// A KEEPALIVE.
pub fn keepalive() -> [u8; HEADER] {
    let mut bytes = [0xff; HEADER];
    bytes[16..].copy_from_slice(&[0, HEADER as u8, Kind::Keepalive as u8]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_from_a_stream() {
        let update = message(Kind::Update, &[0; 4]).unwrap();
        let stream = [&keepalive()[..], &update, &[0xff; 7]].concat();
        let one = first(&stream, MAX).unwrap().unwrap();
        assert_eq!((one.kind, one.body.len()), (Kind::Keepalive, 0));
        let two = first(&stream[one.length()..], MAX).unwrap().unwrap();
        assert_eq!((two.kind, two.body), (Kind::Update, &[0; 4][..]));
        assert_eq!(first(&stream[one.length() + two.length()..], MAX), Ok(None));
    }

    #[test]
    fn every_prefix_of_a_message_is_not_yet_one() {
        let update = message(Kind::Update, &[0; 40]).unwrap();
        for length in 0..update.len() {
            assert_eq!(first(&update[..length], MAX), Ok(None));
        }
    }

    #[test]
    fn wrong_headers_are_answered() {
        let wrong = |at: usize, value: u8| {
            let mut bytes = keepalive();
            bytes[at] = value;
            let error = first(&bytes, MAX).unwrap_err();
            (error.code, error.subcode, error.data)
        };
        assert_eq!(wrong(3, 0), (1, 1, vec![]));
        assert_eq!(wrong(17, 18), (1, 2, vec![0, 18]));
        assert_eq!(wrong(17, 20), (1, 2, vec![0, 20]));
        assert_eq!(wrong(18, 9), (1, 3, vec![9]));
    }

    #[test]
    fn a_message_is_no_longer_than_agreed() {
        let long = message(Kind::Update, &[0; MAX]).unwrap();
        assert!(first(&long, MAX).is_err());
        assert!(first(&long, MAX_EXTENDED).unwrap().is_some());
        let open = message(Kind::Open, &[0; MAX]).unwrap();
        assert!(first(&open, MAX_EXTENDED).is_err());
    }
}
