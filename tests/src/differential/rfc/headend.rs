//! What a headend does: RFC 8986, 5.

use std::net::Ipv6Addr;

use super::{End, LookUp, Step, Way, Why, address};
use crate::differential::subject::ROUTER;
use crate::packet::build::{Ipv6, Layer, Srh, packet};
use crate::packet::{ETHERNET, IPV6, hmac, next};

impl Way {
    /// RFC 8986, 5.1 and 5.2: C-080, C-082, C-084.
    pub(super) fn encapsulate(&mut self) -> Step {
        if let Err(step) = self.spend() {
            return step;
        }
        self.changed = true;
        if self.is_v6() {
            let (class, label) = flow(&self.packet);
            self.push(class, label, next::IPV6);
        } else {
            self.push(self.packet[1], 0, next::IPV4);
        }
        LookUp
    }

    /// RFC 8986, 5.3 and 5.4; what of the outer header is said of a packet in the frame is taken over:
    /// C-084, C-087.
    pub(super) fn encapsulate_frame(&mut self, frame: &[u8]) {
        let (l2, inside) = frame.split_at(ETHERNET);
        let is_v6 = l2[12..] == [0x86, 0xdd]
            && inside.len() >= IPV6
            && inside.first().is_some_and(|byte| byte >> 4 == 6);
        let (class, label) = if is_v6 { flow(inside) } else { (0, 0) };
        self.packet = frame.to_vec();
        (self.changed, self.spent) = (true, true);
        self.push(class, label, next::ETHERNET);
    }

    /// Puts the outer header with the segment list in front.
    fn push(&mut self, class: u8, label: u32, inside: u8) {
        let way: Vec<Ipv6Addr> =
            self.subject.segments().iter().map(|segment| address(segment)).collect();
        let (source, hops) = (address(ROUTER), self.subject.outer_hops());
        let header = Ipv6 { class, label, hops, ..Ipv6::new(source, way[0]) };
        let mut layers = vec![Layer::Ipv6(header)];
        let mut srh = Srh::starting(&way);
        // RFC 8754, erratum 7081: a single segment with a TLV is not reduced, C-083.
        if self.subject.is_reduced() && (way.len() > 1 || !self.subject.signs()) {
            srh.list.pop();
        }
        if self.subject.signs() {
            sign(&mut srh, source);
        }
        if !srh.list.is_empty() {
            layers.push(Layer::Srh(srh));
        }
        let inner = std::mem::take(&mut self.packet);
        let length = inner.len();
        layers.push(Layer::Raw(inside, inner));
        self.packet = packet(&layers);
        self.pushed += self.packet.len() - length;
    }

    /// draft-filsfils-spring-srv6-net-pgm-insertion, 4.1; RFC 8200, 4.1: hop-by-hop options stay in
    /// front.
    pub(super) fn insert(&mut self) -> Step {
        let (announced, at) = match (self.packet[6], self.packet.get(IPV6 + 1)) {
            (next::HOP_BY_HOP, None) => return End(Why::NoPacket),
            (next::HOP_BY_HOP, Some(length)) => (IPV6, IPV6 + 8 * (usize::from(*length) + 1)),
            _ => (6, IPV6),
        };
        if at > self.packet.len() {
            return End(Why::NoPacket);
        }
        self.changed = true;
        let mut way: Vec<Ipv6Addr> =
            self.subject.segments().iter().map(|segment| address(segment)).collect();
        way.push(self.destination());
        let srh = Srh::starting(&way).bytes(self.packet[announced]);
        self.pushed += srh.len();
        self.packet[announced] = next::ROUTING;
        self.packet[24..40].copy_from_slice(&way[0].octets());
        self.packet.splice(at..at, srh);
        self.set_length();
        LookUp
    }
}

/// Traffic class and flow label of an IPv6 packet.
fn flow(packet: &[u8]) -> (u8, u32) {
    let class = packet[0] << 4 | packet[1] >> 4;
    (class, u32::from_be_bytes([0, packet[1] & 0xf, packet[2], packet[3]]))
}

/// RFC 8754, 2.1.2, in Linux's form: C-122.
fn sign(srh: &mut Srh, source: Ipv6Addr) {
    let (key, _) = hmac::KEYS[0];
    srh.flags |= hmac::FLAG;
    srh.tlvs = hmac::unsigned(key);
    if let Some(digest) = hmac::digest(key, source, &srh.bytes(next::NONE)) {
        srh.tlvs[8..].copy_from_slice(&digest);
    }
}
