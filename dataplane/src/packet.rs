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

mod meta;

pub use meta::{INSERTED, Meta, NOWHERE, Received};

use crate::{
    frame::FRAME_SIZE,
    verdict::{Reason, Verdict},
    wire::{ipv4, ipv6, srh},
};

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
mod tests;
