//! Each behavior with each set of flavors, and packets that are for its SID whatever they are: the
//! SID is put where the first packet goes.

use sidewinder_dataplane::fib::{Change, FlowLabel, entry::Entry};

use super::{
    bench::{Bench, Outcome, twice},
    change,
    input::Input,
    packet,
};
use crate::support::{
    packet::{address, ethernet},
    router::{fib, neighbour_mac, own_mac},
};

/// The SID's number: behind those of the FIB of the tests.
const ID: u32 = 60;

/// Packets of an input, at most.
const PACKETS: usize = 4;

/// Tries an input, and says what came of it.
pub fn behaviors(data: &[u8]) -> Outcome {
    let input = Input::new(data);
    twice(|| fib(FlowLabel::Hash), |bench| drive(bench, input.clone()))
}

fn drive(bench: &mut Bench, mut input: Input<'_>) {
    let which = input.byte();
    let mut sid = change::sid(which, &mut input);
    for count in 0..PACKETS {
        if count > 0 && input.is_empty() {
            break;
        }
        let bytes = packet::packet(&mut input);
        if count == 0 {
            let there = if bytes.len() >= 40 { address(&bytes, 24) } else { sid.address };
            change::place(&mut sid, there);
            let (key, len, entry) = (sid.address, sid.prefix_len, Entry::local(ID));
            bench.stage(Change::Sid(ID, Some(sid.clone())));
            bench.stage(Change::Route { table: 0, v4: false, key, len, entry });
        }
        let mut frame = ethernet(own_mac(0), neighbour_mac(0), &bytes);
        frame.truncate(sidewinder_dataplane::frame::MAX_PACKET);
        bench.offer(0, &frame);
    }
}
