//! Messages about SIDs with the flavor NEXT-CSID.

use insta::assert_snapshot;

use crate::tests::{about, messages};

#[test]
fn names_in_daily_use() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1::/48"
behavior = "uN"
"#), @r#"
    error: write uN as End
      --> r1.toml:14:12
       |
    14 | behavior = "uN"
       |            ^^^^
       |
       = help: behavior = "End" and flavors = ["NEXT-CSID"]

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
fn bits_that_do_not_fit() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:e::/64"
behavior = "End"
flavors = ["NEXT-CSID"]
node-bits = 16
function-bits = 0
[[sid]]
sid = "fc00::/32"
behavior = "End"
flavors = ["NEXT-CSID"]
[[sid]]
sid = "fc00:0:1:d::"
behavior = "End"
flavors = ["NEXT-CSID"]
function-bits = 80
[[sid]]
sid = "fc00:0:1:f::/64"
behavior = "End"
flavors = ["NEXT-CSID"]
block-bits = 0
node-bits = 48
"#), @r#"
    error: block, node and function bits do not make up the SID
      --> r1.toml:17:17
       |
    13 | sid = "fc00:0:1:e::/64"
       |       ----------------- a /64
    ...
    17 | function-bits = 0
       |                 ^ 32 block bits + 16 node bits + 0 function bits = 48
       |
       = help: their sum is the prefix length: all that is behind it is the argument

    error: NEXT-CSID needs a compressed SID
      --> r1.toml:19:7
       |
    19 | sid = "fc00::/32"
       |       ^^^^^^^^^^^ 32 block bits + 0 node bits + 0 function bits = 32
       |
       = help: node-bits + function-bits is at least 1; 16 is common

    error: SID fc00::/32 covers the whole locator fc00:0:1::/48
      --> r1.toml:19:7
       |
    10 | prefix = "fc00:0:1::/48"
       |          --------------- this locator is inside
    ...
    19 | sid = "fc00::/32"
       |       ^^^^^^^^^^^ larger than a locator
       |
       = help: a SID is a locator and a function: give it a longer prefix length

    error: NEXT-CSID leaves no room for an argument
      --> r1.toml:26:17
       |
    26 | function-bits = 80
       |                 ^^ 32 block bits + 16 node bits + 80 function bits = 128
       |
       = help: block-bits + node-bits + function-bits is at most 127

    error: NEXT-CSID needs a SID block
      --> r1.toml:31:14
       |
    31 | block-bits = 0
       |              ^ no block bits
       |
       = help: block-bits is at least 1; 16, 32 and 48 are common
    "#);
}

#[test]
fn address_with_an_argument() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:e:2::"
behavior = "End"
flavors = ["NEXT-CSID"]
[[sid]]
sid = "fc00:0:0::/48"
behavior = "End.X"
nh6 = "fe80::2"
interface = "eth1"
flavors = ["NEXT-CSID"]
"#), @r#"
    error: a SID with NEXT-CSID has no argument
      --> r1.toml:13:7
       |
    13 | sid = "fc00:0:1:e:2::"
       |       ^^^^^^^^^^^^^^^^ has bits set behind 32 block bits + 16 node bits + 16 function bits = 64
       |
       = help: write "fc00:0:1:e::/64": packets may have any argument

    error: the compressed SID 0 cannot be used
      --> r1.toml:17:7
       |
    17 | sid = "fc00:0:0::/48"
       |       ^^^^^^^^^^^^^^^ nothing but zeros behind 32 block bits
       |
       = help: 0 is the end of a container (RFC 9800, 5): choose another
    "#);
}

#[test]
fn no_block() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fd00:0:1::/48"
behavior = "End"
flavors = ["NEXT-CSID"]
[[sid]]
sid = "fc00:0:1:e::"
behavior = "End"
node-bits = 16
"#), @r#"
    error: NEXT-CSID needs a SID block
      --> r1.toml:13:7
       |
    13 | sid = "fd00:0:1::/48"
       |       ^^^^^^^^^^^^^^^ in the SID block of no [[locator]]
       |
       = help: add [[locator]], or block-bits, node-bits and function-bits to the SID

    error: `node-bits` is for SIDs with NEXT-CSID
      --> r1.toml:19:13
       |
    19 | node-bits = 16
       |             ^^
       |
       = help: remove it, or add flavors = ["NEXT-CSID"]
    "#);
}

/// A locator that could not be read leads to no message about what is taken from it.
#[test]
fn after_a_bad_locator() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[[locator]]
name = "main"
prefix = "fc00:0:1::/48"
block-bits = 0
[[sid]]
sid = "fc00:0:1::/48"
behavior = "End"
flavors = ["NEXT-CSID"]
"#), @r#"
    error: a locator needs a SID block
     --> r1.toml:7:14
      |
    7 | block-bits = 0
      |              ^ no block bits are left
      |
      = help: block-bits is at least 1: nodes of a domain share the SID block
    "#);
}

#[test]
fn flavors_of_decapsulation() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:0:1:d6::/64"
behavior = "End.DT6"
table = "main"
flavors = ["NEXT-CSID", "PSP"]
"#), @r#"
    error: End.DT6 does not take the flavor PSP
      --> r1.toml:16:25
       |
    14 | behavior = "End.DT6"
       |            --------- the behavior
    15 | table = "main"
    16 | flavors = ["NEXT-CSID", "PSP"]
       |                         ^^^^^
       |
       = help: PSP is for End, End.X and End.T
    "#);
}
