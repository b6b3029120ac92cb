//! UPDATE and its path attributes (RFC 4271, section 4.3), with the errors of RFC 7606.

use super::notification::{Notification, update};
use super::{AFI_LINK_STATE, SAFI_LINK_STATE};
use crate::read::Reader;
use crate::reason::{Reason, Tally};

const OPTIONAL: u8 = 0x80;
const TRANSITIVE: u8 = 0x40;
const EXTENDED_LENGTH: u8 = 0x10;

/// Types of path attributes.
pub mod kind {
    /// ORIGIN.
    pub const ORIGIN: u8 = 1;
    /// AS_PATH.
    pub const AS_PATH: u8 = 2;
    /// NEXT_HOP.
    pub const NEXT_HOP: u8 = 3;
    /// MULTI_EXIT_DISC.
    pub const MED: u8 = 4;
    /// LOCAL_PREF.
    pub const LOCAL_PREF: u8 = 5;
    /// ATOMIC_AGGREGATE.
    pub const ATOMIC_AGGREGATE: u8 = 6;
    /// MP_REACH_NLRI (RFC 4760).
    pub const MP_REACH: u8 = 14;
    /// MP_UNREACH_NLRI (RFC 4760).
    pub const MP_UNREACH: u8 = 15;
    /// BGP-LS (RFC 9552, section 5.3).
    pub const LINK_STATE: u8 = 29;
}

/// What the session has agreed on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Session {
    /// AS numbers in AS_PATH have four octets (RFC 6793).
    pub four_octet_as: bool,
    /// Our AS number: routes that have come through it already are not taken.
    pub own_as: Option<u32>,
}

/// What an UPDATE says of link-state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Update<'a> {
    /// NLRI that are announced.
    pub reach: &'a [u8],
    /// NLRI that are withdrawn.
    pub unreach: &'a [u8],
    /// The BGP-LS attribute.
    pub link_state: Option<&'a [u8]>,
    /// What is announced has to be withdrawn (RFC 7606, section 2).
    pub treat_as_withdraw: bool,
    /// End-of-RIB (RFC 4724, section 2).
    pub end_of_rib: bool,
}

/// Reads what follows the header of an UPDATE. An error ends the session: what is announced or
/// withdrawn cannot be told.
pub fn decode<'a>(
    body: &'a [u8],
    session: Session,
    tally: &mut Tally,
) -> Result<Update<'a>, Notification> {
    let malformed = || Notification::update(update::ATTRIBUTE_LIST);
    let mut reader = Reader::new(body);
    let length = reader.u16().ok_or_else(malformed)?;
    let withdrawn = reader.take(length.into()).ok_or_else(malformed)?;
    let length = reader.u16().ok_or_else(malformed)?;
    let attributes = reader.take(length.into()).ok_or_else(malformed)?;
    // IPv4 unicast, which was not agreed on.
    if !withdrawn.is_empty() || !reader.is_empty() {
        tally.count(Reason::AddressFamily);
    }
    let mut list = List { session, tally, update: Update::default(), seen: [false; 256] };
    list.read(attributes)?;
    Ok(list.finish())
}

struct List<'a, 't> {
    session: Session,
    tally: &'t mut Tally,
    update: Update<'a>,
    seen: [bool; 256],
}

