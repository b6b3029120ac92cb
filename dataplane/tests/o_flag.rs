//! The O-flag: RFC 9259, section 2.1.

#![forbid(unsafe_code)]

mod support;

use std::sync::Arc;

use sidewinder_dataplane::{
    fib::FlowLabel,
    port::memory::CountingHost,
    trace::{
        Kind, Ring, Session,
        record::{Event, Found, Outcome, Record},
    },
    verdict::Fate,
};
use support::{
    packet::{ethernet, ipv6, srh, udp},
    router::{PORTS, Router, Settings, host, neighbour_mac, own_mac, segment, sid},
};

/// Offset of the SRH's flags in a frame.
const FLAGS: usize = 14 + 40 + 5;
const O_FLAG: u8 = 0x20;

fn router() -> Router<CountingHost> {
    let settings = Settings { frames: 512, ring: 128, flow_label: FlowLabel::Hash };
    Router::new(settings, CountingHost::default())
}

/// Has the router copy what has the O-flag.
fn copying(router: &mut Router<CountingHost>, kept: usize) -> Arc<Ring> {
    let ring = Ring::new(kept, u64::MAX);
    assert!(router.worker.tap().begin(Kind::Marked, Session::of_marked(Arc::clone(&ring))));
    router.worker.round();
    ring
}

/// A packet for a SID with an SRH with these flags, at its end or before it.
fn frame(function: u16, left: u8, flags: u8) -> Vec<u8> {
    let list = [segment(3, 9), sid(function)];
    let mut upper = srh(17, &list, left, 1, &udp(1, b"hello"));
    upper[5] = flags;
    let packet = ipv6(43, 64, host(0xa, 1), sid(function), &upper);
    ethernet(own_mac(0), neighbour_mac(0), &packet)
}

/// All that a burst of these frames makes the router send, port by port.
fn sent(router: &mut Router<CountingHost>, frames: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    for frame in frames {
        assert!(router.offer(0, frame));
    }
    router.worker.round();
    let sent = (0..PORTS)
        .map(|port| {
            let mut packets = Vec::new();
            while let Some(frame) = router.take_sent(port, |bytes| packets.push(bytes.to_vec())) {
                router.worker.ports[port].complete(frame);
            }
            packets
        })
        .collect();
    router.worker.round();
    assert_eq!(router.worker.frames_held(), router.frames);
    sent
}

fn taken<T>(ring: &Ring, look: impl Fn(&Record) -> T) -> Vec<T> {
    std::iter::from_fn(|| ring.take(&look)).collect()
}

/// C-150: End with and without PSP, End.X, and the last segment, where there is an error to be sent:
/// what goes on is the same with the flag and without, whether copies are made or not. C-151: nothing
/// else is sent: the copy is not answered.
#[test]
fn packets_go_on_as_without_it() {
    let cases = [(0xe0, 1), (0xe1, 1), (0xf0, 1), (0xf2, 1), (0xe0, 0), (0xe0, 9)];
    let (mut ignoring, mut copying_router) = (router(), router());
    let ring = copying(&mut copying_router, 128);
    for (function, left) in cases {
        let plain = sent(&mut ignoring, &[frame(function, left, 0)]);
        for router in [&mut ignoring, &mut copying_router] {
            let mut marked = sent(router, &[frame(function, left, O_FLAG)]);
            // The flag itself is handed on, and quoted in errors.
            for packet in marked.iter_mut().flatten() {
                for at in [FLAGS, FLAGS + 48] {
                    if packet.get(at) == Some(&O_FLAG) {
                        packet[at] = 0;
                    }
                }
                if packet[20] == 58 {
                    // So that an error's checksum is another.
                    packet[56..58].copy_from_slice(&plain[0][0][56..58]);
                }
            }
            assert_eq!(marked, plain, "{function:x}, {left}");
        }
    }
    let copies = taken(&ring, |record| {
        let Event::LookUp(look_up) = record.steps[0].event else { panic!("{record:?}") };
        assert!(matches!(look_up.found, Found::Sid { .. }), "{look_up:?}");
        assert!(record.at.as_secs() > 1_600_000_000, "a timestamp");
        (record.received.bytes().to_vec(), record.fate)
    });
    assert_eq!(copies.len(), cases.len());
    for ((function, left), (received, fate)) in cases.into_iter().zip(copies) {
        assert_eq!(received, frame(function, left, O_FLAG), "the copy is the packet");
        let forwarded = matches!(fate, Some(Fate::Forwarded));
        assert_eq!(forwarded, left == 1, "{function:x}, {left}: {fate:?}");
    }
}

/// C-150: only at SIDs of ours, and only with that flag: a packet in transit is not copied, nor one
/// with all the other flags.
#[test]
fn only_what_asks_for_it_is_copied() {
    let mut router = router();
    let ring = copying(&mut router, 128);
    let upper = {
        let mut upper = srh(17, &[segment(3, 9), segment(2, 9)], 1, 1, &udp(1, b"hello"));
        upper[5] = O_FLAG;
        upper
    };
    let transit = ipv6(43, 64, host(0xa, 1), segment(2, 9), &upper);
    let transit = ethernet(own_mac(0), neighbour_mac(0), &transit);
    sent(&mut router, &[transit, frame(0xe0, 1, !O_FLAG), frame(0xe0, 1, 0)]);
    assert_eq!(taken(&ring, |_| ()).len(), 0);
    sent(&mut router, &[frame(0xe0, 1, 0), frame(0xe0, 1, 0xff), frame(0xe0, 1, 0)]);
    let outcomes = taken(&ring, |record| record.steps.last().and_then(|step| step.outcome));
    assert!(matches!(outcomes[..], [Some(Outcome::Leaves(_))]), "{outcomes:?}");
    // When copies are no longer made, none are.
    router.worker.tap().end(Kind::Marked);
    router.worker.round();
    sent(&mut router, &[frame(0xe0, 1, 0xff)]);
    assert_eq!(taken(&ring, |_| ()).len(), 0);
}

/// C-152: a flood of packets with the flag is forwarded whole, and copied within the rate.
#[test]
fn copies_are_limited() {
    let mut router = router();
    let ring = copying(&mut router, 1000);
    let start = std::time::Instant::now();
    let burst: Vec<_> = (0..50).map(|_| frame(0xe0, 1, O_FLAG)).collect();
    for _ in 0..100 {
        let forwarded: usize = sent(&mut router, &burst).iter().map(Vec::len).sum();
        assert_eq!(forwarded, 50);
    }
    let copies = taken(&ring, |_| ()).len();
    let allowed = 10 + (start.elapsed().as_secs_f64() * 100.0) as usize + 1;
    assert!((10..=allowed).contains(&copies), "{copies} of at most {allowed}");
    assert_eq!(ring.missed() as usize, 5000 - copies);
}
