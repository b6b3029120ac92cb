//! IPv4 packets for a headend.

use std::net::Ipv4Addr;

use super::rng::Rng;
use super::{Maker, tag};
use crate::packet::build::{Ipv4, Layer};
use crate::packet::{ETHERNET, checksum};

/// Addresses that a packet should not have, and some that lead elsewhere.
const ODD_ADDRESSES: [[u8; 4]; 10] = [
    [0, 0, 0, 0],
    [0, 1, 2, 3],
    [127, 0, 0, 1],
    [169, 254, 1, 1],
    [224, 0, 0, 5],
    [240, 0, 0, 1],
    [255, 255, 255, 255],
    [203, 0, 113, 7],
    [172, 31, 9, 9],
    [198, 51, 100, 77],
];

impl Maker<'_> {
    /// A packet of IPv4 for the policy, or now and then for elsewhere. It is never too big: what
    /// becomes of one is a matter of fragments.
    pub(super) fn v4(&mut self) -> Vec<Layer> {
        let destination = match self.rng.below(20) {
            0 => [203, 0, 113, 9],
            1 => [172, 31, 9, 9],
            _ => [198, 51, 100, 9],
        };
        let header = Ipv4 {
            service: if self.rng.chance(50) { 0 } else { self.rng.byte() },
            id: self.rng.word(),
            whole: self.rng.chance(50),
            hops: *self.rng.pick(&[64, 64, 64, 255, 128, 3, 2, 1, 0]),
            source: [192, 0, 2, 1].into(),
            destination: destination.into(),
        };
        let most = if self.rng.chance(90) { 200 } else { 1000 };
        let length = self.rng.below(most);
        let protocol = *self.rng.pick(&[17, 17, 17, 6, 6, 1, 1, 253, 41, 50]);
        let start = match protocol {
            1 => vec![*self.rng.pick(&[8, 8, 0, 3, 11]), 0, 0, 0, 0, 1, 0, 2],
            _ => self.rng.bytes(8),
        };
        let payload = [start, tag::tag(self.id).to_vec(), self.rng.bytes(length)].concat();
        vec![Layer::Ipv4(header), Layer::Raw(protocol, payload)]
    }
}

/// A field of the header; mostly with the checksum that belongs to it.
pub(super) fn mangle(frame: &mut Vec<u8>, rng: &mut Rng) -> String {
    if frame.len() < ETHERNET + 20 {
        return "nothing".into();
    }
    let header = &mut frame[ETHERNET..ETHERNET + 20];
    let length = u16::from_be_bytes([header[2], header[3]]);
    let note = match rng.below(14) {
        0 => {
            header[0] = header[0] & 0xf | *rng.pick(&[0, 5, 6, 15]) << 4;
            format!("version {}", header[0] >> 4)
        }
        1 => {
            header[0] = header[0] & 0xf0 | *rng.pick(&[0, 1, 4, 6, 7, 15]);
            format!("header of {} words", header[0] & 0xf)
        }
        2 => {
            header[1] = rng.byte();
            "type of service".into()
        }
        3 | 4 => {
            let (more, less) = (length.wrapping_add(1), length.wrapping_sub(1));
            let near = [0, 19, 20, more, more, less, less, less, rng.word()];
            let wrong = *rng.pick(&near);
            header[2..4].copy_from_slice(&wrong.to_be_bytes());
            format!("total length {length} -> {wrong}")
        }
        5 | 6 => {
            let place = *rng.pick(&[0x2000u16, 0x2005, 0x0005, 0x4000, 0x8000, 0x6000, 0x1fff]);
            header[6..8].copy_from_slice(&place.to_be_bytes());
            format!("flags and offset {place:#x}")
        }
        7 | 8 => {
            header[8] = *rng.pick(&[0, 1, 1, 2, 255]);
            format!("TTL {}", header[8])
        }
        9 => {
            header[9] = rng.byte();
            format!("protocol {}", header[9])
        }
        10 => {
            header[10] ^= 1 << rng.below(8);
            return "checksum".into();
        }
        11 => {
            header[12..16].copy_from_slice(&ODD_ADDRESSES[rng.below(ODD_ADDRESSES.len())]);
            format!("source {}", address(&header[12..16]))
        }
        12 => {
            header[16..20].copy_from_slice(&ODD_ADDRESSES[rng.below(ODD_ADDRESSES.len())]);
            format!("destination {}", address(&header[16..20]))
        }
        _ => {
            // Four times No Operation.
            header[0] = 0x46;
            header[2..4].copy_from_slice(&length.wrapping_add(4).to_be_bytes());
            frame.splice(ETHERNET + 20..ETHERNET + 20, [1; 4]);
            "options".into()
        }
    };
    if rng.chance(10) {
        return note;
    }
    let end = ETHERNET + (usize::from(frame[ETHERNET] & 0xf) * 4).max(20);
    if let Some(header) = frame.get_mut(ETHERNET..end) {
        header[10..12].fill(0);
        let sum = checksum::plain(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    format!("{note}, and the checksum")
}

fn address(bytes: &[u8]) -> Ipv4Addr {
    bytes.first_chunk::<4>().copied().unwrap_or_default().into()
}
