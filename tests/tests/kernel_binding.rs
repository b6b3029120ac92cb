//! A SID of the kernel that carries its segments itself: End.B6.Encaps. What comes out of Sidewinder is
//! what the kernel makes of the same packet, but for hop limits and the flow label; another list, and
//! none, take effect as they are told, and all is shown.

use anyhow::{Context, Result};
use serde_json::Value;
use sidewinder_tests::lab::star::LINKS;
use sidewinder_tests::lab::{Sidewinder as Daemon, linux, serial};
use sidewinder_tests::mirror::{BEST, SOURCE, lab, segment, toml, wait_until, ways};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

/// A packet without what the kernel and we write differently: the hop limits, of the outer header
/// and the inner one, and the outer flow label.
fn comparable(mut frame: Vec<u8>) -> Vec<u8> {
    const OUTER: usize = 14;
    frame[OUTER..OUTER + 4].fill(0);
    frame[OUTER + 7] = 0;
    let inner = OUTER + 40 + 8 * (usize::from(frame[OUTER + 41]) + 1);
    frame[inner + 7] = 0;
    frame
}

#[test]
fn a_sid_with_segments_of_its_own() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let (router, world) = (lab.node("router"), lab.node("world"));
    // What the kernel makes of it, before the daemon is there.
    linux::forwarding(router)?;
    for link in LINKS {
        router.sysctl(&format!("net/ipv6/conf/{link}/forwarding"), 1)?;
        router.sysctl(&format!("net/ipv6/conf/{link}/seg6_enabled"), 1)?;
    }
    router.run("ip sr tunsrc set fc00:0:1::1")?;
    router.ip("-6 route add fc00:0:2::/48 via fe80::b dev out0")?;
    router.ip("-6 route add fc00:0:4::/48 via fe80::c dev out1")?;
    let binding = |segs: &str| {
        format!("fc00:0:1:b:: encap seg6local action End.B6.Encaps srh segs {segs} dev in0")
    };
    let packet = |number| segment(number, "fc00:0:1:b::", "fc00:0:3:e::");
    let all =
        ["fc00:0:2:e::,fc00:0:5:d6::", "fc00:0:4:e::", "fc00:0:4:e::,fc00:0:2:e::,fc00:0:2:d6::"];
    let mut by_linux = Vec::new();
    for segs in all {
        router.ip(&format!("-6 route replace {}", binding(segs)))?;
        let (links, frame) = ways(world, 1, packet)?;
        assert_eq!(links.len(), 1, "Linux forwards it");
        by_linux.push((links, comparable(frame)));
    }
    router.ip("-6 route del fc00:0:1:b::")?;
    router.sysctl("net/ipv6/conf/all/forwarding", 0)?;

    let daemon = Daemon::start(router, &(toml(&LINKS) + SOURCE))?;
    let sid = || -> Result<Value> {
        let sids: Vec<Value> = serde_json::from_str(&daemon.command("show sids --json")?)?;
        sids.into_iter().find(|sid| sid["sid"] == "fc00:0:1:b::").context("no such SID")
    };
    for (segs, (links, frame)) in all.into_iter().zip(by_linux) {
        let line = binding(segs);
        router.ip(&format!("-6 route replace {line}"))?;
        let target = format!("sid End.B6.Encaps, H.Encaps {segs}");
        wait_until(&daemon, "fc00:0:1:b::/128", &[(&target, BEST)])?;
        let ours = ways(world, 1, packet)?;
        assert_eq!(ours.0, links, "{segs}");
        assert_eq!(comparable(ours.1), frame, "{segs}");
        let shown = sid()?;
        assert_eq!(shown["source"], "kernel");
        assert_eq!(shown["policy"], format!("H.Encaps {segs}"));
        let listed: Vec<&str> = shown["segs"]
            .as_array()
            .context("segments")?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(listed.join(","), segs);
        assert_eq!(shown["packets"], 1, "{segs}: another policy, another count");
        let text = daemon.command("show sids --as iproute2")?;
        let said = line.replace(" dev in0", " dev lo");
        assert!(text.contains(&format!("ip -6 route add {said}")), "{text}");
    }
    router.ip("-6 route del fc00:0:1:b::")?;
    wait_until(&daemon, "fc00:0:1:b::/128", &[])?;
    assert!(sid().is_err());
    let policies = daemon.command("show policies --json")?;
    assert!(!policies.contains("fc00:0:4:e::"), "{policies}");
    Ok(())
}
