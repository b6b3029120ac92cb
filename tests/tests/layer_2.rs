//! Ethernet frames as cargo, on real interfaces.
//!
//! ```text
//!   wire ---- in0 +--------+ out0 ---- SR domain
//!                 | router |
//!   wire ---------|        |
//!            out1 +--------+
//! ```
//!
//! `frames_go_in_and_come_out`: frames that the kernel would keep to itself (broadcast, ARP, multicast,
//! to somebody else's address) and others come in by in0, which is steered as a whole into H.Encaps.L2,
//! and leave by out0 as cargo, unchanged, and in0 takes what is for other hosts; the same cargo back, to the SID of End.DX2, leaves by out1 as
//! the frames that went in. C-057, C-087.

use std::time::{Duration, Instant};

use sidewinder_tests::lab::star::{self, LINKS, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{Sidewinder as Daemon, Wire, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::{ETHERNET, IPV6, mac};
use sidewinder_tests::skip::Need::{AfXdp, Root, Sidewinder, Tool};

const TOML: &str = r#"
[router]
encap-source = "fc00:0:1::1"
socket = "@SOCKET@"

[[locator]]
name = "main"
prefix = "fc00:0:1::/48"

[[sid]]
sid = "fc00:0:1:d2::"
behavior = "End.DX2"
interface = "out1"

[[policy]]
name = "wire"
behavior = "H.Encaps.L2.Red"
segs = ["fc00:0:2:d2::"]

[[route]]
prefix = "fc00:0:2::/48"
nh6 = "fe80::b"
interface = "out0"

"#;

#[test]
fn frames_go_in_and_come_out() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = star::forwarding()?;
    let router = lab.node("router");
    let interfaces =
        star::toml().replace("name = \"in0\"\n", "name = \"in0\"\npolicy = \"wire\"\n");
    let _daemon = Daemon::start(router, &format!("{TOML}{interfaces}"))?;
    let wire = Wire::open(lab.node("world"))?;
    let frame = |destination: &str, kind: [u8; 2]| {
        let addresses = [mac(destination), mac(WORLD_MACS[0])].concat();
        [&addresses, &kind[..], &[7; 60]].concat()
    };
    for frame in [
        frame("ff:ff:ff:ff:ff:ff", [0x08, 0x06]),
        frame("01:80:c2:00:00:0e", [0x88, 0xcc]),
        frame("33:33:00:00:00:01", [0x86, 0xdd]),
        frame("02:00:00:00:0b:ad", [0x08, 0x00]),
        frame(ROUTER_MACS[0], [0x88, 0xb5]),
    ] {
        wire.send(LINKS[0], &frame)?;
        let mut cargo = take(&wire, LINKS[1], |bytes| bytes.ends_with(&frame))?;
        assert_eq!(cargo.len(), ETHERNET + IPV6 + frame.len(), "{cargo:02x?}");
        assert_eq!(cargo[ETHERNET + 6], 143, "{cargo:02x?}");
        // Back: from the other end's addresses to ours, and to our SID.
        cargo[..6].copy_from_slice(&mac(ROUTER_MACS[1]));
        cargo[6..12].copy_from_slice(&mac(WORLD_MACS[1]));
        let (source, sid) = ("fc00:0:2::1", "fc00:0:1:d2::");
        for (at, address) in [(8, source), (24, sid)] {
            let address: std::net::Ipv6Addr = address.parse()?;
            cargo[ETHERNET + at..][..16].copy_from_slice(&address.octets());
        }
        wire.send(LINKS[1], &cargo)?;
        assert_eq!(take(&wire, LINKS[2], |bytes| *bytes == *frame)?, frame);
    }
    Ok(())
}

/// The next such frame from a link.
fn take(wire: &Wire, link: &str, such: impl Fn(&[u8]) -> bool) -> anyhow::Result<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(2);
    while let Some(received) = wire.receive(deadline)? {
        if received.link == wire.link(link) && such(&received.frame) {
            return Ok(received.frame);
        }
    }
    anyhow::bail!("nothing came from {link}")
}
