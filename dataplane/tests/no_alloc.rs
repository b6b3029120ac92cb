//! Workers do not allocate: memory that is asked for on the packet path costs time that nobody can
//! foresee.

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

use sidewinder_dataplane::{
    behavior::hmac::Policy,
    fib::{
        Change, FlowLabel, PortSettings, Sid, SourceCheck,
        entry::{Discard, Entry},
        nexthop::Adjacency,
    },
    hmac::{Form, Key, Keys},
    port::memory::CountingHost,
    trace::{Filter, Kind, Ring, Session},
    verdict::Reason,
};
use support::{
    packet::{ethernet, icmpv6, ipv4, ipv4_without_df, ipv6, srh, udp},
    router::{OWN, PORTS, Router, Settings, host, neighbour_mac, own_mac, segment, sid},
};

/// Counts what each thread asks for, and what it gives back.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator as it is, which keeps the trait's
// promises; the counter is a plain number that needs no allocation of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: `pointer` came from `alloc`, that is, from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Every kind of packet, a thousand times each: forwarded, encapsulated, decapsulated, answered,
/// punted, dropped. Every tenth time, the round takes a new version of the FIB first, and must not
/// free the old one either.
#[test]
fn rounds_do_not_allocate() {
    let router = rounds(|_, _| {});
    let counters = &router.worker.counters;
    let counts = [&counters.forwarded, &counters.replied, &counters.punted, &counters.dropped];
    assert_eq!(counts.map(|counter| counter.get()), [9000, 5000, 1000, 2000]);
}

/// HMACs are verified, right ones and wrong ones, without a buffer for what they are computed of.
#[test]
fn verifying_an_hmac_does_not_allocate() {
    let settings = Settings { frames: 512, ring: 128, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, CountingHost::default());
    let key = Key::new(7, Form::Rfc8754, b"sesame");
    let end = router.writer.live().sids[0].clone();
    let end = end.map(|sid| Sid { hmac: Policy::Require, ..sid });
    assert_eq!(end.as_ref().map(|sid| sid.address), Some(sid(0xe0)));
    router.writer.stage(Change::Sid(0, end));
    router.writer.stage(Change::HmacKeys(Arc::new(Keys::new(vec![key.clone()]))));
    assert!(router.writer.publish());
    let from = host(0xa, 1);
    let mut signed = srh(17, &[segment(3, 9), sid(0xe0)], 1, 1, &[]);
    key.sign(from, &mut signed);
    signed.extend(udp(1, b"hello"));
    let right = ipv6(43, 64, from, sid(0xe0), &signed);
    let mut wrong = right.clone();
    wrong[95] ^= 1;
    let packets =
        [right, wrong].map(|packet| ethernet(own_mac(0), neighbour_mac(0), &packet)).to_vec();
    hundred_rounds(&mut router, &packets);
    let counters = &router.worker.counters;
    assert_eq!((counters.forwarded.get(), counters.replied.get()), (100, 100));
}

/// Nor are sources checked with one, packets watched that leave the domain, or fragments made.
#[test]
fn the_border_does_not_allocate() {
    let settings = Settings { frames: 512, ring: 128, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, CountingHost::default());
    let inside = router.writer.live().ports[0];
    let outside = PortSettings { external: true, source_check: SourceCheck::Strict, ..inside };
    router.writer.stage(Change::Port(0, outside));
    let watched = Adjacency::watched(1, neighbour_mac(1), own_mac(1));
    router.writer.stage(Change::Adjacency(1, watched));
    assert!(router.writer.publish());
    let datagram = udp(1, b"hello");
    let packets = [
        ipv6(17, 64, host(0xa, 1), segment(2, 9), &datagram),
        ipv6(17, 64, host(0xb, 1), segment(2, 9), &datagram),
        // In two pieces.
        ipv4_without_df(0xc000_0201, 0xcb00_7101, &udp(1, &[7; 1440])),
    ];
    let packets = packets.map(|packet| ethernet(own_mac(0), neighbour_mac(0), &packet));
    hundred_rounds(&mut router, &packets);
    let counters = &router.worker.counters;
    assert_eq!((counters.forwarded.get(), counters.fragments.get()), (200, 100));
    assert_eq!(counters.drops[Reason::ReversePath as usize].get(), 100);
}

