//! The stories that the kernel's own selftests tell of its SRv6 (tools/testing/selftests/net/srv6_*.sh),
//! with Sidewinder in the routers' place: customers behind four routers that are all linked to one
//! another ([`sidewinder_tests::mesh`]), so that only segments make packets take another way than the
//! shortest.
//!
//! | here | there |
//! |---|---|
//! | `end_dt4` | srv6_end_dt4_l3vpn_test.sh |
//! | `end_dt6` | srv6_end_dt6_l3vpn_test.sh |
//! | `end_dt46` | srv6_end_dt46_l3vpn_test.sh |
//! | `psp_flavor` | srv6_end_flavors_test.sh |
//! | `next_csid` | srv6_end_next_csid_l3vpn_test.sh |
//! | `end_x_next_csid` | srv6_end_x_next_csid_l3vpn_test.sh |
//! | `h_encaps_red` | srv6_hencap_red_l3vpn_test.sh |
//! | `h_l2_encaps_red` | srv6_hl2encap_red_l2vpn_test.sh |
//!
//! Each customer's hosts reach one another, over both families where the behavior takes both; the two
//! customers have the same addresses, and packets of one never come to the other; an address that only
//! one of them has answers to that one. The counters of the SIDs say that packets went by the segments;
//! on the wire, a trace shows the policy that the frames of the interface are steered into.

use std::process::Stdio;

use sidewinder_tests::lab::serial;
use sidewinder_tests::mesh::{BLUE, Mesh, RED, Story};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{AfXdp, Root, Sidewinder, Tool};

/// Pings each way.
const COUNT: u32 = 20;

const DT4: &str = "
[[sid]]
sid = \"fc00:0:@N@:d@T@00::\"
behavior = \"End.DT4\"
table = @T@00

";

const DT6: &str = "
[[sid]]
sid = \"fc00:0:@N@:d@T@00::\"
behavior = \"End.DT6\"
table = @T@00

";

const DT46: &str = "
[[sid]]
sid = \"fc00:0:@N@:d@T@00::\"
behavior = \"End.DT46\"
table = @T@00

";

const END: &str = "
[[sid]]
sid = \"fc00:0:@N@:e::\"
behavior = \"End\"

[[sid]]
sid = \"fc00:0:@N@:d@T@00::\"
behavior = \"End.DT46\"
table = @T@00

";

const PSP: &str = "
[[sid]]
sid = \"fc00:0:@N@:e::\"
behavior = \"End\"

