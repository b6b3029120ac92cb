//! Segment lists that begin at a SID of this router, which a file cannot have, but the kernel and a topology
//! can: what a SID refuses of the headers that were put in here is not the sender's to know.

#![forbid(unsafe_code)]

mod support;

use sidewinder_dataplane::{
    behavior::{
        headend::{Mode, SegmentList},
        insert::{InsertedList, Insertion},
    },
    counters::PacketCounters,
    fib::{Change, FlowLabel, Policy, entry::Entry},
    port::memory::CountingHost,
    verdict::Reason,
};
use support::{
    packet::{ethernet, ipv6, srh, udp},
    router::{OWN, Router, Settings, functions, host, neighbour_mac, own_mac, segment, sid},
};

/// A policy of ours that no other test has, and the network that is steered into it.
const POLICY: u32 = 9;
const STEERED: u16 = 0x99;

/// A router with this policy.
fn router(policy: Change) -> Router<CountingHost> {
    let settings = Settings { frames: 256, ring: 64, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, CountingHost::default());
    let key = host(STEERED, 0);
    let entry = Entry::encap(POLICY);
    router.writer.stage(policy);
    router.writer.stage(Change::Route { table: 0, v4: false, key, len: 48, entry });
    // Where End.T leads, the same destination is End.DT6.
    let decap = functions().iter().position(|(function, ..)| *function == 0xd2).unwrap();
    let entry = Entry::local(decap as u32);
    router.writer.stage(Change::Route { table: 1, v4: false, key, len: 48, entry });
    assert!(router.writer.publish());
    router
}

fn insertion(segs: &[u128]) -> Change {
    let lists = vec![InsertedList::new(segs, PacketCounters::new(1))];
    Change::Insertion(POLICY, Some(Insertion { lists, buckets: vec![0], table: 0 }))
}

fn encapsulation(segs: &[u128]) -> Change {
    let counters = PacketCounters::new(1);
    let lists = vec![SegmentList::new(Mode::Encaps, segs, OWN, 64, counters)];
    Change::Policy(POLICY, Some(Policy { lists, buckets: vec![0], table: 0 }))
}

/// What comes out by port 0 where the sender is, of a packet into the policy.
fn answers(router: &mut Router<CountingHost>, packet: &[u8]) -> Vec<Vec<u8>> {
    assert!(router.offer(0, &ethernet(own_mac(0), neighbour_mac(0), packet)));
    router.worker.round();
    let mut answers = Vec::new();
    while let Some(frame) = router.take_sent(0, |bytes| answers.push(bytes[14..].to_vec())) {
        router.worker.ports[0].complete(frame);
    }
    answers
}

/// C-042: End.DT6 with a segment left, in an SRH that was put in, or is in front.
#[test]
fn what_was_put_in_is_not_answered() {
    let segs = [sid(0xd2), segment(2, 9)];
    for policy in [insertion(&segs), encapsulation(&segs)] {
        let mut router = router(policy);
        let packet = ipv6(17, 64, host(0xa, 1), host(STEERED, 1), &udp(3, b"hello"));
        assert_eq!(answers(&mut router, &packet), Vec::<Vec<u8>>::new());
        let drops = &router.worker.counters.drops;
        assert_eq!(drops[Reason::SegmentsLeftAtEnd as usize].get(), 1);
    }
}

/// C-042: End.T leads the packet to End.DT6 with the SRH that it came with behind the one that was put in:
/// that is no packet to be decapsulated, and the pointer is to where it was when it came.
#[test]
fn what_the_sender_wrote_is_pointed_to_where_it_was() {
    let mut router = router(insertion(&[sid(0xf2)]));
    let own = srh(17, &[host(STEERED, 1)], 0, 0, &udp(3, b"hello"));
    let packet = ipv6(43, 64, host(0xa, 1), host(STEERED, 1), &own);
    let answers = answers(&mut router, &packet);
    assert_eq!(answers.len(), 1);
    let answer = &answers[0];
    // Parameter Problem, SR Upper-layer Header Error, at the UDP header.
    assert_eq!(
        (answer[6], &answer[40..42], &answer[44..48]),
        (58, &[4, 4][..], &[0, 0, 0, 64][..])
    );
    assert_eq!(answer[48..], packet);
}
