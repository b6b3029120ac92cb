//! One trace, several workers.

#![forbid(unsafe_code)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sidewinder_dataplane::{
    fib::FlowLabel,
    port::memory::CountingHost,
    trace::{
        Filter, Kind, Ring, Session,
        record::{Event, Found, Record},
    },
    verdict::Fate,
};
use support::{
    packet::{ethernet, ipv6, udp},
    router::{PORTS, Router, Settings, host, neighbour_mac, own_mac},
};

const ROUNDS: u64 = 2000;
const BURST: u64 = 30;

/// The packet number `number` of a worker, which gets them by the port of its own number.
fn frame(worker: usize, number: u64) -> Vec<u8> {
    let payload = number.to_be_bytes();
    let packet = ipv6(17, 64, host(0xa, worker as u64 + 1), host(0xb, 1), &udp(7, &payload));
    ethernet(own_mac(worker), neighbour_mac(worker), &packet)
}

/// Sends packets through a worker as fast as it takes them.
fn work(worker: usize, ring: &Arc<Ring>) {
    let settings = Settings { frames: 512, ring: 128, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, CountingHost::default());
    let session = Session::new(Filter::default(), Arc::clone(ring));
    assert!(router.worker.tap().begin(Kind::Trace, session));
    for round in 0..ROUNDS {
        for packet in 0..BURST {
            assert!(router.offer(worker, &frame(worker, round * BURST + packet)));
        }
        router.worker.round();
        for port in 0..PORTS {
            while let Some(frame) = router.take_sent(port, |_| {}) {
                router.worker.ports[port].complete(frame);
            }
        }
        router.worker.round();
    }
    assert_eq!(router.worker.counters.forwarded.get(), ROUNDS * BURST);
}

/// What a record says is one packet's way, from the beginning to the end; the packet is told.
fn whole(record: &Record) -> (usize, u64) {
    let worker = usize::from(record.ingress);
    let received = record.received.bytes();
    let (_, payload) = received.split_last_chunk::<8>().unwrap();
    let number = u64::from_be_bytes(*payload);
    assert_eq!(received, frame(worker, number));
    assert_eq!(record.fate, Some(Fate::Forwarded));
    let [step] = &record.steps[..] else { panic!("{record:?}") };
    let Event::LookUp(look_up) = step.event else { panic!("{record:?}") };
    assert!(matches!(look_up.found, Found::Group(_)));
    assert_eq!(look_up.prefix_len, 48);
    assert_eq!(record.sent.bytes()[14..], *step.after.bytes());
    assert_eq!(record.sent.bytes().last_chunk(), Some(payload), "the packet that came");
    (worker, number)
}

/// Two workers and who reads, at the same time: records are whole, those of each worker in order, as
/// many as were wanted, and what there was no room for is counted.
#[test]
fn two_workers_share_a_trace() {
    const WANTED: u64 = 5000;
    let ring = Ring::new(256, WANTED);
    let running = AtomicUsize::new(2);
    let mut taken = Vec::new();
    thread::scope(|scope| {
        for worker in 0..2 {
            let (ring, running) = (&ring, &running);
            scope.spawn(move || {
                work(worker, ring);
                running.fetch_sub(1, Ordering::Release);
            });
        }
        while running.load(Ordering::Acquire) > 0 {
            while let Some(told) = ring.take(whole) {
                taken.push(told);
            }
            thread::yield_now();
        }
    });
    while let Some(told) = ring.take(whole) {
        taken.push(told);
    }
    let (told, missed) = (taken.len() as u64, ring.missed());
    assert!(told == WANTED || told + missed == 2 * ROUNDS * BURST, "{told} told, {missed} missed");
    assert_eq!(told == WANTED, ring.is_done());
    for worker in 0..2 {
        let numbers: Vec<u64> =
            taken.iter().filter(|(of, _)| *of == worker).map(|(_, number)| *number).collect();
        assert!(numbers.is_sorted(), "{worker}");
    }
}
