//! Messages about the file as a whole.

use insta::assert_snapshot;

use crate::tests::{about, messages};

#[test]
fn empty() {
    assert_snapshot!(messages(r#"

"#), @r#"
    error: there is no [[interface]]
     --> r1.toml:1:1
      |
    1 |
      | ^
      |
      = help: add [[interface]] and name = "eth0" for each interface to forward on
    "#);
}

#[test]
fn not_toml() {
    assert_snapshot!(messages(r#"
[router]
name = "x
= 5
"#), @r#"
    error: not TOML: invalid basic string, expected `"`
     --> r1.toml:3:10
      |
    3 | name = "x
      |          ^
      |
      = help: https://toml.io shows how TOML is written

    error: not TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
     --> r1.toml:4:1
      |
    4 | = 5
      | ^
      |
      = help: https://toml.io shows how TOML is written
    "#);
}

#[test]
fn key_twice_hides_nothing_else() {
    assert_snapshot!(messages(r#"
[router]
name = "x"
name = "y"
icmp-rate = -1
"#), @r#"
    error: there is no [[interface]]
     --> r1.toml:1:1
      |
    1 |
      | ^
      |
      = help: add [[interface]] and name = "eth0" for each interface to forward on

    error: a key or section is there twice
     --> r1.toml:4:1
      |
    4 | name = "y"
      | ^^^^
      |
      = help: keep one of them; sections in [[double brackets]] may be there several times

    error: `icmp-rate` must be from 0 to 4294967295
     --> r1.toml:5:13
      |
    5 | icmp-rate = -1
      |             ^^ -1 is out of range
      |
      = help: write a whole number from 0 to 4294967295
    "#);
}

#[test]
fn unknown_section() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[[locators]]
[frobnicate]
"#), @"
    error: unknown key `locators`
     --> r1.toml:4:3
      |
    4 | [[locators]]
      |   ^^^^^^^^ the file has no such key
      |
      = help: did you mean `locator`?

    error: unknown key `frobnicate`
     --> r1.toml:5:2
      |
    5 | [frobnicate]
      |  ^^^^^^^^^^ the file has no such key
      |
      = help: the file takes `router`, `interface`, `locator`, `sid`, `policy`, `route`, `rule`, `neighbor`, `source`, `node` and `link`
    ");
}

#[test]
fn key_outside_of_a_section() {
    assert_snapshot!(messages(r#"
icmp-rate = 5
[[interface]]
name = "eth0"
"#), @"
    error: unknown key `icmp-rate`
     --> r1.toml:2:1
      |
    2 | icmp-rate = 5
      | ^^^^^^^^^ the file has no such key
      |
      = help: `icmp-rate` belongs in [router]
    ");
}

#[test]
fn key_of_another_section() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
segs = ["fc00:0:2::"]
"#), @r#"
    error: the route leads nowhere
      --> r1.toml:12:1
       |
    12 | [[route]]
       | ^^^^^^^^^ no next hop, policy or action
       |
       = help: add one of `nh6`, `nh4`, `interface`, `next-hops`, `policy` and `action`

    error: unknown key `segs`
      --> r1.toml:14:1
       |
    14 | segs = ["fc00:0:2::"]
       | ^^^^ [[route]] has no such key
       |
       = help: `segs` belongs in [[policy]], candidate-paths or lists
    "#);
}

#[test]
fn key_with_underscore() {
    assert_snapshot!(about(r#"
[[route]]
prefix = "2001:db8::/32"
next_hops = []
action = "local"
"#), @"
    error: unknown key `next_hops`
      --> r1.toml:14:1
       |
    14 | next_hops = []
       | ^^^^^^^^^ [[route]] has no such key
       |
       = help: did you mean `next-hops`?
    ");
}

#[test]
fn key_like_none() {
    assert_snapshot!(about(r#"
[[neighbor]]
address = "fc00:12::2"
interface = "eth0"
mac = "02:00:00:00:00:01"
xyzzy = 1
"#), @"
    error: unknown key `xyzzy`
      --> r1.toml:16:1
       |
    16 | xyzzy = 1
       | ^^^^^ [[neighbor]] has no such key
       |
       = help: [[neighbor]] takes `address`, `interface` and `mac`
    ");
}

#[test]
fn brackets() {
    assert_snapshot!(messages(r#"
[[router]]
[interface]
name = "eth0"
"#), @"
    error: `router` must be a table
     --> r1.toml:2:1
      |
    2 | [[router]]
      | ^^^^^^^^^^ a list
      |
      = help: there is one such section only: write [router] with single brackets

    error: `interface` must be a list
     --> r1.toml:3:1
      |
    3 | [interface]
      | ^^^^^^^^^^^ a table
      |
      = help: there may be several: write [[interface]], with two brackets
    ");
}

#[test]
fn section_that_is_a_value() {
    assert_snapshot!(messages(r#"
router = 5
interface = ["eth0"]
"#), @r#"
    error: `router` must be a table
     --> r1.toml:2:10
      |
    2 | router = 5
      |          ^ a whole number
      |
      = help: begin the section with a line [router]

    error: each of `interface` must be a table
     --> r1.toml:3:14
      |
    3 | interface = ["eth0"]
      |              ^^^^^^ a string
      |
      = help: begin the section with a line [[interface]]
    "#);
}

#[test]
fn sources() {
    assert_snapshot!(about(r#"
[source.kernel]
[source.bgp-ls]
"#), @r#"
    error: [source.bgp-ls] has neither `peer` nor `listen`
      --> r1.toml:13:1
       |
    13 | [source.bgp-ls]
       | ^^^^^^^^^^^^^^^ one of them is missing here
       |
       = help: add a line such as peer = "[fc00::9]:179"

    error: [source.bgp-ls] has no `local-as`
      --> r1.toml:13:1
       |
    13 | [source.bgp-ls]
       | ^^^^^^^^^^^^^^^ `local-as` is missing here
       |
       = help: add a line such as local-as = 65000

    error: [source.bgp-ls] has no `router-id`
      --> r1.toml:13:1
       |
    13 | [source.bgp-ls]
       | ^^^^^^^^^^^^^^^ `router-id` is missing here
       |
       = help: add a line such as router-id = "0000.0000.0001"
    "#);
}

#[test]
fn sources_ill_defined() {
    assert_snapshot!(about(r#"
[source.kernel]
tables = "main"
[source.bgp-ls]
peer = "r9"
listen = "fc00::1"
local-as = 0
router-id = "1"
"#), @r#"
    error: `tables` must be a list
      --> r1.toml:13:10
       |
    13 | tables = "main"
       |          ^^^^^^ a string
       |
       = help: write tables = ["main"]

    error: `r9` is not an address
      --> r1.toml:15:8
       |
    15 | peer = "r9"
       |        ^^^^
       |
       = help: write "fc00::9", or with a port "[fc00::9]:179"

    error: `peer` and `listen` exclude each other
      --> r1.toml:16:10
       |
    15 | peer = "r9"
       |        ----
    16 | listen = "fc00::1"
       |          ^^^^^^^^^
       |
       = help: keep `peer` to open the session from here, `listen` to wait for it

    error: `local-as` must be from 1 to 4294967295
      --> r1.toml:17:12
       |
    17 | local-as = 0
       |            ^ 0 is out of range
       |
       = help: write a whole number from 1 to 4294967295

    error: `1` is not a router ID
      --> r1.toml:18:13
       |
    18 | router-id = "1"
       |             ^^^
       |
       = help: write an IS-IS system ID, "0000.0000.0001", or an OSPF router ID, "192.0.2.1"
    "#);
}

#[test]
fn tables_of_the_kernel() {
    assert_snapshot!(about(r#"
[source.kernel]
tables = []
"#), @r#"
    error: `tables` names no table
      --> r1.toml:13:10
       |
    13 | tables = []
       |          ^^ empty
       |
       = help: name at least one, such as tables = ["main"], or remove the section
    "#);
    assert_snapshot!(about(r#"
[source.kernel]
tables = ["main", 100, 254, 0]
"#), @r#"
    error: table main is listed twice
      --> r1.toml:13:24
       |
    13 | tables = ["main", 100, 254, 0]
       |           ------       ^^^ again here
       |           |
       |           first here
       |
       = help: remove one of them

    error: each of `tables` must be from 1 to 4294967295
      --> r1.toml:13:29
       |
    13 | tables = ["main", 100, 254, 0]
       |                             ^ 0 is out of range
       |
       = help: write a whole number from 1 to 4294967295
       = help: a table is a number from 1 to 4294967295, or "main", "local" or "default"
    "#);
}

#[test]
fn errors_and_warnings_together() {
    assert_snapshot!(about(r#"
[[sid]]
sid = "fc00:9::"
behavior = "End"
colour = "red"
"#), @r#"
    error: unknown key `colour`
      --> r1.toml:15:1
       |
    15 | colour = "red"
       | ^^^^^^ [[sid]] has no such key
       |
       = help: [[sid]] takes `sid`, `behavior`, `flavors`, `nh6`, `nh4`, `interface`, `next-hops`, `table`, `policy`, `block-bits`, `node-bits`, `function-bits` and `hmac`

    warning: SID fc00:9:: is outside every locator
      --> r1.toml:13:7
       |
    13 | sid = "fc00:9::"
       |       ^^^^^^^^^^ in no [[locator]]
       |
       = help: a SID is reached by its locator: correct it, or add [[locator]]
    "#);
}

#[test]
fn no_interface_in_the_list() {
    assert_snapshot!(messages("interface = []"), @r#"
    error: there is no [[interface]]
     --> r1.toml:1:1
      |
    1 | interface = []
      | ^
      |
      = help: add [[interface]] and name = "eth0" for each interface to forward on
    "#);
}
