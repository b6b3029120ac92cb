//! How a session is, for those who look.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use sidewinder_linkstate::bgp::session::{Counters, State};
use sidewinder_linkstate::reason::Tally;

use super::{Settings, Side};

/// How far a session is: the states of RFC 4271, section 8.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting to try again.
    Idle,
    /// Connecting.
    Connect,
    /// Waiting for the peer to connect.
    Active,
    /// There is a connection.
    Session(State),
}

impl Phase {
    /// Its name in RFC 4271.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::Session(state) => state.name(),
        }
    }

    /// Whether the peer tells what it knows.
    pub fn is_established(self) -> bool {
        self == Self::Session(State::Established)
    }
}

macro_rules! ends {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a session has ended, or a connection came to nothing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Ended {
            $($(#[$doc])* $name,)*
        }

        impl Ended {
            /// Every reason, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

ends! {
    /// No connection.
    Connect = "connect-failed",
    /// The connection broke, or the peer closed it without a word.
    Closed = "connection-closed",
    /// The peer was silent for too long.
    HoldTimer = "hold-timer-expired",
    /// The peer did not read what we said.
    NotRead = "send-hold-timer-expired",
    /// The peer did something that cannot be; we said so.
    Sent = "notification-sent",
    /// The peer said that it is over.
    Received = "notification-received",
    /// We ended it for other reasons: a stop, another connection.
    Stopped = "stopped",
    /// A connection that was not wanted: of another host, or beside one that there is.
    Rejected = "connection-rejected",
}

impl Ended {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();
}

/// How a session is.
#[derive(Debug, Clone)]
pub struct Status {
    /// How far it is.
    pub phase: Phase,
    /// Since when.
    pub since: Instant,
    /// The other side, as far as it is known.
    pub peer: Option<SocketAddr>,
    /// Its BGP Identifier, as long as there is a session.
    pub identifier: Option<Ipv4Addr>,
    /// Time without a message after which the session ends; zero: never.
    pub hold_time: Duration,
    /// What was said so far, over all sessions.
    pub counters: Counters,
    /// What was wrong with it.
    pub tally: Tally,
    /// How many sessions there were.
    pub established: u64,
    /// How sessions and connections have ended, by the order of [`Ended`].
    pub ends: [u64; Ended::COUNT],
    /// How the last one has, in words, and when.
    pub last: Option<(Instant, String)>,
}

impl Status {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            phase: Phase::Idle,
            since: Instant::now(),
            peer: match &settings.side {
                Side::Active { peer, .. } => Some(*peer),
                Side::Passive { .. } => None,
            },
            identifier: None,
            hold_time: Duration::ZERO,
            counters: Counters::default(),
            tally: Tally::default(),
            established: 0,
            ends: [0; Ended::COUNT],
            last: None,
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        if self.phase != phase {
            self.established += u64::from(phase.is_established());
            self.phase = phase;
            self.since = Instant::now();
        }
    }

    pub(super) fn end(&mut self, ended: Ended, words: String) {
        self.ends[ended as usize] += 1;
        self.last = Some((Instant::now(), words));
    }
}
