//! The real worker loop on ports in memory: whatever comes in, no frame is lost, and every packet
//! is counted once.

#![forbid(unsafe_code)]

mod support;

use sidewinder_dataplane::{
    fib::FlowLabel,
    frame::{Frame, MAX_PACKET},
    port::Punt,
    verdict::Reason,
};
use support::{
    packet::{
        checksum, ethernet, fragment, icmpv6, ipv4, ipv4_without_df, ipv6, options, srh, udp, word,
    },
    router::{
        MTUS, NETWORKS, OWN, PORTS, Router, SIGNED, Settings, functions, host, key, neighbour_mac,
        own_mac, segment, sid,
    },
};

/// Packets that go through.
const PACKETS: u64 = 10_000_000;

/// Frames of the worker's memory.
const FRAMES: u32 = 2048;

/// Frames that the other ends of the ports keep for a while, at most.
const KEPT: usize = 600;

/// C-001, C-102: ten million packets of a random mix; after every round all frames are where they
/// belong, and received = forwarded + punted + replied + dropped. A packet that is cut is one, whatever its fragments.
#[test]
fn ten_million_packets() {
    let mut random = Random(0x5eed);
    let corpus = corpus();
    let settings = Settings { frames: FRAMES, ring: 256, flow_label: FlowLabel::Hash };
    let mut router = Router::new(settings, Host::default());
    let mut kept: Vec<(usize, Frame)> = Vec::with_capacity(KEPT);
    let (mut offered, mut sent, mut frame) = (0, 0, Vec::with_capacity(MAX_PACKET));
    while offered < PACKETS {
        for port in 0..PORTS {
            for _ in 0..random.below(80) {
                mangled(&corpus, port, &mut random, &mut frame);
                offered += u64::from(router.offer(port, &frame));
            }
        }
        router.worker.round();
        for port in 0..PORTS {
            // Now and then the other end is slow, and the port's ring fills up.
            if random.below(4) == 0 {
                continue;
            }
            while kept.len() < KEPT {
                match router.take_sent(port, |bytes| check(port, bytes)) {
                    Some(frame) => kept.push((port, frame)),
                    None => break,
                }
                sent += 1;
            }
        }
        while kept.len() > random.below(KEPT as u64 / 4) as usize {
            let (port, frame) = kept.swap_remove(random.below(kept.len() as u64) as usize);
            router.worker.ports[port].complete(frame);
        }
        assert_eq!(router.worker.frames_held() + kept.len(), router.frames);
        add_up(&router, offered, None);
    }
    // What still waits at the ports comes out in the end.
    for _ in 0..100 {
        for port in 0..PORTS {
            while let Some(frame) = router.take_sent(port, |bytes| check(port, bytes)) {
                router.worker.ports[port].complete(frame);
                sent += 1;
            }
        }
        router.worker.round();
    }
    add_up(&router, offered, Some(sent));
    kept.into_iter().for_each(|(port, frame)| router.worker.ports[port].complete(frame));
    router.worker.round();
    assert_eq!(router.worker.frames_held(), router.frames);
    every_reason_occurred(&router);
}

/// The counters, against each other and against what went in and came out. Packets that wait to be
/// received are not counted yet.
fn add_up(router: &Router<Host>, offered: u64, sent: Option<u64>) {
    let counters = &router.worker.counters;
    let received: u64 = counters.received.iter().map(|port| port.get().packets).sum();
    let (forwarded, punted) = (counters.forwarded.get(), counters.punted.get());
    let (replied, dropped) = (counters.replied.get(), counters.dropped.get());
    assert_eq!(received, forwarded + punted + replied + dropped);
    let by_reason = |counters: &[sidewinder_dataplane::counters::Counter]| -> u64 {
        counters.iter().map(|counter| counter.get()).sum()
    };
    assert_eq!(dropped, by_reason(&counters.drops));
    assert_eq!(replied, by_reason(&counters.replies));
    let handed_over: u64 = counters.sent.iter().map(|port| port.get().packets).sum();
    // Answers to the host's own packets are handed to the host.
    let left = forwarded + counters.fragments.get() + punted + replied;
    assert_eq!(handed_over + router.worker.punt.taken, left);
    assert!(received <= offered);
    if let Some(sent) = sent {
        assert_eq!((received, handed_over), (offered, sent));
    }
}

