//! What an UPDATE says of the topology (RFC 9552).
//!
//! What is malformed is skipped as far as what follows can still be told, and counted: a TLV of the
//! attribute, an NLRI, the attribute. Only NLRI whose ends cannot be found end the session
//! (RFC 9552, section 8.2.2).

mod attribute;
pub mod encode;
mod link;
mod nlri;
mod node;
mod prefix;
mod sid;
mod srv6;

use std::sync::Arc;

use crate::bgp::Notification;
use crate::bgp::attribute::{self as path, Session};
use crate::reason::Tally;
use crate::ted::{Event, Nlri};
use attribute::Attribute;

/// How much of one object is kept, so that no peer can have us keep what it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Items in one list: adjacency SIDs of a link, areas of a node.
    pub list: usize,
    /// Bytes in TLVs that we do not know.
    pub unknown: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { list: 256, unknown: 1024 }
    }
}

/// Reads UPDATEs of one session.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    /// What the session has agreed on.
    pub session: Session,
    /// How much is kept.
    pub limits: Limits,
    /// What was wrong so far.
    pub tally: Tally,
}

impl Decoder {
    /// Reads what follows the header of an UPDATE, and hands out what it says, what is withdrawn
    /// first. The error is what to end the session with; what was handed out before it holds.
    pub fn update(&mut self, body: &[u8], mut out: impl FnMut(Event)) -> Result<(), Notification> {
        let Self { session, limits, tally } = self;
        let update = path::decode(body, *session, tally)?;
        nlri::decode(update.unreach, *limits, tally, |nlri, _| out(Event::Withdraw(nlri)))?;
        let mut attribute = Attribute::new(update.link_state.unwrap_or_default(), *limits);
        nlri::decode(update.reach, *limits, tally, |nlri, tally| {
            out(if update.treat_as_withdraw {
                Event::Withdraw(nlri)
            } else {
                announce(nlri, &mut attribute, tally)
            });
        })?;
        if update.end_of_rib {
            out(Event::EndOfRib);
        }
        Ok(())
    }
}

fn announce(nlri: Nlri, attribute: &mut Attribute<'_>, tally: &mut Tally) -> Event {
    match nlri {
        Nlri::Node(node) => Event::Node(node, attribute.of_node(tally)),
        Nlri::Link { from, to, descriptor } => {
            Event::Link { from, to, descriptor, attributes: attribute.of_link(tally) }
        }
        Nlri::Prefix { node, descriptor } => {
            Event::Prefix { node, descriptor, attributes: attribute.of_prefix(tally) }
        }
        Nlri::Sid { node, descriptor } => {
            Event::Sid { node, descriptor, attributes: attribute.of_sid(tally) }
        }
    }
}

/// Keeps what is there once: the first.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), crate::reason::Reason> {
    if slot.is_some() {
        return Err(crate::reason::Reason::TlvDuplicate);
    }
    *slot = Some(value);
    Ok(())
}

/// Shares what several objects have in common.
type Shared<T> = Option<Arc<T>>;
