//! The way of single packets, written down where somebody asks for it.
//!
//! The control thread makes a [`Session`] for each worker, with all the memory that it takes, and
//! hands it over by the worker's [`Tap`]. While it is there, the worker's pipeline has it look on, and
//! gives the [`Record`](record::Record)s of packets that [match](Filter) to the control thread by a
//! ring. Records are of fixed size and go round: what there is no empty one for is counted as missed.
//! A worker neither allocates, frees, waits nor formats for it.
//!
//! Copies of packets with the O-flag (RFC 9259, section 2.1) are records, too, of sessions that stay:
//! their ring keeps the last ones until somebody asks.

use crate::{
    fib::entry::PortIndex,
    verdict::{Fate, Reason},
};

pub mod record;
mod session;
mod tap;

pub use session::{Ring, Session};
pub use tap::{Kind, Order, Tap};

use record::{Event, Found, LookUp, Record};

/// Which packets are wanted. All that is said must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filter {
    /// The port they came in by.
    pub ingress: Option<PortIndex>,
    /// A prefix that a destination of theirs is in, as they came or after any step.
    pub prefix: Option<Prefix>,
    /// A local SID that was found for them: its first address.
    pub sid: Option<u128>,
    /// Why they were dropped or answered.
    pub reason: Option<Reason>,
}

/// A prefix of either version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Whether it is IPv6.
    pub v6: bool,
    /// Its first address, [left-aligned](crate::fib::table::left_aligned).
    pub key: u128,
    /// How many bits count.
    pub len: u8,
}

impl Prefix {
    /// Whether an address is in it.
    pub fn contains(&self, v6: bool, key: u128) -> bool {
        let bits = 128 - u32::from(self.len.min(128));
        let mask = u128::MAX.checked_shl(bits).unwrap_or(0);
        v6 == self.v6 && (key ^ self.key) & mask == 0
    }
}

impl Filter {
    /// Whether a packet, whose way is over, is wanted.
    pub fn matches(&self, record: &Record) -> bool {
        let mut look_ups = record.steps.iter().filter_map(|step| match &step.event {
            Event::LookUp(look_up) => Some(look_up),
            Event::Steered { .. } | Event::Answered(_) => None,
        });
        let any = |wanted: &dyn Fn(&LookUp) -> bool| look_ups.clone().any(wanted);
        self.ingress.is_none_or(|port| port == record.ingress)
            && self.prefix.is_none_or(|prefix| any(&|step| prefix.contains(step.v6, step.key)))
            && self.reason.is_none_or(|wanted| {
                matches!(record.fate, Some(Fate::Dropped(reason) | Fate::Replied(reason)) if reason == wanted)
            })
            && self.sid.is_none_or(|sid| {
                look_ups.any(|step| matches!(step.found, Found::Sid { address, .. } if address == sid))
            })
    }
}

#[cfg(test)]
mod tests;