/// What leaves is a whole packet for the neighbour, with a hop limit left; or by port 1 the cargo of
/// End.DX2, whatever it is.
fn check(port: usize, bytes: &[u8]) {
    if port == 1 && (&bytes[..6], &bytes[6..12]) != (&neighbour_mac(port)[..], &own_mac(port)[..]) {
        // As long as a frame with a tag may be.
        assert!((14..=14 + 4 + usize::from(MTUS[port])).contains(&bytes.len()));
        return;
    }
    assert_eq!((&bytes[..6], &bytes[6..12]), (&neighbour_mac(port)[..], &own_mac(port)[..]));
    let packet = &bytes[14..];
    assert!(packet.len() <= usize::from(MTUS[port]));
    match word(bytes, 12) {
        0x86dd => {
            assert_eq!((packet[0] >> 4, 40 + word(packet, 4)), (6, packet.len()));
            assert!(packet[7] > 0);
        }
        0x0800 => {
            assert_eq!((packet[0] >> 4, word(packet, 2)), (4, packet.len()));
            assert_eq!(checksum(&packet[..4 * usize::from(packet[0] & 0xf)]), 0);
            assert!(packet[8] > 0);
        }
        other => panic!("EtherType {other:#06x}"),
    }
}

/// The mix reaches everything that a packet can be dropped or answered for.
fn every_reason_occurred(router: &Router<Host>) {
    let counters = &router.worker.counters;
    let missing: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| {
            let at = **reason as usize;
            // A limit per second: how fast the machine is decides whether it is reached.
            **reason != Reason::PuntLimited
                && counters.drops[at].get() + counters.replies[at].get() == 0
        })
        .map(|reason| reason.name())
        .collect();
    // The policies of this router all fit, its host and its fragments have enough (see limits.rs), and all
    // of its ports are inside the SR domain.
    let others = [
        Reason::NoFrame,
        Reason::NoHeadroom,
        Reason::ReversePath,
        Reason::SidFromOutside,
        Reason::SidSource,
        Reason::SidToOutside,
        Reason::SourceFromOutside,
    ];
    assert_eq!(missing, others.map(Reason::name));
    assert!(counters.fragments.get() > 1000);
    assert!(counters.forwarded.get() > PACKETS / 5 && counters.punted.get() > 0);
}

/// A host that refuses a packet now and then.
#[derive(Debug, Default)]
struct Host {
    offered: u64,
    taken: u64,
}

impl Punt for Host {
    fn punt(&mut self, _: &[u8]) -> bool {
        self.offered += 1;
        let takes = !self.offered.is_multiple_of(16);
        self.taken += u64::from(takes);
        takes
    }
}

/// One of the packets: half of them as they are, the others with up to four wrong bytes, cut, or
/// noise.
fn mangled(corpus: &[Vec<u8>], port: usize, random: &mut Random, frame: &mut Vec<u8>) {
    frame.clear();
    frame.extend(own_mac(port));
    frame.extend(neighbour_mac(port));
    frame.extend(&corpus[random.below(corpus.len() as u64) as usize][12..]);
    match random.below(16) {
        0 => frame[14..].iter_mut().for_each(|byte| *byte = random.next() as u8),
        1 => frame.truncate(random.below(frame.len() as u64 + 1) as usize),
        2..8 => {
            for _ in 0..=random.below(4) {
                // Most of what matters is at the start.
                let end = if random.below(4) == 0 { frame.len() } else { frame.len().min(120) };
                let at = random.below(end as u64) as usize;
                frame[at] = match random.below(3) {
                    0 => random.next() as u8,
                    1 => frame[at] ^ 1 << random.below(8),
                    _ => random.below(8) as u8,
                };
            }
        }
        _ => {}
    }
}

