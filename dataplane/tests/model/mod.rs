//! A router on vectors, for the part of the FIB that the property test sends packets to: slow,
//! plain, and written from the RFCs instead of from the data plane.

use crate::support::{
    packet::{address, icmpv6, ipv6, word},
    router::{MTUS, OWN, PORTS, host, segment, sid},
};

/// A packet, and what an error about it would have to quote.
struct Packet {
    bytes: Vec<u8>,
    received: Vec<u8>,
    /// Whether this node has taken its share of the hop limit.
    hop_spent: bool,
    /// Bytes that were pushed in front of the packet as received.
    pushed: usize,
    /// Where an SRH was taken out, and its length.
    popped: (usize, usize),
    /// The table that it is looked up in.
    table: usize,
}

/// What a step says of a packet.
enum Step {
    /// Look the destination up again.
    Onward,
    /// Send it by this port.
    To(usize),
    /// It is gone, without a word.
    Gone,
    /// An error is owed: type, code, parameter.
    Error(u8, u8, u32),
}

/// What comes out of the router for a packet that comes in: by a port, or to the host.
pub fn process(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let mut packet = Packet::new(bytes.to_vec())?;
    loop {
        let mut step = match lookup(packet.table, address(&packet.bytes, 24)) {
            Entry::Port(port) => Step::To(port),
            Entry::End(end) => packet.endpoint(end),
            Entry::Decap => packet.decap(),
            Entry::Encap { segs, reduced } => packet.encap(&segs, reduced),
            Entry::Host => match packet.to_host() {
                None => return Some((PORTS, packet.bytes)),
                Some(step) => step,
            },
            Entry::Nothing => Step::Error(1, 0, 0),
        };
        if let Step::To(port) = step {
            step = match packet.forward(port) {
                Ok(()) => return Some((port, packet.bytes)),
                Err(step) => step,
            };
        }
        match step {
            Step::Onward | Step::To(_) => {}
            Step::Gone => return None,
            Step::Error(kind, code, parameter) => {
                let parameter = if kind == 4 { packet.as_received(parameter) } else { parameter };
                // All sources are in the network at port 0, and nothing here is an ICMPv6 error.
                return Some((0, error(&packet.received, kind, code, parameter)));
            }
        }
    }
}

enum Entry {
    Port(usize),
    End(Endpoint),
    Decap,
    Encap { segs: Vec<u128>, reduced: bool },
    Host,
    Nothing,
}

/// End, End.X or End.T.
#[derive(Clone, Copy)]
struct Endpoint {
    psp: bool,
    usd: bool,
    /// Bits of a compressed SID, behind a block of 32, with NEXT-CSID.
    csid: Option<u32>,
    then: Then,
}

/// Where the next segment goes.
#[derive(Clone, Copy)]
enum Then {
    Table(usize),
    Port(usize),
    /// Into the policy that these networks are steered into.
    Policy(u16),
}

const END: Endpoint = Endpoint { psp: false, usd: false, csid: None, then: Then::Table(0) };

fn lookup(table: usize, destination: u128) -> Entry {
    let full = |entry: u128| destination == entry;
    let network = |entry: u128| destination >> 80 == entry >> 80;
    let csid = |len: u32, node, function| {
        destination >> (128 - len) == segment(node, function) >> (128 - len)
    };
    if table == 1 {
        return match network(segment(3, 0)) || network(host(0xb, 0)) {
            true => Entry::Port(1),
            false => Entry::Nothing,
        };
    }
    if csid(64, 0x1c, 0xca) {
        return Entry::End(Endpoint { csid: Some(32), then: Then::Port(1), ..END });
    } else if csid(64, 0x1c, 0xd6) || csid(48, 0xd6, 0) {
        return Entry::Decap;
    } else if csid(48, 0x1c, 0) {
        return Entry::End(Endpoint { csid: Some(16), ..END });
    } else if csid(48, 0x1d, 0) {
        return Entry::End(Endpoint { psp: true, usd: true, csid: Some(16), ..END });
    } else if csid(48, 0xca, 0) {
        return Entry::End(Endpoint { csid: Some(16), then: Then::Port(1), ..END });
    } else if csid(48, 0xc7, 0) {
        return Entry::End(Endpoint { csid: Some(16), then: Then::Table(1), ..END });
    }
    let binding = |network| Endpoint { then: Then::Policy(network), ..END };
    if csid(48, 0xb0, 0) {
        return Entry::End(Endpoint { csid: Some(16), ..binding(0xd) });
    } else if full(sid(0xb0)) {
        return Entry::End(binding(0xd));
    } else if full(sid(0xb1)) {
        return Entry::End(binding(0xe));
    }
    if full(sid(0xe0)) {
        Entry::End(END)
    } else if full(sid(0xe1)) {
        Entry::End(Endpoint { psp: true, ..END })
    } else if full(sid(0xd2)) {
        Entry::Decap
    } else if full(OWN) {
        Entry::Host
    } else if network(host(0xa, 0)) {
        Entry::Port(0)
    } else if network(segment(2, 0)) {
        Entry::Port(1)
    } else if network(segment(3, 0)) || network(host(0xb, 0)) {
        Entry::Port(2)
    } else if network(host(0xc, 0)) {
        Entry::Encap { segs: vec![segment(3, 0xd2)], reduced: false }
    } else if network(host(0xd, 0)) {
        Entry::Encap { segs: vec![segment(2, 0xe), segment(3, 0xd2)], reduced: false }
    } else if network(host(0xe, 0)) {
        Entry::Encap { segs: (1..6).map(|function| segment(2, function)).collect(), reduced: true }
    } else {
        Entry::Nothing
    }
}

