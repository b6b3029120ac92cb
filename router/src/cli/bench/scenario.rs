//! What is measured: for each behavior, a FIB and the packets that exercise it.

use std::sync::Arc;

use sidewinder_dataplane::behavior::csid::Layout;
use sidewinder_dataplane::behavior::headend::{Mode, SegmentList};
use sidewinder_dataplane::behavior::{Behavior, Flavors, hmac};
use sidewinder_dataplane::counters::PacketCounters;
use sidewinder_dataplane::fib::entry::Entry;
use sidewinder_dataplane::fib::nexthop::{Adjacency, Group, Health, State};
use sidewinder_dataplane::fib::writer::Writer;
use sidewinder_dataplane::fib::{Change, Node, Policy, PortSettings, Sid, SourceCheck};
use sidewinder_dataplane::wire::{ethernet, ipv6, protocol, srh};

use super::routes::Prefix;

/// Ethernet address of the router in the measurement.
const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Both ports.
const PORT: PortSettings = PortSettings {
    mac: OWN,
    table: 0,
    mtu: 1778,
    policy: None,
    external: false,
    source_check: SourceCheck::Off,
    has_rules: false,
};

/// Our SID.
const SID: u128 = 0xfc00_0000_0001_000e << 64;

/// The segment after ours, and the first of policies.
const NEXT_SID: u128 = 0xfc00_0000_0002_000e << 64;

/// Our compressed SID.
const CSID: u128 = 0xfc00_0000_0001 << 80;

/// fc00:0:1:2:3:e::, a container of ours and of three others, the first of them [`NEXT_SID`]'s node.
const CONTAINER: u128 = CSID | 0x0002_0003_000e << 32;

/// Bytes of UDP payload.
const PAYLOAD: usize = 64;

/// Next-hop groups and policies that the routes lead to in turn, so that hardly any route leads to
/// where its neighbour does: a look-up structure that merges those which do must not look better
/// than it is.
const TARGETS: usize = 256;

/// Neighbours that the next-hop groups consist of.
const NEIGHBOURS: u8 = 16;

/// Stands in a packet where its destination is written later.
const PLACE: u128 = 0x0bad_cafe_0bad_cafe_0bad_cafe_0bad_cafe;

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Plain forwarding.
    Ipv6,
    /// End, with segments left after it.
    End,
    /// End with PSP, at the penultimate segment.
    EndPsp,
    /// End.X.
    EndX,
    /// End with NEXT-CSID: a container of four compressed SIDs, and no SRH.
    UN,
    /// End.X with NEXT-CSID, likewise.
    UA,
    /// End.DT6, without an SRH.
    EndDt6,
    /// End.DT6, with an SRH of one segment.
    EndDt6Srh,
    /// End.DX6, without an SRH.
    EndDx6,
    /// H.Encaps with so many segments.
    HEncaps(usize),
    /// H.Encaps.Red with so many segments.
    HEncapsRed(usize),
}

impl Scenario {
    /// All that is measured, in the order of the output.
    pub const ALL: [Self; 13] = [
        Self::Ipv6,
        Self::End,
        Self::EndPsp,
        Self::EndX,
        Self::UN,
        Self::UA,
        Self::EndDt6,
        Self::EndDt6Srh,
        Self::EndDx6,
        Self::HEncaps(1),
        Self::HEncaps(3),
        Self::HEncapsRed(1),
        Self::HEncapsRed(3),
    ];

    /// Its name in output and on the command line.
    pub fn name(self) -> String {
        match self {
            Self::Ipv6 => "IPv6".into(),
            Self::End => "End".into(),
            Self::EndPsp => "End-PSP".into(),
            Self::EndX => "End.X".into(),
            Self::UN => "uN".into(),
            Self::UA => "uA".into(),
            Self::EndDt6 => "End.DT6".into(),
            Self::EndDt6Srh => "End.DT6-SRH".into(),
            Self::EndDx6 => "End.DX6".into(),
            Self::HEncaps(segs) => format!("H.Encaps-{segs}"),
            Self::HEncapsRed(segs) => format!("H.Encaps.Red-{segs}"),
        }
    }

    fn sid(self) -> Option<(Behavior, Flavors)> {
        Some(match self {
            Self::End => (Behavior::End, Flavors::NONE),
            Self::EndPsp => (Behavior::End, Flavors::PSP),
            Self::EndX => (Behavior::EndX, Flavors::NONE),
            Self::UN => (Behavior::End, Flavors::NEXT_CSID),
            Self::UA => (Behavior::EndX, Flavors::NEXT_CSID),
            Self::EndDt6 | Self::EndDt6Srh => (Behavior::EndDt6, Flavors::NONE),
            Self::EndDx6 => (Behavior::EndDx6, Flavors::NONE),
            _ => return None,
        })
    }

