//! A worker on three ports in memory, with every behavior under a SID of its own.

use std::sync::Arc;

use sidewinder_dataplane::{
    behavior::{
        Behavior, Flavors,
        csid::Layout,
        headend::{Mode, SegmentList},
        hmac,
    },
    counters::{PacketCounters, WorkerCounters},
    fib::{
        Change, FlowLabel, Node, Policy, PortSettings, Sid, SourceCheck,
        entry::{Discard, Entry},
        nexthop::{Adjacency, Group, Health, State},
        table::left_aligned,
        writer::Writer,
    },
    frame::{Frame, FreeList, HEADROOM, PacketBuf},
    hmac::{Form, Key, Keys},
    port::{Punt, Umem, memory::MemoryPort},
    worker::Worker,
};

/// Ports there are.
pub const PORTS: usize = 3;

/// Source of errors and of outer headers.
pub const OWN: u128 = 0xfc00_0000_0001_0000_0000_0000_0000_0001;

/// SIDs, one for each behavior, and for End with each set of flavors.
pub const fn sid(function: u16) -> u128 {
    0xfc00_0000_0001 << 80 | (function as u128) << 64
}

/// A segment of another node, reached through port 1 (node 2) or port 2 (node 3).
pub const fn segment(node: u16, function: u16) -> u128 {
    0xfc00_0000 << 96 | (node as u128) << 80 | (function as u128) << 64
}

/// `2001:db8:<network>::<host>`
pub const fn host(network: u16, host: u64) -> u128 {
    0x2001_0db8 << 96 | (network as u128) << 80 | host as u128
}

/// Networks that are routed: 0xa through port 0, 0xb through port 2; 0xc, 0xd and 0xe are steered
/// into policies of one, two and five segments, the last one reduced, 0xf into one of two lists with
/// weights 3 and 1; the others are refused in one way or another.
pub const NETWORKS: [u16; 13] =
    [0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16];

/// MAC address of a port.
pub const fn own_mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, port as u8]
}

/// MAC address of the neighbour at a port.
pub const fn neighbour_mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 1, port as u8]
}

/// MTU of a port.
pub const MTUS: [u16; PORTS] = [1500, 1400, 1500];

/// The functions of [`sid`], with what they do.
pub fn functions() -> Vec<(u16, Behavior, Flavors)> {
    let sets = (0..8u16).map(|set| {
        let flavor = |bit: u16, flavor| if set & bit != 0 { flavor } else { Flavors::NONE };
        let flavors =
            flavor(1, Flavors::PSP).with(flavor(2, Flavors::USP)).with(flavor(4, Flavors::USD));
        (0xe0 + set, Behavior::End, flavors)
    });
    let all = Flavors::PSP.with(Flavors::USP).with(Flavors::USD);
    sets.chain([
        (0xf0, Behavior::EndX, Flavors::NONE),
        (0xf1, Behavior::EndX, all),
        (0xf2, Behavior::EndT, Flavors::NONE),
        (0xf3, Behavior::EndT, all),
        (0xd0, Behavior::EndDx6, Flavors::NONE),
        (0xd1, Behavior::EndDx4, Flavors::NONE),
        (0xd2, Behavior::EndDt6, Flavors::NONE),
        (0xd3, Behavior::EndDt4, Flavors::NONE),
        (0xd4, Behavior::EndDt46, Flavors::NONE),
        (0xd5, Behavior::EndDx2, Flavors::NONE),
        (0xb0, Behavior::EndB6Encaps, Flavors::NONE),
        (0xb1, Behavior::EndB6EncapsRed, Flavors::NONE),
    ])
    .collect()
}

/// SIDs with NEXT-CSID in the block fc00:0::/32, with their lengths: uN, uN with PSP and USD, uA as a
/// local C-SID and behind the node's, End.T, uDT6, End.B6.Encaps.
pub fn csids() -> Vec<(u128, u8, Behavior, Flavors)> {
    let psp_usd = Flavors::PSP.with(Flavors::USD);
    [
        (segment(0x1c, 0), 48, Behavior::End, Flavors::NONE),
        (segment(0x1d, 0), 48, Behavior::End, psp_usd),
        (segment(0x1c, 0xca), 64, Behavior::EndX, Flavors::NONE),
        (segment(0xca, 0), 48, Behavior::EndX, Flavors::NONE),
        (segment(0xc7, 0), 48, Behavior::EndT, Flavors::NONE),
        (segment(0x1c, 0xd6), 64, Behavior::EndDt6, Flavors::NONE),
        (segment(0xd6, 0), 48, Behavior::EndDt6, Flavors::NONE),
        (segment(0xb0, 0), 48, Behavior::EndB6Encaps, Flavors::NONE),
    ]
    .map(|(address, len, behavior, flavors)| {
        (address, len, behavior, flavors.with(Flavors::NEXT_CSID))
    })
    .into()
}

