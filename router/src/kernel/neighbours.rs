//! Neighbours that we need: asking the kernel to resolve them, and to keep them resolved.
//!
//! The data plane forwards past the kernel, so the kernel sees no packets that would make it
//! resolve a next hop or find out that it is gone. It is asked to: an entry with
//! `NTF_EXT_MANAGED` (kernel 5.16) is resolved at once, probed before it goes stale, and tried
//! again every `interval_probe_time_ms` (5 s) after it failed. Where the kernel does not know the
//! flag it ignores it, and `NTF_USE` in the same request has the entry resolved once;
//! [`Kernel::retry_unresolved`] then asks again and again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Kernel;
use super::error::Result;
use super::event::Event;
use super::requests::Requests;
use super::view::View;

/// Our mark on entries, as `NDA_PROTOCOL` (`ip neigh` prints it as `proto 83`): so that a daemon
/// that was killed knows its entries again. Not assigned to anyone in the kernel's rtnetlink.h.
const MARK: u8 = 83;

/// The neighbours that we asked for, by link and address, and whether the kernel keeps them for us.
#[derive(Debug, Default)]
pub struct Wanted(BTreeMap<(u32, IpAddr), Keeping>);

/// On whose behalf the kernel keeps an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    /// Not asked yet, or it refused.
    NotYet,
    /// On ours: it is for us to end it.
    Ours,
    /// On someone else's, or it is set by hand: it is not for us to end.
    Theirs,
}

impl Kernel {
    /// Has the kernel resolve a neighbour and keep it resolved, from now on until
    /// [`Kernel::release`] or until the link is removed; what comes of it comes as events. The
    /// wish outlives failures, link down and flushed tables. Asking twice is asking once.
    ///
    /// Entries that the administrator or a control plane set are left as they are.
    ///
    /// Fails if the kernel refuses (no privilege, no such link, a full table);
    /// the wish stays, and [`Kernel::retry_unresolved`] asks again.
    pub fn resolve(&mut self, link: u32, ip: IpAddr) -> Result<()> {
        let keeping = self.wanted.0.entry((link, ip)).or_insert(Keeping::NotYet);
        // In vain now; it is asked for when the link comes up.
        if self.view.links.get(&link).is_some_and(|link| !link.up) {
            return Ok(());
        }
        kick(&mut self.requests, link, ip, keeping)
    }

    /// Ends the wish. An entry that is kept for us becomes an ordinary one, or goes away if it is
    /// not resolved; one that is not ours stays as it is.
    ///
    /// Fails if the kernel refuses; the wish has ended all the same.
    pub fn release(&mut self, link: u32, ip: IpAddr) -> Result<()> {
        match self.wanted.0.remove(&(link, ip)) {
            Some(Keeping::Ours) => let_go(&mut self.requests, link, ip),
            Some(Keeping::NotYet | Keeping::Theirs) | None => Ok(()),
        }
    }

    /// Ends every wish, as [`Kernel::release`] does each.
    ///
    /// Fails with the first refusal, after trying all.
    pub fn release_all(&mut self) -> Result<()> {
        let all: Vec<_> = self.wanted.0.keys().copied().collect();
        all.into_iter().map(|(link, ip)| self.release(link, ip)).fold(Ok(()), Result::and)
    }

    /// Asks again for neighbours that are wanted and not usable, on links that are up, and for
    /// those that the kernel does not keep by itself. To be called every second or so.
    ///
    /// Fails with the first refusal, after trying all.
    pub fn retry_unresolved(&mut self) -> Result<()> {
        self.kick_where(|view, link, ip| match view.neighbours.get(&(link, ip)) {
            Some(known) if known.fixed => false,
            Some(known) => !known.usable || !known.managed,
            None => true,
        })
    }

