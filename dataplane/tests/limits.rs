//! What a flood must not do to the host, and what packets to be cut must not do to others.

#![forbid(unsafe_code)]

mod support;

use sidewinder_dataplane::{
    fib::{Change, FlowLabel, Node, entry::Entry, entry::PortIndex},
    port::Punt,
    verdict::Reason,
};
use support::{
    packet::{ethernet, ipv4_without_df, ipv6, udp},
    router::{OWN, Router, Settings, host, neighbour_mac, own_mac},
};

/// A network on a link of the kernel's, and one on a link that only the router knows of.
const ON_LINK: u16 = 0x20;
const SOLICITED: u16 = 0x21;

/// A host that counts.
#[derive(Debug, Default)]
struct Host {
    punted: u64,
    solicited: Vec<(PortIndex, u128)>,
}

impl Punt for Host {
    fn punt(&mut self, _: &[u8]) -> bool {
        self.punted += 1;
        true
    }

    fn solicit(&mut self, port: PortIndex, key: u128, _: bool) {
        self.solicited.push((port, key));
    }
}

fn router() -> Router<Host> {
    let settings = Settings { frames: 256, ring: 64, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, Host::default());
    for (network, entry) in [(ON_LINK, Entry::ON_LINK), (SOLICITED, Entry::solicit(2))] {
        let key = host(network, 0);
        router.writer.stage(Change::Route { table: 0, v4: false, key, len: 48, entry });
    }
    router.writer.publish();
    router.worker.round();
    router
}

fn send(router: &mut Router<Host>, next: u8, destination: u128, upper: &[u8]) {
    let packet = ipv6(next, 64, host(0xa, 1), destination, upper);
    assert!(router.offer(0, &ethernet(own_mac(0), neighbour_mac(0), &packet)));
    router.worker.round();
    for port in 0..3 {
        while let Some(frame) = router.take_sent(port, |_| ()) {
            router.worker.ports[port].complete(frame);
        }
    }
    router.worker.round();
}

/// Somebody who scans a link does not fill the kernel's table of neighbours, and does not keep the
/// worker busy with system calls.
#[test]
fn a_scan_of_a_link_is_limited() {
    let mut router = router();
    for address in 0..5_000 {
        send(&mut router, 17, host(ON_LINK, address), &udp(7, b""));
    }
    let limited = router.worker.counters.drops[Reason::PuntLimited as usize].get();
    assert!(router.worker.punt.punted >= 10);
    assert!(limited > 3_000, "{limited}");
    assert_eq!(router.worker.punt.punted + limited, 5_000);
}

/// A neighbour in a prefix that the kernel does not know is asked for, and the packet counted.
#[test]
fn an_unknown_neighbour_is_solicited() {
    let mut router = router();
    send(&mut router, 17, host(SOLICITED, 9), &udp(7, b""));
    assert_eq!(router.worker.punt.solicited, [(2, host(SOLICITED, 9))]);
    let unresolved = router.worker.counters.drops[Reason::NeighborUnresolved as usize].get();
    assert_eq!(unresolved, 1);
}

