//! Messages about `[[route]]` and `[[neighbor]]`.

use insta::assert_snapshot;

use crate::tests::about;

#[test]
fn without_anything() {
    assert_snapshot!(about(r#"
[[route]]
"#), @r#"
    error: [[route]] has no `prefix`
      --> r1.toml:12:1
       |
    12 | [[route]]
       | ^^^^^^^^^ `prefix` is missing here
       |
       = help: add a line such as prefix = "2001:db8:b::/48"

    error: the route leads nowhere
      --> r1.toml:12:1
       |
    12 | [[route]]
       | ^^^^^^^^^ no next hop, policy or action
       |
       = help: add one of `nh6`, `nh4`, `interface`, `next-hops`, `policy` and `action`
    "#);
}

#[test]
fn twice() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
action = "local"
[[route]]
prefix = "2001:db8::/32"
table = 254
interface = "eth0"
"#), @r#"
    error: route 2001:db8::/32 in table main is there twice
      --> r1.toml:16:10
       |
    13 | prefix = "2001:db8::/32"
       |          --------------- first here
    ...
    16 | prefix = "2001:db8::/32"
       |          ^^^^^^^^^^^^^^^ again here
       |
       = help: remove or change one of them
    "#);
}

#[test]
fn prefixes() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::1/32"
action = "local"
[[route]]
prefix = "10.0.0.0/33"
action = "local"
[[route]]
prefix = "192.0.2.1"
action = "local"
[[route]]
prefix = "ff00::/8"
action = "local"
[[route]]
prefix = "fe80::/64"
action = "local"
[[route]]
prefix = "everywhere"
action = "local"
"#), @r#"
    error: `2001:db8::1/32` has bits set after its prefix length
      --> r1.toml:13:10
       |
    13 | prefix = "2001:db8::1/32"
       |          ^^^^^^^^^^^^^^^^ not zero after the first 32 bits
       |
       = help: did you mean "2001:db8::/32"?

    error: prefix length 33 is over 32
      --> r1.toml:16:19
       |
    16 | prefix = "10.0.0.0/33"
       |                   ^^^ must be at most 32
       |
       = help: for one address, write "10.0.0.0/32"

    error: `192.0.2.1` has no prefix length
      --> r1.toml:19:10
       |
    19 | prefix = "192.0.2.1"
       |          ^^^^^^^^^^^
       |
       = help: for this one address, write "192.0.2.1/32"

    error: `prefix` cannot be multicast
      --> r1.toml:22:10
       |
    22 | prefix = "ff00::/8"
       |          ^^^^^^^^^^ a multicast prefix
       |
       = help: multicast packets are left to the kernel; remove this route

    error: `prefix` cannot be link-local
      --> r1.toml:25:10
       |
    25 | prefix = "fe80::/64"
       |          ^^^^^^^^^^^ a link-local prefix
       |
       = help: link-local packets are left to the kernel; remove this route

    error: `everywhere` is not an IP prefix
      --> r1.toml:28:10
       |
    28 | prefix = "everywhere"
       |          ^^^^^^^^^^^^
       |
       = help: a prefix is an address and a length, as in "2001:db8::/32"
    "#);
}

#[test]
fn unknown_policy() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
policy = "to-r3"
"#), @r#"
    error: there is no policy `to-r3`
      --> r1.toml:14:10
       |
    14 | policy = "to-r3"
       |          ^^^^^^^ no [[policy]] has this name
       |
       = help: add [[policy]] with name = "to-r3"
    "#);
}

