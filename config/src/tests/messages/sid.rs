//! Messages about `[[sid]]`.

use insta::assert_snapshot;

use crate::tests::about;

#[test]
fn sid_without_anything() {
    assert_snapshot!(about(r#"
[[sid]]
"#), @r#"
    error: [[sid]] has no `sid`
      --> r1.toml:12:1
       |
    12 | [[sid]]
       | ^^^^^^^ `sid` is missing here
       |
       = help: add a line such as sid = "fc00:0:1:e::"

    error: [[sid]] has no `behavior`
      --> r1.toml:12:1
       |
    12 | [[sid]]
       | ^^^^^^^ `behavior` is missing here
       |
       = help: add a line such as behavior = "End"
    "#);
}

#[test]
fn sid_addresses() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "10.0.0.1"
behavior = "End"
[[sid]]
sid = "ff02::1"
behavior = "End"
[[sid]]
sid = "fe80::1"
behavior = "End"
[[sid]]
sid = "::/0"
behavior = "End"
"#), @r#"
    error: `sid` must be IPv6
      --> r1.toml:13:7
       |
    13 | sid = "10.0.0.1"
       |       ^^^^^^^^^^ this is IPv4
       |
       = help: write an IPv6 address here

    error: `sid` must be a unicast address
      --> r1.toml:16:7
       |
    16 | sid = "ff02::1"
       |       ^^^^^^^^^ this is a multicast address
       |
       = help: no single node can be reached by it; write a node's own address

    error: `sid` must be an address that is routed
      --> r1.toml:19:7
       |
    19 | sid = "fe80::1"
       |       ^^^^^^^^^ this is link-local
       |
       = help: link-local addresses are known on one link only; use a global or unique local one

    error: `sid` must be a unicast address
      --> r1.toml:22:7
       |
    22 | sid = "::/0"
       |       ^^^^^^ this is the unspecified address
       |
       = help: no single node can be reached by it; write a node's own address
    "#);
}

#[test]
fn sid_twice() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:e::"
behavior = "End"
[[sid]]
sid = "fc00:0:1:e::/128"
behavior = "End.DT6"
table = "main"
"#), @r#"
    error: SID fc00:0:1:e:: is there twice
      --> r1.toml:16:7
       |
    13 | sid = "fc00:0:1:e::"
       |       -------------- first here
    ...
    16 | sid = "fc00:0:1:e::/128"
       |       ^^^^^^^^^^^^^^^^^^ again here
       |
       = help: remove or change one of them
    "#);
}

#[test]
fn outside_every_locator() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:9:9:e::"
behavior = "End"
"#), @r#"
    warning: SID fc00:9:9:e:: is outside every locator
      --> r1.toml:13:7
       |
    13 | sid = "fc00:9:9:e::"
       |       ^^^^^^^^^^^^^^ in no [[locator]]
       |
       = help: a SID is reached by its locator: correct it, or add [[locator]]
    "#);
}

#[test]
fn covers_a_locator() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00::/16"
behavior = "End"
[[sid]]
sid = "fc00:0:1:e::"
behavior = "End"
"#), @r#"
    error: SID fc00::/16 covers the whole locator fc00:0:1::/48
      --> r1.toml:13:7
       |
    10 | prefix = "fc00:0:1::/48"
       |          --------------- this locator is inside
    ...
    13 | sid = "fc00::/16"
       |       ^^^^^^^^^^^ larger than a locator
       |
       = help: a SID is a locator and a function: give it a longer prefix length
    "#);
}

#[test]
fn takes_a_locator() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1::/48"
behavior = "End"
"#), @r#"
    warning: SID fc00:0:1::/48 takes a whole locator
      --> r1.toml:13:7
       |
    10 | prefix = "fc00:0:1::/48"
       |          --------------- the locator
    ...
    13 | sid = "fc00:0:1::/48"
       |       ^^^^^^^^^^^^^^^ has no function bits
       |
       = help: every address of the locator that is no other SID gets this behavior
    "#);
}