/// Addresses that no router forwards (RFC 4291).
fn forwardable(address: u128) -> bool {
    address > 1 && address >> 120 != 0xff && address >> 118 != 0xfe80 >> 6
}

/// A header on the chain: protocol, offset, offset of the byte that announces it.
type Found = (u8, usize, usize);

/// The extension headers that lie inside the packet, and what follows them. `None`: cut short.
fn chain(bytes: &[u8]) -> Option<(Vec<Found>, Found)> {
    let (mut found, mut next, mut announced, mut at) = (Vec::new(), bytes[6], 6, 40);
    while matches!(next, 0 | 43 | 60) {
        let end = at + 8 * (usize::from(*bytes.get(at + 1)?) + 1);
        if end > bytes.len() {
            return None;
        }
        found.push((next, at, announced));
        (next, announced, at) = (bytes[at], at, end);
    }
    Some((found, (next, at, announced)))
}

impl Packet {
    /// RFC 8200, section 3.
    fn new(mut bytes: Vec<u8>) -> Option<Self> {
        if bytes.len() < 40 || bytes[0] >> 4 != 6 || 40 + word(&bytes, 4) > bytes.len() {
            return None;
        }
        bytes.truncate(40 + word(&bytes, 4));
        let usable = forwardable(address(&bytes, 8)) && forwardable(address(&bytes, 24));
        let received = bytes.clone();
        let (hop_spent, pushed, popped, table) = (false, 0, (0, 0), 0);
        usable.then_some(Self { bytes, received, hop_spent, pushed, popped, table })
    }

    fn forward(&mut self, port: usize) -> Result<(), Step> {
        if !self.hop_spent {
            if self.bytes[7] <= 1 {
                return Err(Step::Error(3, 0, 0));
            }
            self.bytes[7] -= 1;
        }
        let mtu = usize::from(MTUS[port]);
        if self.bytes.len() > mtu {
            // RFC 2473, section 7.1.
            return Err(Step::Error(2, 0, (mtu - self.pushed).max(1280) as u32));
        }
        Ok(())
    }

    /// Routing headers: the SRH, if there is one, and what is wrong with the others (RFC 8200,
    /// section 4.4). No packet here has two.
    fn srh(&self) -> Result<(Option<Found>, Found), Step> {
        let (found, upper) = chain(&self.bytes).ok_or(Step::Gone)?;
        let srh = found.into_iter().find(|(next, ..)| *next == 43);
        match srh {
            Some((_, at, _)) if self.bytes[at + 2] != 4 => match self.bytes[at + 3] {
                0 => Ok((None, upper)),
                _ => Err(Step::Error(4, 0, at as u32 + 2)),
            },
            srh => Ok((srh, upper)),
        }
    }

    /// RFC 9800, section 4.1.1, line by line, and what it changes.
    fn endpoint(&mut self, end: Endpoint) -> Step {
        let destination = address(&self.bytes, 24);
        let step = match end.csid.map(|bits| destination << (32 + bits)) {
            None | Some(0) => self.end(end.psp, end.usd),
            Some(_) if self.bytes[7] <= 1 => return Step::Error(3, 0, 0), // S02 to S04
            Some(argument) => {
                let next = destination >> 96 << 96 | argument >> 32; // S05, S06
                self.bytes[24..40].copy_from_slice(&next.to_be_bytes());
                self.bytes[7] -= 1; // S07
                self.hop_spent = true;
                Step::Onward // S08
            }
        };
        match (step, end.then) {
            // RFC 8986, section 4.13, S15 to S18.
            (Step::Onward, Then::Policy(network)) => match lookup(0, host(network, 0)) {
                Entry::Encap { segs, reduced } => self.encap(&segs, reduced),
                _ => unreachable!(),
            },
            (Step::Onward, Then::Port(port)) => Step::To(port),
            (Step::Onward, Then::Table(table)) => {
                self.table = table;
                Step::Onward
            }
            (step, _) => step,
        }
    }