#[test]
fn unknown_policy_like_another() {
    assert_snapshot!(about(r#"
[[policy]]
name = "to-r3"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
[[route]]
prefix = "2001:db8::/32"
policy = "to-r4"
"#), @r#"
    error: there is no policy `to-r4`
      --> r1.toml:18:10
       |
    18 | policy = "to-r4"
       |          ^^^^^^^ no [[policy]] has this name
       |
       = help: did you mean "to-r3"?
    "#);
}

#[test]
fn several_ways() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
nh6 = "fc00:12::2"
action = "blackhole"
[[route]]
prefix = "2001:db9::/32"
action = "blackhole"
interface = "eth0"
[[route]]
prefix = "192.0.2.0/24"
nh6 = "fc00:12::2"
nh4 = "10.0.0.1"
"#), @r#"
    error: `nh6` and `action` exclude each other in a route
      --> r1.toml:14:7
       |
    14 | nh6 = "fc00:12::2"
       |       ^^^^^^^^^^^^
    15 | action = "blackhole"
       |          -----------
       |
       = help: keep one; several next hops are written next-hops = [ { nh6 = … }, … ]

    error: `action` and `interface` exclude each other in a route
      --> r1.toml:18:10
       |
    18 | action = "blackhole"
       |          ^^^^^^^^^^^
    19 | interface = "eth0"
       |             ------
       |
       = help: keep one; several next hops are written next-hops = [ { nh6 = … }, … ]

    error: `nh6` and `nh4` exclude each other in a route
      --> r1.toml:22:7
       |
    22 | nh6 = "fc00:12::2"
       |       ^^^^^^^^^^^^
    23 | nh4 = "10.0.0.1"
       |       ----------
       |
       = help: keep one; several next hops are written next-hops = [ { nh6 = … }, … ]
    "#);
}

#[test]
fn unknown_action() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
action = "drop"
"#), @r#"
    error: `action` cannot be "drop"
      --> r1.toml:14:10
       |
    14 | action = "drop"
       |          ^^^^^^ not known
       |
       = help: `action` is "blackhole", "unreachable", "prohibit" or "local"
    "#);
}

#[test]
fn ipv4_next_hop_of_ipv6() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
nh4 = "10.0.0.1"
"#), @r#"
    error: an IPv6 route cannot have an IPv4 next hop
      --> r1.toml:14:7
       |
    13 | prefix = "2001:db8::/32"
       |          --------------- this is IPv6
    14 | nh4 = "10.0.0.1"
       |       ^^^^^^^^^^ this is IPv4
       |
       = help: use `nh6`
    "#);
}

#[test]
fn link_local_next_hop() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
next-hops = [{ nh6 = "fe80::1" }, { nh6 = "fe80::2", interface = "eth9" }]
"#), @r#"
    error: a link-local next hop needs `interface`
      --> r1.toml:14:22
       |
    14 | next-hops = [{ nh6 = "fe80::1" }, { nh6 = "fe80::2", interface = "eth9" }]
       |                      ^^^^^^^^^ link-local: every interface has such neighbors
       |
       = help: add interface = "…", naming the interface it is on

    error: there is no interface `eth9`
      --> r1.toml:14:66
       |
    14 | next-hops = [{ nh6 = "fe80::1" }, { nh6 = "fe80::2", interface = "eth9" }]
       |                                                                  ^^^^^^ no [[interface]] has this name
       |
       = help: did you mean "eth0"?
    "#);
}

#[test]
fn empty_next_hops() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
next-hops = []
[[route]]
prefix = "2001:db9::/32"
next-hops = [{ interface = "eth0" }, "fc00::1"]
"#), @r#"
    error: `next-hops` names no next hop
      --> r1.toml:14:13
       |
    14 | next-hops = []
       |             ^^ empty
       |
       = help: to drop packets, write action = "blackhole" or "unreachable"

    error: a next hop has no address
      --> r1.toml:17:14
       |
    17 | next-hops = [{ interface = "eth0" }, "fc00::1"]
       |              ^^^^^^^^^^^^^^^^^^^^^^ `nh6` or `nh4` is missing here
       |
       = help: write { nh6 = "fe80::2", interface = "eth1" }

    error: each of `next-hops` must be a table
      --> r1.toml:17:38
       |
    17 | next-hops = [{ interface = "eth0" }, "fc00::1"]
       |                                      ^^^^^^^^^ a string
       |
       = help: write { nh6 = "fe80::2", interface = "eth1" } for each next hop
    "#);
}

#[test]
fn next_hops_not_a_list() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
next-hops = { nh6 = "fc00:12::2" }
"#), @r#"
    error: `next-hops` must be a list
      --> r1.toml:14:13
       |
    14 | next-hops = { nh6 = "fc00:12::2" }
       |             ^^^^^^^^^^^^^^^^^^^^^^ a table
       |
       = help: write next-hops = [{ nh6 = "fc00:12::2" }]
    "#);
}

#[test]
fn weight_outside_next_hops() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
nh6 = "fc00:12::2"
weight = 3
"#), @"
    error: unknown key `weight`
      --> r1.toml:15:1
       |
    15 | weight = 3
       | ^^^^^^ [[route]] has no such key
       |
       = help: `weight` belongs in lists or next-hops
    ");
}

