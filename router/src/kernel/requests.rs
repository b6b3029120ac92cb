//! What we ask of the kernel, and what it answers.
//!
//! A request to rtnetlink is a function call in disguise: the kernel does the work inside `send`
//! (and, for the later pieces of a dump, inside `recv`), and the answer is queued before the call
//! returns. There is nothing to wait for, so these are plain blocking calls.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{
    DoneBuffer, ErrorBuffer, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE,
    NLMSG_ERROR, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use super::error::{Error, Result};
use super::frame::Datagram;
use super::message;
use super::neighbours;
use super::view::{Neighbour, View};

/// The answer is there when the question was sent; this bounds, in seconds, what a defect costs.
const PATIENCE: i64 = 5;

/// Where the kernel puts its own words into an error message: behind the error number and the
/// header of the request, in bytes.
const SAID_AT: usize = 4 + 16;

/// `NLMSGERR_ATTR_MSG`: the attribute with these words.
const SAID: u16 = 1;

/// A socket for questions, one at a time.
pub struct Requests {
    socket: Socket,
    datagram: Datagram,
    sequence: u32,
}

/// Whether a dump is one moment of the kernel's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// Nothing changed while it was taken.
    Whole,
    /// A table changed between two pieces: entries may be missing.
    Interrupted,
}

impl Requests {
    /// Opens the socket.
    pub fn open() -> Result<Requests> {
        let socket = connected().map_err(Error::Open)?;
        Ok(Requests { socket, datagram: Datagram::new(), sequence: 0 })
    }

    /// Asks for everything that a view holds.
    pub fn dump(&mut self) -> Result<(View, Dump)> {
        let mut links = LinkMessage::default();
        // Counters are most of a link's message, and nobody here reads them.
        links.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let tables = [
            ("list links", RouteNetlinkMessage::GetLink(links)),
            ("list addresses", RouteNetlinkMessage::GetAddress(AddressMessage::default())),
            ("list neighbours", RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default())),
        ];
        let (mut view, mut whole) = (View::default(), Dump::Whole);
        for (what, question) in tables {
            let mut unreadable = None;
            let dump = self.call(what, question, NLM_F_DUMP, |answer| {
                match message::decode(answer.message_type(), 0, answer.payload()) {
                    Ok(Some(message)) => drop(view.apply(message)),
                    Ok(None) => {}
                    Err(error) => unreadable = Some(error),
                }
            })?;
            if let Some(why) = unreadable {
                return Err(Error::Answer { what: what.into(), why: why.to_string() });
            }
            if dump == Dump::Interrupted {
                whole = Dump::Interrupted;
            }
        }
        Ok((view, whole))
    }

    /// Asks the kernel to do something; `what` completes the sentence "cannot …".
    pub fn order(&mut self, what: &str, order: RouteNetlinkMessage, flags: u16) -> Result<()> {
        self.call(what, order, flags | NLM_F_ACK, |_| {}).map(drop)
    }

    /// Asks for one neighbour, fresh from the kernel, with the mark of who installed it.
    pub fn neighbour(&mut self, link: u32, ip: IpAddr) -> Result<Option<(Neighbour, Option<u8>)>> {
        let what = format!("look up neighbour {ip} on link {link}");
        let question = RouteNetlinkMessage::GetNeighbour(neighbours::message(link, ip));
        let mut found = None;
        let asked = self.call(&what, question, NLM_F_ACK, |answer| {
            found = message::neighbour(answer.payload()).ok().flatten();
        });
        match asked {
            Ok(_) => Ok(found),
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a question, and hands over each answer until the last.
    fn call(
        &mut self,
        what: &str,
        question: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(NetlinkBuffer<&[u8]>),
    ) -> Result<Dump> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut question = NetlinkMessage::new(header, question.into());
        question.finalize();
        let mut bytes = vec![0; question.buffer_len()];
        question.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(Error::Conversation)?;

        let nonsense = |why: String| Error::Answer { what: what.into(), why };
        let mut dump = Dump::Whole;
        loop {
            self.datagram.receive(&self.socket).map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => nonsense(format!("none within {PATIENCE} s")),
                io::ErrorKind::InvalidData => nonsense(error.to_string()),
                _ => Error::Conversation(error),
            })?;
            for answer in self.datagram.messages() {
                let answer = answer.map_err(|error| nonsense(error.to_string()))?;
                // What is left of a question that was given up.
                if answer.sequence_number() != self.sequence {
                    continue;
                }
                if answer.flags() & NLM_F_DUMP_INTR != 0 {
                    dump = Dump::Interrupted;
                }
                let code = match answer.message_type() {
                    NLMSG_ERROR => ErrorBuffer::new_checked(answer.payload())
                        .map(|error| error.code().map_or(0, Into::into)),
                    NLMSG_DONE => DoneBuffer::new_checked(answer.payload()).map(|done| done.code()),
                    _ => {
                        each(answer);
                        continue;
                    }
                };
                return match code.map_err(|error| nonsense(error.to_string()))? {
                    0 => Ok(dump),
                    code => Err(Error::Refused {
                        what: what.into(),
                        source: io::Error::from_raw_os_error(code.saturating_abs()),
                        said: said(answer.payload()),
                    }),
                };
            }
        }
    }
}

fn connected() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE, 0))?;
    // Errors come with words, and without a copy of the whole request; both only make errors
    // better, so a kernel without them will do.
    let _ = socket.set_ext_ack(true);
    let _ = socket.set_cap_ack(true);
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// The kernel's own words in the payload of an error message, empty if there are none.
fn said(payload: &[u8]) -> String {
    NlasIterator::new(payload.get(SAID_AT..).unwrap_or_default())
        .filter_map(std::result::Result::ok)
        .find(|attribute| attribute.kind() == SAID)
        .map(|attribute| {
            String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned()
        })
        .unwrap_or_default()
}
