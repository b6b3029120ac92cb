//! Packets put back as they came.

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
