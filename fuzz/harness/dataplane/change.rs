//! Configurations that an input says, change by change, within what `sidewinder check` lets pass.
//!
//! What a new field of the FIB may be is said here.

use sidewinder_dataplane::{
    behavior::{
        Flavors, TABLE,
        csid::Layout,
        headend::{Mode, SegmentList},
        hmac,
        insert::{InsertedList, Insertion},
    },
    counters::PacketCounters,
    fib::{
        Change, Domain, FlowLabel, Node, Policy, PortSettings, Prefix, Sid, SourceCheck,
        entry::{Discard, Entry},
        nexthop::{Adjacency, Group, spread},
        rules::{Match, Rules},
        table::left_aligned,
    },
};

use super::input::Input;
use crate::support::router::{MTUS, OWN, PORTS, key, neighbour_mac, own_mac};

/// Indices of SIDs, policies and groups that inputs set: behind those of the FIB of the tests, or
/// instead of them.
const INDICES: u8 = 64;

/// Segments of a list, at most: as many as fit in the headroom, and some more.
const SEGMENTS: u8 = 20;

/// How many kinds of changes there are, besides two that came later.
pub const KINDS: u8 = 7;

/// Changes that belong together. `kind` is below [`KINDS`] + 2.
pub fn changes(kind: u8, input: &mut Input<'_>) -> Vec<Change> {
    match kind {
        0 => local_sid(input),
        1 => vec![policy(input)],
        2 => vec![route(input)],
        3 => vec![group(input)],
        4 => port(input),
        5 => vec![node(input)],
        6 => vec![domain(input)],
        7 => vec![insertion(input)],
        _ => rules(input),
    }
}

/// A SID, and the route to it. Without a behavior, the SID is removed, and the route stays.
fn local_sid(input: &mut Input<'_>) -> Vec<Change> {
    let id = u32::from(input.below(INDICES));
    let which = input.byte();
    if which == 0xff {
        return vec![Change::Sid(id, None)];
    }
    let table = u16::from(input.below(2));
    let sid = sid(which, input);
    let (key, len, entry) = (sid.address, sid.prefix_len, Entry::local(id));
    vec![Change::Sid(id, Some(sid)), Change::Route { table, v4: false, key, len, entry }]
}

/// A SID with this behavior.
pub fn sid(which: u8, input: &mut Input<'_>) -> Sid {
    let row = &TABLE[usize::from(which) % TABLE.len()];
    let said = input.byte();
    let mut flavors = Flavors::NONE;
    let takes_flavors = row.code_point_usd.is_some();
    for (bit, flavor) in [(1, Flavors::PSP), (2, Flavors::USP), (4, Flavors::USD)] {
        if takes_flavors && said & bit != 0 {
            flavors = flavors.with(flavor);
        }
    }
    let (block_bits, csid_bits) = (input.byte(), input.byte());
    let mut layout = Layout { block_bits: 0, csid_bits: 0 };
    let mut prefix_len = 128;
    if said & 8 != 0 {
        flavors = flavors.with(Flavors::NEXT_CSID);
        // 1 bit at least of block, of C-SID and of argument.
        let block_bits = match block_bits {
            0 => 32,
            bits => 1 + bits % 126,
        };
        let csid_bits = match csid_bits {
            0 => 16.min(127 - block_bits),
            bits => 1 + bits % (127 - block_bits),
        };
        layout = Layout { block_bits, csid_bits };
        prefix_len = block_bits + csid_bits;
    } else if said & 16 != 0 {
        prefix_len = 1 + block_bits % 128;
    }
    let mut sid = Sid {
        address: 0,
        prefix_len,
        behavior: row.behavior,
        flavors,
        csid: layout,
        group: u32::from(input.below(8)),
        table: u16::from(input.below(3)),
        port: u16::from(input.below(PORTS as u8 + 1)),
        policy: u32::from(input.below(8)),
        hmac: match said >> 4 & 3 {
            1 => hmac::Policy::VerifyIfPresent,
            2 => hmac::Policy::Require,
            _ => hmac::Policy::Ignore,
        },
        counters: PacketCounters::new(1),
    };
    place(&mut sid, input.address());
    sid
}

/// Puts a SID where it covers an address.
pub fn place(sid: &mut Sid, address: u128) {
    sid.address = address & u128::MAX << (128 - u32::from(sid.prefix_len));
}

/// A policy: nothing, or lists with weights.
fn policy(input: &mut Input<'_>) -> Change {
    let id = u32::from(input.below(8));
    let count = input.byte();
    if count == 0xff {
        return Change::Policy(id, None);
    }
    let mut lists = Vec::new();
    let mut weights = Vec::new();
    for index in 0..count % 4 {
        let how = input.byte();
        let mode = if how & 1 == 0 { Mode::Encaps } else { Mode::EncapsRed };
        let count = 1 + input.below(SEGMENTS);
        let segs: Vec<u128> = (0..count).map(|_| input.address()).collect();
        let hop_limit = 1 + how / 2;
        let counters = PacketCounters::new(1);
        lists.push(match how & 0x40 {
            0 => SegmentList::new(mode, &segs, OWN, hop_limit, counters),
            _ => SegmentList::signed(&key(), mode, &segs, OWN, hop_limit, counters),
        });
        weights.push((u16::from(index), u32::from(input.byte())));
    }
    let buckets = spread(&weights);
    Change::Policy(id, Some(Policy { lists, buckets, table: u16::from(input.below(2)) }))
}