/// Packets that are as they should be, for every behavior and every way to go.
fn corpus() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let from = host(0xa, 1);
    let mut destinations: Vec<u128> =
        functions().into_iter().map(|(function, ..)| sid(function)).collect();
    destinations.extend(NETWORKS.map(|network| host(network, 1)));
    destinations.extend([OWN, segment(2, 1), segment(3, 1), 1 << 96, 0xff02 << 112 | 1]);
    for &to in &destinations {
        for (next, inner) in payloads() {
            for hop_limit in [64, 63, 255, 1] {
                packets.push(ipv6(next, hop_limit, from, to, &inner));
                for left in 0..4 {
                    let segs = [segment(3, 9), segment(2, 9), to];
                    let header = srh(next, &segs, left, 2, &inner);
                    packets.push(ipv6(43, hop_limit, from, to, &header));
                    packets.push(ipv6(0, hop_limit, from, to, &options(43, &header)));
                }
                let again = srh(next, &[sid(0xe0), sid(0xe1), to], 2, 2, &inner);
                packets.push(ipv6(43, hop_limit, from, to, &again));
                let later = fragment(next, 3, false, &inner);
                packets.push(ipv6(44, hop_limit, from, to, &later));
                packets.push(ipv6(43, hop_limit, from, to, &srh(44, &[to, to], 0, 1, &later)));
            }
        }
    }
    let round_and_round = srh(17, &[sid(0xe0); 18], 17, 17, &udp(1, b"hello"));
    packets.push(ipv6(43, 64, from, sid(0xe0), &round_and_round));
    for to in [0xc633_6401, 0xcb00_7101, 0x0808_0808, 0xe000_0001] {
        packets.push(ipv4(17, 64, 0xc000_0201, to, &udp(1, b"hello")));
        packets.push(ipv4(17, 1, 0xc000_0201, to, &udp(1, &[7; 1440])));
    }
    // In fragments: encapsulated, and with a header that is another now and then.
    let cut = ipv4_without_df(0xc000_0201, 0xcb00_7101, &udp(1, &[7; 1440]));
    packets.extend(std::iter::repeat_n(cut, 50));
    packets.extend(signed());
    packets.extend(errors());
    packets.iter().map(|packet| ethernet([0; 6], [0; 6], packet)).collect()
}

/// Packets for the SID that asks for an HMAC: with a right one, a wrong one, one of another key, none,
/// and with a TLV that is longer than its SRH.
fn signed() -> Vec<Vec<u8>> {
    let from = host(0xa, 1);
    let bare = srh(17, &[segment(3, 9), SIGNED], 1, 1, &[]);
    let mut right = bare.clone();
    key().sign(from, &mut right);
    let tlv = bare.len();
    let (mut wrong, mut others) = (right.clone(), right.clone());
    wrong[tlv + 20] ^= 1;
    others[tlv + 7] ^= 1;
    let mut long = right.clone();
    long[tlv..tlv + 2].copy_from_slice(&[124, 200]);
    let packet = |header: Vec<u8>| ipv6(43, 64, from, SIGNED, &[header, udp(1, b"hello")].concat());
    // As many as of others, so that each is met.
    let all = [right, wrong, others, bare, long].map(packet);
    std::iter::repeat_n(all, 20).flatten().collect()
}

/// Errors of other nodes about packets that were encapsulated here.
fn errors() -> Vec<Vec<u8>> {
    let inner = ipv6(17, 63, host(0xa, 1), host(0xc, 1), &udp(3, b"inner"));
    let one = ipv6(41, 60, OWN, segment(3, 0xd2), &inner);
    let about = [segment(3, 0xd2), segment(2, 0xe)];
    let two = ipv6(43, 60, OWN, segment(2, 0xe), &srh(41, &about, 1, 1, &inner));
    let from = segment(2, 1);
    let all = [one, two].map(|outer| {
        let message = icmpv6(from, OWN, [1, 0, 0, 0, 0, 0, 0, 0], &outer);
        ipv6(58, 64, from, OWN, &message)
    });
    std::iter::repeat_n(all, 20).flatten().collect()
}

/// What a packet may carry, with its protocol number.
fn payloads() -> Vec<(u8, Vec<u8>)> {
    let (from, to) = (host(0xa, 1), host(0xb, 1));
    let inner = |hop_limit, to| ipv6(17, hop_limit, from, to, &udp(3, b"inner"));
    vec![
        (17, udp(1, b"hello")),
        (17, udp(1, &[7; 1300])),
        (41, inner(64, to)),
        (41, inner(1, to)),
        (41, inner(64, host(0xd, 7))),
        (41, inner(64, OWN)),
        (4, ipv4(17, 64, 0xc000_0201, 0xc633_6401, &udp(1, b"hello"))),
        (58, icmpv6(from, sid(0xe0), [128, 0, 0, 0, 0, 1, 0, 1], b"ping")),
        (58, icmpv6(from, sid(0xe0), [3, 0, 0, 0, 0, 0, 0, 0], b"error")),
        (59, Vec::new()),
        (143, vec![0xff; 60]),
    ]
}

/// SplitMix64: the same packets in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}
