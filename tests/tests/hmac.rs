//! The HMAC TLV beside the kernel's: who signs and who verifies may be either of the two.
//!
//! ```text
//!             in0 +----------+ out0  fe80::b       in0 +----------+ out1
//!  2001:db8:a:: --| headend  |-------- … ------------ -| endpoint |------- fe80::c, fc00:0:3::
//!                 +----------+                         +----------+
//! ```
//!
//! `both_sign_alike`: the same packets into Linux and into Sidewinder, which encapsulate them by `encap`
//! and `encap.red` with one to three segments, signed with the same key: the same bytes come out. C-083,
//! C-122.
//!
//! `each_verifies_what_the_other_signed`: what came out of either goes to the first segment, where Linux
//! (`seg6_require_hmac = 1`) and Sidewinder (`hmac = "require"`) send it on, the same bytes; and with one
//! bit of it changed, any that is signed or is the digest, neither does: Linux says nothing, Sidewinder
//! sends the Parameter Problem and counts `hmac-invalid`. Without a TLV neither does. C-120, C-124.
//!
//! `keys_roll_over_without_a_loss`: the headend goes from one key to another by `reload`, while the
//! endpoint takes both. C-125.

use std::net::Ipv6Addr;

use anyhow::{Context, Result};
use sidewinder_tests::differential::side::{LONG_QUIET, Output, Side};
use sidewinder_tests::differential::subject::{self, FAR_HOST};
use sidewinder_tests::generator::Case;
use sidewinder_tests::lab::star::{ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{linux, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer};
use sidewinder_tests::packet::{ETHERNET, IPV6, mac, tag};
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

const SECRET: &str = "known to both ends";

/// What Sidewinder is told of keys: 1 is the kernel's, too.
const KEYS: &str = "[[key]]\nid = 1\nform = \"linux\"\nsecret = \"known to both ends\"\n\n\
                    [[key]]\nid = 2\nsecret = \"known to Sidewinder\"\n";

/// Outer source: errors go back by in0.
const SOURCE: &str = "2001:db8:a::1";

const SEGMENTS: [&str; 3] = ["fc00:0:2:e::", "fc00:0:3:e::", "fc00:0:4:d6::"];

/// Packets for each way to encapsulate.
const PACKETS: u32 = 200;

/// A way to encapsulate: the kernel's word, ours, and how many segments.
type Way = (&'static str, &'static str, usize);

const WAYS: [Way; 6] = [
    ("encap", "H.Encaps", 1),
    ("encap", "H.Encaps", 2),
    ("encap", "H.Encaps", 3),
    ("encap.red", "H.Encaps.Red", 1),
    ("encap.red", "H.Encaps.Red", 2),
    ("encap.red", "H.Encaps.Red", 3),
];

#[test]
fn both_sign_alike() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"), Tool("setsid"));
    let _turn = serial();
    for way in WAYS {
        let (mut kernel, mut ours) = (linux_headend(way)?, headend(way, 1)?);
        for cases in plain().chunks(32) {
            let outputs = (kernel.observe(cases)?, ours.observe(cases)?);
            let (Some(theirs), Some(ours)) = outputs else { panic!("untagged: {way:?}") };
            for ((case, theirs), ours) in cases.iter().zip(theirs).zip(ours) {
                assert_eq!(theirs.len(), 1, "Linux, {way:?}, case {}: {theirs:02x?}", case.id);
                let [mut ours] = <[Output; 1]>::try_from(ours).unwrap_or_else(|all| {
                    panic!("{way:?}, case {}: {all:02x?}", case.id);
                });
                // The inner hop limit is taken from here, and not by Linux (RFC 2473, 3.1).
                let hops = inner(&ours.frame) + 7;
                ours.frame[hops] += 1;
                assert_eq!(theirs, [ours], "{way:?}, case {}", case.id);
            }
        }
    }
    Ok(())
}