[[sid]]
sid = \"fc00:0:@N@:e1::\"
behavior = \"End\"
flavors = [\"PSP\"]

[[sid]]
sid = \"fc00:0:@N@:d@T@00::\"
behavior = \"End.DT46\"
table = @T@00

";

const CSID: &str = "
[[sid]]
sid = \"fcbb:0:@N@::/48\"
behavior = \"End\"
flavors = [\"NEXT-CSID\"]

[[sid]]
sid = \"fcbb:0:@N@:d@T@00::/64\"
behavior = \"End.DT46\"
flavors = [\"NEXT-CSID\"]
table = @T@00

";

/// As [`CSID`], and every router has a local compressed SID for the next one: r3 for r4.
const CSID_X: &str = "
[[sid]]
sid = \"fcbb:0:@N@::/48\"
behavior = \"End\"
flavors = [\"NEXT-CSID\"]

[[sid]]
sid = \"fcbb:0:@N@:d@T@00::/64\"
behavior = \"End.DT46\"
flavors = [\"NEXT-CSID\"]
table = @T@00

[[sid]]
sid = \"fcbb:0:e00@N@::/48\"
behavior = \"End.X\"
flavors = [\"NEXT-CSID\"]
nh6 = \"fe80::@NEXT@\"
interface = \"to@NEXT@\"

";

/// Both customers' sites reach each other, each customer its own; and packets were counted by these SIDs
/// of these routers.
fn tell(story: &Story, passed: &[(usize, &str)]) -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let mesh = Mesh::new(story)?;
    let mut families = Vec::new();
    if story.v6 {
        families.push(("2001:db8:1::1", "2001:db8:2::1", "2001:db8:9::1"));
    }
    if story.v4 {
        families.push(("10.0.1.1", "10.0.2.1", "10.0.9.1"));
    }
    for (one, two, only_blue) in families {
        for customer in [RED, BLUE] {
            let (near, far) = (format!("{}1", customer.name), format!("{}2", customer.name));
            let other = if customer == RED { "blue2" } else { "red2" };
            let [theirs, others] = [&*far, other].map(|host| mesh.lab.node(host));
            let before = [theirs.sent("eth0")?, others.sent("eth0")?];
            mesh.ping(&near, two, COUNT)?;
            mesh.ping(&far, one, COUNT)?;
            let [theirs, others] =
                [theirs.sent("eth0")? - before[0], others.sent("eth0")? - before[1]];
            // What the other host's kernel says by itself may be among them.
            assert!(theirs >= u64::from(2 * COUNT), "{far} sent {theirs}");
            assert!(others < u64::from(COUNT), "{other} sent {others}");
        }
        mesh.ping("blue1", only_blue, COUNT)?;
        assert!(mesh.is_silent("red1", only_blue), "{only_blue} answers red");
    }
    for (router, sid) in passed {
        let packets = mesh.packets(*router, sid)?;
        assert!(packets >= u64::from(COUNT), "{packets} packets at {sid} of r{router}");
    }
    // Routers reach each other by what they are.
    mesh.ping("r1", "fc00:0:2::1", 3)?;
    Ok(())
}

/// One SID between the sites: a decapsulation, whose own the families are.
fn decapsulation(everywhere: &'static str, v4: bool, v6: bool) -> Outcome {
    let story = Story {
        headend: "H.Encaps",
        forth: &["fc00:0:2:d@T@00::"],
        back: &["fc00:0:1:d@T@00::"],
        everywhere,
        v4,
        v6,
    };
    tell(&story, &[(1, "fc00:0:1:d100::"), (2, "fc00:0:2:d100::"), (2, "fc00:0:2:d200::")])
}

#[test]
fn end_dt4() -> Outcome {
    decapsulation(DT4, true, false)
}

#[test]
fn end_dt6() -> Outcome {
    decapsulation(DT6, false, true)
}

#[test]
fn end_dt46() -> Outcome {
    decapsulation(DT46, true, true)
}

/// C-100: where the core takes no more than the customers' links, IPv4 packets of full length are cut inside
/// of what encapsulates them, and the hosts' kernels put them together; those that must not be cut do not
/// get through.
#[test]
fn packets_of_full_length() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let story = Story {
        headend: "H.Encaps",
        forth: &["fc00:0:2:d@T@00::"],
        back: &["fc00:0:1:d@T@00::"],
        everywhere: DT4,
        v4: true,
        v6: false,
    };
    let mesh = Mesh::new(&story)?;
    for (router, link) in [("r1", "to2"), ("r2", "to1")] {
        mesh.lab.node(router).ip(&format!("link set {link} mtu 1500"))?;
    }
    mesh.ping("red1", "10.0.2.1", COUNT)?;
    let host = mesh.lab.node("red1");
    let whole = "ping -4 -n -c 20 -i 0.02 -W 2 -s 1472";
    let said = host.run(&format!("{whole} -M dont 10.0.2.1"))?;
    assert!(said.contains(" 0% packet loss"), "{said}");
    assert!(host.run("ping -4 -n -c 3 -i 0.2 -W 1 -s 1472 -M do 10.0.2.1").is_err());
    for router in [1, 2] {
        let shown: serde_json::Value =
            serde_json::from_str(&mesh.ask(router, "show workers --json")?)?;
        let fragments = shown[0]["fragments"].as_u64();
        assert!(fragments.is_some_and(|fragments| fragments >= 20), "r{router}: {shown}");
    }
    Ok(())
}

#[test]
fn psp_flavor() -> Outcome {
    let story = Story {
        headend: "H.Encaps",
        forth: &["fc00:0:3:e::", "fc00:0:4:e1::", "fc00:0:2:d@T@00::"],
        back: &["fc00:0:3:e1::", "fc00:0:1:d@T@00::"],
        everywhere: PSP,
        v4: true,
        v6: true,
    };
    tell(&story, &[(3, "fc00:0:3:e::"), (4, "fc00:0:4:e1::"), (3, "fc00:0:3:e1::")])
}

#[test]
fn next_csid() -> Outcome {
    let story = Story {
        headend: "H.Encaps.Red",
        forth: &["fcbb:0:3:4:2:d@T@00::"],
        back: &["fcbb:0:4:3:4::", "fcbb:0:1:d@T@00::"],
        everywhere: CSID,
        v4: true,
        v6: true,
    };
    tell(&story, &[(3, "fcbb:0:3::"), (4, "fcbb:0:4::"), (2, "fcbb:0:2:d100::")])
}

#[test]
fn end_x_next_csid() -> Outcome {
    let story = Story {
        headend: "H.Encaps.Red",
        forth: &["fcbb:0:3:e003:2:d@T@00::"],
        back: &["fcbb:0:1:d@T@00::"],
        everywhere: CSID_X,
        v4: true,
        v6: true,
    };
    tell(&story, &[(3, "fcbb:0:e003::"), (2, "fcbb:0:2:d200::")])
}

#[test]
fn h_encaps_red() -> Outcome {
    let story = Story {
        headend: "H.Encaps.Red",
        forth: &["fc00:0:3:e::", "fc00:0:4:e::", "fc00:0:2:d@T@00::"],
        back: &["fc00:0:1:d@T@00::"],
        everywhere: END,
        v4: true,
        v6: true,
    };
    tell(&story, &[(3, "fc00:0:3:e::"), (4, "fc00:0:4:e::"), (1, "fc00:0:1:d200::")])
}

#[test]
fn h_l2_encaps_red() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let mesh = Mesh::with_wire()?;
    let pinging = "ping -6 -n -i 0.1 2001:db8:77::2";
    let pinging = mesh.lab.node("wire1").spawn(pinging, Stdio::null())?;
    let text = mesh.ask(1, "trace --count 1 --timeout 5 --interface wire")?;
    for part in ["wire", "H.Encaps.L2.Red", "fc00:0:3:e::"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    drop(pinging);
    mesh.ping("wire1", "2001:db8:77::2", COUNT)?;
    mesh.ping("wire2", "10.0.77.1", COUNT)?;
    for (router, sid) in [(3, "fc00:0:3:e::"), (2, "fc00:0:2:d2::"), (1, "fc00:0:1:d2::")] {
        let packets = mesh.packets(router, sid)?;
        assert!(packets >= u64::from(COUNT), "{packets} packets at {sid} of r{router}");
    }
    Ok(())
}
