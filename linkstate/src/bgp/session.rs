//! A session, from an open connection to its end (RFC 4271, section 8): bytes and the time in, bytes
//! and news out.
//!
//! It only receives: it announces nothing, and says so by an End-of-RIB. Who keeps connections
//! opens another after the end, a [`retry_delay`] later.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::attribute;
use super::frame::{self, Kind};
use super::notification::{Notification, code, open};
use super::route_refresh::RouteRefresh;
use super::{Capability, Open, keepalive};
use crate::bgp_ls::{Decoder, encode};
use crate::reason::Tally;
use crate::ted::Event;

/// How long an OPEN may take (RFC 4271, section 8.2.2, suggests 4 minutes; nothing that answers
/// takes as long).
const OPEN_PATIENCE: Duration = Duration::from_secs(60);
/// How long a peer may not read what we say at least, before the session ends (RFC 9687, section 4).
const SEND_HOLD: Duration = Duration::from_secs(8 * 60);
/// When to ask again after something was lost, at first; then each time twice as late.
const REFRESH_FIRST: Duration = Duration::from_secs(1);
/// And at last.
const REFRESH_LAST: Duration = Duration::from_secs(3600);

/// What both sides have to agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our AS number.
    pub local_as: u32,
    /// The peer's.
    pub peer_as: u32,
    /// Our BGP Identifier.
    pub identifier: Ipv4Addr,
    /// Seconds without a message after which the session ends, if the peer does not want less: 0
    /// (never), or 3 and more.
    pub hold_time: u16,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// OPEN is sent, and the peer's awaited.
    OpenSent,
    /// The peer has to confirm.
    OpenConfirm,
    /// The peer tells what it knows.
    Established,
}

impl State {
    /// Its name in RFC 4271.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        }
    }
}

/// What a session tells.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The peer will tell what it knows.
    Established,
    /// Something about the topology.
    Event(Event),
    /// All will be told again from here on (RFC 7313).
    RefreshBegins,
    /// All has been told again.
    RefreshEnds,
}

/// Why a session has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// We ended it. What is [pending](Session::pending) still has to be sent.
    Sent(Notification),
    /// The peer ended it.
    Received(Notification),
    /// The peer does not read what we say.
    NotRead,
}

/// What a session has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages received, in the order of [`Kind`].
    pub received: [u64; 5],
    /// Messages sent.
    pub sent: [u64; 5],
    /// Bytes received.
    pub bytes: u64,
    /// NLRI announced.
    pub announced: u64,
    /// NLRI withdrawn.
    pub withdrawn: u64,
}

impl Counters {
    /// How many messages of a kind were received.
    pub fn received(&self, kind: Kind) -> u64 {
        self.received[kind as usize - 1]
    }

    /// How many were sent.
    pub fn sent(&self, kind: Kind) -> u64 {
        self.sent[kind as usize - 1]
    }
}

/// A session on one connection.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    state: State,
    /// The beginning of a message that is not whole yet.
    input: Vec<u8>,
    output: Vec<u8>,
    /// The longest message the peer may send.
    max: usize,
    peer: Option<Open>,
    decoder: Decoder,
    counters: Counters,
    hold: Duration,
    hold_until: Option<Instant>,
    keepalive_at: Option<Instant>,
    /// Since when the peer has read nothing, though there is something to read.
    unread_since: Option<Instant>,
    refresh_at: Option<Instant>,
    refresh_delay: Duration,
}

impl Session {
    /// A session on a connection that has just been opened. Counters go on from where those of
    /// earlier sessions have ended.
    pub fn new(settings: Settings, counters: Counters, tally: Tally, now: Instant) -> Self {
        let Settings { local_as, identifier, hold_time, .. } = settings;
        let mut session = Self {
            settings,
            state: State::OpenSent,
            input: Vec::new(),
            output: Vec::new(),
            max: frame::MAX,
            peer: None,
            decoder: Decoder { tally, ..Decoder::default() },
            counters,
            hold: OPEN_PATIENCE,
            hold_until: Some(now + OPEN_PATIENCE),
            keepalive_at: None,
            unread_since: None,
            refresh_at: None,
            refresh_delay: REFRESH_FIRST,
        };
        if let Some(open) = Open::link_state(local_as, hold_time, identifier).encode() {
            session.send(Kind::Open, &open, now);
        }
        session
    }

