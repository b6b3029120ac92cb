//! Policies with several segment lists.

#![forbid(unsafe_code)]

mod support;

use sidewinder_dataplane::{fib::FlowLabel, port::memory::MemoryHost};
use support::{
    packet::{address, ethernet, ipv6, udp},
    router::{Router, Settings, host, neighbour_mac, own_mac, segment},
};

/// C-089: lists of weight 3 and 1 get three quarters and one quarter of the flows, within four
/// standard deviations, and a flow stays on its list.
#[test]
fn lists_share_the_flows_by_weight() {
    let settings = Settings { frames: 256, ring: 64, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, MemoryHost::default());
    let mut on_the_first = 0;
    for flow in 0..10_000u16 {
        let packet = ipv6(17, 64, host(0xa, 1), host(0xf, 1), &udp(flow, b"hello"));
        let frame = ethernet(own_mac(0), neighbour_mac(0), &packet);
        let first = through(&mut router, &frame);
        assert_eq!(through(&mut router, &frame), first);
        assert!([segment(3, 0xd2), segment(2, 0xe)].contains(&first));
        on_the_first += u32::from(first == segment(3, 0xd2));
    }
    assert!((7500 - 173..=7500 + 173).contains(&on_the_first), "{on_the_first}");
}

/// The first segment that a frame is sent to.
fn through(router: &mut Router<MemoryHost>, frame: &[u8]) -> u128 {
    assert!(router.offer(0, frame));
    router.worker.round();
    let mut first = None;
    for port in [1, 2] {
        let sent = router.take_sent(port, |bytes| first = Some(address(bytes, 14 + 24)));
        sent.into_iter().for_each(|frame| router.worker.ports[port].complete(frame));
    }
    router.worker.round();
    first.expect("the packet is sent")
}