#[test]
fn inside_another() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:e::/64"
behavior = "End"
[[sid]]
sid = "fc00:0:1:e::1"
behavior = "End"
"#), @r#"
    warning: SID fc00:0:1:e::1 lies inside SID fc00:0:1:e::/64
      --> r1.toml:16:7
       |
    13 | sid = "fc00:0:1:e::/64"
       |       ----------------- all other addresses of this get its behavior
    ...
    16 | sid = "fc00:0:1:e::1"
       |       ^^^^^^^^^^^^^^^ the longer prefix wins for its addresses
       |
       = help: if this is meant, ignore the warning; else change one of them
    "#);
}

#[test]
fn unknown_behavior() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:1::"
behavior = "end.x"
[[sid]]
sid = "fc00:0:1:2::"
behavior = "xyzzy"
[[sid]]
sid = "fc00:0:1:3::"
behavior = 5
"#), @r#"
    error: unknown behavior `end.x`
      --> r1.toml:14:12
       |
    14 | behavior = "end.x"
       |            ^^^^^^^ did you mean "End.X"?
       |
       = help: an endpoint behavior is End, End.X, End.T, End.DX6, End.DX4, End.DT6, End.DT4, End.DT46, End.DX2, End.B6.Encaps or End.B6.Encaps.Red

    error: unknown behavior `xyzzy`
      --> r1.toml:17:12
       |
    17 | behavior = "xyzzy"
       |            ^^^^^^^ not known
       |
       = help: an endpoint behavior is End, End.X, End.T, End.DX6, End.DX4, End.DT6, End.DT4, End.DT46, End.DX2, End.B6.Encaps or End.B6.Encaps.Red

    error: `behavior` must be a name, in quotes
      --> r1.toml:20:12
       |
    20 | behavior = 5
       |            ^ a whole number
       |
       = help: an endpoint behavior is End, End.X, End.T, End.DX6, End.DX4, End.DT6, End.DT4, End.DT46, End.DX2, End.B6.Encaps or End.B6.Encaps.Red
    "#);
}

#[test]
fn unsupported_behavior() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:1::"
behavior = "End.DX2"
[[sid]]
sid = "fc00:0:1:2::"
behavior = "End.BM"
"#), @r#"
    error: End.DX2 needs `interface`
      --> r1.toml:14:12
       |
    14 | behavior = "End.DX2"
       |            ^^^^^^^^^ `interface` is missing
       |
       = help: add a line such as interface = "eth1"

    error: End.BM is not supported by this version
      --> r1.toml:17:12
       |
    17 | behavior = "End.BM"
       |            ^^^^^^^^
       |
       = help: an endpoint behavior is End, End.X, End.T, End.DX6, End.DX4, End.DT6, End.DT4, End.DT46, End.DX2, End.B6.Encaps or End.B6.Encaps.Red
    "#);
}

#[test]
fn headend_behavior() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:1::"
behavior = "H.Encaps"
"#), @r#"
    error: H.Encaps is a headend behavior
      --> r1.toml:14:12
       |
    14 | behavior = "H.Encaps"
       |            ^^^^^^^^^^ not for [[sid]]
       |
       = help: headend behaviors go into [[policy]]; an endpoint behavior is End, End.X, End.T, End.DX6, End.DX4, End.DT6, End.DT4, End.DT46, End.DX2, End.B6.Encaps or End.B6.Encaps.Red
    "#);
}

#[test]
fn missing_parameters() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:1::"
behavior = "End.X"
[[sid]]
sid = "fc00:0:1:2::"
behavior = "End.DX4"
nh6 = "fc00::1"
[[sid]]
sid = "fc00:0:1:3::"
behavior = "End.DT6"
"#), @r#"
    error: End.X needs `nh6`
      --> r1.toml:14:12
       |
    14 | behavior = "End.X"
       |            ^^^^^^^ `nh6` is missing
       |
       = help: add a line such as nh6 = "fe80::2"

    error: End.DX4 needs `nh4`
      --> r1.toml:17:12
       |
    17 | behavior = "End.DX4"
       |            ^^^^^^^^^ `nh4` is missing
       |
       = help: add a line such as nh4 = "192.0.2.2"

    error: End.DX4 does not take `nh6`
      --> r1.toml:18:7
       |
    17 | behavior = "End.DX4"
       |            --------- the behavior
    18 | nh6 = "fc00::1"
       |       ^^^^^^^^^
       |
       = help: End.DX4 takes `nh4`, `interface`, `next-hops` and `flavors`
       = help: `nh6` is for End.X and End.DX6

    error: End.DT6 needs `table`
      --> r1.toml:21:12
       |
    21 | behavior = "End.DT6"
       |            ^^^^^^^^^ `table` is missing
       |
       = help: add a line such as table = "main"
    "#);
}

