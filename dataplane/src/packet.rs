//! A packet in the pipeline: a frame with a head and a tail, and what is remembered of it.
//!
//! Headers are pushed and popped by moving the head; the payload never moves.
//!
//! ```text
//! 0             256                                             2048
//! +--------------+----------+----------------------+--------------+
//! |   headroom   | Ethernet | IP header … payload  |              |
//! +--------------+----------+----------------------+--------------+
//!                           ^ head                 ^ tail
//! ```

use crate::{
    fib::entry::{PortIndex, TableIndex},
    frame::FRAME_SIZE,
    verdict::{Reason, Verdict},
    wire::{ipv4, ipv6, srh},
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

/// A packet, and the frame it lies in.
#[derive(Debug)]
pub struct Packet<'a> {
    /// The whole frame.
    pub frame: &'a mut [u8; FRAME_SIZE],
    /// What is remembered of the packet.
    pub meta: &'a mut Meta,
}

/// `N` bytes of a frame from `start` on.
#[inline(always)]
pub(crate) fn array_at<const N: usize>(frame: &[u8; FRAME_SIZE], start: u32) -> Option<&[u8; N]> {
    let start = start as usize;
    <&[u8; N]>::try_from(frame.get(start..start + N)?).ok()
}

impl Packet<'_> {
    /// The packet, from the IP header on.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        self.frame.get(self.meta.head as usize..self.meta.tail as usize).unwrap_or(&[])
    }

    /// The packet, to be changed.
    #[inline(always)]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.frame.get_mut(self.meta.head as usize..self.meta.tail as usize).unwrap_or(&mut [])
    }

    /// `N` bytes of the frame from `offset` after the IP header's start on, wherever the packet
    /// ends: for headers whose lengths were checked. One comparison, where a slice takes two.
    #[inline(always)]
    pub fn array<const N: usize>(&self, offset: u16) -> Option<&[u8; N]> {
        array_at(self.frame, self.meta.head.wrapping_add(u32::from(offset)))
    }

    /// [`array`](Self::array), to be changed.
    #[inline(always)]
    pub fn array_mut<const N: usize>(&mut self, offset: u16) -> Option<&mut [u8; N]> {
        let start = self.meta.head.wrapping_add(u32::from(offset)) as usize;
        <&mut [u8; N]>::try_from(self.frame.get_mut(start..start + N)?).ok()
    }

    /// Bytes of the packet.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.meta.tail.wrapping_sub(self.meta.head) as usize
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for `count` bytes in front, and gives them out. They hold old bytes.
    #[inline(always)]
    pub fn push_front(&mut self, count: usize) -> Result<&mut [u8], Verdict> {
        let head = self.meta.head as usize;
        let start = head.checked_sub(count).ok_or(Verdict::Drop(Reason::NoHeadroom))?;
        self.meta.head = start as u32;
        self.frame.get_mut(start..head).ok_or(Verdict::Drop(Reason::NoHeadroom))
    }

    /// [`push_front`](Self::push_front) of a constant number of bytes.
    #[inline(always)]
    pub fn push_front_array<const N: usize>(&mut self) -> Result<&mut [u8; N], Verdict> {
        // Beyond the start of the frame it wraps to where there is no frame.
        self.meta.head = self.meta.head.wrapping_sub(N as u32);
        self.array_mut(0).ok_or(Verdict::Drop(Reason::NoHeadroom))
    }

    /// The bytes before the packet. `None` where there are not so many.
    #[inline(always)]
    pub fn headroom_mut<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        let start = (self.meta.head as usize).checked_sub(N)?;
        <&mut [u8; N]>::try_from(self.frame.get_mut(start..start + N)?).ok()
    }

    /// Takes `count` bytes off the front. They stay in the frame.
    #[inline(always)]
    pub fn pull_front(&mut self, count: usize) -> Result<(), Verdict> {
        if count > self.len() {
            return Err(Verdict::Drop(Reason::InnerPacket));
        }
        self.meta.head += count as u32;
        Ok(())
    }

    /// Cuts the packet to `len` bytes, if it is longer.
    #[inline(always)]
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.meta.tail = self.meta.head + len as u32;
        }
    }

    /// The fixed IPv6 header.
    #[inline(always)]
    pub fn ipv6(&self) -> Option<ipv6::Ipv6<'_>> {
        ipv6::Ipv6::new_checked(self.bytes())
    }

    /// Sets the IPv6 destination address, in the packet and for the next look-up.
    #[inline(always)]
    pub fn set_destination(&mut self, destination: [u8; 16]) {
        self.meta.key = u128::from_be_bytes(destination);
        if let Some(field) = self.bytes_mut().get_mut(ipv6::field::DESTINATION..ipv6::HEADER_LEN) {
            field.copy_from_slice(&destination);
        }
    }

    /// Sets a byte, counted from the IP header on.
    #[inline(always)]
    pub fn set_byte(&mut self, offset: usize, value: u8) {
        if let Some(byte) = self.bytes_mut().get_mut(offset) {
            *byte = value;
        }
    }

    /// Remembers the packet as it is now as the one that was received: at the start, and where an
    /// outer header came off. The destination is the key of the next look-up.
    #[inline(always)]
    pub fn remember(&mut self, v6: bool, destination: u128, hop_limit: u8) {
        self.meta.key = destination;
        self.meta.v6 = v6;
        let (head, destination) = (self.meta.head as u16, destination.to_be_bytes());
        self.meta.received = Received::new(head, v6, destination, hop_limit);
    }

    /// Remembers the packet as it is now, if bytes in front of it would be needed to put it back as
    /// it came: something is to be written there.
    #[inline(always)]
    pub fn rebase(&mut self) {
        if self.meta.received.is_popped() {
            self.remember_now();
        }
    }

    #[cold]
    fn remember_now(&mut self) {
        let header = self.ipv6().map(|header| (header.destination(), header.hop_limit()));
        if let Some((destination, hop_limit)) = header {
            self.remember(true, destination, hop_limit);
        }
    }

    /// Remembers Segments Left before its first change. There is room for one SRH's: where another
    /// one is next, the packet is remembered as it is then.
    #[inline(always)]
    pub fn remember_segments_left(&mut self, srh: u16, segments_left: u8) {
        let pushed = self.is_pushed();
        let received = &mut self.meta.received;
        if received.srh == 0 {
            if !pushed {
                received.srh = srh;
                received.segments_left = segments_left;
            }
        } else if !pushed && (received.srh != srh || received.is_popped()) {
            self.remember_another(srh, segments_left);
        }
    }

    /// Makes room for `len` bytes behind the first `front` bytes of the packet, by moving these ahead,
    /// and gives it out. It holds old bytes. A copy of what was moved is kept for
    /// [`restore`](Self::restore): behind the packet, or at the start of the frame.
    pub fn insert(&mut self, front: u16, len: u16) -> Result<&mut [u8], Verdict> {
        const NO_ROOM: Verdict = Verdict::Drop(Reason::NoHeadroom);
        self.rebase();
        let (head, front) = (self.meta.head as usize, usize::from(front));
        let start = head.checked_sub(usize::from(len)).ok_or(NO_ROOM)?;
        let moved = head..head + front;
        if moved.end > FRAME_SIZE {
            return Err(NO_ROOM);
        }
        if !self.is_pushed() {
            let kept = self.kept_front(front);
            if kept < head && kept + front + SPARE > start {
                return Err(NO_ROOM);
            }
            self.frame.copy_within(moved.clone(), kept);
            self.meta.received.popped = INSERTED;
            self.meta.received.popped_len = front as u16;
        }
        self.frame.copy_within(moved, start);
        self.meta.head = start as u32;
        self.frame.get_mut(start + front..head + front).ok_or(NO_ROOM)
    }

    /// Where in the frame the copy is that [`insert`](Self::insert) keeps.
    fn kept_front(&self, front: usize) -> usize {
        let behind = FRAME_SIZE.saturating_sub(front);
        if self.meta.tail as usize <= behind { behind } else { 0 }
    }

    #[cold]
    fn remember_another(&mut self, srh: u16, segments_left: u8) {
        self.remember_now();
        self.meta.received.srh = srh;
        self.meta.received.segments_left = segments_left;
    }

    /// Takes `len` bytes out of the packet, `offset` bytes after the IP header's start, by moving
    /// what is in front of them. What that overwrites is kept in the headroom, for
    /// [`restore`](Self::restore).
    #[inline(always)]
    pub fn remove(&mut self, offset: u16, len: u16) -> Result<(), Verdict> {
        self.rebase();
        let pushed = self.is_pushed();
        let kept = match usize::from(offset) {
            ipv6::HEADER_LEN => self.shift::<{ ipv6::HEADER_LEN }>(len),
            _ => self.shift_any(usize::from(offset), usize::from(len)),
        };
        let kept = kept.ok_or(Verdict::Drop(Reason::NoHeadroom))?;
        self.meta.head += u32::from(len);
        if pushed {
            // The packet as received is behind all of this.
            return Ok(());
        }
        if kept {
            self.meta.received.popped = len;
            self.meta.received.popped_len = offset;
        } else {
            self.remember_now();
        }
        Ok(())
    }

    /// Whether headers of ours are in front of the packet as it was received.
    #[inline(always)]
    fn is_pushed(&self) -> bool {
        self.meta.head < u32::from(self.meta.received.head)
    }

    /// Moves the first `N` bytes by `len`, and what lies there to the headroom: by way of registers.
    #[inline(always)]
    fn shift<const N: usize>(&mut self, len: u16) -> Option<bool> {
        let front = *self.array::<N>(0)?;
        let there = *self.array::<N>(len)?;
        let kept = self.meta.head.wrapping_sub((SPARE + N) as u32) as usize;
        self.frame.get_mut(kept..kept + N)?.copy_from_slice(&there);
        *self.array_mut(len)? = front;
        Some(true)
    }

    /// [`shift`](Self::shift) of any number of bytes. Says whether there was room to keep what was
    /// there.
    #[inline(never)]
    fn shift_any(&mut self, count: usize, len: usize) -> Option<bool> {
        let head = self.meta.head as usize;
        let kept = head.checked_sub(SPARE + count);
        let (front, there) = (head..head + count, head + len..head + len + count);
        if there.end > FRAME_SIZE {
            return None;
        }
        if let Some(kept) = kept {
            self.frame.copy_within(there.clone(), kept);
        }
        self.frame.copy_within(front, there.start);
        Some(kept.is_some())
    }

    /// Puts the packet back as it was received. Headers that were pushed are gone, those that
    /// were popped are back. Not to be called once something was pushed over what
    /// [`remove`](Self::remove) left behind: see [`Received::is_popped`].
    #[cold]
    pub fn restore(&mut self) {
        let received = self.meta.received;
        self.meta.head = u32::from(received.head);
        let head = usize::from(received.head);
        if received.popped == INSERTED {
            let front = usize::from(received.popped_len);
            let kept = self.kept_front(front);
            if head + front <= FRAME_SIZE && kept + front <= FRAME_SIZE {
                self.frame.copy_within(kept..kept + front, head);
            }
        } else if received.popped != 0 {
            let (popped, len) = (usize::from(received.popped), usize::from(received.popped_len));
            let kept = head.saturating_sub(SPARE + len);
            if head + popped + len <= FRAME_SIZE {
                self.frame.copy_within(kept..kept + len, head + popped);
            }
        }
        self.meta.v6 = received.v6;
        if !received.v6 {
            self.meta.key = u128::from_be_bytes(received.destination);
            self.set_byte(ipv4::field::TTL, received.hop_limit);
            let len = usize::from(self.bytes().first().map_or(0, |first| first & 0xf)) * 4;
            // It was right when the packet came in.
            if let Some(header) = self.bytes_mut().get_mut(..len) {
                ipv4::write_checksum(header);
            }
            return;
        }
        self.set_destination(received.destination);
        self.set_byte(ipv6::field::HOP_LIMIT, received.hop_limit);
        if received.srh != 0 {
            let offset = usize::from(received.srh) + srh::field::SEGMENTS_LEFT;
            self.set_byte(offset, received.segments_left);
        }
    }
}

