//! Messages about `[[policy]]`.

use insta::assert_snapshot;

use crate::tests::{about, good, messages};

#[test]
fn without_anything() {
    assert_snapshot!(about(r#"
[[policy]]
"#), @r#"
    error: [[policy]] has no `name`
      --> r1.toml:12:1
       |
    12 | [[policy]]
       | ^^^^^^^^^^ `name` is missing here
       |
       = help: add a line such as name = "to-r3"

    error: [[policy]] has no `behavior`
      --> r1.toml:12:1
       |
    12 | [[policy]]
       | ^^^^^^^^^^ `behavior` is missing here
       |
       = help: add a line such as behavior = "H.Encaps"

    error: [[policy]] has no segments
      --> r1.toml:12:1
       |
    12 | [[policy]]
       | ^^^^^^^^^^ `segs` is missing here
       |
       = help: add a line such as segs = ["fc00:0:2:e::", "fc00:0:3:d6::"]
       = help: or name nodes of the topology: via = ["r2", "fc00:0:3:d6::"]
    "#);
}

#[test]
fn twice() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:3::"]
"#), @r#"
    error: policy `a` is there twice
      --> r1.toml:17:8
       |
    13 | name = "a"
       |        --- first here
    ...
    17 | name = "a"
       |        ^^^ again here
       |
       = help: remove or change one of them
    "#);
}

#[test]
fn no_source() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
[[policy]]
name = "b"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
"#), @"
    error: policies need an outer source address
     --> r1.toml:4:1
      |
    4 | [[policy]]
      | ^^^^^^^^^^ has none
    ...
    8 | [[policy]]
      | ---------- has none
      |
      = help: set encap-source in [router] to an address of this router, or source in the policy
    ");
}

#[test]
fn behaviors() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "End"
segs = ["fc00:0:2::"]
[[policy]]
name = "b"
behavior = "H.Insert.Red"
segs = ["fc00:0:2::"]
[[policy]]
name = "c"
behavior = "H.Encap"
segs = ["fc00:0:2::"]
"#), @r#"
    error: End is an endpoint behavior
      --> r1.toml:14:12
       |
    14 | behavior = "End"
       |            ^^^^^ not for [[policy]]
       |
       = help: endpoint behaviors go into [[sid]]; a headend behavior is H.Encaps, H.Encaps.Red, H.Insert, H.Encaps.L2 or H.Encaps.L2.Red

    error: H.Insert.Red is not supported by this version
      --> r1.toml:18:12
       |
    18 | behavior = "H.Insert.Red"
       |            ^^^^^^^^^^^^^^
       |
       = help: a headend behavior is H.Encaps, H.Encaps.Red, H.Insert, H.Encaps.L2 or H.Encaps.L2.Red

    error: unknown behavior `H.Encap`
      --> r1.toml:22:12
       |
    22 | behavior = "H.Encap"
       |            ^^^^^^^^^ did you mean "H.Encaps"?
       |
       = help: a headend behavior is H.Encaps, H.Encaps.Red, H.Insert, H.Encaps.L2 or H.Encaps.L2.Red
    "#);
}

#[test]
fn bsid() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::"]
bsid = "fc00:0:1:b::"
[[policy]]
name = "b"
behavior = "H.Encaps.Red"
segs = ["fc00:0:2:e::"]
bsid = "fc00:0:1:b::"
[[sid]]
sid = "fc00:0:1:b2::"
behavior = "End.B6.Encaps"
policy = "b"
[[sid]]
sid = "fc00:0:1:b3::"
behavior = "End.B6.Encaps"
policy = "c"
"#), @r#"
    error: SID fc00:0:1:b:: is there twice
      --> r1.toml:21:8
       |
    16 | bsid = "fc00:0:1:b::"
       |        -------------- first here
    ...
    21 | bsid = "fc00:0:1:b::"
       |        ^^^^^^^^^^^^^^ again here
       |
       = help: remove or change one of them

    error: End.B6.Encaps does not go with policy `b`
      --> r1.toml:24:12
       |
    24 | behavior = "End.B6.Encaps"
       |            ^^^^^^^^^^^^^^^ the policy is H.Encaps.Red
       |
       = help: write behavior = "End.B6.Encaps.Red", or change the policy's

    error: there is no policy `c`
      --> r1.toml:29:10
       |
    29 | policy = "c"
       |          ^^^ no [[policy]] has this name
       |
       = help: add [[policy]] with name = "c"; this file has a and b
    "#);
}

