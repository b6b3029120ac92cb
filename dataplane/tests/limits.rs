//! What a flood must not do to the host.

#![forbid(unsafe_code)]

mod support;

use sidewinder_dataplane::{
    fib::{Change, FlowLabel, Node, entry::Entry, entry::PortIndex},
    port::Punt,
    verdict::Reason,
};
use support::{
    packet::{ethernet, ipv6, udp},
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