#[test]
fn each_verifies_what_the_other_signed() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"), Tool("setsid"));
    let _turn = serial();
    let mut signed = Vec::new();
    for (index, way) in WAYS.into_iter().filter(|(_, _, segments)| *segments > 1).enumerate() {
        // One of either.
        let case = &plain()[index];
        signed.push(("Linux", way, signed_by(linux_headend(way)?, case)?));
        signed.push(("Sidewinder", way, signed_by(headend(way, 1)?, case)?));
    }
    let (mut kernel, mut ours) = (linux_endpoint()?, endpoint()?);
    for (signer, way, case) in &signed {
        let theirs = kernel.observe_alone(case, LONG_QUIET)?;
        assert_eq!(theirs.len(), 1, "Linux refuses what {signer} signed, {way:?}");
        let same = ours.observe_alone(case, LONG_QUIET)?;
        assert_eq!(theirs, same, "signed by {signer}, {way:?}");
    }
    let (_, _, case) = signed.first().context("nothing was signed")?;
    let before = refused(&ours, "hmac-invalid")?;
    let bits = covered(&case.frame);
    for &bit in &bits {
        let mut case = case.clone();
        case.frame[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(kernel.observe_alone(&case, LONG_QUIET)?, [], "bit {bit}");
        let answer = ours.observe_alone(&case, LONG_QUIET)?;
        let [Output { link: 0, frame }] = &*answer else { panic!("bit {bit}: {answer:?}") };
        let message = &frame[ETHERNET + IPV6..];
        let pointer = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
        assert_eq!((message[0], message[1]), (4, 0), "bit {bit}");
        assert_eq!(pointer as usize, tlv(&case.frame) - ETHERNET, "bit {bit}");
    }
    assert_eq!(refused(&ours, "hmac-invalid")? - before, bits.len() as u64);
    // Without a TLV.
    let mut bare = case.clone();
    let at = tlv(&bare.frame);
    bare.frame.drain(at..at + 40);
    let length = u16::from_be_bytes([bare.frame[ETHERNET + 4], bare.frame[ETHERNET + 5]]) - 40;
    bare.frame[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&length.to_be_bytes());
    bare.frame[ETHERNET + IPV6 + 1] -= 5;
    bare.frame[ETHERNET + IPV6 + 5] = 0;
    assert_eq!(kernel.observe_alone(&bare, LONG_QUIET)?, []);
    assert_eq!(ours.observe_alone(&bare, LONG_QUIET)?, []);
    assert_eq!(refused(&ours, "hmac-missing")?, 1);
    Ok(())
}

#[test]
fn keys_roll_over_without_a_loss() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let way = ("", "H.Encaps", 2);
    let (mut first, mut last) = (headend(way, 1)?, endpoint()?);
    let mut ids = Vec::new();
    for key in [1, 2, 1] {
        first.daemon.as_ref().context("a daemon")?.reload(&headend_toml(way, key))?;
        for case in &plain()[..20] {
            let output = first.observe_alone(case, LONG_QUIET)?;
            let signed = to_endpoint(case.id, &output)?;
            let at = tlv(&signed.frame);
            ids.push(signed.frame[at + 7]);
            assert_eq!(last.observe_alone(&signed, LONG_QUIET)?.len(), 1, "key {key}");
        }
    }
    ids.dedup();
    assert_eq!(ids, [1, 2, 1]);
    let sids = last.daemon.as_ref().context("a daemon")?.command("show sids --json")?;
    assert!(sids.contains("\"hmac\": \"require\"") || sids.contains("\"hmac\":\"require\""));
    Ok(())
}

/// Packets that are to be encapsulated, of several lengths, classes and flows.
fn plain() -> Vec<Case> {
    let packet = |id: u32| {
        let source = tag::address(Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 0), id);
        let target = FAR_HOST.parse().unwrap_or(Ipv6Addr::UNSPECIFIED);
        let header = Ipv6 {
            class: id as u8,
            label: (id * 2654) & 0xf_ffff,
            // Linux copies it into the outer header, after its own hop.
            hops: 65,
            ..Ipv6::new(source, target)
        };
        let payload = [tag::tag(id).to_vec(), vec![id as u8; id as usize * 5]].concat();
        let layers = [Layer::Ipv6(header), Layer::Udp(id as u16, 4789, payload)];
        let frame = build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers);
        Case { id, note: "good".into(), frame }
    };
    (1..=PACKETS).map(packet).collect()
}

