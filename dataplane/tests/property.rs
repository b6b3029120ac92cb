//! The whole pipeline against a model that does the same on a `Vec<u8>`, step by step as the RFCs
//! write it, with a linear search for a FIB.

#![forbid(unsafe_code)]

mod model;
mod support;

use proptest::prelude::*;
use sidewinder_dataplane::{fib::FlowLabel, port::memory::MemoryHost};
use support::{
    packet::{ethernet, ipv6, options, srh, udp},
    router::{OWN, PORTS, Router, Settings, host, neighbour_mac, own_mac, segment, sid},
};

const SETTINGS: Settings = Settings { frames: 256, ring: 64, flow_label: FlowLabel::Zero };

/// What comes out: by a port, or to the host.
type Out = Option<(usize, Vec<u8>)>;

/// The place of the host among the ports.
const HOST: usize = PORTS;

/// Runs an IP packet through the real worker.
fn pipeline(packet: &[u8]) -> Out {
    let mut router = Router::new(SETTINGS, MemoryHost::default());
    assert!(router.offer(0, &ethernet(own_mac(0), neighbour_mac(0), packet)));
    router.worker.round();
    let mut out: Vec<(usize, Vec<u8>)> =
        router.worker.punt.packets.drain(..).map(|packet| (HOST, packet)).collect();
    for port in 0..PORTS {
        while let Some(frame) = router.take_sent(port, |bytes| {
            assert_eq!(
                (&bytes[..6], &bytes[6..12]),
                (&neighbour_mac(port)[..], &own_mac(port)[..])
            );
            out.push((port, bytes[14..].to_vec()));
        }) {
            router.worker.ports[port].complete(frame);
        }
    }
    router.worker.round();
    assert_eq!(router.worker.frames_held(), router.frames);
    assert!(out.len() <= 1);
    out.pop()
}

/// Addresses that lead somewhere, and some that do not.
fn destination() -> impl Strategy<Value = u128> {
    prop_oneof![3 => address(), 1 => container()]
}

/// A container of compressed SIDs behind fc00:0::/32: of ours, of others, of nobody, and zeros.
fn container() -> impl Strategy<Value = u128> {
    let csid = prop::sample::select(vec![0x1c, 0x1d, 0xca, 0xc7, 0xd6, 0xb0, 2, 3, 0, 0xe, 0xffff]);
    let ours = prop::sample::select(vec![0x1c, 0x1d, 0xca, 0xc7, 0xd6, 0xb0]);
    (ours, prop::collection::vec(csid, 0..6)).prop_map(|(first, rest)| {
        let argument = rest
            .iter()
            .fold((0u128, 80), |(bits, at), csid: &u128| (bits | csid << (at - 16), at - 16));
        segment(first, 0) | argument.0
    })
}

fn address() -> impl Strategy<Value = u128> {
    prop::sample::select(vec![
        sid(0xe0),
        sid(0xe1),
        sid(0xd2),
        sid(0xb0),
        sid(0xb1),
        host(0xb, 1),
        host(0xc, 1),
        host(0xd, 1),
        host(0xe, 1),
        host(0x16, 1),
        segment(2, 1),
        segment(3, 1),
        OWN,
        0xff02 << 112 | 1,
        0xfe80 << 112 | 1,
    ])
}

fn hop_limit() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(1), Just(2), Just(3), Just(64), Just(255)]
}

/// What a packet carries, with its protocol number.
fn payload() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let inner = (destination(), hop_limit(), 0..1500usize).prop_map(|(to, hop_limit, len)| {
        (41, ipv6(17, hop_limit, host(0xa, 2), to, &udp(9, &vec![5; len])))
    });
    prop_oneof![
        2 => inner,
        1 => (0..1400usize).prop_map(|len| (17, udp(7, &vec![6; len]))),
        1 => Just((59, Vec::new())),
        1 => Just((253, b"experiment".to_vec())),
    ]
}

/// A packet with or without options and an SRH, which may be wrong in every field but the one that
/// says what follows it.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let segs = prop::collection::vec(destination(), 0..4);
    let header = (segs, 0..6u8, prop::option::weighted(0.2, 0..6u8), 0..4u8);
    let wrong = prop::option::weighted(0.3, (1..8usize, any::<u8>()));
    let with_srh = prop::option::weighted(0.8, (header, wrong));
    (destination(), hop_limit(), 0..3usize, with_srh, payload()).prop_map(
        |(to, hop_limit, count, with_srh, (next, inner))| {
            let (mut next, mut bytes) = (next, inner);
            if let Some(((segs, left, last, _), wrong)) = with_srh {
                let last = last.unwrap_or((segs.len() as u8).saturating_sub(1));
                bytes = srh(next, &segs, left, last, &bytes);
                if let Some((at, value)) = wrong {
                    bytes[at] = value;
                }
                next = 43;
            }
            for index in 0..count {
                bytes = options(next, &bytes);
                next = if index == 0 { 60 } else { 0 };
            }
            let mut packet = ipv6(next, hop_limit, host(0xa, 1), to, &bytes);
            packet.truncate(1700);
            let len = (packet.len() - 40) as u16;
            packet[4..6].copy_from_slice(&len.to_be_bytes());
            packet
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// C-011, C-012, C-013, C-014, C-020, C-021, C-030, C-034, C-042, C-054, C-070, C-080, C-082,
    /// C-060, C-061, C-100, C-130, C-131, C-132, C-133, C-134, C-135: for End, End with PSP, End.DT6, End, End.X,
    /// End.T and End.DT6 with NEXT-CSID, End.B6.Encaps, End.B6.Encaps.Red, H.Encaps, H.Encaps.Red and plain forwarding, the pipeline
    /// does what the model does, byte for byte, errors included.
    #[test]
    fn the_pipeline_equals_the_model(packet in packet()) {
        prop_assert_eq!(pipeline(&packet), model::process(&packet));
    }

    /// C-001: whatever comes in, nothing panics and no frame is lost.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600), version in 0..3u8) {
        let mut bytes = bytes;
        if let (Some(first), 1..) = (bytes.first_mut(), version) {
            *first = if version == 1 { 0x60 } else { 0x45 };
        }
        pipeline(&bytes);
    }

    /// C-001: the same for a good packet's first bytes with anything behind them.
    #[test]
    fn any_end_is_survived(packet in packet(), keep in 40..120usize,
                           end in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = packet;
        bytes.truncate(keep);
        bytes.extend(end);
        let len = (bytes.len() - 40) as u16;
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        pipeline(&bytes);
    }
}
