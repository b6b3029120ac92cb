//! What `trace` asks for, and what it is told: plain data, for JSON and for text.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub mod header;

pub use header::{Header, Packet};

/// Messages that wait for a slow client at most; the others wait in the workers' ring.
pub const WAITING: usize = 64;

/// Which packets are wanted, and how many. All that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ask {
    /// How many packets; 0: as many as come.
    pub count: u64,
    /// Seconds until the trace ends in any case; 0: it does not.
    pub timeout: u64,
    /// The interface they came in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// A prefix that a destination of theirs is in, as they came or after any step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<IpNet>,
    /// A local SID that was found for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<IpNet>,
    /// Why they were dropped or answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<String>,
    /// Of the copies of packets with the O-flag: those that were kept, and then those that come.
    #[serde(default)]
    pub o_flag: bool,
}

/// What is told, one message a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// The workers look on from now on.
    Begun {
        /// How many workers there are.
        workers: usize,
    },
    /// A packet that matched.
    Packet(Box<Traced>),
    /// No more comes.
    End(End),
}

/// The end of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct End {
    /// Why.
    pub why: Why,
    /// Packets that were told.
    pub packets: u64,
    /// Packets that matched and are not told: they came faster than they could be taken away.
    pub missed: u64,
}

/// Why a trace ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// All that were wanted are there.
    Count,
    /// The time was up.
    Timeout,
    /// The client asked for no more.
    Stopped,
}

/// The way of a packet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Traced {
    /// Its number in this trace, from 1.
    pub number: u64,
    /// When it was received, in nanoseconds since 1970, by the system's clock.
    pub time: u64,
    /// The worker that had it.
    pub worker: usize,
    /// The interface it came in by.
    pub interface: String,
    /// The packet as it came.
    pub received: Packet,
    /// What was done with it, in order.
    pub steps: Vec<Step>,
    /// What became of it.
    pub verdict: Verdict,
    /// The frame as it came, in hex, from the Ethernet header on.
    pub frame: String,
    /// The frame as it left, in hex, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
}

/// Something that was done with a packet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// The look-up that led to it; none where the packet became an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_up: Option<LookUp>,
    /// The SID that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Sid>,
    /// The policy that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The adjacency that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjacency: Option<Adjacency>,
    /// What came of it, in words: `look-up in main`, `forward`, `drop no-route`, ….
    pub outcome: String,
    /// The packet afterwards. Before, it was as after the step before.
    pub after: Packet,
}

/// A look-up, and the entry that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LookUp {
    /// What was looked up.
    pub destination: IpAddr,
    /// In which table.
    pub table: String,
    /// The prefix that matched, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<IpNet>,
    /// Where its route leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Who says so. Nobody where the route is no longer the one that the packet met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A SID that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sid {
    /// The SID.
    pub sid: String,
    /// Its behavior, as RFC 8986 spells it.
    pub behavior: String,
    /// Its flavors.
    pub flavors: Vec<String>,
    /// What it asks of HMAC TLVs, if it looks at them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<String>,
}

/// A policy that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// Its name; none where the policy is no longer there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its behavior, as RFC 8986 spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<String>,
    /// Which of its segment lists was taken, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<u16>,
    /// The segments of that list, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segs: Vec<String>,
}

/// The adjacency that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Adjacency {
    /// Its interface.
    pub interface: String,
    /// The neighbour's address; none where it is not known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The neighbour's Ethernet address.
    pub mac: String,
}

/// What became of a packet, as it was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// `forwarded`, `replied`, `punted` or `dropped`.
    pub fate: String,
    /// Why it was replied to or dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The interface that it, or the reply to it, left by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// The daemon's end of a client's connection, while a trace is on.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where messages go.
    pub messages: mpsc::Sender<Message>,
    stop: Stop,
}

/// Whether the client wants no more.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Listener {
    /// Both ends.
    pub fn new() -> (Self, mpsc::Receiver<Message>) {
        let (messages, receiver) = mpsc::channel(WAITING);
        (Self { messages, stop: Stop::default() }, receiver)
    }

    /// Whether the client wants no more.
    pub fn is_stopped(&self) -> bool {
        self.stop.0.load(Ordering::Relaxed)
    }

    /// What the client's connection says it by.
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }
}

impl Stop {
    /// The client wants no more.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Bytes as hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