/// C-040: what must not be answered takes nothing from the rate of what must.
#[test]
fn errors_about_errors_do_not_use_up_the_limit() {
    let mut router = router();
    let node = Node { icmp_source: OWN, icmp_rate: 10, ..Node::default() };
    router.writer.stage(Change::Node(node));
    while !router.writer.publish() {
        router.worker.round();
    }
    let error = [[1, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[0; 40]].concat();
    for _ in 0..1_000 {
        send(&mut router, 58, host(0x99, 1), &error);
    }
    send(&mut router, 17, host(0x99, 1), &udp(7, b""));
    let replies = &router.worker.counters.replies[Reason::NoRoute as usize];
    assert_eq!(replies.get(), 1);
}

/// A router with so many frames, and places in rings, after one round with 32 packets that are cut in
/// two, encapsulated, as they leave by port 1; and how many packets came out there.
fn cut(frames: u32, ring: usize) -> (Router<Host>, usize) {
    let settings = Settings { frames, ring, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, Host::default());
    router.worker.round();
    let packet = ipv4_without_df(0xc000_0201, 0xcb00_7101, &udp(1, &[7; 1440]));
    for _ in 0..32 {
        assert!(router.offer(0, &ethernet(own_mac(0), neighbour_mac(0), &packet)));
    }
    router.worker.round();
    assert_eq!(router.worker.frames_held(), frames as usize);
    let mut sent = 0;
    while let Some(frame) = router.take_sent(1, |_| ()) {
        router.worker.ports[1].complete(frame);
        sent += 1;
    }
    router.worker.round();
    assert_eq!(router.worker.frames_held(), frames as usize);
    (router, sent)
}

/// C-100: fragments take frames that nobody needs, and room in the ring that is there. Each packet is
/// counted once.
#[test]
fn fragments_take_what_is_left() {
    for (frames, ring, sent, forwarded, reason) in [
        (512, 128, 64, 32, None),
        // All frames wait for packets to come.
        (3 * 32, 64, 0, 0, Some(Reason::NoFrame)),
        (3 * 32 + 10, 64, 20, 10, Some(Reason::NoFrame)),
    ] {
        let (router, came) = cut(frames, ring);
        let counters = &router.worker.counters;
        let fragments = sent as u64 - forwarded;
        assert_eq!((came, counters.forwarded.get()), (sent, forwarded));
        assert_eq!(counters.fragments.get(), fragments);
        assert_eq!(counters.sent[1].get().packets, sent as u64);
        assert_eq!(counters.dropped.get(), 32 - forwarded);
        if let Some(reason) = reason {
            assert_eq!(counters.drops[reason as usize].get(), 32 - forwarded);
        }
    }
}

/// A packet leaves whole, or in all of its fragments, or not at all.
#[test]
fn fragments_leave_together() {
    let settings = Settings { frames: 512, ring: 64, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, Host::default());
    let packet = ipv4_without_df(0xc000_0201, 0xcb00_7101, &udp(1, &[7; 1440]));
    for _ in 0..3 {
        for _ in 0..21 {
            assert!(router.offer(0, &ethernet(own_mac(0), neighbour_mac(0), &packet)));
        }
        router.worker.round();
    }
    // Of 64 places in the ring 42 were taken, then two more: with fewer than 22 left there might be
    // no room for all of a burst and a tail.
    let counters = &router.worker.counters;
    assert_eq!((counters.forwarded.get(), counters.fragments.get()), (22, 22));
    assert_eq!(counters.drops[Reason::TxRingFull as usize].get(), 41);
    assert_eq!(router.worker.frames_held(), 512);
}

/// Packets that leave whole with the same burst take no first fragment's place.
#[test]
fn whole_packets_leave_no_tails() {
    let settings = Settings { frames: 1024, ring: 128, flow_label: FlowLabel::Hash };
    let whole = ipv6(17, 64, host(0xa, 1), host(0xb, 1), &udp(1, b"hello"));
    let long = ipv4_without_df(0xc000_0201, 0xcb00_7101, &udp(1, &[7; 1440]));
    for taken in [0, 16, 40, 64] {
        let mut router = Router::new(settings, Host::default());
        // As many places of the ring are taken, and then a burst comes with some of each.
        for count in [taken, 40] {
            for _ in 0..count {
                assert!(router.offer(0, &ethernet(own_mac(0), neighbour_mac(0), &whole)));
            }
            if count == 40 {
                for _ in 0..20 {
                    assert!(router.offer(0, &ethernet(own_mac(0), neighbour_mac(0), &long)));
                }
            }
            router.worker.round();
        }
        let (mut first, mut tails) = (0, 0);
        while let Some(frame) = router.take_sent(1, |bytes| {
            if bytes.len() > 1000 {
                first += 1;
            } else if bytes.len() > 100 {
                tails += 1;
            }
        }) {
            router.worker.ports[1].complete(frame);
        }
        println!("{taken} taken: {first} packets were cut");
        assert_eq!(first, tails);
        assert!(taken > 16 || first > 0);
        assert_eq!(router.worker.frames_held(), 1024);
    }
}