fn linux_headend((mode, _, segments): Way) -> Result<Side> {
    let segs = SEGMENTS[..segments].join(",");
    let route =
        format!("route add 2001:db8:e::/48 encap seg6 mode {mode} segs {segs} hmac 1 dev out0");
    // Both have to be there before the first packet only.
    Side::kernel(vec![route], |router| {
        router.run(&format!("ip sr tunsrc set {SOURCE}"))?;
        linux::hmac_key(router, 1, SECRET)
    })
}

fn headend(way: Way, key: u32) -> Result<Side> {
    Side::with_secrets(&headend_toml(way, key), &[("keys.toml", KEYS)])
}

fn headend_toml((_, behavior, segments): Way, key: u32) -> String {
    format!(
        "{}[[policy]]\nname = \"far\"\nbehavior = \"{behavior}\"\nsegs = {:?}\nhmac-key = {key}\nsource = \"{SOURCE}\"\n\n\
         [[route]]\nprefix = \"2001:db8:e::/48\"\npolicy = \"far\"\n",
        toml(),
        &SEGMENTS[..segments]
    )
}

fn linux_endpoint() -> Result<Side> {
    let route = format!("route add {}/128 encap seg6local action End dev out0", SEGMENTS[0]);
    Side::kernel(vec![route], |router| {
        router.sysctl("net/ipv6/conf/in0/seg6_require_hmac", 1)?;
        linux::hmac_key(router, 1, SECRET)
    })
}

fn endpoint() -> Result<Side> {
    let sid =
        format!("[[sid]]\nsid = \"{}\"\nbehavior = \"End\"\nhmac = \"require\"\n", SEGMENTS[0]);
    Side::with_secrets(&format!("{}{sid}", toml()), &[("keys.toml", KEYS)])
}

fn toml() -> String {
    subject::toml().replace("[router]\n", "[router]\nhmac-keys = \"keys.toml\"\n")
}

/// What a headend makes of a packet, on its way into the first segment's router.
fn signed_by(mut headend: Side, case: &Case) -> Result<Case> {
    let output = headend.observe_alone(case, LONG_QUIET)?;
    to_endpoint(case.id, &output)
}

fn to_endpoint(id: u32, output: &[Output]) -> Result<Case> {
    let [Output { frame, .. }] = output else { anyhow::bail!("case {id}: {output:02x?}") };
    let mut frame = frame.clone();
    frame[..6].copy_from_slice(&mac(ROUTER_MACS[0]));
    frame[6..12].copy_from_slice(&mac(WORLD_MACS[0]));
    Ok(Case { id, note: "signed".into(), frame })
}

/// Where the inner packet begins.
fn inner(frame: &[u8]) -> usize {
    ETHERNET + IPV6 + 8 * (usize::from(frame[ETHERNET + IPV6 + 1]) + 1)
}

/// Where the TLV begins: behind the segment list.
fn tlv(frame: &[u8]) -> usize {
    let srh = ETHERNET + IPV6;
    srh + 8 + 16 * (usize::from(frame[srh + 4]) + 1)
}

/// A bit of each byte that is signed and leaves the packet one for the SID, and of the digest.
fn covered(frame: &[u8]) -> Vec<usize> {
    let (srh, tlv) = (ETHERNET + IPV6, tlv(frame));
    // The first half of the source leads the answer here; the segment that is the destination is
    // left alone.
    let source = ETHERNET + 16..ETHERNET + 24;
    let last = srh + 8..srh + 24;
    let digest = tlv + 8..tlv + 40;
    source.chain(last).chain(digest).map(|byte| byte * 8 + byte % 8).collect()
}

/// How many packets were answered or dropped for a reason.
fn refused(side: &Side, reason: &str) -> Result<u64> {
    let text = side.daemon.as_ref().context("no daemon")?.command("show drops --json")?;
    let drops: serde_json::Value = serde_json::from_str(&text)?;
    let rows = drops.as_array().context("no list")?;
    let row = rows.iter().find(|row| row["reason"] == reason);
    Ok(row.map_or(0, |row| {
        row["dropped"].as_u64().unwrap_or(0) + row["replied"].as_u64().unwrap_or(0)
    }))
}