#[test]
fn needless_parameters() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:1::"
behavior = "End"
table = "main"
policy = "to-r3"
[[sid]]
sid = "fc00:0:1:2::"
behavior = "End.DT6"
table = "main"
flavors = ["PSP"]
"#), @r#"
    error: End does not take `table`
      --> r1.toml:15:9
       |
    14 | behavior = "End"
       |            ----- the behavior
    15 | table = "main"
       |         ^^^^^^
       |
       = help: End takes `flavors`
       = help: `table` is for End.T, End.DT6, End.DT4 and End.DT46

    error: End does not take `policy`
      --> r1.toml:16:10
       |
    14 | behavior = "End"
       |            ----- the behavior
    15 | table = "main"
    16 | policy = "to-r3"
       |          ^^^^^^^
       |
       = help: End takes `flavors`
       = help: `policy` is for End.B6.Encaps and End.B6.Encaps.Red

    error: there is no policy `to-r3`
      --> r1.toml:16:10
       |
    16 | policy = "to-r3"
       |          ^^^^^^^ no [[policy]] has this name
       |
       = help: add [[policy]] with name = "to-r3"

    error: End.DT6 does not take the flavor PSP
      --> r1.toml:21:12
       |
    19 | behavior = "End.DT6"
       |            --------- the behavior
    20 | table = "main"
    21 | flavors = ["PSP"]
       |            ^^^^^
       |
       = help: PSP is for End, End.X and End.T
    "#);
}

#[test]
fn flavors() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:1::"
behavior = "End"
flavors = ["PSP", "NEXT-CSID", "usd", 5, "PSP"]
[[sid]]
sid = "fc00:0:1:2::"
behavior = "End"
flavors = "PSP"
"#), @r#"
    error: not a flavor
      --> r1.toml:15:32
       |
    15 | flavors = ["PSP", "NEXT-CSID", "usd", 5, "PSP"]
       |                                ^^^^^ did you mean "USD"?
       |
       = help: `flavors` is a list of "PSP", "USP", "USD" and "NEXT-CSID"

    error: not a flavor
      --> r1.toml:15:39
       |
    15 | flavors = ["PSP", "NEXT-CSID", "usd", 5, "PSP"]
       |                                       ^ a whole number
       |
       = help: `flavors` is a list of "PSP", "USP", "USD" and "NEXT-CSID"

    error: flavor PSP is listed twice
      --> r1.toml:15:42
       |
    15 | flavors = ["PSP", "NEXT-CSID", "usd", 5, "PSP"]
       |            ----- first here              ^^^^^ again here
       |
       = help: remove one of them

    error: `flavors` must be a list
      --> r1.toml:19:11
       |
    19 | flavors = "PSP"
       |           ^^^^^ a string
       |
       = help: write flavors = ["PSP"]
    "#);
}

#[test]
fn next_hop() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:1::"
behavior = "End.X"
nh6 = "fe80::2"
[[sid]]
sid = "fc00:0:1:2::"
behavior = "End.X"
nh6 = "fe80::2%eth1"
[[sid]]
sid = "fc00:0:1:3::"
behavior = "End.X"
nh6 = "192.0.2.1"
[[sid]]
sid = "fc00:0:1:4::"
behavior = "End.DX4"
nh4 = "fc00::1"
[[sid]]
sid = "fc00:0:1:5::"
behavior = "End.DX4"
nh4 = "255.255.255.255"
"#), @r#"
    error: a link-local next hop needs `interface`
      --> r1.toml:15:7
       |
    15 | nh6 = "fe80::2"
       |       ^^^^^^^^^ link-local: every interface has such neighbors
       |
       = help: add interface = "…", naming the interface it is on

    error: `fe80::2%eth1` is not an IPv6 address
      --> r1.toml:19:7
       |
    19 | nh6 = "fe80::2%eth1"
       |       ^^^^^^^^^^^^^^
       |
       = help: write "fe80::2", and name the interface with interface = "eth1"

    error: `nh6` must be IPv6
      --> r1.toml:23:7
       |
    23 | nh6 = "192.0.2.1"
       |       ^^^^^^^^^^^ this is IPv4
       |
       = help: the key of an IPv4 next hop is `nh4`, where one is possible

    error: `nh4` must be IPv4
      --> r1.toml:27:7
       |
    27 | nh4 = "fc00::1"
       |       ^^^^^^^^^ this is IPv6
       |
       = help: the key of an IPv6 next hop is `nh6`, where one is possible

    error: `nh4` must be a unicast address
      --> r1.toml:31:7
       |
    31 | nh4 = "255.255.255.255"
       |       ^^^^^^^^^^^^^^^^^ this is the broadcast address
       |
       = help: no single node can be reached by it; write a node's own address
    "#);
}

