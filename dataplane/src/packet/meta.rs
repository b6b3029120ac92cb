//! What is remembered of a packet.

use crate::{
    fib::entry::{PortIndex, TableIndex},
    verdict::Reason,
};

/// [`Meta::egress`] of a packet that stays.
pub const NOWHERE: PortIndex = PortIndex::MAX;

/// [`Received::popped`] of a packet into which an SRH was put.
pub const INSERTED: u16 = u16::MAX;

/// What the pipeline remembers of a packet: one cache line.
///
/// `head` and `tail` are words: a processor hands a value that was just stored to a load of the
/// same width at once, and compilers make loads of half-words wider.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub struct Meta {
    /// The destination, left-aligned: the key of the next look-up.
    pub key: u128,
    /// Offset of the IP header in the frame.
    pub head: u32,
    /// Offset of the first byte after the packet.
    pub tail: u32,
    /// Port it came in by.
    pub ingress: PortIndex,
    /// The port it leaves by; [`NOWHERE`] as long as it stays, and for ever where it is dropped.
    pub egress: PortIndex,
    /// Table that the next look-up uses.
    pub table: TableIndex,
    /// Table that belongs to the sender's network: where an answer is looked up.
    pub home: TableIndex,
    /// Whether the header at the head is IPv6; otherwise it is IPv4.
    pub v6: bool,
    /// Whether this node has taken its share of the hop limit already.
    pub hop_limit_spent: bool,
    /// Set where the packet has become an answer, and why.
    pub reply: Option<Reason>,
    /// What was changed since the packet came in, for quoting it as it was.
    pub received: Received,
}

const _: () = assert!(size_of::<Meta>() == 64);

/// The fields that processing changes, as they were received.
///
/// ICMP errors quote the invoking packet as it came in (RFC 4443, section 2.4 (c)), and are found
/// to be due after it was changed: this is enough to change it back.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// Destination address, left-aligned, in network byte order.
    pub destination: [u8; 16],
    /// Offset of the IP header in the frame.
    pub head: u16,
    /// Offset of the SRH that was changed, from the IP header; 0: none was.
    pub srh: u16,
    /// Offset from the IP header of the bytes that popping the SRH overwrote; 0: it was not
    /// popped. [`INSERTED`]: bytes at the front were moved away from something that was put in.
    pub popped: u16,
    /// How many bytes those are.
    pub popped_len: u16,
    /// Whether the header at the head was IPv6.
    pub v6: bool,
    /// Whether it was Ethernet: a frame that is cargo, about which there are no errors.
    pub ethernet: bool,
    /// Hop limit, or TTL.
    pub hop_limit: u8,
    /// Segments Left of the changed SRH.
    pub segments_left: u8,
}

impl Meta {
    /// Of a packet that came in by `ingress`, from `head` to `tail`, not looked at yet.
    #[inline(always)]
    pub fn new(ingress: PortIndex, table: TableIndex, head: u32, tail: u32) -> Self {
        Self {
            key: 0,
            head,
            tail,
            ingress,
            egress: NOWHERE,
            table,
            home: table,
            v6: false,
            hop_limit_spent: false,
            reply: None,
            received: Received::new(head as u16, false, [0; 16], 0),
        }
    }

    /// Where a byte of the packet as it is now was when it was received, both counted from the IP
    /// header on. `None` where it was not there: it is part of what was put in here.
    pub fn received_at(&self, now: u32) -> Option<u32> {
        let received = &self.received;
        let added = u32::from(received.head).saturating_sub(self.head);
        let front = u32::from(received.popped_len);
        match received.popped {
            INSERTED if now < front => Some(now),
            INSERTED => now.checked_sub(added).filter(|at| *at >= front),
            popped if received.is_popped() && now >= front => Some(now + u32::from(popped)),
            _ => now.checked_sub(added),
        }
    }
}

impl Received {
    /// A packet at `head` to which nothing was done yet.
    #[inline(always)]
    pub(crate) const fn new(head: u16, v6: bool, destination: [u8; 16], hop_limit: u8) -> Self {
        Self {
            destination,
            head,
            srh: 0,
            popped: 0,
            popped_len: 0,
            v6,
            ethernet: false,
            hop_limit,
            segments_left: 0,
        }
    }

    /// Whether bytes in front of the head are needed to put the packet back.
    #[inline(always)]
    pub fn is_popped(&self) -> bool {
        self.popped != 0 && self.popped != INSERTED
    }
}
