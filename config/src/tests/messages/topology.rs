//! Messages about `[source.bgp-ls]`, `[[node]]`, `[[link]]`, and nodes in policies.

use insta::assert_snapshot;

use crate::tests::about;

#[test]
fn bgp_ls_on_the_wrong_side() {
    assert_snapshot!(about(r#"
[source.bgp-ls]
peer = "fc00::9"
from = "fc00::9"
local-address = "10.0.0.1"
local-as = 65000
router-id = "0000.0000.0001"
hold-time = 2
grace = 1_000_000
"#), @r#"
    error: `from` goes with `listen`
      --> r1.toml:14:8
       |
    14 | from = "fc00::9"
       |        ^^^^^^^^^
       |
       = help: remove it: `peer` says who the other side is

    error: `local-address` and `peer` are not of one family
      --> r1.toml:15:17
       |
    13 | peer = "fc00::9"
       |        --------- to here
    14 | from = "fc00::9"
    15 | local-address = "10.0.0.1"
       |                 ^^^^^^^^^^ from here
       |
       = help: make both IPv6, or both IPv4

    error: `hold-time` cannot be 1 or 2
      --> r1.toml:18:13
       |
    18 | hold-time = 2
       |             ^ too short
       |
       = help: write 3 or more, or 0 for a session that never times out (RFC 4271, 4.2)

    error: `grace` must be from 0 to 604800
      --> r1.toml:19:9
       |
    19 | grace = 1_000_000
       |         ^^^^^^^^^ 1000000 is out of range
       |
       = help: write a whole number from 0 to 604800
    "#);
}

#[test]
fn bgp_ls_waiting() {
    assert_snapshot!(about(r#"
[source.bgp-ls]
listen = "[::]:179"
local-address = "fc00::1"
password-file = "/etc/key"
local-as = 65000
router-id = "0001.0000.0000"
"#), @r#"
    error: `local-address` goes with `peer`
      --> r1.toml:14:17
       |
    14 | local-address = "fc00::1"
       |                 ^^^^^^^^^
       |
       = help: remove it: `listen` says which address the other side connects to

    error: signatures need to know who connects
      --> r1.toml:15:17
       |
    15 | password-file = "/etc/key"
       |                 ^^^^^^^^^^
       |
       = help: add from = "fc00::9", the address of the other side

    error: [source.bgp-ls] has no `bgp-identifier`
      --> r1.toml:17:13
       |
    17 | router-id = "0001.0000.0000"
       |             ^^^^^^^^^^^^^^^^ ends in 0000.0000, which is none
       |
       = help: add a line such as bgp-identifier = "192.0.2.1"
    "#);
}

#[test]
fn bgp_ls_values() {
    assert_snapshot!(about(r#"
[source.bgp-ls]
listen = "[::]:179"
from = "fc00::9/64"
password-file = ""
local-as = 65000
router-id = "0000.0000.0001"
bgp-identifier = "0.0.0.0"
hold-time = "90"
instance-id = -1
"#), @r#"
    error: `fc00::9/64` has bits set after its prefix length
      --> r1.toml:14:8
       |
    14 | from = "fc00::9/64"
       |        ^^^^^^^^^^^^ not zero after the first 64 bits
       |
       = help: did you mean "fc00::/64"?

    error: `password-file` cannot be the path of a file
      --> r1.toml:15:17
       |
    15 | password-file = ""
       |                 ^^ empty
       |
       = help: for example "/etc/sidewinder/bgp.key"

    error: `bgp-identifier` must be a unicast address
      --> r1.toml:18:18
       |
    18 | bgp-identifier = "0.0.0.0"
       |                  ^^^^^^^^^ this is the unspecified address
       |
       = help: no single node can be reached by it; write a node's own address

    error: `hold-time` must be a whole number
      --> r1.toml:19:13
       |
    19 | hold-time = "90"
       |             ^^^^ a string
       |
       = help: write 90 without quotes

    error: `instance-id` must be from 0 to 18446744073709551615
      --> r1.toml:20:15
       |
    20 | instance-id = -1
       |               ^^ -1 is out of range
       |
       = help: write a whole number from 0 to 18446744073709551615
    "#);
}

#[test]
fn nodes() {
    assert_snapshot!(about(r#"
[[node]]
name = "r1"
router-id = "0000.0000.0001"
locators = ["fc00:0:1::1/48"]
overload = "yes"
[[node]]
name = "r1"
router-id = "0000.0000.0001"
[[node]]
router-id = "r2"
end-sids = ["fe80::1"]
"#), @r#"
    error: no [[node]] is this router, `sidewinder`
      --> r1.toml:13:8
       |
    13 | name = "r1"
       |        ^^^^ not this one, and none that follows
       |
       = help: set name in [router] to that of its node, r1, or add [[node]] with name = "sidewinder"

    error: `fc00:0:1::1/48` has bits set after its prefix length
      --> r1.toml:15:13
       |
    15 | locators = ["fc00:0:1::1/48"]
       |             ^^^^^^^^^^^^^^^^ not zero after the first 48 bits
       |
       = help: did you mean "fc00:0:1::/48"?

    error: `overload` must be true or false
      --> r1.toml:16:12
       |
    16 | overload = "yes"
       |            ^^^^^ a string
       |
       = help: write true or false, without quotes

    error: node `r1` is there twice
      --> r1.toml:18:8
       |
    13 | name = "r1"
       |        ---- first here
    ...
    18 | name = "r1"
       |        ^^^^ again here
       |
       = help: remove or change one of them

    error: router ID 0000.0000.0001 is there twice
      --> r1.toml:19:13
       |
    14 | router-id = "0000.0000.0001"
       |             ---------------- first here
    ...
    19 | router-id = "0000.0000.0001"
       |             ^^^^^^^^^^^^^^^^ again here
       |
       = help: remove or change one of them

    error: [[node]] has no `name`
      --> r1.toml:20:1
       |
    20 | [[node]]
       | ^^^^^^^^ `name` is missing here
       |
       = help: add a line such as name = "r1"

    error: `r2` is not a router ID
      --> r1.toml:21:13
       |
    21 | router-id = "r2"
       |             ^^^^
       |
       = help: write an IS-IS system ID, "0000.0000.0001", or an OSPF router ID, "192.0.2.1"

    error: each of `end-sids` must be an address that is routed
      --> r1.toml:22:13
       |
    22 | end-sids = ["fe80::1"]
       |             ^^^^^^^^^ this is link-local
       |
       = help: link-local addresses are known on one link only; use a global or unique local one
    "#);
}

#[test]
fn links() {
    assert_snapshot!(about(r#"
[[node]]
name = "sidewinder"
[[node]]
name = "r2"
[[link]]
from = "sidewinder"
to = "r3"
metric = 0
[[link]]
from = "r2"
to = "r2"
metric = 10
metric-back = 16777215
[[link]]
from = "r2"
local = "fc00:12::1"
remote = "fc00:12::1"
delay = 20_000_000
"#), @r#"
    error: there is no node `r3`
      --> r1.toml:18:6
       |
    18 | to = "r3"
       |      ^^^^ no [[node]] has this name
       |
       = help: add [[node]] with name = "r3"; this file has sidewinder and r2

    error: `metric` must be from 1 to 16777214
      --> r1.toml:19:10
       |
    19 | metric = 0
       |          ^ 0 is out of range
       |
       = help: write a whole number from 1 to 16777214

    error: a link leads from a node to itself
      --> r1.toml:22:6
       |
    21 | from = "r2"
       |        ---- as this
    22 | to = "r2"
       |      ^^^^ the same node
       |
       = help: name another node

    error: `metric-back` must be from 1 to 16777214
      --> r1.toml:24:15
       |
    24 | metric-back = 16777215
       |               ^^^^^^^^ 16777215 is out of range
       |
       = help: write a whole number from 1 to 16777214

    error: [[link]] has no `to`
      --> r1.toml:25:1
       |
    25 | [[link]]
       | ^^^^^^^^ `to` is missing here
       |
       = help: add a line such as to = "r2"

    error: [[link]] has no `metric`
      --> r1.toml:25:1
       |
    25 | [[link]]
       | ^^^^^^^^ `metric` is missing here
       |
       = help: add a line such as metric = 10

    error: both ends of a link have the same address
      --> r1.toml:28:10
       |
    27 | local = "fc00:12::1"
       |         ------------ and this one
    28 | remote = "fc00:12::1"
       |          ^^^^^^^^^^^^ this one
       |
       = help: `local` is the address of `from`, `remote` that of `to`

    error: `delay` must be from 0 to 16777215
      --> r1.toml:29:9
       |
    29 | delay = 20_000_000
       |         ^^^^^^^^^^ 20000000 is out of range
       |
       = help: write a whole number from 0 to 16777215
    "#);
}

#[test]
fn a_topology_without_this_router() {
    assert_snapshot!(about(r#"
[[node]]
name = "r1"
[[node]]
name = "r2"
"#), @r#"
    error: no [[node]] is this router, `sidewinder`
      --> r1.toml:13:8
       |
    13 | name = "r1"
       |        ^^^^ not this one, and none that follows
       |
       = help: set name in [router] to that of its node, r1 or r2, or add [[node]] with name = "sidewinder"
    "#);
}

#[test]
fn via_without_a_topology() {
    assert_snapshot!(about(r#"
[[policy]]
name = "p"
behavior = "H.Encaps"
via = ["r2"]
"#), @r#"
    error: `via` needs a topology, and there is none
      --> r1.toml:15:8
       |
    15 | via = ["r2"]
       |        ^^^^ where this node is, is not known
       |
       = help: add [source.bgp-ls], or [[node]] and [[link]]; or write SIDs in `segs`
    "#);
}

#[test]
fn via_what_is_not_there() {
    assert_snapshot!(about(r#"
[[policy]]
name = "p"
behavior = "H.Encaps"
via = ["r2", "r4", "0000.0000.000A", "0000.0000.000b"]
[[node]]
name = "sidewinder"
[[node]]
name = "r2"
router-id = "0000.0000.000a"
"#), @r#"
    error: there is no node `r4`
      --> r1.toml:15:14
       |
    15 | via = ["r2", "r4", "0000.0000.000A", "0000.0000.000b"]
       |              ^^^^ no [[node]] has this name
       |
       = help: add [[node]] with name = "r4"; this file has sidewinder and r2

    error: there is no node `0000.0000.000b`
      --> r1.toml:15:38
       |
    15 | via = ["r2", "r4", "0000.0000.000A", "0000.0000.000b"]
       |                                      ^^^^^^^^^^^^^^^^ no [[node]] has this name
       |
       = help: add [[node]] with name = "0000.0000.000b"; this file has sidewinder and r2
    "#);
}

#[test]
fn via_and_segments() {
    assert_snapshot!(about(r#"
[[policy]]
name = "p"
behavior = "H.Encaps"
via = ["r2"]
segs = ["fc00:0:2::"]
[[policy]]
name = "q"
behavior = "H.Encaps"
via = []
[[policy]]
name = "s"
behavior = "H.Encaps"
lists = [{ via = ["sidewinder"], segs = ["fc00:0:2::"] }, { weight = 1 }]
[[node]]
name = "sidewinder"
[[node]]
name = "r2"
"#), @r#"
    error: `segs` and `via` exclude each other
      --> r1.toml:15:7
       |
    15 | via = ["r2"]
       |       ^^^^^^
    16 | segs = ["fc00:0:2::"]
       |        --------------
       |
       = help: keep `segs` to write SIDs, `via` to have them found by nodes

    error: `via` names no node
      --> r1.toml:20:7
       |
    20 | via = []
       |       ^^ empty
       |
       = help: list the nodes to visit, first to last

    error: `segs` and `via` exclude each other
      --> r1.toml:24:18
       |
    24 | lists = [{ via = ["sidewinder"], segs = ["fc00:0:2::"] }, { weight = 1 }]
       |                  ^^^^^^^^^^^^^^         --------------
       |
       = help: keep `segs` to write SIDs, `via` to have them found by nodes

    error: a segment list has no `segs`
      --> r1.toml:24:59
       |
    24 | lists = [{ via = ["sidewinder"], segs = ["fc00:0:2::"] }, { weight = 1 }]
       |                                                           ^^^^^^^^^^^^^^ `segs` is missing here
       |
       = help: write { segs = ["fc00:0:2:e::"], weight = 1 }
    "#);
}

#[test]
fn via_too_many() {
    assert_snapshot!(about(r#"
[[policy]]
name = "p"
behavior = "H.Encaps"
via = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"]
[source.bgp-ls]
peer = "fc00::9"
local-as = 1
router-id = "1.1.1.1"
"#), @r#"
    error: 14 segments do not fit in front of a packet
      --> r1.toml:15:73
       |
    15 | via = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"]
       |                                                                         ^^^ one too many
       |
       = help: H.Encaps can carry at most 13 segments
       = help: this list adds 272 bytes, and there is room for 256
    "#);
}