#[test]
fn bad_segments() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["10.0.0.1", "ff02::1", "::", "fe80::1", 7, "fc00:0:2::/48"]
"#), @r#"
    error: each of `segs` must be IPv6
      --> r1.toml:15:9
       |
    15 | segs = ["10.0.0.1", "ff02::1", "::", "fe80::1", 7, "fc00:0:2::/48"]
       |         ^^^^^^^^^^ this is IPv4
       |
       = help: segments are IPv6 addresses; IPv4 packets are carried inside IPv6

    error: each of `segs` must be a unicast address
      --> r1.toml:15:21
       |
    15 | segs = ["10.0.0.1", "ff02::1", "::", "fe80::1", 7, "fc00:0:2::/48"]
       |                     ^^^^^^^^^ this is a multicast address
       |
       = help: no single node can be reached by it; write a node's own address

    error: each of `segs` must be a unicast address
      --> r1.toml:15:32
       |
    15 | segs = ["10.0.0.1", "ff02::1", "::", "fe80::1", 7, "fc00:0:2::/48"]
       |                                ^^^^ this is the unspecified address
       |
       = help: no single node can be reached by it; write a node's own address

    error: each of `segs` must be an address that is routed
      --> r1.toml:15:38
       |
    15 | segs = ["10.0.0.1", "ff02::1", "::", "fe80::1", 7, "fc00:0:2::/48"]
       |                                      ^^^^^^^^^ this is link-local
       |
       = help: link-local addresses are known on one link only; use a global or unique local one

    error: each of `segs` must be an IPv6 address, in quotes
      --> r1.toml:15:49
       |
    15 | segs = ["10.0.0.1", "ff02::1", "::", "fe80::1", 7, "fc00:0:2::/48"]
       |                                                 ^ a whole number
       |
       = help: write it in double quotes

    error: `fc00:0:2::/48` is not an IPv6 address
      --> r1.toml:15:52
       |
    15 | segs = ["10.0.0.1", "ff02::1", "::", "fe80::1", 7, "fc00:0:2::/48"]
       |                                                    ^^^^^^^^^^^^^^^
       |
       = help: `segs` takes no prefix length; write "fc00:0:2::"
    "#);
}

#[test]
fn no_segments() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = []
[[policy]]
name = "b"
behavior = "H.Encaps"
lists = []
[[policy]]
name = "c"
behavior = "H.Encaps"
lists = [{ weight = 2 }]
"#), @r#"
    error: `segs` names no segment
      --> r1.toml:15:8
       |
    15 | segs = []
       |        ^^ empty
       |
       = help: list the SIDs to visit, first to last

    error: `lists` names no segment list
      --> r1.toml:19:9
       |
    19 | lists = []
       |         ^^ empty
       |
       = help: write lists = [ { segs = ["fc00:0:2:e::"], weight = 1 } ]

    error: a segment list has no `segs`
      --> r1.toml:23:10
       |
    23 | lists = [{ weight = 2 }]
       |          ^^^^^^^^^^^^^^ `segs` is missing here
       |
       = help: write { segs = ["fc00:0:2:e::"], weight = 1 }
    "#);
}

#[test]
fn one_segment_not_in_a_list() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = "fc00:0:2::"
"#), @r#"
    error: `segs` must be a list
      --> r1.toml:15:8
       |
    15 | segs = "fc00:0:2::"
       |        ^^^^^^^^^^^^ a string
       |
       = help: write segs = ["fc00:0:2::"]
    "#);
}

#[test]
fn segs_and_lists() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
lists = [{ segs = ["fc00:0:3::"] }]
"#), @r#"
    error: `segs` and `lists` exclude each other
      --> r1.toml:16:9
       |
    15 | segs = ["fc00:0:2::"]
       |        --------------
    16 | lists = [{ segs = ["fc00:0:3::"] }]
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: for one segment list keep `segs`; for several, put all into `lists`
    "#);
}

#[test]
fn lists_of_addresses() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
lists = ["fc00:0:3::"]
"#), @r#"
    error: each of `lists` must be a table
      --> r1.toml:15:10
       |
    15 | lists = ["fc00:0:3::"]
       |          ^^^^^^^^^^^^ a string
       |
       = help: write { segs = ["fc00:0:2:e::"], weight = 1 } for each list
    "#);
}

#[test]
fn weights() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
lists = [
    { segs = ["fc00:0:2::"], weight = 0 },
    { segs = ["fc00:0:3::"], weight = 256 },
    { segs = ["fc00:0:4::"], wieght = 1 },
]
"#), @r#"
    error: `weight` must be from 1 to 255
      --> r1.toml:16:39
       |
    16 |     { segs = ["fc00:0:2::"], weight = 0 },
       |                                       ^ 0 is out of range
       |
       = help: write a whole number from 1 to 255

    error: `weight` must be from 1 to 255
      --> r1.toml:17:39
       |
    17 |     { segs = ["fc00:0:3::"], weight = 256 },
       |                                       ^^^ 256 is out of range
       |
       = help: write a whole number from 1 to 255

    error: unknown key `wieght`
      --> r1.toml:18:30
       |
    18 |     { segs = ["fc00:0:4::"], wieght = 1 },
       |                              ^^^^^^ lists has no such key
       |
       = help: did you mean `weight`?
    "#);
}