#[test]
fn unknown_interface() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:1::"
behavior = "End.X"
nh6 = "fe80::2"
interface = "eth2"
[[sid]]
sid = "fc00:0:1:2::"
behavior = "End.X"
nh6 = "fe80::2"
interface = "wan"
"#), @r#"
    error: there is no interface `eth2`
      --> r1.toml:16:13
       |
    16 | interface = "eth2"
       |             ^^^^^^ no [[interface]] has this name
       |
       = help: did you mean "eth0"?

    error: there is no interface `wan`
      --> r1.toml:21:13
       |
    21 | interface = "wan"
       |             ^^^^^ no [[interface]] has this name
       |
       = help: add [[interface]] with name = "wan"; this file has eth0 and eth1
    "#);
}

#[test]
fn several_next_hops() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:e1::"
behavior = "End.X"
nh6 = "fc00:12::2"
next-hops = [{ nh6 = "fc00:12::3" }]
[[sid]]
sid = "fc00:0:1:e2::"
behavior = "End.X"
next-hops = []
[[sid]]
sid = "fc00:0:1:e3::"
behavior = "End.X"
next-hops = [
    { nh6 = "fe80::3", backup = true },
    { nh4 = "192.0.2.1", interface = "eth0", backup = true },
    { interface = "eth0" },
]
[[sid]]
sid = "fc00:0:1:e4::"
behavior = "End.X"
next-hops = [{ nh6 = "fe80::3", interface = "eth0", backup = true }]
[[sid]]
sid = "fc00:0:1:e5::"
behavior = "End"
next-hops = [{ nh6 = "fe80::3", interface = "eth0" }]
"#), @r#"
    error: `nh6` and `next-hops` exclude each other
      --> r1.toml:15:7
       |
    15 | nh6 = "fc00:12::2"
       |       ^^^^^^^^^^^^
    16 | next-hops = [{ nh6 = "fc00:12::3" }]
       |             ------------------------
       |
       = help: put it into the list: { nh6 = …, interface = … }

    error: `next-hops` names no next hop
      --> r1.toml:20:13
       |
    20 | next-hops = []
       |             ^^ empty
       |
       = help: write next-hops = [ { nh6 = … }, … ]

    error: a link-local next hop needs `interface`
      --> r1.toml:25:13
       |
    25 |     { nh6 = "fe80::3", backup = true },
       |             ^^^^^^^^^ link-local: every interface has such neighbors
       |
       = help: add interface = "…", naming the interface it is on

    error: the next hops of this behavior are `nh6`
      --> r1.toml:26:13
       |
    26 |     { nh4 = "192.0.2.1", interface = "eth0", backup = true },
       |             ^^^^^^^^^^^
       |
       = help: write { nh6 = … }

    error: a next hop has no address
      --> r1.toml:27:5
       |
    27 |     { interface = "eth0" },
       |     ^^^^^^^^^^^^^^^^^^^^^^ `nh6` is missing here
       |
       = help: write { nh6 = … }

    error: every next hop is a backup
      --> r1.toml:32:13
       |
    32 | next-hops = [{ nh6 = "fe80::3", interface = "eth0", backup = true }]
       |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: a backup is used while all others are down: make one of them no backup

    error: End does not take `next-hops`
      --> r1.toml:36:13
       |
    35 | behavior = "End"
       |            ----- the behavior
    36 | next-hops = [{ nh6 = "fe80::3", interface = "eth0" }]
       |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: End takes `flavors`
       = help: `next-hops` is for End.X, End.DX6 and End.DX4
    "#);
}