/// Bytes between the head and what [`Packet::remove`] keeps in front of it: an Ethernet header
/// fits.
const SPARE: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::HEADROOM;

    fn meta(len: usize) -> Meta {
        let head = HEADROOM as u32 + 14;
        Meta::new(0, 0, head, head + len as u32)
    }

    proptest! {
        /// C-042: a packet into which something was put, and in front of which more was, comes back as
        /// it was.
        #[test]
        fn inserted_and_restored(
            len in 40usize..1778,
            front in prop_oneof![Just(40u16), Just(48), Just(56)],
            room in 40u16..200,
        ) {
            let mut frame = [0; FRAME_SIZE];
            let mut meta = meta(len);
            let (head, tail) = (meta.head as usize, meta.tail as usize);
            let bytes = &mut frame[head..tail];
            bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at % 251) as u8);
            bytes[0] = 0x60;
            let before = bytes.to_vec();
            let mut packet = Packet { frame: &mut frame, meta: &mut meta };
            let header = packet.ipv6().map(|header| (header.destination(), header.hop_limit()));
            let (destination, hop_limit) = header.unwrap();
            packet.remember(true, destination, hop_limit);
            prop_assume!(usize::from(front) <= len);
            match packet.insert(front, room) {
                Ok(bytes) => {
                    prop_assert_eq!(bytes.len(), usize::from(room));
                    bytes.fill(0xee);
                }
                Err(verdict) => {
                    // Only where there is no place for the copy, in front or behind.
                    prop_assert_eq!(verdict, Verdict::Drop(Reason::NoHeadroom));
                    prop_assert!(len + head + usize::from(front) > FRAME_SIZE);
                    return Ok(());
                }
            }
            prop_assert_eq!(packet.len(), len + usize::from(room));
            let (front, room) = (usize::from(front), usize::from(room));
            prop_assert_eq!(&packet.bytes()[..front], &before[..front]);
            prop_assert!(packet.bytes()[front..front + room].iter().all(|byte| *byte == 0xee));
            prop_assert_eq!(&packet.bytes()[front + room..], &before[front..]);
            packet.set_destination([9; 16]);
            packet.set_byte(7, 1);
            packet.restore();
            prop_assert_eq!(packet.bytes(), before);
        }

        #[test]
        fn push_and_pull_are_inverse(len in 0usize..1000, count in 0usize..400) {
            let mut frame = [7; FRAME_SIZE];
            let mut meta = meta(len);
            let before = meta.head;
            let mut packet = Packet { frame: &mut frame, meta: &mut meta };
            match packet.push_front(count) {
                Ok(room) => {
                    prop_assert_eq!(room.len(), count);
                    prop_assert_eq!(packet.pull_front(count), Ok(()));
                    prop_assert_eq!(packet.meta.head, before);
                    prop_assert_eq!(packet.len(), len);
                }
                Err(verdict) => {
                    prop_assert!(count > before as usize);
                    prop_assert_eq!(verdict, Verdict::Drop(Reason::NoHeadroom));
                }
            }
            prop_assert_eq!(packet.pull_front(len + 1), Err(Verdict::Drop(Reason::InnerPacket)));
        }

        /// Removing an SRH and putting the packet back gives the bytes that came in.
        #[test]
        fn restore_undoes_remove(bytes in proptest::collection::vec(any::<u8>(), 200..300),
                                 offset in 40usize..100, len in 8usize..100) {
            let mut bytes = bytes;
            bytes[0] = 0x60;
            let mut frame = [0; FRAME_SIZE];
            let mut meta = meta(bytes.len());
            let mut packet = Packet { frame: &mut frame, meta: &mut meta };
            packet.bytes_mut().copy_from_slice(&bytes);
            let destination = ipv6::address_at(&bytes, 24);
            packet.remember(true, destination, bytes[7]);
            packet.remember_segments_left(offset as u16, bytes[offset + 3]);
            packet.set_byte(offset + 3, 1);
            packet.set_byte(7, 9);
            packet.set_destination([3; 16]);
            packet.remove(offset as u16, len as u16).unwrap();
            prop_assert_eq!(&packet.bytes()[offset..], &bytes[offset + len..]);
            packet.set_byte(4, 0xee);
            packet.set_byte(6, 0xee);
            packet.restore();
            prop_assert_eq!(packet.bytes(), &bytes[..]);
        }

        /// Where a byte was when the packet came: the same byte is there, and what has no such place
        /// was put in here.
        #[test]
        fn bytes_are_where_they_were(
            bytes in proptest::collection::vec(any::<u8>(), 120..200),
            front in prop_oneof![Just(40u16), Just(48)],
            len in 8u16..64,
            how in 0..3,
        ) {
            let mut bytes = bytes;
            bytes[0] = 0x60;
            let mut frame = [0; FRAME_SIZE];
            let mut meta = meta(bytes.len());
            let mut packet = Packet { frame: &mut frame, meta: &mut meta };
            packet.bytes_mut().copy_from_slice(&bytes);
            packet.remember(true, ipv6::address_at(&bytes, 24), bytes[7]);
            let new = match how {
                0 => {
                    packet.insert(front, len).unwrap().fill(0);
                    front..front + len
                }
                1 => {
                    packet.push_front(usize::from(len)).unwrap().fill(0);
                    0..len
                }
                _ => {
                    packet.remove(front, len).unwrap();
                    0..0
                }
            };
            for now in 0..packet.len() {
                match packet.meta.received_at(now as u32) {
                    Some(at) => prop_assert_eq!(packet.bytes()[now], bytes[at as usize]),
                    None => prop_assert!(new.contains(&(now as u16))),
                }
            }
            let known = (0..packet.len() as u32).filter_map(|now| packet.meta.received_at(now));
            prop_assert_eq!(known.count(), packet.len() - new.len());
        }

        /// Headers that were pushed in front are changed and taken out again, and the packet behind
        /// them is put back as it came.
        #[test]
        fn restore_is_of_what_was_received(bytes in proptest::collection::vec(any::<u8>(), 100..200),
                                           len in 8u16..64, popped: bool) {
            let mut bytes = bytes;
            bytes[0] = 0x60;
            let mut frame = [0; FRAME_SIZE];
            let mut meta = meta(bytes.len());
            let mut packet = Packet { frame: &mut frame, meta: &mut meta };
            packet.bytes_mut().copy_from_slice(&bytes);
            packet.remember(true, ipv6::address_at(&bytes, 24), bytes[7]);
            packet.push_front(ipv6::HEADER_LEN + usize::from(len)).unwrap().fill(0x66);
            packet.remember_segments_left(ipv6::HEADER_LEN as u16, 3);
            if popped {
                packet.remove(ipv6::HEADER_LEN as u16, len).unwrap();
            } else {
                packet.set_byte(ipv6::HEADER_LEN + srh::field::SEGMENTS_LEFT, 2);
            }
            packet.restore();
            prop_assert_eq!(packet.bytes(), &bytes[..]);
        }
    }
}
