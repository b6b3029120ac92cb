//! What policies add to packets, against the MTU of interfaces.

use insta::assert_snapshot;

use super::good;
use crate::Headend;

const POLICY: &str = r#"
[[policy]]
name = "to-r3"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::", "fc00:0:3:d6::"]
"#;

fn mtus(eth0: u32, eth1: u32) -> impl Fn(&str) -> Option<u32> {
    move |name| match name {
        "eth0" => Some(eth0),
        "eth1" => Some(eth1),
        _ => None,
    }
}

#[test]
fn overhead() {
    assert_eq!([1, 2, 13].map(|n| Headend::HEncaps.overhead(n)), [64, 80, 256]);
    assert_eq!([1, 2, 14].map(|n| Headend::HEncapsRed.overhead(n)), [40, 64, 256]);
}

#[test]
fn enough() {
    let checked = good(POLICY);
    assert!(checked.check_mtu(mtus(1360, 1360)).is_empty());
    assert!(checked.check_mtu(|_| None).is_empty());
}

#[test]
fn too_small_for_ipv6() {
    let report = good(POLICY).check_mtu(mtus(1359, 9000));
    assert!(!report.has_errors());
    assert_snapshot!(report, @r#"
    warning: policy `to-r3` leaves 1279 bytes on `eth0`; IPv6 needs 1280
      --> r1.toml:15:8
       |
    15 | segs = ["fc00:0:2:e::", "fc00:0:3:d6::"]
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ H.Encaps adds 80 bytes
       |
       = help: raise the MTU of `eth0` from 1359 to 1360 bytes at least, or shorten the list
    "#);
}

#[test]
fn too_small_for_anything() {
    let report = good(POLICY).check_mtu(mtus(1500, 80));
    assert!(report.has_errors());
    assert_snapshot!(report, @r#"
    error: policy `to-r3`: the overhead exceeds the MTU of `eth1`
      --> r1.toml:15:8
       |
    15 | segs = ["fc00:0:2:e::", "fc00:0:3:d6::"]
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ H.Encaps adds 80 bytes
       |
       = help: `eth1` has an MTU of 80 bytes: raise it, or shorten the list
    "#);
}

#[test]
fn only_the_interface_of_the_route_counts() {
    let route = "[[route]]\nprefix = \"fc00:0:2::/48\"\nnh6 = \"fe80::2\"\ninterface = \"eth1\"\n";
    let checked = good(&format!("{POLICY}{route}"));
    assert!(checked.check_mtu(mtus(100, 1500)).is_empty());
    assert!(!checked.check_mtu(mtus(1500, 100)).is_empty());
}