impl<'a> List<'a, '_> {
    fn read(&mut self, attributes: &'a [u8]) -> Result<(), Notification> {
        let mut reader = Reader::new(attributes);
        while !reader.is_empty() {
            let Some((flags, kind, value)) = attribute(&mut reader) else {
                // RFC 7606, section 4: where the list ends is known all the same.
                self.withdraw(Reason::AttributeOverrun);
                break;
            };
            if std::mem::replace(&mut self.seen[usize::from(kind)], true) {
                self.duplicate(kind)?;
            } else {
                self.one(flags, kind, value)?;
            }
        }
        Ok(())
    }

    /// RFC 7606, section 3, g.
    fn duplicate(&mut self, kind: u8) -> Result<(), Notification> {
        if matches!(kind, kind::MP_REACH | kind::MP_UNREACH) {
            return Err(Notification::update(update::ATTRIBUTE_LIST));
        }
        self.tally.count(Reason::AttributeDuplicate);
        Ok(())
    }

    fn one(&mut self, flags: u8, kind: u8, value: &'a [u8]) -> Result<(), Notification> {
        let Some(expected) = flags_of(kind) else {
            if flags & OPTIONAL == 0 {
                return Err(Notification::new(3, update::UNRECOGNIZED, &[flags, kind]));
            }
            return Ok(());
        };
        // RFC 7606, section 3, c. What MP_REACH holds is still needed, to withdraw it.
        if flags & (OPTIONAL | TRANSITIVE) != expected {
            self.withdraw(Reason::AttributeFlags);
        }
        match kind {
            kind::ORIGIN if value.len() != 1 => self.withdraw(Reason::AttributeLength),
            kind::ORIGIN if value[0] > 2 => self.withdraw(Reason::Origin),
            kind::AS_PATH => self.as_path(value),
            kind::NEXT_HOP | kind::MED | kind::LOCAL_PREF if value.len() != 4 => {
                self.withdraw(Reason::AttributeLength);
            }
            // RFC 7606, section 7.6: discarded, and that is all.
            kind::ATOMIC_AGGREGATE if !value.is_empty() => {
                self.tally.count(Reason::AttributeLength);
            }
            kind::MP_REACH => {
                let optional = || Notification::update(update::OPTIONAL_ATTRIBUTE);
                let (afi, safi, nlri) = reach(value).ok_or_else(optional)?;
                if self.is_link_state(afi, safi) {
                    self.update.reach = nlri;
                }
            }
            kind::MP_UNREACH => {
                let optional = || Notification::update(update::OPTIONAL_ATTRIBUTE);
                let (afi, safi, nlri) = unreach(value).ok_or_else(optional)?;
                if self.is_link_state(afi, safi) {
                    self.update.unreach = nlri;
                    self.update.end_of_rib = nlri.is_empty();
                }
            }
            kind::LINK_STATE => self.update.link_state = Some(value),
            _ => {}
        }
        Ok(())
    }

    /// RFC 7606, section 7.2; RFC 4271, section 9.1.2.
    fn as_path(&mut self, path: &[u8]) {
        let width = if self.session.four_octet_as { 4 } else { 2 };
        let mut reader = Reader::new(path);
        let mut looped = false;
        while !reader.is_empty() {
            let segment = reader.u8().zip(reader.u8());
            // AS_SET 1, AS_SEQUENCE 2, and those of confederations 3 and 4 (RFC 5065).
            let numbers = segment
                .filter(|(kind, count)| (1..=4).contains(kind) && *count > 0)
                .and_then(|(_, count)| reader.take(usize::from(count) * width));
            let Some(numbers) = numbers else {
                return self.withdraw(Reason::AsPath);
            };
            let number = |bytes: &[u8]| bytes.iter().fold(0, |n, &b| n << 8 | u32::from(b));
            looped |= numbers.chunks(width).any(|one| Some(number(one)) == self.session.own_as);
        }
        if looped {
            self.withdraw(Reason::AsLoop);
        }
    }

    fn is_link_state(&mut self, afi: u16, safi: u8) -> bool {
        let ours = (afi, safi) == (AFI_LINK_STATE, SAFI_LINK_STATE);
        if !ours {
            self.tally.count(Reason::AddressFamily);
        }
        ours
    }

    fn withdraw(&mut self, reason: Reason) {
        self.tally.count(reason);
        self.update.treat_as_withdraw = true;
    }

    /// RFC 7606, section 3, d; RFC 4724, section 2.
    fn finish(mut self) -> Update<'a> {
        let seen = |kind: u8| self.seen[usize::from(kind)];
        let mandatory = seen(kind::ORIGIN) && seen(kind::AS_PATH);
        self.update.end_of_rib &= !seen(kind::MP_REACH);
        if !self.update.reach.is_empty() && !mandatory {
            self.withdraw(Reason::AttributeMissing);
        }
        self.update
    }
}

fn attribute<'a>(reader: &mut Reader<'a>) -> Option<(u8, u8, &'a [u8])> {
    let (flags, kind) = (reader.u8()?, reader.u8()?);
    let length =
        if flags & EXTENDED_LENGTH == 0 { reader.u8()?.into() } else { reader.u16()?.into() };
    Some((flags, kind, reader.take(length)?))
}

/// What Optional and Transitive have to be.
fn flags_of(kind: u8) -> Option<u8> {
    match kind {
        kind::ORIGIN
        | kind::AS_PATH
        | kind::NEXT_HOP
        | kind::LOCAL_PREF
        | kind::ATOMIC_AGGREGATE => Some(TRANSITIVE),
        kind::MED | kind::MP_REACH | kind::MP_UNREACH | kind::LINK_STATE => Some(OPTIONAL),
        _ => None,
    }
}

