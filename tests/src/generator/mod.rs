//! Packets for a subject: good ones of every shape it may meet, and ones with something wrong.
//!
//! The same subject, seed and number always make the same packet. Every packet carries its number
//! as a tag, in its source address and in its payload.

mod cargo;
mod hmac;
mod ipv4;
pub mod mangle;
pub mod rng;

use std::net::Ipv6Addr;

use crate::differential::subject::{FAR_HOST, Family, HOST, ROUTER, SOURCES, Subject};
use crate::lab::star::{ROUTER_MACS, WORLD_MACS};
use crate::packet::build::{self, Ipv4, Ipv6, Layer, Srh};
use crate::packet::parse::Layout;
use crate::packet::{mac, next, tag};
pub use cargo::CARGO_SOURCE;
use rng::Rng;

/// One generated packet.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number, which is also its tag.
    pub id: u32,
    /// What was done to it, for the reader.
    pub note: String,
    /// The frame.
    pub frame: Vec<u8>,
}

/// Share of the packets that are left as they were built, in percent.
const GOOD: usize = 35;

/// Longest frame before anything is added to it: a link's MTU, less what padding may add.
const LONGEST: usize = 14 + 1500 - 60;

/// The packet of this number for `subject`.
pub fn case(subject: Subject, seed: u64, id: u32) -> Case {
    // Spread by a multiplication, or neighbouring numbers would share most of their sequence.
    let mut rng = Rng::new((seed << 32 | u64::from(id)).wrapping_mul(0xd134_2543_de82_ef95));
    let mut maker = Maker { subject, id, rng: &mut rng };
    let layers = if subject.takes_v4() { maker.v4() } else { maker.layers() };
    let mut frame = build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers);
    if frame.len() > LONGEST {
        return case(subject, seed.wrapping_add(1 << 20), id);
    }
    let is_signed = matches!(subject, Subject::EndHmac(_));
    if is_signed {
        hmac::sign(&mut frame, &mut rng);
    }
    let mut notes = Vec::new();
    if !rng.chance(GOOD) {
        // One thing wrong tells most; two find what only goes wrong together.
        let count = if rng.chance(85) { 1 } else { 2 };
        for _ in 0..count {
            if is_signed && rng.chance(60) {
                notes.push(hmac::mangle(&mut frame, &mut rng));
            } else if subject.takes_v4() && rng.chance(90) {
                notes.push(ipv4::mangle(&mut frame, &mut rng));
            } else {
                notes.push(mangle::mangle(&mut frame, &mut rng));
            }
        }
        if is_signed && rng.chance(25) {
            // Whoever has the key may be wrong, too.
            hmac::sign(&mut frame, &mut rng);
            notes.push("and signed".into());
        }
    }
    if subject.takes_v4() {
        // A tag behind the packet's end does not come out: without one it is sent alone.
        let end = Layout::of(&frame).end;
        if tag::find(&frame[..end]).is_none() {
            frame[end..].fill(0);
        }
    }
    let note = if notes.is_empty() { "good".to_owned() } else { notes.join(", ") };
    Case { id, note, frame }
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap_or(Ipv6Addr::UNSPECIFIED)
}

struct Maker<'a> {
    subject: Subject,
    id: u32,
    rng: &'a mut Rng,
}