// C-090
#[test]
fn first_segment_is_ours() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:e::/64"
behavior = "End"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:1:e::1", "fc00:0:2::"]
"#), @r#"
    error: the first segment of a policy is this router's own SID
      --> r1.toml:18:9
       |
    13 | sid = "fc00:0:1:e::/64"
       |       ----------------- the SID
    ...
    18 | segs = ["fc00:0:1:e::1", "fc00:0:2::"]
       |         ^^^^^^^^^^^^^^^ leads back to this router
       |
       = help: begin the list with the first segment on another router
    "#);
}

// C-090
#[test]
fn leads_into_itself() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
[[route]]
prefix = "fc00::/16"
policy = "a"
"#), @r#"
    warning: policy `a` may lead into itself
      --> r1.toml:15:8
       |
    15 | segs = ["fc00:0:2::"]
       |        ^^^^^^^^^^^^^^ packets to fc00:0:2:: take the route fc00::/16
    16 | [[route]]
    17 | prefix = "fc00::/16"
       |          ----------- which leads into the policy
       |
       = help: add a route to the first segment that does not use the policy
    "#);
}

#[test]
fn more_segments_than_the_headroom_takes() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::1", "fc00:0:2::2", "fc00:0:2::3", "fc00:0:2::4", "fc00:0:2::5", "fc00:0:2::6", "fc00:0:2::7", "fc00:0:2::8", "fc00:0:2::9", "fc00:0:2::a", "fc00:0:2::b", "fc00:0:2::c", "fc00:0:2::d", "fc00:0:2::e"]
[[policy]]
name = "b"
behavior = "H.Encaps.Red"
segs = ["fc00:0:2::1", "fc00:0:2::2", "fc00:0:2::3", "fc00:0:2::4", "fc00:0:2::5", "fc00:0:2::6", "fc00:0:2::7", "fc00:0:2::8", "fc00:0:2::9", "fc00:0:2::a", "fc00:0:2::b", "fc00:0:2::c", "fc00:0:2::d", "fc00:0:2::e", "fc00:0:2::f"]
"#), @r#"
    error: 14 segments do not fit in front of a packet
      --> r1.toml:15:204
       |
    15 | ...::a", "fc00:0:2::b", "fc00:0:2::c", "fc00:0:2::d", "fc00:0:2::e"]
       |                                                       ^^^^^^^^^^^^^ one too many
       |
       = help: H.Encaps can carry at most 13 segments
       = help: this list adds 272 bytes, and there is room for 256

    error: 15 segments do not fit in front of a packet
      --> r1.toml:19:219
       |
    19 | ...::b", "fc00:0:2::c", "fc00:0:2::d", "fc00:0:2::e", "fc00:0:2::f"]
       |                                                       ^^^^^^^^^^^^^ one too many
       |
       = help: H.Encaps.Red can carry at most 14 segments
       = help: this list adds 272 bytes, and there is room for 256
    "#);
}

#[test]
fn as_many_segments_as_the_headroom_takes() {
    let segs = |count| vec!["\"fc00:0:2::\""; count].join(", ");
    for (behavior, most) in [("H.Encaps", 13), ("H.Encaps.Red", 14)] {
        let segs = segs(most);
        good(&format!("[[policy]]\nname = \"a\"\nbehavior = \"{behavior}\"\nsegs = [{segs}]"));
    }
}

#[test]
fn frames_and_packets() {
    assert_snapshot!(about(r#"
[[policy]]
name = "wire"
behavior = "H.Encaps.L2"
segs = ["fc00:0:2:d2::"]
bsid = "fc00:0:1:b::"
[[policy]]
name = "far"
behavior = "H.Encaps"
segs = ["fc00:0:2:d6::"]
[[route]]
prefix = "2001:db8::/32"
policy = "wire"
[[interface]]
name = "eth2"
policy = "far"
[[sid]]
sid = "fc00:0:1:b1::"
behavior = "End.B6.Encaps"
policy = "wire"
"#), @r#"
    error: a policy of H.Encaps.L2 has no binding SID
      --> r1.toml:16:8
       |
    14 | behavior = "H.Encaps.L2"
       |            ------------- for Ethernet frames
    15 | segs = ["fc00:0:2:d2::"]
    16 | bsid = "fc00:0:1:b::"
       |        ^^^^^^^^^^^^^^
       |
       = help: remove `bsid`: packets with segments left are no frames

    error: policy `wire` is for whole interfaces
      --> r1.toml:23:10
       |
    23 | policy = "wire"
       |          ^^^^^^ the policy is H.Encaps.L2
       |
       = help: write policy = "…" in [[interface]]; for routes use H.Encaps

    error: End.B6.Encaps does not go with policy `wire`
      --> r1.toml:29:12
       |
    29 | behavior = "End.B6.Encaps"
       |            ^^^^^^^^^^^^^^^ the policy is H.Encaps.L2
       |
       = help: name a policy of H.Encaps or H.Encaps.Red
    "#);
}
