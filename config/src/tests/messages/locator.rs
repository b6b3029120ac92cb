//! Messages about `[[locator]]`.

use insta::assert_snapshot;

use crate::tests::about;

#[test]
fn locator_without_anything() {
    assert_snapshot!(about(r#"
[[locator]]
"#), @r#"
    error: [[locator]] has no `name`
      --> r1.toml:12:1
       |
    12 | [[locator]]
       | ^^^^^^^^^^^ `name` is missing here
       |
       = help: add a line such as name = "main"

    error: [[locator]] has no `prefix`
      --> r1.toml:12:1
       |
    12 | [[locator]]
       | ^^^^^^^^^^^ `prefix` is missing here
       |
       = help: add a line such as prefix = "fc00:0:1::/48"
    "#);
}

#[test]
fn prefixes() {
    assert_snapshot!(about(r#"
[[locator]]
name = "a"
prefix = "fd00::/200"
[[locator]]
name = "b"
prefix = "fd00::1/64"
[[locator]]
name = "c"
prefix = "fd00::"
[[locator]]
name = "d"
prefix = "10.0.0.0/8"
[[locator]]
name = "e"
prefix = "fd00::/x"
[[locator]]
name = "f"
prefix = "fd00/16"
"#), @r#"
    error: prefix length 200 is over 128
      --> r1.toml:14:17
       |
    14 | prefix = "fd00::/200"
       |                 ^^^^ must be at most 128
       |
       = help: for one address, write "fd00::/128"

    error: `fd00::1/64` has bits set after its prefix length
      --> r1.toml:17:10
       |
    17 | prefix = "fd00::1/64"
       |          ^^^^^^^^^^^^ not zero after the first 64 bits
       |
       = help: did you mean "fd00::/64"?

    error: `fd00::` has no prefix length
      --> r1.toml:20:10
       |
    20 | prefix = "fd00::"
       |          ^^^^^^^^
       |
       = help: for this one address, write "fd00::/128"

    error: `prefix` must be IPv6
      --> r1.toml:23:10
       |
    23 | prefix = "10.0.0.0/8"
       |          ^^^^^^^^^^^^ this is IPv4
       |
       = help: write an IPv6 address here

    error: `x` is not a prefix length
      --> r1.toml:26:17
       |
    26 | prefix = "fd00::/x"
       |                 ^^ must be a number from 0 to 128
       |
       = help: a prefix is an address and a length, as in "2001:db8::/32"

    error: `fd00` is not an IPv6 address
      --> r1.toml:29:11
       |
    29 | prefix = "fd00/16"
       |           ^^^^
       |
       = help: a prefix is an address and a length, as in "2001:db8::/32"
    "#);
}

#[test]
fn bits() {
    assert_snapshot!(about(r#"
[[locator]]
name = "a"
prefix = "fd00:1::/48"
block-bits = 32
node-bits = 32
[[locator]]
name = "b"
prefix = "fd00:2::/32"
function-bits = 97
[[locator]]
name = "c"
prefix = "fd00:3::/32"
node-bits = 32
[[locator]]
name = "d"
prefix = "fd00:4::/32"
block-bits = 129
"#), @r#"
    error: block and node bits do not make up the locator
      --> r1.toml:16:13
       |
    14 | prefix = "fd00:1::/48"
       |          ------------- a /48
    15 | block-bits = 32
    16 | node-bits = 32
       |             ^^ 32 block bits + 32 node bits = 64
       |
       = help: block-bits + node-bits is the prefix length, 48

    error: locator and function do not fit an IPv6 address
      --> r1.toml:20:17
       |
    20 | function-bits = 97
       |                 ^^ 32 locator bits + 97 function bits = 129
       |
       = help: function-bits is at most 96

    error: a locator needs a SID block
      --> r1.toml:23:10
       |
    23 | prefix = "fd00:3::/32"
       |          ^^^^^^^^^^^^^ no block bits are left
       |
       = help: block-bits is at least 1: nodes of a domain share the SID block

    error: `block-bits` must be from 0 to 128
      --> r1.toml:28:14
       |
    28 | block-bits = 129
       |              ^^^ 129 is out of range
       |
       = help: write a whole number from 0 to 128
    "#);
}

#[test]
fn overlap() {
    assert_snapshot!(about(r#"
[[locator]]
name = "b"
prefix = "fc00::/32"
"#), @r#"
    error: locators fc00:0:1::/48 and fc00::/32 overlap
      --> r1.toml:14:10
       |
    10 | prefix = "fc00:0:1::/48"
       |          --------------- and this one
    ...
    14 | prefix = "fc00::/32"
       |          ^^^^^^^^^^^ this one
       |
       = help: a SID must belong to one locator only
    "#);
}

#[test]
fn locator_twice() {
    assert_snapshot!(about(r#"
[[locator]]
name = "main"
prefix = "fc00:0:1::/48"
"#), @r#"
    error: locator `main` is there twice
      --> r1.toml:13:8
       |
     9 | name = "main"
       |        ------ first here
    ...
    13 | name = "main"
       |        ^^^^^^ again here
       |
       = help: remove or change one of them

    error: locator prefix fc00:0:1::/48 is there twice
      --> r1.toml:14:10
       |
    10 | prefix = "fc00:0:1::/48"
       |          --------------- first here
    ...
    14 | prefix = "fc00:0:1::/48"
       |          ^^^^^^^^^^^^^^^ again here
       |
       = help: remove one of the locators
    "#);
}
