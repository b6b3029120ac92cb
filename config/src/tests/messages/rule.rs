//! Messages about `[[rule]]`.

use insta::assert_snapshot;

use crate::tests::about;

const POLICIES: &str = r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
[[policy]]
name = "frames"
behavior = "H.Encaps.L2"
segs = ["fc00:0:2::"]
"#;

fn rules(text: &str) -> String {
    about(&format!("{POLICIES}{text}"))
}

#[test]
fn without_anything() {
    assert_snapshot!(rules("[[rule]]\n"), @r#"
    error: the rule does nothing
      --> r1.toml:20:1
       |
    20 | [[rule]]
       | ^^^^^^^^ no `policy` here
       |
       = help: add policy = "…", or action = "route" to exempt packets from the rules that follow
    "#);
}

#[test]
fn scopes_and_actions() {
    assert_snapshot!(rules(r#"
[[rule]]
interface = "eth0"
table = 100
policy = "a"
action = "route"
[[rule]]
interface = "eth9"
policy = "b"
[[rule]]
policy = "frames"
[[rule]]
action = "drop"
"#), @r#"
    error: `interface` and `table` exclude each other
      --> r1.toml:23:9
       |
    22 | interface = "eth0"
       |             ------
    23 | table = 100
       |         ^^^
       |
       = help: a rule is for one interface, or for all that have this table

    error: `policy` and `action` exclude each other in a rule
      --> r1.toml:25:10
       |
    24 | policy = "a"
       |          ---
    25 | action = "route"
       |          ^^^^^^^
       |
       = help: keep one

    error: there is no interface `eth9`
      --> r1.toml:27:13
       |
    27 | interface = "eth9"
       |             ^^^^^^ no [[interface]] has this name
       |
       = help: did you mean "eth0"?

    error: there is no policy `b`
      --> r1.toml:28:10
       |
    28 | policy = "b"
       |          ^^^ no [[policy]] has this name
       |
       = help: add [[policy]] with name = "b"; this file has a and frames

    error: policy `frames` is for whole interfaces
      --> r1.toml:30:10
       |
    30 | policy = "frames"
       |          ^^^^^^^^ the policy is H.Encaps.L2
       |
       = help: write policy = "…" in [[interface]]; for routes use H.Encaps

    error: `action` of a rule can only be "route"
      --> r1.toml:32:10
       |
    32 | action = "drop"
       |          ^^^^^^ a string
       |
       = help: "route" exempts packets from the rules that follow; to steer them, use `policy`
    "#);
}

#[test]
fn what_no_packet_is() {
    assert_snapshot!(rules(r#"
[[rule]]
source = "2001:db8::/32"
destination = "192.0.2.0/24"
policy = "a"
[[rule]]
protocol = "dccp"
policy = "a"
[[rule]]
destination-port = 80
policy = "a"
[[rule]]
protocol = "icmp"
source-port = 80
policy = "a"
[[rule]]
protocol = "udp"
source-port = "2000-1000"
dscp = 64
policy = "a"
"#), @r#"
    error: no packet has addresses of both IPv4 and IPv6
      --> r1.toml:22:10
       |
    22 | source = "2001:db8::/32"
       |          ^^^^^^^^^^^^^^^
    23 | destination = "192.0.2.0/24"
       |               --------------
       |
       = help: write two rules, one for each

    error: unknown protocol "dccp"
      --> r1.toml:26:12
       |
    26 | protocol = "dccp"
       |            ^^^^^^
       |
       = help: `protocol` is "tcp", "udp", "sctp", "icmp" or "icmpv6", or a number

    error: `destination-port` needs a protocol with ports
      --> r1.toml:29:20
       |
    29 | destination-port = 80
       |                    ^^
       |
       = help: add protocol = "tcp", "udp" or "sctp"

    error: `source-port` needs a protocol with ports
      --> r1.toml:33:15
       |
    33 | source-port = 80
       |               ^^
       |
       = help: add protocol = "tcp", "udp" or "sctp"

    error: `source-port` is no range of ports
      --> r1.toml:37:15
       |
    37 | source-port = "2000-1000"
       |               ^^^^^^^^^^^
       |
       = help: write a port as a number, or a range as "1000-2000"

    error: `dscp` must be from 0 to 63
      --> r1.toml:38:8
       |
    38 | dscp = 64
       |        ^^ 64 is out of range
       |
       = help: write a whole number from 0 to 63
    "#);
}

#[test]
fn interfaces_without_packets() {
    assert_snapshot!(crate::tests::messages(r#"
[[interface]]
name = "eth5"
policy = "frames"
[[interface]]
name = "eth6"
steer = "sids"
[[rule]]
interface = "eth5"
policy = "a"
[[rule]]
interface = "eth6"
policy = "a"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
source = "fc00:0:1::1"
[[policy]]
name = "frames"
behavior = "H.Encaps.L2"
segs = ["fc00:0:2::"]
source = "fc00:0:1::1"
"#), @r#"
    error: interface `eth5` has no packets for rules
     --> r1.toml:3:8
      |
    3 | name = "eth5"
      |        ^^^^^^ its policy takes all frames, whatever they are
    ...
    9 | interface = "eth5"
      |             ------ this rule is for its packets
      |
      = help: remove the rule or the policy, or name a policy of H.Encaps

    error: rules for interface `eth6` would not see its packets
      --> r1.toml:6:8
       |
     6 | name = "eth6"
       |        ^^^^^^ steer = "sids" leaves all but packets to SIDs to the kernel
    ...
    12 | interface = "eth6"
       |             ------ this rule is for its packets
       |
       = help: write steer = "all" for the interface
    "#);
}

#[test]
fn too_many() {
    let many = "[[rule]]\npolicy = \"a\"\n".repeat(65);
    let messages = rules(&many);
    assert!(messages.contains("interface `eth0` has 65 rules, and may have 64"), "{messages}");
}

/// Rules of a table are for those of its interfaces that have packets for them.
#[test]
fn rules_of_a_table() {
    let text = r#"
[[interface]]
name = "eth5"
policy = "frames"
[[rule]]
policy = "a"
[[interface]]
name = "eth6"
steer = "sids"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
source = "fc00:0:1::1"
[[policy]]
name = "frames"
behavior = "H.Encaps.L2"
segs = ["fc00:0:2::"]
source = "fc00:0:1::1"
"#;
    let checked = crate::check(text, "r1.toml").unwrap_or_else(|why| panic!("{why}"));
    assert!(
        checked
            .warnings
            .to_string()
            .starts_with("warning: rules for interface `eth6` would not see its packets")
    );
    let config = checked.config;
    assert!(config.rules_of(&config.interfaces[0]).is_empty());
    assert_eq!(config.rules_of(&config.interfaces[1]).len(), 1);
}
