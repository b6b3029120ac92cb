//! What policies add to packets, against the interfaces' MTU.

#![forbid(unsafe_code)]

/// C-101: two segments add 40 + 8 + 32 bytes, so an MTU of 1360 still carries the 1280 bytes that
/// IPv6 needs, 1359 calls for a warning, and 80 leaves nothing.
#[test]
fn overhead_is_checked_when_a_file_is_loaded() {
    let text = r#"
[router]
encap-source = "fc00:0:1::1"

[[interface]]
name = "eth0"

[[policy]]
name = "two"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::", "fc00:0:3:d6::"]

[[route]]
prefix = "fc00:0:2::/48"
nh6 = "fe80::2"
interface = "eth0"

[[route]]
prefix = "2001:db8:2::/48"
policy = "two"
"#;
    let checked = sidewinder_config::check(text, "r1.toml").expect("the file is good");
    let report = |mtu| checked.check_mtu(|_| Some(mtu));
    assert!(report(1360).is_empty());
    assert!(!report(1359).is_empty() && !report(1359).has_errors());
    assert!(report(80).has_errors());
}
