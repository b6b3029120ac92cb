//! Reading packets: where each header of a frame begins, as far as the bytes go.

use std::net::Ipv6Addr;

use super::{ETHERNET, IPV6, SEGMENT_ROUTING, next};

/// What a header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ethernet.
    Ethernet,
    /// IPv6.
    Ipv6,
    /// IPv4.
    Ipv4,
    /// Hop-by-Hop Options.
    HopByHop,
    /// Destination Options.
    DestOpts,
    /// Fragment header.
    Fragment,
    /// A routing header of the given type, Segment Routing included.
    Routing(u8),
    /// Anything else: an upper layer, by its Next Header value.
    Upper(u8),
}

/// One header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Where it begins in the frame.
    pub at: usize,
    /// Its length; of an upper layer, all that is left of the packet.
    pub length: usize,
}

/// Where the headers of a frame are. The walk ends at an upper layer, at a fragment that is not the
/// first, and where the bytes end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The headers, outermost first.
    pub headers: Vec<Header>,
    /// Where the outer IP packet ends by its own length; bytes after that are padding.
    pub end: usize,
    /// Why the walk ended early, if it did.
    pub broken: Option<&'static str>,
}

impl Layout {
    /// Reads a frame.
    pub fn of(frame: &[u8]) -> Self {
        let mut layout = Self { headers: Vec::new(), end: frame.len(), broken: None };
        layout.broken = layout.walk(frame).err();
        layout
    }

    /// The first header of a kind.
    pub fn find(&self, kind: Kind) -> Option<Header> {
        self.headers.iter().copied().find(|header| header.kind == kind)
    }

    /// The first Segment Routing Header of the outermost IPv6 packet.
    pub fn srh(&self) -> Option<Header> {
        self.outer().find(|header| header.kind == Kind::Routing(SEGMENT_ROUTING))
    }

    /// The headers of the outermost IPv6 packet, its own included, and its upper layer.
    pub fn outer(&self) -> impl Iterator<Item = Header> + '_ {
        let mut seen = 0;
        self.headers.iter().copied().filter(|header| header.kind != Kind::Ethernet).take_while(
            move |header| {
                seen += u32::from(matches!(header.kind, Kind::Ipv6 | Kind::Ipv4));
                seen < 2
            },
        )
    }

    /// The second IP header: the packet inside the packet.
    pub fn inner(&self) -> Option<Header> {
        let ip = |header: &&Header| matches!(header.kind, Kind::Ipv6 | Kind::Ipv4);
        self.headers.iter().filter(ip).nth(1).copied()
    }

    fn walk(&mut self, frame: &[u8]) -> Result<(), &'static str> {
        self.push(Kind::Ethernet, 0, ETHERNET, frame.len(), "no Ethernet header")?;
        let mut protocol = match frame[12..14] {
            [0x86, 0xdd] => next::IPV6,
            [0x08, 0x00] => next::IPV4,
            _ => return Err("not IP"),
        };
        let (mut at, mut end, mut outermost) = (ETHERNET, frame.len(), true);
        loop {
            let (kind, length, following) = match protocol {
                next::IPV6 => {
                    let header = frame.get(at..at + IPV6).ok_or("IPv6 header cut")?;
                    let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
                    end = end.min(at + IPV6 + payload);
                    if std::mem::take(&mut outermost) {
                        self.end = end;
                    }
                    (Kind::Ipv6, IPV6, header[6])
                }
                next::IPV4 => {
                    let header = frame.get(at..at + 20).ok_or("IPv4 header cut")?;
                    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
                    end = end.min(at + total);
                    if std::mem::take(&mut outermost) {
                        self.end = end;
                    }
                    (Kind::Ipv4, usize::from(header[0] & 0xf) * 4, header[9])
                }
                next::FRAGMENT => {
                    let header = frame.get(at..at + 8).ok_or("Fragment header cut")?;
                    self.push(Kind::Fragment, at, 8, end, "Fragment header cut")?;
                    if u16::from_be_bytes([header[2], header[3]]) >> 3 != 0 {
                        return Ok(());
                    }
                    (at, protocol) = (at + 8, header[0]);
                    continue;
                }
                next::HOP_BY_HOP | next::DEST_OPTS | next::ROUTING => {
                    let header = frame.get(at..at + 4).ok_or("extension header cut")?;
                    let kind = match protocol {
                        next::HOP_BY_HOP => Kind::HopByHop,
                        next::DEST_OPTS => Kind::DestOpts,
                        _ => Kind::Routing(header[2]),
                    };
                    (kind, (usize::from(header[1]) + 1) * 8, header[0])
                }
                _ => {
                    let length = end.saturating_sub(at);
                    self.headers.push(Header { kind: Kind::Upper(protocol), at, length });
                    return Ok(());
                }
            };
            self.push(kind, at, length, end, "a header longer than its packet")?;
            (at, protocol) = (at + length, following);
        }
    }

    fn push(
        &mut self,
        kind: Kind,
        at: usize,
        length: usize,
        end: usize,
        broken: &'static str,
    ) -> Result<(), &'static str> {
        if at + length > end {
            return Err(broken);
        }
        self.headers.push(Header { kind, at, length });
        Ok(())
    }
}

/// The sixteen bytes at `at` as an address.
pub fn address(frame: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = frame.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}

/// Source and destination of the IPv6 header at `at`.
pub fn addresses(frame: &[u8], at: usize) -> Option<(Ipv6Addr, Ipv6Addr)> {
    Some((address(frame, at + 8)?, address(frame, at + 24)?))
}

#[cfg(test)]
mod tests {
    use super::super::build::{self, Ipv6, Layer, Srh};
    use super::*;

    #[test]
    fn finds_every_header() {
        let a: Ipv6Addr = "fc00::1".parse().unwrap();
        let frame = build::frame(
            [2; 6],
            [4; 6],
            &[
                Layer::Ipv6(Ipv6::new(a, a)),
                Layer::HopByHop(vec![]),
                Layer::DestOpts(vec![0; 9]),
                Layer::Srh(Srh::starting(&[a, a])),
                Layer::Ipv6(Ipv6::new(a, a)),
                Layer::Fragment(0, false),
                Layer::Udp(1, 2, vec![]),
            ],
        );
        let layout = Layout::of(&frame);
        let places: Vec<_> = layout.headers.iter().map(|header| header.at).collect();
        assert_eq!(places, [0, 14, 54, 62, 78, 118, 158, 166]);
        assert_eq!(layout.broken, None);
        assert_eq!(layout.srh().unwrap().at, 78);
        assert_eq!(layout.inner().unwrap().at, 118);
        assert_eq!(layout.outer().last().unwrap().at, 78);
        for length in 0..frame.len() {
            // Any part of it must be readable as far as it goes.
            let _ = Layout::of(&frame[..length]);
        }
    }
}