    /// The FIB: these routes, and what the behavior needs; for so many workers.
    pub fn fib(self, routes: &[Prefix], workers: usize) -> Writer {
        let mut writer = Writer::new(Arc::new(Health::default()));
        writer.stage(Change::AddTable { number: 254 });
        writer.stage(Change::Node(Node::default()));
        for port in 0..2 {
            writer.stage(Change::Port(port, PORT));
        }
        for number in 0..NEIGHBOURS {
            let neighbour = [2, 0, 0, 0, 1, number];
            let adjacency = Adjacency::new(1, neighbour, OWN, 1778);
            writer.stage(Change::Adjacency(number.into(), adjacency));
            writer.live().health.set(number.into(), State::Up);
        }
        // At most so many as there are routes: the small table stays small.
        let targets = TARGETS.min(routes.len()) as u32;
        for id in 0..targets {
            writer.stage(Change::Group(id, Group::new(&[(id % u32::from(NEIGHBOURS), 1)])));
            if let Some((mode, segs)) = self.policy() {
                let list = SegmentList::new(mode, &segs, SID + 1, 64, PacketCounters::new(workers));
                let policy = Policy { lists: vec![list], buckets: vec![0], table: 0 };
                writer.stage(Change::Policy(id, Some(policy)));
            }
        }
        let through = if self.policy().is_some() { Entry::encap } else { Entry::forward };
        for ((key, len), id) in routes.iter().copied().zip((0..targets).cycle()) {
            writer.stage(Change::Route { table: 0, v4: false, key, len, entry: through(id) });
        }
        if let Some((behavior, flavors)) = self.sid() {
            let compressed = flavors.has(Flavors::NEXT_CSID);
            let (address, len) = if compressed { (CSID, 48) } else { (SID, 128) };
            let sid = Sid {
                address,
                prefix_len: len,
                behavior,
                flavors,
                csid: Layout { block_bits: 32, csid_bits: 16 },
                group: 0,
                table: 0,
                port: 0,
                policy: 0,
                hmac: hmac::Policy::Ignore,
                counters: PacketCounters::new(workers),
            };
            writer.stage(Change::Sid(0, Some(sid)));
            let entry = Entry::local(0);
            writer.stage(Change::Route { table: 0, v4: false, key: address, len, entry });
        }
        let (key, entry) = (NEXT_SID & !(u128::MAX >> 48), Entry::forward(0));
        writer.stage(Change::Route { table: 0, v4: false, key, len: 48, entry });
        writer.publish();
        writer
    }

    /// The policy that its routes lead to: mode and segments.
    fn policy(self) -> Option<(Mode, Vec<u128>)> {
        let (mode, count) = match self {
            Self::HEncaps(count) => (Mode::Encaps, count),
            Self::HEncapsRed(count) => (Mode::EncapsRed, count),
            _ => return None,
        };
        Some((mode, (0..count as u128).map(|n| NEXT_SID + (n << 80)).collect()))
    }

    /// Its packets.
    pub fn template(self) -> Template {
        let bytes = self.packet(PLACE, 0);
        let place = PLACE.to_be_bytes();
        let destination = bytes.windows(place.len()).position(|window| window == place);
        Template { destination: destination.unwrap_or(ethernet::HEADER_LEN), bytes }
    }

    /// A packet whose look-up among the routes is for `destination`.
    fn packet(self, destination: u128, flow: u16) -> Vec<u8> {
        let mut udp = Vec::new();
        udp.extend(flow.to_be_bytes());
        udp.extend([0, 9]);
        udp.extend(((8 + PAYLOAD) as u16).to_be_bytes());
        udp.extend([0, 0]);
        udp.extend([0; PAYLOAD]);
        let customer = 0x2001_0db8_00aa << 80 | u128::from(flow);
        let inner = |destination| ip(customer, destination, protocol::UDP, &udp);
        let ip = match self {
            Self::Ipv6 | Self::HEncaps(_) | Self::HEncapsRed(_) => inner(destination),
            Self::End | Self::EndX => {
                // Three segments, so that one is left when we are done.
                let mut header = srh::header(protocol::UDP, &[SID, destination, NEXT_SID], false);
                header.extend(&udp);
                ip(customer, SID, protocol::ROUTING, &header)
            }
            Self::EndPsp => {
                let mut header = srh::header(protocol::UDP, &[SID, destination], false);
                header.extend(&udp);
                ip(customer, SID, protocol::ROUTING, &header)
            }
            Self::UN | Self::UA => ip(customer, CONTAINER, protocol::IPV6, &inner(destination)),
            Self::EndDt6 | Self::EndDx6 => ip(customer, SID, protocol::IPV6, &inner(destination)),
            Self::EndDt6Srh => {
                let mut header = srh::header(protocol::IPV6, &[SID], false);
                header.extend(inner(destination));
                ip(customer, SID, protocol::ROUTING, &header)
            }
        };
        let mut frame = ethernet::header(OWN, [2, 0, 0, 0, 0, 3], ethernet::IPV6).to_vec();
        frame.extend(ip);
        frame
    }
}

/// Packets that differ in their flow, and in the address that is looked up among the routes.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    /// Where that address is.
    destination: usize,
}

impl Template {
    /// Where the low half of the source's host part is, which tells flows apart.
    const SOURCE: usize = ethernet::HEADER_LEN + ipv6::field::DESTINATION - 2;

    /// Bytes of a packet, from the Ethernet header on.
    pub fn packet_len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes a packet, and tells its length.
    pub fn write(&self, frame: &mut [u8], destination: u128, flow: u16) -> usize {
        let packet = &mut frame[..self.bytes.len()];
        packet.copy_from_slice(&self.bytes);
        packet[self.destination..][..16].copy_from_slice(&destination.to_be_bytes());
        packet[Self::SOURCE..][..2].copy_from_slice(&flow.to_be_bytes());
        let port = packet.len() - PAYLOAD - 8;
        packet[port..][..2].copy_from_slice(&flow.to_be_bytes());
        packet.len()
    }
}

fn ip(source: u128, destination: u128, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let header = ipv6::Header {
        flow_word: ipv6::flow_word(0, 0),
        payload_len: payload.len() as u16,
        next_header,
        hop_limit: 64,
        source,
        destination,
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_make_the_packets_of_their_scenario() {
        for scenario in Scenario::ALL {
            let template = scenario.template();
            let mut frame = vec![0; template.packet_len() + 10];
            let len = template.write(&mut frame, 0x2001 << 112 | 7, 0);
            assert_eq!(frame[..len], scenario.packet(0x2001 << 112 | 7, 0), "{}", scenario.name());
        }
    }
}