/// The SID that takes signed packets only, End, and the ID of the key.
pub const SIGNED: u128 = sid(0xc5);
pub const KEY: u32 = 1;

/// The key.
pub fn key() -> Key {
    Key::new(KEY, Form::Rfc8754, b"secret")
}

/// What the router of the tests looks like, where they differ.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub frames: u32,
    pub ring: usize,
    pub flow_label: FlowLabel,
}

/// The worker, and what it was made of.
pub struct Router<U: Punt> {
    pub worker: Worker<MemoryPort, U>,
    pub writer: Writer,
    pub frames: usize,
}

impl<U: Punt> Router<U> {
    /// A router whose ports wait for packets.
    pub fn new(settings: Settings, punt: U) -> Self {
        Self::with(fib(settings.flow_label), settings, 0, punt)
    }

    /// A router with this FIB, whose memory is full of one byte.
    pub fn with(mut writer: Writer, settings: Settings, memory: u8, punt: U) -> Self {
        let (mut umem, frames) = Umem::private(settings.frames).unwrap();
        if memory != 0 {
            frames.iter().for_each(|frame| umem.bytes(frame).fill(memory));
        }
        let ports = (0..PORTS).map(|_| MemoryPort::new(settings.ring)).collect();
        let free = FreeList::new(frames);
        let reader = writer.reader();
        let counters = WorkerCounters::new(PORTS);
        let mut worker = Worker::new(0, ports, umem, free, reader, punt, counters);
        worker.round();
        Self { worker, writer, frames: settings.frames as usize }
    }

