//! The whole pipeline: a configuration, and packets, and the configuration changed in between.
//!
//! An input begins with one byte for the FIB to begin with. Then come steps: a change, a packet, a
//! link that goes up or down, or a round of the worker.

use std::sync::Arc;

use sidewinder_dataplane::{
    fib::{
        Change, FlowLabel, Node, PortSettings, SourceCheck,
        nexthop::{Adjacency, Group, Health, State},
        writer::Writer,
    },
    hmac::Keys,
};

use super::{
    bench::{Bench, Outcome, twice},
    change,
    input::Input,
    packet,
};
use crate::support::router::{MTUS, OWN, PORTS, fib, key, neighbour_mac, own_mac};

/// Steps of an input, at most.
const STEPS: usize = 120;

/// Tries an input, and says what came of it.
pub fn pipeline(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let first = input.byte();
    let begin = || if first & 1 == 0 { plain(0) } else { fib(FlowLabel::Hash) };
    twice(begin, |bench| drive(bench, input.clone()))
}

/// What comes after the first byte.
fn drive(bench: &mut Bench, mut input: Input<'_>) {
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        step(bench, &mut input);
    }
}

fn step(bench: &mut Bench, input: &mut Input<'_>) {
    match input.below(16) {
        kind @ ..change::KINDS => {
            change::changes(kind, input).into_iter().for_each(|change| bench.stage(change));
        }
        change::KINDS => {
            let adjacency = u32::from(input.below(6));
            let state = [State::Down, State::Unresolved, State::Up][usize::from(input.below(3))];
            bench.set_health(adjacency, state);
        }
        8 => bench.round(),
        kind @ (14 | 15) => {
            // Behind the packets, so that inputs of before there were these say the same.
            let changes = change::changes(kind - 14 + change::KINDS, input);
            changes.into_iter().for_each(|change| bench.stage(change));
        }
        // Packets: most of what an input says.
        _ => {
            let port = usize::from(input.below(PORTS as u8));
            let frame = packet::frame(input, own_mac(port), neighbour_mac(port));
            bench.offer(port, &frame);
        }
    }
}

/// A FIB with nothing in it but the ports, their neighbours, and a group of each. MTUs are at least `least`.
pub(super) fn plain(least: u16) -> Writer {
    let health = Arc::new(Health::default());
    let mut writer = Writer::new(Arc::clone(&health));
    writer.stage(Change::AddTable { number: 254 });
    writer.stage(Change::AddTable { number: 100 });
    writer.stage(Change::HmacKeys(Arc::new(Keys::new(vec![key()]))));
    writer.stage(Change::Node(Node { icmp_source: OWN, icmp_rate: 0, ..Node::default() }));
    for (port, mtu) in MTUS.into_iter().enumerate() {
        let mtu = mtu.max(least);
        let (own, neighbour, id) = (own_mac(port), neighbour_mac(port), port as u32);
        let settings = PortSettings {
            mac: own,
            table: 0,
            mtu,
            policy: None,
            external: false,
            source_check: SourceCheck::Off,
            has_rules: false,
        };
        writer.stage(Change::Port(port as u16, settings));
        let adjacency = Adjacency::new(port as u16, neighbour, own, mtu);
        writer.stage(Change::Adjacency(id, adjacency));
        writer.stage(Change::Group(id, Group::new(&[(id, 1)])));
        health.set(id, State::Up);
    }
    assert!(writer.publish());
    writer
}
