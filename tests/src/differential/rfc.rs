//! What the RFCs ask a router to do with a packet, written from their text and not from either of
//! the two routers. Where they leave a choice, this is Sidewinder's documented one.

mod decap;
mod headend;
mod hmac;
mod ipv4;

use std::net::Ipv6Addr;

use super::chain::{self, Broken};
use super::side::{self, Output};
use super::subject::{Family, Hop, ROUTER, Subject};
use crate::lab::star::{ROUTER_MACS, WORLD_MACS};
use crate::packet::build::{Ipv6, Layer, packet};
use crate::packet::{ETHERNET, IPV6, checksum, mac, next};

/// Look-ups that a packet may need here before it is taken for one that runs in circles.
const PASSES: usize = 16;
/// MTU of every link.
const MTU: usize = 1500;
/// Hop limit of what the router itself sends.
const HOPS: u8 = 64;
/// Longest ICMPv6 error (RFC 4443, 2.4 (c)).
const LONGEST_ERROR: usize = 1280;

/// What decided a packet's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was forwarded.
    Forwarded,
    /// Its hop limit was used up: Time Exceeded.
    HopLimit,
    /// Segments Left or Last Entry do not fit the SRH: Parameter Problem, code 0.
    SegmentsLeft,
    /// The HMAC TLV is not right: Parameter Problem, code 0.
    HmacInvalid,
    /// There is no HMAC TLV.
    HmacMissing,
    /// A TLV runs over the end of its SRH: Parameter Problem, code 0.
    Tlv,
    /// A routing header that is not known has segments left: Parameter Problem, code 0.
    RoutingType,
    /// The SID does not take the upper layer: Parameter Problem, code 4.
    UpperLayer,
    /// No route: Destination Unreachable.
    NoRoute,
    /// It does not fit the link: Packet Too Big.
    TooBig,
    /// An echo request to a SID: its reply.
    Echo,
    /// The host's kernel is to process it.
    Host,
    /// A fragment, or nothing, for a SID to process.
    NothingToProcess,
    /// Addresses that a router does not forward.
    Scope,
    /// It is no packet, or not for this router.
    NoPacket,
    /// It runs in circles on this node.
    Circles,
}

/// What is to come of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// What is to leave.
    pub outputs: Vec<Output>,
    /// Why.
    pub why: Why,
    /// Whether the router changed the packet before it decided (a SID's or a headend's work).
    pub changed: bool,
}

/// The fate of a frame that comes in on in0.
pub fn fate(subject: Subject, input: &[u8]) -> Fate {
    let mut way = Way {
        subject,
        packet: input.get(ETHERNET..).unwrap_or_default().to_vec(),
        received: Vec::new(),
        table: "main",
        home: "main",
        spent: false,
        pushed: 0,
        popped: (0, 0),
        answering: None,
        changed: false,
        is_frame: false,
    };
    let (link, why) = match input.get(..ETHERNET) {
        Some(_) if subject.takes_frames() => {
            way.encapsulate_frame(input);
            way.go()
        }
        Some(header) if header[..6] == mac(ROUTER_MACS[0]) && way.is_what(&header[12..]) => {
            way.enter().map_or_else(|why| (None, why), |()| way.go())
        }
        _ => (None, Why::NoPacket),
    };
    let output = link.and_then(|link| {
        let packet = std::mem::take(&mut way.packet);
        if way.is_frame {
            return Some(Output { link, frame: side::seen(packet)? });
        }
        let kind: [u8; 2] = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] };
        let addresses = [mac(WORLD_MACS[link]), mac(ROUTER_MACS[link])].concat();
        Some(Output { link, frame: [&addresses, &kind[..], &packet].concat() })
    });
    let why = way.answering.unwrap_or(why);
    Fate { outputs: output.into_iter().collect(), why, changed: way.changed }
}

/// A packet on its way through the router.
struct Way {
    subject: Subject,
    packet: Vec<u8>,
    /// The packet that an error quotes.
    received: Vec<u8>,
    table: &'static str,
    /// Table that an answer to its source is looked up in.
    home: &'static str,
    /// Whether this node has taken from its hop limit already.
    spent: bool,
    /// Bytes that were pushed in front of what was received.
    pushed: usize,
    /// Where an SRH was taken out, and its length.
    popped: (usize, usize),
    /// Why it has become an answer, if it has.
    answering: Option<Why>,
    changed: bool,
    /// Whether what is left is an Ethernet frame, and no packet.
    is_frame: bool,
}