/// A hundred rounds of these frames, in which nothing may be allocated or freed.
fn hundred_rounds(router: &mut Router<CountingHost>, frames: &[Vec<u8>]) {
    for _ in 0..100 {
        for frame in frames {
            assert!(router.offer(0, frame));
        }
        let asked = ASKED.get();
        router.worker.round();
        assert_eq!(ASKED.get(), asked);
        for port in 0..PORTS {
            while let Some(frame) = router.take_sent(port, |_| {}) {
                router.worker.ports[port].complete(frame);
            }
        }
        router.worker.round();
    }
}

/// The same while traces begin and end, whose records are taken away now and then, and missed
/// otherwise.
#[test]
fn traced_rounds_do_not_allocate() {
    let ring = Ring::new(100, u64::MAX);
    let mut taken = 0;
    let router = rounds(|router, turn| {
        let tap = router.worker.tap();
        match turn % 100 {
            10 => {
                assert!(tap.begin(Kind::Trace, Session::new(Filter::default(), Arc::clone(&ring))))
            }
            90 => tap.end(Kind::Trace),
            _ if turn % 3 == 0 => taken += std::iter::from_fn(|| ring.take(|_| ())).count(),
            _ => {}
        }
    });
    taken += std::iter::from_fn(|| ring.take(|_| ())).count();
    // 80 rounds of every 100 are traced, of 17 packets each.
    assert_eq!(taken as u64 + ring.missed(), 10 * 80 * 17);
    assert!(ring.missed() > 0 || taken > 10_000);
    let counters = &router.worker.counters;
    let counts = [&counters.forwarded, &counters.replied, &counters.punted, &counters.dropped];
    assert_eq!(counts.map(|counter| counter.get()), [9000, 5000, 1000, 2000]);
}

/// A thousand rounds of all packets, none of which may allocate or free. `before` each of them, the
/// control thread may do something.
fn rounds(mut before: impl FnMut(&mut Router<CountingHost>, u16)) -> Router<CountingHost> {
    let settings = Settings { frames: 512, ring: 128, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, CountingHost::default());
    let packets: Vec<Vec<u8>> =
        packets().iter().map(|packet| ethernet(own_mac(0), neighbour_mac(0), packet)).collect();
    for turn in 0..1000 {
        if turn % 10 == 0 {
            // In no packet's way: only the version is new.
            let (key, entry) = (host(0x30 + turn, 0), Entry::discard(Discard::Blackhole));
            router.writer.stage(Change::Route { table: 0, v4: false, key, len: 48, entry });
            assert!(router.writer.publish(), "the worker had let go of the spare copy");
        }
        for packet in &packets {
            assert!(router.offer(0, packet));
        }
        before(&mut router, turn);
        let asked = ASKED.get();
        router.worker.round();
        assert_eq!(ASKED.get(), asked);
        for port in 0..PORTS {
            while let Some(frame) = router.take_sent(port, |_| {}) {
                router.worker.ports[port].complete(frame);
            }
        }
        router.worker.round();
    }
    router
}

fn packets() -> Vec<Vec<u8>> {
    let (from, to) = (host(0xa, 1), host(0xb, 1));
    let datagram = udp(1, b"hello");
    let inner = ipv6(17, 64, from, to, &datagram);
    let two = [segment(3, 9), sid(0xe0)];
    let ping = icmpv6(from, sid(0xe0), [128, 0, 0, 0, 0, 1, 0, 1], b"ping");
    vec![
        // Forwarded.
        ipv6(17, 64, from, to, &datagram),
        ipv4(17, 64, 0xc000_0201, 0xc633_6401, &datagram),
        ipv6(43, 64, from, sid(0xe0), &srh(17, &two, 1, 1, &datagram)),
        ipv6(43, 64, from, sid(0xe1), &srh(17, &two, 1, 1, &datagram)),
        ipv6(43, 64, from, sid(0xf0), &srh(17, &two, 1, 1, &datagram)),
        ipv6(41, 64, from, sid(0xd2), &inner),
        ipv6(17, 64, from, host(0xc, 1), &datagram),
        ipv6(17, 64, from, host(0xd, 1), &datagram),
        ipv6(17, 64, from, host(0xe, 1), &datagram),
        // Answered.
        ipv6(17, 1, from, to, &datagram),
        ipv6(43, 64, from, sid(0xe0), &srh(17, &two, 9, 1, &datagram)),
        ipv6(17, 64, from, sid(0xe0), &datagram),
        ipv6(58, 64, from, sid(0xe0), &ping),
        ipv6(17, 64, from, host(0x16, 1), &datagram),
        // Punted.
        ipv6(17, 64, from, OWN, &datagram),
        // Dropped.
        ipv6(59, 64, from, sid(0xe0), &[]),
        ipv6(17, 64, from, host(0x10, 1), &datagram),
    ]
}