    /// Asks again, without waiting for the timer, where an event makes it worth while; and forgets
    /// the wishes of links that are gone, whose index means nothing any more.
    pub(super) fn follow_up(&mut self, events: &[Event]) {
        for event in events {
            let kicked = match event {
                Event::LinkRemoved(gone) => {
                    self.wanted.0.retain(|(link, _), _| *link != gone.index);
                    Ok(())
                }
                // The kernel flushes the neighbours of a link that goes down, managed or not.
                Event::LinkChanged { now, .. } if now.up => self.kick_lost(now.index),
                Event::NeighbourRemoved(gone) => self.kick_lost(gone.link),
                // No IPv6 solicitation is sent before there is an address to send it from, and
                // the kernel has spent its attempts by then.
                Event::AddressAdded(address) if !address.tentative => {
                    self.kick_lost(address.key.link)
                }
                _ => Ok(()),
            };
            if let Err(error) = kicked {
                tracing::debug!(%error, "left to the next retry");
            }
        }
    }

    /// Asks again for the unresolved neighbours of one link.
    fn kick_lost(&mut self, on: u32) -> Result<()> {
        self.kick_where(|view, link, ip| {
            link == on && view.neighbours.get(&(link, ip)).is_none_or(|known| !known.usable)
        })
    }

    /// Asks again for the wanted neighbours that fulfil a condition, on links that are up.
    fn kick_where(&mut self, needed: impl Fn(&View, u32, IpAddr) -> bool) -> Result<()> {
        let mut outcome = Ok(());
        for (&(link, ip), keeping) in &mut self.wanted.0 {
            let up = self.view.links.get(&link).is_some_and(|link| link.up);
            if up && needed(&self.view, link, ip) {
                outcome = outcome.and(kick(&mut self.requests, link, ip, keeping));
            }
        }
        outcome
    }
}

/// The part that all messages about a neighbour have in common.
pub(super) fn message(link: u32, ip: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = match ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.ifindex = link;
    message.attributes.push(NeighbourAttribute::Destination(ip.into()));
    message
}

/// Has the kernel resolve an entry and keep it.
fn kick(requests: &mut Requests, link: u32, ip: IpAddr, keeping: &mut Keeping) -> Result<()> {
    // Not from the view, which may be a moment behind: a kick to a permanent entry would take its
    // permanence away (`__neigh_update`, on either flag).
    let present = requests.neighbour(link, ip)?;
    if present.is_some_and(|(neighbour, _)| neighbour.fixed) {
        *keeping = Keeping::Theirs;
        return Ok(());
    }
    let mut message = message(link, ip);
    message.header.flags = NeighbourFlags::Use;
    message.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
    let outcome = match present {
        // Kept for us already, perhaps by a run of this daemon before.
        Some((neighbour, Some(MARK))) if neighbour.managed => Keeping::Ours,
        Some((neighbour, _)) if neighbour.managed && *keeping != Keeping::Ours => Keeping::Theirs,
        Some((_, Some(other))) if other != MARK => Keeping::Ours,
        _ => {
            let mark = RouteProtocol::from(MARK);
            message.attributes.push(NeighbourAttribute::Protocol(mark));
            Keeping::Ours
        }
    };
    let order = RouteNetlinkMessage::NewNeighbour(message);
    requests.order(&format!("resolve neighbour {ip} on link {link}"), order, NLM_F_CREATE)?;
    *keeping = outcome;
    Ok(())
}

/// Ends what [`kick`] began.
fn let_go(requests: &mut Requests, link: u32, ip: IpAddr) -> Result<()> {
    let present = match requests.neighbour(link, ip) {
        // The link went away, and its neighbours with it.
        Err(error) if error.errno() == Some(libc::ENODEV) => None,
        present => present?,
    };
    let mut message = message(link, ip);
    let order = match present {
        None => return Ok(()),
        Some((neighbour, _)) if neighbour.fixed => return Ok(()),
        // A use without the flag takes it off, and leaves address and state to those who still
        // send to it through the kernel.
        Some((neighbour, _)) if neighbour.usable && neighbour.managed => {
            message.header.flags = NeighbourFlags::Use;
            RouteNetlinkMessage::NewNeighbour(message)
        }
        Some((neighbour, _)) if neighbour.usable => return Ok(()),
        Some(_) => RouteNetlinkMessage::DelNeighbour(message),
    };
    match requests.order(&format!("release neighbour {ip} on link {link}"), order, 0) {
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ENODEV)) => Ok(()),
        outcome => outcome,
    }
}
