//! The border of the SR domain, on real interfaces.
//!
//! ```text
//!             in0 +--------+ out0
//!   outside ------| router |------ the domain
//!                 |        |------ the domain
//!                 +--------+ out1
//! ```
//!
//! `sids_are_not_reached_from_outside`: with `domain = "external"` on in0 nothing that comes in there gets
//! to the SID block, ours or another node's, with an SRH or without; it is dropped, and counted. What
//! goes elsewhere passes, and into policies. From inside, the SIDs are reached, by sources of the domain
//! only (`sid-sources`). Nothing comes in that says it is from inside, and no SID of 5f00::/16 leaves. C-110,
//! C-111, C-113, C-115, C-165.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use anyhow::Context;
use sidewinder_tests::lab::star::{self, LINKS, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{Sidewinder as Daemon, Wire, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer, Srh};
use sidewinder_tests::packet::{mac, tag};
use sidewinder_tests::skip::Need::{AfXdp, Root, Sidewinder, Tool};

const TOML: &str = r#"
[router]
encap-source = "fc00:0:1::1"
sid-sources = ["fc00::/16"]
socket = "@SOCKET@"

[[locator]]
name = "main"
prefix = "fc00:0:1::/48"
block-bits = 32
node-bits = 16

[[sid]]
sid = "fc00:0:1:e::"
behavior = "End"

[[policy]]
name = "in"
behavior = "H.Encaps.Red"
segs = ["fc00:0:2:d6::"]

[[route]]
prefix = "2001:db8:e::/48"
policy = "in"

[[route]]
prefix = "2001:db8:b::/48"
nh6 = "fe80::b"
interface = "out0"

[[route]]
prefix = "5f00:9::/32"
nh6 = "fe80::a"
interface = "in0"

[[route]]
prefix = "fc00:0:2::/48"
nh6 = "fe80::b"
interface = "out0"

"#;

/// Packets of each kind.
const COUNT: u32 = 20;

/// Where a packet comes in, from which network, and its segments; and where it comes out, or the reason
/// for which it does not.
type Story = (usize, &'static str, &'static [&'static str], Result<usize, &'static str>);

#[test]
fn sids_are_not_reached_from_outside() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = star::forwarding()?;
    let router = lab.node("router");
    let interfaces =
        star::toml().replace("name = \"in0\"\n", "name = \"in0\"\ndomain = \"external\"\n");
    let daemon = Daemon::start(router, &format!("{TOML}{interfaces}"))?;
    let wire = Wire::open(lab.node("world"))?;
    let stories: [Story; 10] = [
        (0, "2001:db8:a::", &["fc00:0:1:e::", "fc00:0:2:e::"], Err("sid-from-outside")),
        (0, "2001:db8:a::", &["fc00:0:1:e::"], Err("sid-from-outside")),
        (0, "2001:db8:a::", &["fc00:0:2:d6::"], Err("sid-from-outside")),
        // Whoever it says it is.
        (0, "fc00:0:9::", &["fc00:0:1:e::", "fc00:0:2:e::"], Err("sid-from-outside")),
        (0, "2001:db8:a::", &["2001:db8:b::9"], Ok(1)),
        (0, "2001:db8:a::", &["2001:db8:e::9"], Ok(1)),
        // From outside, and it says from inside.
        (0, "fc00:0:9::", &["2001:db8:b::9"], Err("source-from-outside")),
        (2, "fc00:0:9::", &["5f00:9::9"], Err("sid-to-outside")),
        (2, "fc00:0:9::", &["fc00:0:1:e::", "fc00:0:2:e::"], Ok(1)),
        (2, "2001:db8:a::", &["fc00:0:1:e::", "fc00:0:2:e::"], Err("sid-source-refused")),
    ];
    for (number, (link, network, segments, fate)) in stories.into_iter().enumerate() {
        let before = fate.err().map(|reason| dropped(&daemon, reason)).transpose()?;
        for n in 0..COUNT {
            let id = number as u32 * COUNT + n;
            let segs: Vec<Ipv6Addr> =
                segments.iter().map(|sid| sid.parse()).collect::<Result<_, _>>()?;
            let header = Ipv6::new(tag::address(network.parse()?, id), segs[0]);
            let mut layers = vec![Layer::Ipv6(header)];
            if segs.len() > 1 {
                layers.push(Layer::Srh(Srh::starting(&segs)));
            }
            layers.push(Layer::Udp(4000, 4000, tag::tag(id).to_vec()));
            let frame = build::frame(mac(ROUTER_MACS[link]), mac(WORLD_MACS[link]), &layers);
            wire.send(LINKS[link], &frame)?;
        }
        let wait = Duration::from_millis(if fate.is_ok() { 2000 } else { 300 });
        let deadline = Instant::now() + wait;
        let mut came = 0;
        while came < COUNT
            && let Some(received) = wire.receive(deadline)?
        {
            let Some(id) = tag::find(&received.frame) else { continue };
            if id / COUNT == number as u32 {
                let out = fate.ok().with_context(|| format!("story {number}: packet {id} came"))?;
                assert_eq!(received.link, wire.link(LINKS[out]), "story {number}, packet {id}");
                came += 1;
            }
        }
        match (fate, before) {
            (Err(reason), Some(before)) => {
                assert_eq!(dropped(&daemon, reason)? - before, u64::from(COUNT), "story {number}");
            }
            _ => assert_eq!(came, COUNT, "story {number}"),
        }
    }
    Ok(())
}

/// Packets that were dropped for a reason.
fn dropped(daemon: &Daemon, reason: &str) -> anyhow::Result<u64> {
    let text = daemon.command("show drops --json")?;
    let shown: serde_json::Value = serde_json::from_str(&text)?;
    let found = shown.as_array().into_iter().flatten().find(|one| one["reason"] == reason);
    // Reasons for which nothing was dropped are not there.
    Ok(found.and_then(|one| one["dropped"].as_u64()).unwrap_or(0))
}