fn reach(value: &[u8]) -> Option<(u16, u8, &[u8])> {
    let mut reader = Reader::new(value);
    let (afi, safi) = (reader.u16()?, reader.u8()?);
    let next_hop = reader.u8()?;
    reader.take(next_hop.into())?;
    reader.u8()?;
    Some((afi, safi, reader.rest()))
}

fn unreach(value: &[u8]) -> Option<(u16, u8, &[u8])> {
    let mut reader = Reader::new(value);
    Some((reader.u16()?, reader.u8()?, reader.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &[u8] = &[0x40, 1, 1, 2];
    const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8];
    const REACH: &[u8] = &[0x80, 14, 10, 0x40, 4, 71, 4, 10, 9, 0, 1, 0, 9];

    fn read(attributes: &[&[u8]]) -> (Result<(bool, Vec<u8>), u8>, Tally) {
        let attributes = attributes.concat();
        let length = (attributes.len() as u16).to_be_bytes();
        let body = [&[0, 0][..], &length, &attributes].concat();
        let mut tally = Tally::default();
        let session = Session { four_octet_as: true, own_as: Some(7) };
        let update = decode(&body, session, &mut tally);
        (update.map(|u| (u.treat_as_withdraw, u.reach.to_vec())).map_err(|e| e.subcode), tally)
    }

    fn withdrawn_for(attributes: &[&[u8]]) -> Reason {
        let (update, tally) = read(attributes);
        assert_eq!(update, Ok((true, vec![9])));
        let reasons: Vec<_> = tally.iter().collect();
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        reasons[0].0
    }

    #[test]
    fn a_good_update_has_nothing_to_count() {
        let (update, tally) = read(&[REACH, ORIGIN, AS_PATH]);
        assert_eq!(update, Ok((false, vec![9])));
        assert_eq!(tally.total(), 0);
    }

    #[test]
    fn errors_in_attributes_withdraw_what_is_announced() {
        use Reason::*;
        assert_eq!(withdrawn_for(&[REACH, AS_PATH]), AttributeMissing);
        assert_eq!(withdrawn_for(&[REACH, ORIGIN]), AttributeMissing);
        assert_eq!(withdrawn_for(&[REACH, &[0x40, 1, 1, 3], AS_PATH]), Origin);
        assert_eq!(withdrawn_for(&[REACH, &[0x40, 1, 0], AS_PATH]), AttributeLength);
        assert_eq!(withdrawn_for(&[REACH, &[0xc0, 1, 1, 0], AS_PATH]), AttributeFlags);
        assert_eq!(withdrawn_for(&[REACH, ORIGIN, &[0x40, 2, 2, 2, 1]]), AsPath);
        assert_eq!(withdrawn_for(&[REACH, ORIGIN, &[0x40, 2, 6, 2, 1, 0, 0, 0, 7]]), AsLoop);
        assert_eq!(withdrawn_for(&[REACH, ORIGIN, AS_PATH, &[0x80, 29, 4]]), AttributeOverrun);
        assert_eq!(withdrawn_for(&[REACH, ORIGIN, AS_PATH, &[0x40, 5, 1, 0]]), AttributeLength);
    }

    #[test]
    fn the_first_of_two_counts_but_not_of_nlri() {
        let (update, tally) = read(&[REACH, ORIGIN, AS_PATH, ORIGIN]);
        assert_eq!(update, Ok((false, vec![9])));
        assert_eq!(tally.of(Reason::AttributeDuplicate), 1);
        assert_eq!(read(&[REACH, REACH]).0, Err(update::ATTRIBUTE_LIST));
    }

    #[test]
    fn nlri_that_cannot_be_found_end_the_session() {
        assert_eq!(read(&[&[0x80, 14, 4, 0x40, 4, 71, 9]]).0, Err(update::OPTIONAL_ATTRIBUTE));
        assert_eq!(read(&[&[0x40, 99, 0]]).0, Err(update::UNRECOGNIZED));
    }

    #[test]
    fn other_address_families_are_ignored() {
        let (update, tally) = read(&[&[0x80, 15, 3, 0, 2, 1]]);
        assert_eq!(update, Ok((false, vec![])));
        assert_eq!(tally.of(Reason::AddressFamily), 1);
    }
}