/// What is to be done after one step.
enum Step {
    /// Look the destination up.
    LookUp,
    /// Send it to this link's neighbour.
    Send(usize),
    /// Send the frame by this link as it is.
    Transmit(usize),
    /// The end, without an answer.
    End(Why),
    /// The end, and an error to the source: type, code, value.
    Refuse(Why, u8, u8, u32),
}

use Step::{End, LookUp, Refuse, Send, Transmit};

const NO_ROUTE: Step = Refuse(Why::NoRoute, 1, 0, 0);
const TIME_EXCEEDED: Step = Refuse(Why::HopLimit, 3, 0, 0);

impl Way {
    /// Whether the packet is of the protocol that its frame says.
    fn is_what(&self, ether_type: &[u8]) -> bool {
        match self.packet.first().map(|byte| byte >> 4) {
            Some(6) => ether_type == [0x86, 0xdd],
            Some(4) => ether_type == [8, 0],
            _ => false,
        }
    }

    /// Checks an IP packet that enters, from a link or from an encapsulation, and cuts it to its
    /// length: C-002, C-102.
    fn enter(&mut self) -> Result<(), Why> {
        let length = match self.packet.first().map(|byte| byte >> 4) {
            Some(6) if self.packet.len() >= IPV6 => {
                IPV6 + usize::from(u16::from_be_bytes([self.packet[4], self.packet[5]]))
            }
            Some(4) if self.packet.len() >= 20 => {
                let header = usize::from(self.packet[0] & 0xf) * 4;
                let total = usize::from(u16::from_be_bytes([self.packet[2], self.packet[3]]));
                let sound = (20..=total).contains(&header)
                    && self.packet.get(..header).is_some_and(|bytes| checksum::plain(bytes) == 0);
                if !sound {
                    return Err(Why::NoPacket);
                }
                total
            }
            _ => return Err(Why::NoPacket),
        };
        if length > self.packet.len() {
            return Err(Why::NoPacket);
        }
        self.packet.truncate(length);
        self.received = self.packet.clone();
        self.popped = (0, 0);
        let leaves_scope = match self.is_v6() {
            true => out_of_scope(self.source()) || out_of_scope(self.destination()),
            false => [12, 16].into_iter().any(|at| ipv4::out_of_scope(self.address_v4(at))),
        };
        if leaves_scope {
            return Err(Why::Scope);
        }
        Ok(())
    }

    fn go(&mut self) -> (Option<usize>, Why) {
        let mut step = LookUp;
        for _ in 0..=2 * PASSES {
            step = match step {
                LookUp => self.look_up(),
                Send(link) => match self.send() {
                    Ok(()) => return (Some(link), Why::Forwarded),
                    Err(step) => step,
                },
                Transmit(link) => return self.transmit(link),
                End(why) => return (None, why),
                Refuse(why, kind, code, value) => {
                    if self.answering.is_some() || !self.refuse(kind, code, value) {
                        return (None, why);
                    }
                    self.answering = Some(why);
                    LookUp
                }
            };
        }
        (None, Why::Circles)
    }

    fn look_up(&mut self) -> Step {
        if !self.is_v6() {
            return self.look_up_v4();
        }
        match self.subject.route(self.table, self.destination()) {
            None => NO_ROUTE,
            Some(Hop::Link(link)) => Send(link),
            Some(Hop::Policy) if matches!(self.subject, Subject::Insert(_)) => self.insert(),
            Some(Hop::Policy) => self.encapsulate(),
            Some(Hop::Sid) if self.argument() != 0 => self.next_csid(),
            Some(Hop::Sid) => match chain::read(&self.packet) {
                Ok(chain) => self.local(chain),
                Err(broken) => refuse_broken(broken),
            },
            // The kernel is the first to see what is for the host, but for what may have a routing
            // header.
            Some(Hop::Router)
                if ![next::ROUTING, next::HOP_BY_HOP, next::DEST_OPTS]
                    .contains(&self.packet[6]) =>
            {
                End(Why::Host)
            }
            Some(Hop::Router) => match chain::read(&self.packet) {
                // RFC 8754, 4.3.2: an address of the node that is no SID, C-020.
                Ok(chain::Chain { srh: Some(at), .. }) => {
                    Refuse(Why::RoutingType, 4, 0, value(at + 2))
                }
                Ok(_) => End(Why::Host),
                Err(broken) => refuse_broken(broken),
            },
        }
    }