/// A policy of H.Insert, in the place of one that encapsulates.
fn insertion(input: &mut Input<'_>) -> Change {
    let id = u32::from(input.below(8));
    let mut lists = Vec::new();
    let mut weights = Vec::new();
    for index in 0..input.below(4) {
        let count = 1 + input.below(SEGMENTS);
        let segs: Vec<u128> = (0..count).map(|_| input.address()).collect();
        lists.push(InsertedList::new(&segs, PacketCounters::new(1)));
        weights.push((u16::from(index), u32::from(input.byte())));
    }
    let buckets = spread(&weights);
    Change::Insertion(id, Some(Insertion { lists, buckets, table: u16::from(input.below(2)) }))
}

/// The rules of a port, four at most.
fn rules(input: &mut Input<'_>) -> Vec<Change> {
    let port = usize::from(input.below(PORTS as u8));
    let mut rules = Rules::NONE;
    for _ in 0..input.below(5) {
        let how = input.byte();
        let mut prefix = |asked: bool| {
            if asked { (input.address(), input.byte() % 129) } else { (0, 0) }
        };
        let (source, destination) = (prefix(how & 1 != 0), prefix(how & 2 != 0));
        let mut ports = |asked: bool| {
            asked.then(|| (u16::from(input.byte()) << 4, u16::from(input.byte()) << 8 | 0xff))
        };
        let (source_ports, destination_ports) = (ports(how & 4 != 0), ports(how & 8 != 0));
        let of = Match {
            v6: (how & 16 != 0).then_some(how & 32 != 0),
            source,
            destination,
            protocol: (how & 64 != 0).then(|| input.byte()),
            source_ports,
            destination_ports,
            dscp: (how & 128 != 0).then(|| input.byte() & 63),
        };
        let to = input.byte();
        rules.push(&of, (to < 8).then_some(u32::from(to)), PacketCounters::new(1));
    }
    let settings = PortSettings {
        mac: own_mac(port),
        table: 0,
        mtu: MTUS[port],
        policy: None,
        external: false,
        source_check: SourceCheck::Off,
        has_rules: !rules.is_empty(),
    };
    vec![Change::Port(port as u16, settings), Change::Rules(port as u16, rules)]
}

fn route(input: &mut Input<'_>) -> Change {
    let how = input.byte();
    let (table, v4) = (u16::from(how & 1), how & 2 != 0);
    let (key, bits) = match v4 {
        true => (left_aligned(input.address_v4()), 32),
        false => (input.address(), 128),
    };
    let len = match input.byte() {
        0 => bits,
        len => len % (bits + 1),
    };
    let key = if len == 0 { 0 } else { key & u128::MAX << (128 - u32::from(len)) };
    Change::Route { table, v4, key, len, entry: entry(input) }
}

fn entry(input: &mut Input<'_>) -> Entry {
    let (kind, index) = (input.below(12), input.byte());
    match kind {
        0..3 => Entry::forward(u32::from(index % 8)),
        3..5 => Entry::encap(u32::from(index % 8)),
        5 => Entry::local(u32::from(index % INDICES)),
        6 => Entry::HOST,
        7 => Entry::ON_LINK,
        8 => Entry::solicit(u16::from(index) % PORTS as u16),
        9 => Entry::discard(match index % 3 {
            0 => Discard::Blackhole,
            1 => Discard::Unreachable,
            _ => Discard::Prohibit,
        }),
        _ => Entry::NONE,
    }
}

/// A group of the adjacencies of the tests: one for each port, one that is down, one without a
/// neighbour, and one that there is not.
fn group(input: &mut Input<'_>) -> Change {
    let id = u32::from(input.below(8));
    let count = input.below(5);
    let members: Vec<_> =
        (0..count).map(|_| (u32::from(input.below(6)), u32::from(input.byte()))).collect();
    Change::Group(id, Group::new(&members))
}

/// A port, and, where SIDs are not to leave by it, its neighbour.
fn port(input: &mut Input<'_>) -> Vec<Change> {
    let port = usize::from(input.below(PORTS as u8));
    let how = input.byte();
    let settings = PortSettings {
        mac: own_mac(port),
        table: u16::from(how & 1),
        // A port that is down.
        mtu: if how & 2 != 0 { 0 } else { MTUS[port] },
        policy: (how & 4 != 0).then(|| u32::from(input.below(8))),
        external: how & 8 != 0,
        source_check: [
            SourceCheck::Off,
            SourceCheck::Domain,
            SourceCheck::Loose,
            SourceCheck::Strict,
        ][usize::from(how >> 4 & 3)],
        has_rules: false,
    };
    let mut changes = vec![Change::Port(port as u16, settings)];
    if how & 0x40 != 0 {
        let adjacency = Adjacency::watched(port as u16, neighbour_mac(port), own_mac(port));
        changes.push(Change::Adjacency(port as u32, adjacency));
    }
    changes
}

fn node(input: &mut Input<'_>) -> Change {
    let how = input.byte();
    Change::Node(Node {
        icmp_source: if how & 1 != 0 { 0 } else { OWN },
        icmp_source_v4: if how & 2 != 0 { 0 } else { 0xc000_0201 },
        // No limit, and one that no input reaches: how many pass another would be a matter of time.
        icmp_rate: if how & 4 != 0 { 1000 } else { 0 },
        hop_limit: input.byte().max(1),
        flow_label: match how >> 3 & 3 {
            0 => FlowLabel::Hash,
            1 => FlowLabel::Copy,
            _ => FlowLabel::Zero,
        },
        traffic_class: (how & 0x20 != 0).then(|| input.byte()),
    })
}

/// Two blocks and two sources at most.
fn domain(input: &mut Input<'_>) -> Change {
    let how = input.byte();
    let mut prefixes = |count: u8| -> Vec<Prefix> {
        (0..count % 3).map(|_| Prefix::new(input.address(), 1 + input.below(128))).collect()
    };
    Change::Domain(Domain { blocks: prefixes(how), sources: prefixes(how >> 4) })
}