#[test]
fn route_and_sid() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:e::"
behavior = "End"
[[route]]
prefix = "fc00:0:1:e::/128"
action = "local"
"#), @r#"
    error: fc00:0:1:e::/128 is a route and a SID
      --> r1.toml:16:10
       |
    13 | sid = "fc00:0:1:e::"
       |       -------------- the SID
    ...
    16 | prefix = "fc00:0:1:e::/128"
       |          ^^^^^^^^^^^^^^^^^^ this route
       |
       = help: remove the route: packets to a SID get its behavior
    "#);
}

#[test]
fn neighbor_without_anything() {
    assert_snapshot!(about(r#"
[[neighbor]]
"#), @r#"
    error: [[neighbor]] has no `address`
      --> r1.toml:12:1
       |
    12 | [[neighbor]]
       | ^^^^^^^^^^^^ `address` is missing here
       |
       = help: add a line such as address = "fc00:12::2"

    error: [[neighbor]] has no `interface`
      --> r1.toml:12:1
       |
    12 | [[neighbor]]
       | ^^^^^^^^^^^^ `interface` is missing here
       |
       = help: add a line such as interface = "eth1"

    error: [[neighbor]] has no `mac`
      --> r1.toml:12:1
       |
    12 | [[neighbor]]
       | ^^^^^^^^^^^^ `mac` is missing here
       |
       = help: add a line such as mac = "02:00:00:00:02:02"
    "#);
}

#[test]
fn neighbor_twice() {
    assert_snapshot!(about(r#"
[[neighbor]]
address = "fc00:12::2"
interface = "eth0"
mac = "02:00:00:00:02:02"
[[neighbor]]
address = "fc00:12::2"
interface = "eth0"
mac = "02:00:00:00:02:03"
"#), @r#"
    error: neighbor fc00:12::2 on `eth0` is there twice
      --> r1.toml:17:11
       |
    13 | address = "fc00:12::2"
       |           ------------ first here
    ...
    17 | address = "fc00:12::2"
       |           ^^^^^^^^^^^^ again here
       |
       = help: remove or change one of them
    "#);
}

#[test]
fn macs() {
    assert_snapshot!(about(r#"
[[neighbor]]
address = "fc00:12::2"
interface = "eth0"
mac = "03:00:00:00:02:02"
[[neighbor]]
address = "fc00:12::3"
interface = "eth0"
mac = "02:00:00:00:02"
[[neighbor]]
address = "fc00:12::4"
interface = "eth0"
mac = "00:00:00:00:00:00"
"#), @r#"
    error: a neighbor's MAC address cannot be multicast
      --> r1.toml:15:7
       |
    15 | mac = "03:00:00:00:02:02"
       |       ^^^^^^^^^^^^^^^^^^^ the group bit is set
       |
       = help: the first octet of a unicast MAC address is even

    error: `02:00:00:00:02` is not a MAC address
      --> r1.toml:19:7
       |
    19 | mac = "02:00:00:00:02"
       |       ^^^^^^^^^^^^^^^^
       |
       = help: a MAC address is six octets of two hexadecimal digits, as in 02:00:00:00:02:02

    error: a neighbor's MAC address cannot be all zero
      --> r1.toml:23:7
       |
    23 | mac = "00:00:00:00:00:00"
       |       ^^^^^^^^^^^^^^^^^^^
       |
       = help: `ip neighbor` and `ip link` show MAC addresses
    "#);
}

#[test]
fn neighbor_addresses() {
    assert_snapshot!(about(r#"
[[neighbor]]
address = "ff02::1"
interface = "eth0"
mac = "02:00:00:00:02:02"
[[neighbor]]
address = "r2"
interface = "eth0"
mac = "02:00:00:00:02:02"
"#), @r#"
    error: `address` must be a unicast address
      --> r1.toml:13:11
       |
    13 | address = "ff02::1"
       |           ^^^^^^^^^ this is a multicast address
       |
       = help: no single node can be reached by it; write a node's own address

    error: `r2` is not an IP address
      --> r1.toml:17:11
       |
    17 | address = "r2"
       |           ^^^^
       |
       = help: for example "fc00:0:1::1" or "192.0.2.1"
    "#);
}
