//! Reading all routes of the kernel, piece by piece, beside the other work of the thread.
//!
//! A dump's next piece is put together by the kernel when the one before is taken. What changes
//! between is told by notifications, which have to wait until the dump is whole: one that is read
//! before an older piece would be undone by it.

use std::collections::VecDeque;
use std::io;

use netlink_packet_core::{DoneBuffer, ErrorBuffer, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::{Error, Result};
use super::frame::Datagram;
use super::message::{self, Message};
use super::requests::Dump;
use super::route::RouteMessage;

/// Pieces taken in one go: some thousand routes.
const BATCH: usize = 16;

/// `NLM_F_REQUEST | NLM_F_DUMP`.
const FLAGS: u16 = 0x301;

/// `RTM_GETNEXTHOP`.
const GET_NEXTHOP: u16 = 106;

/// What is asked for, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Objects,
    Routes(i32),
}

impl Question {
    const fn words(self) -> &'static str {
        match self {
            Self::Objects => "list nexthop objects",
            Self::Routes(libc::AF_INET6) => "list IPv6 routes",
            Self::Routes(_) => "list IPv4 routes",
        }
    }

    /// The request: header, and the family at the beginning of a fixed part of 12 bytes.
    fn bytes(self, sequence: u32) -> Vec<u8> {
        let (kind, family, fixed) = match self {
            Self::Objects => (GET_NEXTHOP, 0, 8),
            Self::Routes(family) => (libc::RTM_GETROUTE, family as u8, 12),
        };
        let mut bytes = vec![0; 16 + fixed];
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&FLAGS.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        bytes[16] = family;
        bytes
    }
}

/// Which routes a dump is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of IPv6 and IPv4, and the next-hop objects.
    All,
    /// IPv4 routes only.
    Ipv4,
}

/// A dump that is under way.
#[derive(Debug)]
pub struct RouteDump {
    /// What it is of.
    pub extent: Extent,
    socket: AsyncFd<Socket>,
    datagram: Datagram,
    questions: VecDeque<Question>,
    sequence: u32,
    whole: Dump,
}

impl RouteDump {
    /// Begins a dump. Must be called inside a tokio runtime.
    pub fn begin(extent: Extent) -> Result<Self> {
        let questions = match extent {
            Extent::All => &[
                Question::Objects,
                Question::Routes(libc::AF_INET6),
                Question::Routes(libc::AF_INET),
            ][..],
            Extent::Ipv4 => &[Question::Routes(libc::AF_INET)],
        };
        let mut dump = Self {
            extent,
            socket: connected().map_err(Error::Open)?,
            datagram: Datagram::new(),
            questions: questions.iter().copied().collect(),
            sequence: 0,
            whole: Dump::Whole,
        };
        dump.ask()?;
        Ok(dump)
    }

    fn ask(&mut self) -> Result<()> {
        if let Some(question) = self.questions.front() {
            self.sequence += 1;
            let bytes = question.bytes(self.sequence);
            self.socket.get_ref().send(&bytes, 0).map_err(Error::Conversation)?;
        }
        Ok(())
    }

    /// Waits for the next pieces, and hands over what they say. The dump is at its end when this
    /// returns how it was; it must not be called again then.
    ///
    /// Cancel-safe: it waits only before it takes the first piece.
    pub async fn next(&mut self, mut each: impl FnMut(RouteMessage)) -> Result<Option<Dump>> {
        for taken in 0..BATCH {
            let received = loop {
                if taken > 0 {
                    break self.datagram.receive(self.socket.get_ref());
                }
                let mut guard = self.socket.readable().await.map_err(Error::Conversation)?;
                let datagram = &mut self.datagram;
                if let Ok(received) = guard.try_io(|socket| datagram.receive(socket.get_ref())) {
                    break received;
                }
            };
            match received {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(Error::Conversation(error)),
            }
            if self.take(&mut each)? {
                self.questions.pop_front();
                if self.questions.is_empty() {
                    return Ok(Some(self.whole));
                }
                self.ask()?;
            }
        }
        Ok(None)
    }

    /// Takes a piece; says whether it was the last of its question.
    fn take(&mut self, each: &mut impl FnMut(RouteMessage)) -> Result<bool> {
        let what = self.questions.front().map_or("list routes", |question| question.words());
        let nonsense = |why: String| Error::Answer { what: what.into(), why };
        for answer in self.datagram.messages() {
            let answer = answer.map_err(|error| nonsense(error.to_string()))?;
            if answer.sequence_number() != self.sequence {
                continue;
            }
            if answer.flags() & NLM_F_DUMP_INTR != 0 {
                self.whole = Dump::Interrupted;
            }
            let code = match answer.message_type() {
                NLMSG_ERROR => ErrorBuffer::new_checked(answer.payload())
                    .map(|error| error.code().map_or(0, Into::into)),
                NLMSG_DONE => DoneBuffer::new_checked(answer.payload()).map(|done| done.code()),
                kind => {
                    match message::decode(kind, answer.flags(), answer.payload()) {
                        Ok(Some(Message::Route(route))) => each(route),
                        Ok(_) => {}
                        // The others are no worse for it.
                        Err(error) => tracing::warn!(%error, "a route of the kernel is unreadable"),
                    }
                    continue;
                }
            };
            return match code.map_err(|error| nonsense(error.to_string()))? {
                0 => Ok(true),
                // A kernel without such objects.
                code if code == -libc::EOPNOTSUPP => Ok(true),
                code => Err(Error::Refused {
                    what: what.into(),
                    source: io::Error::from_raw_os_error(code.saturating_abs()),
                    said: String::new(),
                }),
            };
        }
        Ok(false)
    }
}

fn connected() -> io::Result<AsyncFd<Socket>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.set_non_blocking(true)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // See `notifications`.
    #[allow(deprecated)]
    AsyncFd::with_interest(socket, Interest::READABLE)
}