    /// What the subject's SID does.
    fn local(&mut self, chain: chain::Chain) -> Step {
        match self.verify(chain) {
            Some(refused) => refused,
            None if self.subject.family() == Family::Endpoint => self.endpoint(chain),
            None => self.decapsulate(chain),
        }
    }

    /// The argument of the destination, at the address's beginning.
    fn argument(&self) -> u128 {
        let bits = self.subject.csid_bits().map_or(128, |bits| 32 + u32::from(bits));
        u128::from(self.destination()).checked_shl(bits).unwrap_or(0)
    }

    /// RFC 9800, 4.1.1, S02 to S08, and 4.1.2: C-130, C-132.
    fn next_csid(&mut self) -> Step {
        if self.packet[7] <= 1 {
            return TIME_EXCEEDED;
        }
        let block = u128::from(self.destination()) >> 96 << 96;
        let next = block | self.argument() >> 32;
        (self.changed, self.spent) = (true, true);
        self.packet[24..40].copy_from_slice(&next.to_be_bytes());
        self.packet[7] -= 1;
        if matches!(self.subject, Subject::UN | Subject::UNPsp) { LookUp } else { Send(2) }
    }

    /// RFC 8986, 4.1, and PSP, 4.16.1: C-010 to C-015, C-050, C-051, C-070, C-071.
    fn endpoint(&mut self, chain: chain::Chain) -> Step {
        let Some(at) = chain.srh else { return self.upper_layer(chain) };
        if self.packet[7] <= 1 {
            return TIME_EXCEEDED;
        }
        let [length, left, last] = [1, 3, 4].map(|field| i32::from(self.packet[at + field]));
        let max_last = length / 2 - 1;
        if last > max_last || left > last + 1 {
            return Refuse(Why::SegmentsLeft, 4, 0, value(at + 3));
        }
        (self.changed, self.spent) = (true, true);
        self.packet[7] -= 1;
        self.packet[at + 3] -= 1;
        let segment = at + 8 + usize::from(self.packet[at + 3]) * 16;
        if out_of_scope(address_at(&self.packet, segment)) {
            return End(Why::Scope);
        }
        self.packet.copy_within(segment..segment + 16, 24);
        if self.subject.pops() && self.packet[at + 3] == 0 {
            self.packet[chain.announced] = self.packet[at];
            let length = (usize::from(self.packet[at + 1]) + 1) * 8;
            self.packet.drain(at..at + length);
            self.popped = (at, length);
            self.set_length();
        }
        match self.subject {
            Subject::EndX | Subject::UA | Subject::UNUA => Send(2),
            // RFC 8986, 4.13, S15 to S18: C-060.
            Subject::EndB6Encaps => self.encapsulate(),
            Subject::EndT => {
                self.table = "100";
                LookUp
            }
            _ => LookUp,
        }
    }

    /// RFC 8986, 4.1.1: C-007, C-030 to C-032. Allowed is ICMPv6 only, and of that only what a SID
    /// answers.
    fn upper_layer(&mut self, chain: chain::Chain) -> Step {
        if chain.fragment {
            return End(Why::NothingToProcess);
        }
        match chain.upper {
            next::NONE => End(Why::NothingToProcess),
            next::ICMP6 => self.echo(chain.upper_at),
            _ => Refuse(Why::UpperLayer, 4, 4, value(chain.upper_at)),
        }
    }

    /// RFC 4443, 4.2: C-033.
    fn echo(&mut self, at: usize) -> Step {
        let (source, sid) = (self.source(), self.destination());
        let message = self.packet[at..].to_vec();
        let sound = checksum::upper_layer(source, sid, next::ICMP6, &message) == 0;
        if message.len() < 8 || message[0] != 128 || !sound {
            return End(Why::NothingToProcess);
        }
        let [_, a, b, c] = [self.packet[0], self.packet[1], self.packet[2], self.packet[3]];
        let class = self.packet[0] << 4 | a >> 4;
        let label = u32::from_be_bytes([0, a & 0xf, b, c]);
        let header = Ipv6 { class, label, hops: HOPS, source: sid, destination: source };
        let reply = Layer::Icmp6(129, message[1], message[4..].to_vec());
        self.answer(packet(&[Layer::Ipv6(header), reply]));
        self.answering = Some(Why::Echo);
        LookUp
    }