    /// RFC 8986, section 4.1, line by line.
    fn end(&mut self, psp: bool, usd: bool) -> Step {
        let (srh, upper) = match self.srh() {
            Ok(found) => found,
            Err(step) => return step,
        };
        let Some((_, at, announced)) = srh else { return self.at_end(usd, upper) };
        let (hel, left, last) =
            (i32::from(self.bytes[at + 1]), i32::from(self.bytes[at + 3]), self.bytes[at + 4]);
        if left == 0 {
            return self.at_end(usd, upper); // S02, S03
        }
        if self.bytes[7] <= 1 {
            return Step::Error(3, 0, 0); // S05 to S07
        }
        let max_last = hel / 2 - 1; // S08
        if i32::from(last) > max_last || left > i32::from(last) + 1 {
            return Step::Error(4, 0, at as u32 + 3); // S09 to S11
        }
        let segment = at + 8 + 16 * (left as usize - 1);
        if !forwardable(address(&self.bytes, segment)) {
            return Step::Gone;
        }
        self.bytes[7] -= 1; // S12
        self.hop_spent = true;
        self.bytes[at + 3] -= 1; // S13
        self.bytes.copy_within(segment..segment + 16, 24); // S14
        if psp && self.bytes[at + 3] == 0 {
            self.bytes[announced] = self.bytes[at];
            let len = 8 * (hel as usize + 1);
            self.bytes.drain(at..at + len);
            self.popped = (at, len);
            let len = (self.bytes.len() - 40) as u16;
            self.bytes[4..6].copy_from_slice(&len.to_be_bytes());
        }
        Step::Onward // S15
    }

    /// RFC 8986, sections 4.1.1 and 4.16.3.
    fn at_end(&mut self, usd: bool, upper: Found) -> Step {
        if usd && upper.0 == 41 { self.inner(upper) } else { upper_layer(upper) }
    }

    /// RFC 8986, section 4.6.
    fn decap(&mut self) -> Step {
        let (srh, upper) = match self.srh() {
            Ok(found) => found,
            Err(step) => return step,
        };
        if let Some((_, at, _)) = srh
            && self.bytes[at + 3] != 0
        {
            return Step::Error(4, 0, at as u32 + 3);
        }
        self.at_end(true, upper)
    }

    fn inner(&mut self, upper: Found) -> Step {
        match Self::new(self.bytes.split_off(upper.1)) {
            Some(inner) => {
                *self = inner;
                Step::Onward
            }
            None => Step::Gone,
        }
    }

    /// RFC 8986, sections 5.1 and 5.2, with the flow label 0.
    fn encap(&mut self, segs: &[u128], reduced: bool) -> Step {
        if !self.hop_spent {
            if self.bytes[7] <= 1 {
                return Step::Error(3, 0, 0);
            }
            self.bytes[7] -= 1;
            self.hop_spent = true;
        }
        if self.received.len() > self.bytes.len() + self.pushed {
            // An SRH was taken out: the packet without it is the one that is encapsulated.
            self.received = self.bytes.clone();
            self.popped = (0, 0);
        }
        let mut listed: Vec<u128> = segs.iter().rev().copied().collect();
        if reduced {
            listed.pop();
        }
        let (left, last) = (segs.len() as u8 - 1, listed.len() as u8 - 1);
        let mut payload = vec![41, 2 * listed.len() as u8, 4, left, last, 0, 0, 0];
        listed.iter().for_each(|segment| payload.extend(segment.to_be_bytes()));
        self.pushed += 40 + payload.len();
        payload.append(&mut self.bytes);
        self.bytes = ipv6(43, 64, OWN, segs[0], &payload);
        Step::Onward
    }

    /// A pointer into the packet as it is now, as one into the packet that came in: RFC 8986,
    /// section 4.1.1, "the offset of the Upper-Layer header" in what is quoted.
    fn as_received(&self, pointer: u32) -> u32 {
        let (at, len) = self.popped;
        if pointer as usize >= at { pointer + len as u32 } else { pointer }
    }

    /// RFC 8754, section 4.3.2. `None`: the host gets it.
    fn to_host(&self) -> Option<Step> {
        match self.srh() {
            Ok((Some((_, at, _)), _)) if self.bytes[at + 3] != 0 => {
                Some(Step::Error(4, 0, at as u32 + 2))
            }
            Ok(_) => None,
            Err(step) => Some(step),
        }
    }
}

/// RFC 8986, section 4.1.1: no upper layer is allowed that occurs here.
fn upper_layer((next, at, _): Found) -> Step {
    match next {
        59 => Step::Gone,
        _ => Step::Error(4, 4, at as u32),
    }
}

/// RFC 4443, sections 2 and 3.
fn error(received: &[u8], kind: u8, code: u8, parameter: u32) -> Vec<u8> {
    let source = address(received, 8);
    let mut head = [kind, code, 0, 0, 0, 0, 0, 0];
    head[4..].copy_from_slice(&parameter.to_be_bytes());
    let quote = &received[..received.len().min(1280 - 48)];
    ipv6(58, 64, OWN, source, &icmpv6(OWN, source, head, quote))
}