    /// Puts a frame on the wire to a port. Says whether the port had a frame to receive it into.
    pub fn offer(&mut self, port: usize, bytes: &[u8]) -> bool {
        let Some(frame) = self.worker.ports[port].take_fill() else { return false };
        self.worker.umem.bytes(&frame)[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        let len = bytes.len() as u16;
        self.worker.ports[port].offer(PacketBuf { frame, head: HEADROOM as u16, len });
        true
    }

    /// Takes a sent packet off the wire: its bytes are shown to `look`, its frame is the caller's.
    pub fn take_sent(&mut self, port: usize, mut look: impl FnMut(&[u8])) -> Option<Frame> {
        let packet = self.worker.ports[port].take_sent()?;
        let start = usize::from(packet.head);
        look(&self.worker.umem.bytes_ref(&packet.frame)[start..start + usize::from(packet.len)]);
        Some(packet.frame)
    }
}

/// The FIB of the tests, published.
pub fn fib(flow_label: FlowLabel) -> Writer {
    let health = Arc::new(Health::default());
    let mut writer = Writer::new(Arc::clone(&health));
    writer.stage(Change::AddTable { number: 254 });
    writer.stage(Change::AddTable { number: 100 });
    writer.stage(Change::Node(Node {
        icmp_source: OWN,
        icmp_rate: 0,
        flow_label,
        ..Node::default()
    }));
    for (port, mtu) in MTUS.into_iter().enumerate() {
        let settings = PortSettings {
            mac: own_mac(port),
            table: 0,
            mtu,
            policy: None,
            external: false,
            source_check: SourceCheck::Off,
            has_rules: false,
        };
        writer.stage(Change::Port(port as u16, settings));
        let (neighbour, own) = (neighbour_mac(port), own_mac(port));
        let adjacency = Adjacency::new(port as u16, neighbour, own, mtu);
        writer.stage(Change::Adjacency(port as u32, adjacency));
        writer.stage(Change::Group(port as u32, Group::new(&[(port as u32, 1)])));
        health.set(port as u32, State::Up);
    }
    // 3: of two equal ways; 4: link down; 5: neighbour not known.
    writer.stage(Change::Group(3, Group::new(&[(1, 1), (2, 1)])));
    for (id, state) in [(3, State::Down), (4, State::Unresolved)] {
        writer.stage(Change::Adjacency(id, Adjacency::new(1, neighbour_mac(1), own_mac(1), 1500)));
        writer.stage(Change::Group(id + 1, Group::new(&[(id, 1)])));
        health.set(id, state);
    }
    let plain = functions()
        .into_iter()
        .map(|(function, behavior, flavors)| (sid(function), 128, behavior, flavors));
    for (index, (address, prefix_len, behavior, flavors)) in plain.chain(csids()).enumerate() {
        let table = u16::from(behavior == Behavior::EndT && address != sid(0xf3));
        let sid = Sid {
            address,
            prefix_len,
            behavior,
            flavors,
            csid: Layout { block_bits: 32, csid_bits: prefix_len.saturating_sub(32) },
            group: 1,
            table,
            port: 1,
            policy: if behavior == Behavior::EndB6EncapsRed { 2 } else { 1 },
            hmac: hmac::Policy::Ignore,
            counters: PacketCounters::new(1),
        };
        route(&mut writer, 0, address, prefix_len, Entry::local(index as u32));
        writer.stage(Change::Sid(index as u32, Some(sid)));
    }
    signed(&mut writer);
    policies(&mut writer);
    for (table, network, entry) in [
        (0, 0xa, Entry::forward(0)),
        (1, 0xb, Entry::forward(1)),
        (0, 0xb, Entry::forward(2)),
        (0, 0xc, Entry::encap(0)),
        (0, 0xd, Entry::encap(1)),
        (0, 0xe, Entry::encap(2)),
        (0, 0xf, Entry::encap(3)),
        (0, 0x10, Entry::discard(Discard::Blackhole)),
        (0, 0x11, Entry::discard(Discard::Unreachable)),
        (0, 0x12, Entry::discard(Discard::Prohibit)),
        (0, 0x13, Entry::forward(4)),
        (0, 0x14, Entry::forward(5)),
        (0, 0x15, Entry::forward(3)),
    ] {
        route(&mut writer, table, host(network, 0), 48, entry);
    }
    route(&mut writer, 0, segment(2, 0), 48, Entry::forward(1));
    route(&mut writer, 0, segment(3, 0), 48, Entry::forward(2));
    route(&mut writer, 1, segment(3, 0), 48, Entry::forward(1));
    route(&mut writer, 0, OWN, 128, Entry::HOST);
    for (network, entry) in [
        (0xc000_0200u32, Entry::forward(0)),
        (0xc633_6400, Entry::forward(2)),
        (0xcb00_7100, Entry::encap(1)),
    ] {
        let key = left_aligned(network);
        writer.stage(Change::Route { table: 0, v4: true, key, len: 24, entry });
    }
    assert!(writer.publish());
    writer
}

fn signed(writer: &mut Writer) {
    let id = (functions().len() + csids().len()) as u32;
    let sid = Sid {
        address: SIGNED,
        prefix_len: 128,
        behavior: Behavior::End,
        flavors: Flavors::NONE,
        csid: Layout { block_bits: 32, csid_bits: 96 },
        group: 1,
        table: 0,
        port: 1,
        policy: 1,
        hmac: hmac::Policy::Require,
        counters: PacketCounters::new(1),
    };
    writer.stage(Change::HmacKeys(Arc::new(Keys::new(vec![key()]))));
    writer.stage(Change::Sid(id, Some(sid)));
    route(writer, 0, SIGNED, 128, Entry::local(id));
}

fn policies(writer: &mut Writer) {
    let one = vec![segment(3, 0xd2)];
    let two = vec![segment(2, 0xe), segment(3, 0xd2)];
    let five: Vec<u128> = (1..6).map(|function| segment(2, function)).collect();
    let list = |mode, segs: &[u128]| SegmentList::new(mode, segs, OWN, 64, PacketCounters::new(1));
    let policies = [
        (vec![list(Mode::Encaps, &one)], vec![0]),
        (vec![list(Mode::Encaps, &two)], vec![0]),
        (vec![list(Mode::EncapsRed, &five)], vec![0]),
        (vec![list(Mode::Encaps, &one), list(Mode::Encaps, &two)], vec![0, 0, 0, 1]),
    ];
    for (id, (lists, buckets)) in policies.into_iter().enumerate() {
        let policy = Policy { lists, buckets, table: 0 };
        writer.stage(Change::Policy(id as u32, Some(policy)));
    }
}

fn route(writer: &mut Writer, table: u16, key: u128, len: u8, entry: Entry) {
    writer.stage(Change::Route { table, v4: false, key, len, entry });
}