    /// Takes one off the hop limit or the TTL, unless this node has done so already.
    fn spend(&mut self) -> Result<(), Step> {
        if std::mem::replace(&mut self.spent, true) {
            return Ok(());
        }
        let v6 = self.is_v6();
        let hops = if v6 { 7 } else { 8 };
        if self.packet[hops] <= 1 {
            return Err(TIME_EXCEEDED);
        }
        self.packet[hops] -= 1;
        if !v6 {
            ipv4::write_checksum(&mut self.packet);
        }
        Ok(())
    }

    /// RFC 8200, 3, and RFC 4443, 3.2 and 3.3: C-063, C-100, C-160.
    fn send(&mut self) -> Result<(), Step> {
        self.spend()?;
        if self.packet.len() > MTU {
            // What the packet as received may be long (RFC 2473, 7.1), never below IPv6's least.
            return Err(Refuse(Why::TooBig, 2, 0, value((MTU - self.pushed).max(1280))));
        }
        Ok(())
    }

    /// Becomes the error about what was received, unless RFC 4443, 2.4 (e) forbids it: C-041 to
    /// C-044.
    fn refuse(&mut self, kind: u8, code: u8, parameter: u32) -> bool {
        // Of a frame nobody is to be told (RFC 8986, 5.3).
        match self.received.first().map(|byte| byte >> 4) {
            Some(6) => {}
            Some(4) => return self.refuse_v4(kind),
            _ => return false,
        }
        let source = address_at(&self.received, 8);
        if source.is_unspecified() || source.is_loopback() || source.is_multicast() {
            return false;
        }
        match chain::upper(&self.received) {
            Some((next::ICMP6, at)) => {
                // Neither an error nor a redirect; what is cut off before its type may be one.
                if self.received.get(at).is_none_or(|kind| *kind < 128 || *kind == 137) {
                    return false;
                }
            }
            Some(_) => {}
            None => return false,
        }
        // A pointer is one into what is quoted.
        let (at, length) = self.popped;
        let behind = kind == 4 && parameter as usize >= at;
        let parameter = parameter + if behind { length as u32 } else { 0 };
        let quoted = &self.received[..self.received.len().min(LONGEST_ERROR - IPV6 - 8)];
        let body = [&parameter.to_be_bytes(), quoted].concat();
        let header = Ipv6 { hops: HOPS, ..Ipv6::new(address(ROUTER), source) };
        self.answer(packet(&[Layer::Ipv6(header), Layer::Icmp6(kind, code, body)]));
        true
    }

    fn answer(&mut self, packet: Vec<u8>) {
        (self.packet, self.table, self.spent) = (packet, self.home, true);
    }

    fn is_v6(&self) -> bool {
        self.packet.first().is_some_and(|byte| byte >> 4 == 6)
    }

    fn source(&self) -> Ipv6Addr {
        address_at(&self.packet, 8)
    }

    fn destination(&self) -> Ipv6Addr {
        address_at(&self.packet, 24)
    }

    fn set_length(&mut self) {
        let length = u16::try_from(self.packet.len() - IPV6).unwrap_or(u16::MAX);
        self.packet[4..6].copy_from_slice(&length.to_be_bytes());
    }
}

/// Addresses that a router does not forward to or from (RFC 4291, 2.5.2, 2.5.3, 2.5.6; there is no
/// multicast routing here): C-161.
fn out_of_scope(address: Ipv6Addr) -> bool {
    address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unicast_link_local()
}

fn refuse_broken(broken: Broken) -> Step {
    match broken {
        Broken::Cut => End(Why::NoPacket),
        Broken::RoutingType(at) => Refuse(Why::RoutingType, 4, 0, value(at)),
    }
}

fn value(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap_or(Ipv6Addr::UNSPECIFIED)
}

fn address_at(packet: &[u8], at: usize) -> Ipv6Addr {
    crate::packet::parse::address(packet, at).unwrap_or(Ipv6Addr::UNSPECIFIED)
}