    /// How far it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// What the peer's OPEN said.
    pub fn peer(&self) -> Option<&Open> {
        self.peer.as_ref()
    }

    /// Time without a message after which it ends; zero: never.
    pub fn hold_time(&self) -> Duration {
        self.hold
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What was wrong so far.
    pub fn tally(&self) -> &Tally {
        &self.decoder.tally
    }

    /// What is to be sent.
    pub fn pending(&self) -> &[u8] {
        &self.output
    }

    /// So many bytes of it were sent.
    pub fn sent(&mut self, count: usize, now: Instant) {
        self.output.drain(..count.min(self.output.len()));
        if count > 0 {
            self.unread_since = (!self.output.is_empty()).then_some(now);
        }
    }

    /// When to call [`tick`](Self::tick) at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let unread = self.unread_since.map(|since| since + self.send_hold());
        [self.hold_until, self.keepalive_at, self.refresh_at, unread].into_iter().flatten().min()
    }

    /// Ends it by a NOTIFICATION.
    pub fn stop(&mut self, notification: Notification, now: Instant) -> End {
        self.send(Kind::Notification, &notification.encode(), now);
        End::Sent(notification)
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) -> Result<(), End> {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.unread_since.map(|since| since + self.send_hold())) {
            return Err(End::NotRead);
        }
        if due(self.hold_until) {
            return Err(self.stop(Notification::new(code::HOLD_TIMER, 0, &[]), now));
        }
        if due(self.keepalive_at) {
            self.keepalive_at = Some(now + self.hold / 3);
            // One that was not read yet is as good as two.
            if self.output.is_empty() {
                self.send(Kind::Keepalive, &keepalive(), now);
            }
        }
        if due(self.refresh_at) {
            self.refresh_at = None;
            self.refresh_delay = (self.refresh_delay * 2).min(REFRESH_LAST);
            self.send(Kind::RouteRefresh, &RouteRefresh::LINK_STATE.encode(), now);
        }
        Ok(())
    }

    /// Takes what has come from the peer. No more is kept than one message. After an error, nothing
    /// more is to be given to it.
    pub fn received(
        &mut self,
        bytes: &[u8],
        now: Instant,
        mut out: impl FnMut(News),
    ) -> Result<(), End> {
        self.counters.bytes += bytes.len() as u64;
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            match frame::first(&input[at..], self.max) {
                Ok(Some(message)) => {
                    at += message.length();
                    self.counters.received[message.kind as usize - 1] += 1;
                    self.message(message, now, &mut out)?;
                }
                Ok(None) => break,
                Err(notification) => return Err(self.stop(notification, now)),
            }
        }
        input.drain(..at);
        input.shrink_to(self.max);
        self.input = input;
        Ok(())
    }

    fn message(
        &mut self,
        message: frame::Frame<'_>,
        now: Instant,
        out: &mut impl FnMut(News),
    ) -> Result<(), End> {
        let frame::Frame { kind, body } = message;
        let done = match (self.state, kind) {
            (_, Kind::Notification) => {
                let said = Notification::decode(body);
                return Err(End::Received(said.unwrap_or(Notification::new(0, 0, &[]))));
            }
            (State::OpenSent, Kind::Open) => self.open(body, now),
            (State::OpenConfirm, Kind::Keepalive) => {
                self.state = State::Established;
                // There is nothing that we announce.
                if let Some(end_of_rib) = encode::withdraw(&[]) {
                    self.send(Kind::Update, &end_of_rib, now);
                }
                out(News::Established);
                Ok(())
            }
            (State::Established, Kind::Keepalive) => Ok(()),
            (State::Established, Kind::Update) => self.update(body, now, out),
            (State::Established, Kind::RouteRefresh) => self.refresh(body, out),
            // RFC 6608, section 3.
            (State::OpenSent, _) => Err(Notification::new(code::FSM, 1, &[])),
            (State::OpenConfirm, _) => Err(Notification::new(code::FSM, 2, &[])),
            (State::Established, _) => Err(Notification::new(code::FSM, 3, &[])),
        };
        done.map_err(|notification| self.stop(notification, now))?;
        self.hold_until = (!self.hold.is_zero()).then(|| now + self.hold);
        Ok(())
    }

    fn open(&mut self, body: &[u8], now: Instant) -> Result<(), Notification> {
        let error = |subcode, data: &[u8]| Notification::new(code::OPEN, subcode, data);
        let open = Open::decode(body)?;
        if open.asn != self.settings.peer_as {
            return Err(error(open::PEER_AS, &[]));
        }
        let internal = self.settings.local_as == self.settings.peer_as;
        // RFC 6286, section 2.2.
        if internal && open.identifier == self.settings.identifier {
            return Err(error(open::IDENTIFIER, &[]));
        }
        if !open.has(&Capability::LINK_STATE) {
            let mut data = Vec::new();
            Capability::LINK_STATE.encode(&mut data);
            return Err(error(open::CAPABILITY, &data));
        }
        self.hold = Duration::from_secs(self.settings.hold_time.min(open.hold_time).into());
        self.keepalive_at = (!self.hold.is_zero()).then(|| now + self.hold / 3);
        if open.has(&Capability::ExtendedMessage) {
            self.max = frame::MAX_EXTENDED;
        }
        self.decoder.session = attribute::Session {
            four_octet_as: open.has_four_octet_as(),
            own_as: Some(self.settings.local_as),
        };
        self.peer = Some(open);
        self.state = State::OpenConfirm;
        self.send(Kind::Keepalive, &keepalive(), now);
        Ok(())
    }

    fn update(
        &mut self,
        body: &[u8],
        now: Instant,
        out: &mut impl FnMut(News),
    ) -> Result<(), Notification> {
        let Self { decoder, counters, .. } = self;
        let losses = decoder.tally.losses();
        decoder.update(body, |event| {
            match event {
                Event::Withdraw(_) => counters.withdrawn += 1,
                Event::EndOfRib => {}
                _ => counters.announced += 1,
            }
            out(News::Event(event));
        })?;
        let can = self.peer.as_ref().is_some_and(|peer| peer.has(&Capability::RouteRefresh));
        if can && self.refresh_at.is_none() && self.decoder.tally.losses() > losses {
            self.refresh_at = Some(now + self.refresh_delay);
        }
        Ok(())
    }

    fn refresh(&mut self, body: &[u8], out: &mut impl FnMut(News)) -> Result<(), Notification> {
        let Some(refresh) = RouteRefresh::decode(body) else {
            return Err(Notification::new(code::ROUTE_REFRESH, 1, body));
        };
        let ours = (refresh.afi, refresh.safi) == (super::AFI_LINK_STATE, super::SAFI_LINK_STATE);
        match refresh.subtype {
            1 if ours => out(News::RefreshBegins),
            2 if ours => out(News::RefreshEnds),
            // There is nothing that we could announce anew.
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, kind: Kind, message: &[u8], now: Instant) {
        self.counters.sent[kind as usize - 1] += 1;
        self.output.extend_from_slice(message);
        self.unread_since.get_or_insert(now);
    }

    /// RFC 9687, section 4.
    fn send_hold(&self) -> Duration {
        SEND_HOLD.max(self.hold * 2)
    }
}

/// How long to wait before the next connection after so many that led to nothing: a second at
/// first, then each time twice as long, up to two minutes; less by up to a quarter, as `chance` will
/// have it, so that not all come at once (RFC 4271, section 10).
pub fn retry_delay(failures: u32, chance: u64) -> Duration {
    const LAST: Duration = Duration::from_secs(120);
    let delay = Duration::from_secs(1 << failures.min(7)).min(LAST);
    delay.mul_f64(1.0 - (chance % 1000) as f64 / 4000.0)
}

#[cfg(test)]
mod tests;