impl Maker<'_> {
    fn layers(&mut self) -> Vec<Layer> {
        let target = self.container(self.subject.target());
        let source = tag::address(address(SOURCES), self.id);
        let mut outer = self.ipv6(source, target);
        let mut layers = Vec::new();
        let upper = match self.subject.family() {
            Family::Transit => {
                if self.rng.chance(15) {
                    // In transit, whatever it says.
                    layers.push(Layer::Srh(self.srh(target)));
                }
                self.upper()
            }
            Family::Endpoint => {
                if self.rng.chance(92) {
                    layers.push(Layer::Srh(self.srh(target)));
                }
                self.upper()
            }
            Family::Decap => {
                match self.rng.below(100) {
                    // A policy of one segment has no SRH.
                    0..35 => {}
                    35..88 => {
                        let mut srh = self.srh(target);
                        srh.left = 0;
                        layers.push(Layer::Srh(srh));
                    }
                    _ => layers.push(Layer::Srh(self.srh(target))),
                }
                if self.rng.chance(85) { self.inner() } else { self.upper() }
            }
        };
        if self.rng.chance(4) {
            // Several SRHs: processed or not, the second is the first one's cargo.
            layers.push(Layer::Srh(self.srh(target)));
        }
        if self.rng.chance(18) {
            let extras = self.extension_headers();
            layers.splice(0..0, extras);
        }
        if self.rng.chance(4) {
            layers.push(Layer::DestOpts(self.rng.pick(&[vec![], vec![1, 4, 0, 0, 0, 0]]).clone()));
        }
        let too_short = matches!(upper[..], [Layer::Raw(next::ETHERNET, ref frame)] if tag::find(frame).is_none());
        if too_short || self.rng.chance(5) {
            // Without a tag outside; what has none inside either is sent alone.
            outer.source = address(HOST);
        }
        layers.insert(0, Layer::Ipv6(outer));
        layers.extend(upper);
        layers
    }

    fn ipv6(&mut self, source: Ipv6Addr, destination: Ipv6Addr) -> Ipv6 {
        let class = if self.rng.chance(50) { 0 } else { self.rng.byte() };
        let label = match self.rng.below(3) {
            0 => 0,
            _ => u32::from(self.rng.word()) | u32::from(self.rng.byte() & 0xf) << 16,
        };
        // Linux copies it into the outer header of a frame, where it is to be what Sidewinder writes.
        let usual = self.subject.takes_frames() && self.rng.chance(80);
        let hops = if usual { 64 } else { *self.rng.pick(&[64, 64, 64, 255, 128, 3, 2]) };
        Ipv6 { class, label, hops, source, destination }
    }

    /// An SRH whose active segment is `target`, with up to four segments after it.
    fn srh(&mut self, target: Ipv6Addr) -> Srh {
        let after = *self.rng.pick(&[0, 1, 1, 1, 2, 2, 3, 4]);
        let before = *self.rng.pick(&[0, 0, 0, 1, 2]);
        let mut way: Vec<Ipv6Addr> = (0..before).map(|_| address("fc00:0:9:e::")).collect();
        way.push(target);
        way.extend((0..after).map(|_| self.segment()));
        let mut srh = Srh::starting(&way);
        srh.left = u8::try_from(after).unwrap_or(0);
        if before == 0 && after > 0 && self.rng.chance(25) {
            // Reduced: the first segment is in the destination address only (RFC 8754, 4.1.1).
            srh.list.pop();
        }
        if self.rng.chance(15) {
            (srh.flags, srh.tag) = (self.rng.byte(), self.rng.word());
        }
        if matches!(self.subject, Subject::EndHmac(_)) {
            hmac::unsigned(&mut srh, self.rng);
        } else if self.rng.chance(20) {
            srh.tlvs = self.tlvs();
        }
        srh
    }

    /// The SID itself, or with what may be behind it: for NEXT-CSID the next compressed SIDs, of other
    /// nodes, of this one, of nobody, and zeros.
    fn container(&mut self, sid: Ipv6Addr) -> Ipv6Addr {
        let Some(bits) = self.subject.csid_bits() else { return sid };
        if self.rng.chance(20) {
            return sid;
        }
        let mut groups = sid.segments();
        let free = &mut groups[usize::from(2 + bits / 16)..];
        let count = 1 + self.rng.below(free.len());
        for group in &mut free[..count] {
            *group = *self.rng.pick(&[2, 2, 2, 2, 2, 3, 3, 3, 0xc, 0xe00c, 0, 0xe, 0x77]);
        }
        groups.into()
    }

    fn segment(&mut self) -> Ipv6Addr {
        let text = match self.rng.below(40) {
            0..16 => "fc00:0:2:e::",
            16..28 => "fc00:0:3:e::",
            28..36 => HOST,
            // No route; the router itself; the same SID again; a place for encapsulated packets.
            36 => "2001:db8:ffff::1",
            37 => ROUTER,
            38 => return self.container(self.subject.target()),
            _ => FAR_HOST,
        };
        address(text)
    }

    fn tlvs(&mut self) -> Vec<u8> {
        match self.rng.below(5) {
            // PadN, twice Pad1 and a shorter PadN, an unknown type, an HMAC that nobody asked for.
            0 => vec![4, 6, 0, 0, 0, 0, 0, 0],
            1 => vec![0, 0, 4, 4, 0, 0, 0, 0],
            2 => [vec![200, 14], self.rng.bytes(14)].concat(),
            3 => [vec![5, 38, 0, 0, 0, 0, 0, 1], self.rng.bytes(32)].concat(),
            _ => self.rng.bytes(8),
        }
    }

    fn extension_headers(&mut self) -> Vec<Layer> {
        let mut layers = Vec::new();
        if self.rng.chance(45) {
            layers.push(Layer::HopByHop(self.options()));
        }
        if self.rng.chance(45) {
            layers.push(Layer::DestOpts(self.options()));
        }
        if self.rng.chance(25) {
            let kind = *self.rng.pick(&[0, 2, 3, 5, 250]);
            let left = *self.rng.pick(&[0, 0, 1]);
            layers.push(Layer::Routing(kind, left, vec![0; 20]));
        }
        if self.rng.chance(25) {
            let (offset, more) = *self.rng.pick(&[(0, false), (0, true), (90, false), (90, true)]);
            layers.push(Layer::Fragment(offset, more));
        }
        if self.rng.chance(20) {
            layers.reverse();
        }
        layers
    }

    fn options(&mut self) -> Vec<u8> {
        match self.rng.below(6) {
            0 | 1 => vec![],
            2 => vec![1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            // Router alert; an unknown option to skip, to drop by, and to answer.
            3 => vec![5, 2, 0, 0],
            4 => vec![0x1e, 2, 7, 7],
            _ => vec![*self.rng.pick(&[0x5e, 0x9e, 0xde]), 2, 7, 7],
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        let length = match self.rng.below(20) {
            0 => 0,
            1..18 => self.rng.below(200),
            18 => self.rng.below(1000),
            // Near the links' MTU, where an outer header does not fit any more.
            _ => 1180 + self.rng.below(100),
        };
        [tag::tag(self.id).to_vec(), self.rng.bytes(length)].concat()
    }

    fn upper(&mut self) -> Vec<Layer> {
        let payload = self.payload();
        let layer = match self.rng.below(20) {
            0..9 => Layer::Udp(self.rng.word(), 4789, payload),
            9..12 => Layer::Tcp(self.rng.word(), 80, payload),
            12 | 13 => Layer::Icmp6(128, 0, [vec![0, 1, 0, 2], payload].concat()),
            14 => Layer::Raw(next::NONE, payload),
            15 => Layer::Raw(*self.rng.pick(&[132, 50, 89, 143, 253]), payload),
            16 => Layer::Icmp6(*self.rng.pick(&[1, 3, 4, 129]), 0, [vec![0; 4], payload].concat()),
            _ => return self.inner(),
        };
        vec![layer]
    }

    /// A packet to be found inside another.
    fn inner(&mut self) -> Vec<Layer> {
        if self.subject == Subject::EndDx2 && !self.rng.chance(8) {
            return vec![Layer::Raw(next::ETHERNET, self.frame())];
        }
        let payload = self.payload();
        let v4 = self.subject == Subject::EndDx4;
        // Now and then the family that the subject does not take.
        if v4 != self.rng.chance(8) {
            let header = Ipv4 {
                service: self.rng.byte() & 0xfc,
                id: self.rng.word(),
                whole: self.rng.chance(50),
                hops: *self.rng.pick(&[64, 64, 64, 255, 2, 1]),
                source: [192, 0, 2, 1].into(),
                destination: *self.rng.pick(&[[198, 51, 100, 9].into(), [10, 9, 0, 2].into()]),
            };
            return vec![Layer::Ipv4(header), Layer::Raw(253, payload)];
        }
        let destination = match self.rng.below(20) {
            0 => "2001:db8:ffff::1",
            1 => "fc00:0:2:e::",
            2 => "fc00:0:3:e::",
            3 => FAR_HOST,
            _ => HOST,
        };
        let source = tag::address(address("2001:db8:a:1::"), self.id);
        let mut header = self.ipv6(source, address(destination));
        if self.rng.chance(8) {
            header.hops = *self.rng.pick(&[0, 1]);
        }
        let mut layers = vec![Layer::Ipv6(header)];
        if self.rng.chance(10) {
            layers.push(Layer::HopByHop(vec![]));
        }
        layers.push(Layer::Udp(self.rng.word(), 4789, payload));
        layers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_number_same_packet() {
        for subject in Subject::ALL {
            for id in 0..200 {
                assert_eq!(case(subject, 7, id).frame, case(subject, 7, id).frame);
            }
        }
    }

    #[test]
    fn almost_every_packet_is_known_again() {
        for subject in Subject::ALL {
            let tagged =
                (0..1000).filter(|id| tag::find(&case(subject, 1, *id).frame) == Some(*id));
            let count = tagged.count();
            assert!(count > 950, "{subject}: {count}");
        }
    }
}
