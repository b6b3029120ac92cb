//! Messages about `[router]` and `[[interface]]`.

use insta::assert_snapshot;

use crate::tests::{about, messages};

#[test]
fn cores() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
cores = [2, 3, 2, 1024, "4"]
"#), @r#"
    error: core 2 is listed twice
     --> r1.toml:5:16
      |
    5 | cores = [2, 3, 2, 1024, "4"]
      |          -     ^ again here
      |          |
      |          first here
      |
      = help: each worker needs a core of its own

    error: each of `cores` must be from 0 to 1023
     --> r1.toml:5:19
      |
    5 | cores = [2, 3, 2, 1024, "4"]
      |                   ^^^^ 1024 is out of range
      |
      = help: write a whole number from 0 to 1023

    error: each of `cores` must be a whole number
     --> r1.toml:5:25
      |
    5 | cores = [2, 3, 2, 1024, "4"]
      |                         ^^^ a string
      |
      = help: write 4 without quotes
    "#);
}

#[test]
fn cores_not_a_list() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
cores = 2
"#), @"
    error: `cores` must be a list
     --> r1.toml:5:9
      |
    5 | cores = 2
      |         ^ a whole number
      |
      = help: write cores = [2]
    ");
}

#[test]
fn no_cores() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
cores = []
"#), @"
    error: `cores` names no core
     --> r1.toml:5:9
      |
    5 | cores = []
      |         ^^ empty
      |
      = help: name at least one, or remove the key for one worker that is not pinned
    ");
}

#[test]
fn numbers() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
encap-hop-limit = 0
icmp-rate = "100"
"#), @r#"
    error: `encap-hop-limit` must be from 1 to 255
     --> r1.toml:5:19
      |
    5 | encap-hop-limit = 0
      |                   ^ 0 is out of range
      |
      = help: write a whole number from 1 to 255

    error: `icmp-rate` must be a whole number
     --> r1.toml:6:13
      |
    6 | icmp-rate = "100"
      |             ^^^^^ a string
      |
      = help: write 100 without quotes
    "#);
}

#[test]
fn words() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
encap-flow-label = "hsh"
poll = "never"
"#), @r#"
    error: `encap-flow-label` cannot be "hsh"
     --> r1.toml:5:20
      |
    5 | encap-flow-label = "hsh"
      |                    ^^^^^ did you mean "hash"?
      |
      = help: `encap-flow-label` is "hash", "copy" or "zero"

    error: `poll` cannot be "never"
     --> r1.toml:6:8
      |
    6 | poll = "never"
      |        ^^^^^^^ not known
      |
      = help: `poll` is "adaptive" or "busy"
    "#);
}

#[test]
fn strings() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
name = 5
socket = ""
"#), @r#"
    error: `name` must be a name, in quotes
     --> r1.toml:5:8
      |
    5 | name = 5
      |        ^ a whole number
      |
      = help: write it in double quotes

    error: `socket` cannot be the path of a socket
     --> r1.toml:6:10
      |
    6 | socket = ""
      |          ^^ empty
      |
      = help: for example "/run/sidewinder/r1.sock"
    "#);
}

#[test]
fn names() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
name = "router one"
"#), @r#"
    error: `name` is not a usable name
     --> r1.toml:5:8
      |
    5 | name = "router one"
      |        ^^^^^^^^^^^^ has a space or control character
      |
      = help: a name has one or more characters, and no spaces
    "#);
}

#[test]
fn long_socket_path() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
socket = "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
"#), @r#"
    error: `socket` cannot be the path of a socket
     --> r1.toml:5:10
      |
    5 | socket = "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ longer than 107 bytes, the most a Unix socket takes
      |
      = help: for example "/run/sidewinder/r1.sock"
    "#);
}

#[test]
fn metrics() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
metrics = "::1"
"#), @r#"
    error: `::1` is not an address and a port
     --> r1.toml:5:11
      |
    5 | metrics = "::1"
      |           ^^^^^ has no port
      |
      = help: write "[::1]:9117" or "127.0.0.1:9117"
    "#);
}

#[test]
fn ipv4_source() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
encap-source = "192.0.2.1"
"#), @r#"
    error: `encap-source` must be IPv6
     --> r1.toml:5:16
      |
    5 | encap-source = "192.0.2.1"
      |                ^^^^^^^^^^^ this is IPv4
      |
      = help: write an IPv6 address here
    "#);
}

#[test]
fn multicast_source() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
encap-source = "ff02::1"
icmp-source = "fe80::1"
"#), @r#"
    error: `encap-source` must be a unicast address
     --> r1.toml:5:16
      |
    5 | encap-source = "ff02::1"
      |                ^^^^^^^^^ this is a multicast address
      |
      = help: no single node can be reached by it; write a node's own address

    error: `icmp-source` must be an address that is routed
     --> r1.toml:6:15
      |
    6 | icmp-source = "fe80::1"
      |               ^^^^^^^^^ this is link-local
      |
      = help: link-local addresses are known on one link only; use a global or unique local one
    "#);
}

#[test]
fn source_with_length() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
[router]
encap-source = "fc00::1/64"
icmp-source = "fc00::x"
"#), @r#"
    error: `fc00::1/64` is not an IPv6 address
     --> r1.toml:5:16
      |
    5 | encap-source = "fc00::1/64"
      |                ^^^^^^^^^^^^
      |
      = help: `encap-source` takes no prefix length; write "fc00::1"

    error: `fc00::x` is not an IPv6 address
     --> r1.toml:6:15
      |
    6 | icmp-source = "fc00::x"
      |               ^^^^^^^^^
      |
      = help: for example "fc00:0:1::1"
    "#);
}

#[test]
fn interface_without_name() {
    assert_snapshot!(messages(r#"
[[interface]]
"#), @r#"
    error: [[interface]] has no `name`
     --> r1.toml:2:1
      |
    2 | [[interface]]
      | ^^^^^^^^^^^^^ `name` is missing here
      |
      = help: add a line such as name = "eth0"
    "#);
}

#[test]
fn interface_names() {
    assert_snapshot!(messages(r#"
[[interface]]
name = ""
[[interface]]
name = "eth0/1"
[[interface]]
name = "aninterfacewithalongname"
[[interface]]
name = ".."
"#), @r#"
    error: `` cannot be the name of an interface
     --> r1.toml:3:8
      |
    3 | name = ""
      |        ^^ empty
      |
      = help: `ip link` lists the interfaces of this machine

    error: `eth0/1` cannot be the name of an interface
     --> r1.toml:5:8
      |
    5 | name = "eth0/1"
      |        ^^^^^^^^ has a space, `/` or `:`
      |
      = help: `ip link` lists the interfaces of this machine

    error: `aninterfacewithalongname` cannot be the name of an interface
     --> r1.toml:7:8
      |
    7 | name = "aninterfacewithalongname"
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^ longer than 15 bytes
      |
      = help: `ip link` lists the interfaces of this machine

    error: `..` cannot be the name of an interface
     --> r1.toml:9:8
      |
    9 | name = ".."
      |        ^^^^ not a name the kernel accepts
      |
      = help: `ip link` lists the interfaces of this machine
    "#);
}

#[test]
fn interface_twice() {
    assert_snapshot!(about(r#"
[[interface]]
name = "eth0"
"#), @r#"
    error: interface `eth0` is there twice
      --> r1.toml:13:8
       |
     5 | name = "eth0"
       |        ------ first here
    ...
    13 | name = "eth0"
       |        ^^^^^^ again here
       |
       = help: remove or change one of them
    "#);
}

#[test]
fn zero_copy() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
zero-copy = true
steer = "sid"
"#), @r#"
    error: `zero-copy` must be "require", "prefer" or "never", in quotes
     --> r1.toml:4:13
      |
    4 | zero-copy = true
      |             ^^^^ a boolean
      |
      = help: write it in double quotes

    error: `steer` cannot be "sid"
     --> r1.toml:5:9
      |
    5 | steer = "sid"
      |         ^^^^^ did you mean "sids"?
      |
      = help: `steer` is "all" or "sids"
    "#);
}

#[test]
fn queues() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
queues = 0
[[interface]]
name = "eth1"
queues = "some"
"#), @r#"
    error: `queues` must be from 1 to 65535
     --> r1.toml:4:10
      |
    4 | queues = 0
      |          ^ 0 is out of range
      |
      = help: write a whole number from 1 to 65535

    error: `queues` must be "all" or a number
     --> r1.toml:7:10
      |
    7 | queues = "some"
      |          ^^^^^^ a string
      |
      = help: "all" serves every receive queue; a number serves the first so many
    "#);
}

#[test]
fn table() {
    assert_snapshot!(messages(r#"
[[interface]]
name = "eth0"
table = "mian"
[[interface]]
name = "eth1"
table = 0
[[interface]]
name = "eth2"
table = "100"
[[interface]]
name = "eth3"
table = 1.5
"#), @r#"
    error: `table` cannot be "mian"
     --> r1.toml:4:9
      |
    4 | table = "mian"
      |         ^^^^^^ did you mean "main"?
      |
      = help: a table is a number from 1 to 4294967295, or "main", "local" or "default"

    error: `table` must be from 1 to 4294967295
     --> r1.toml:7:9
      |
    7 | table = 0
      |         ^ 0 is out of range
      |
      = help: write a whole number from 1 to 4294967295
      = help: a table is a number from 1 to 4294967295, or "main", "local" or "default"

    error: `table` must be a whole number
      --> r1.toml:10:9
       |
    10 | table = "100"
       |         ^^^^^ a string
       |
       = help: write 100 without quotes
       = help: a table is a number from 1 to 4294967295, or "main", "local" or "default"

    error: `table` must be a table
      --> r1.toml:13:9
       |
    13 | table = 1.5
       |         ^^^ a fraction
       |
       = help: a table is a number from 1 to 4294967295, or "main", "local" or "default"
    "#);
}

#[test]
fn traffic_class_and_sources() {
    assert_snapshot!(messages(r#"
[router]
encap-traffic-class = "inner"
sid-sources = ["10.0.0.0/8", "fc00::1"]
[[interface]]
name = "eth0"
"#), @r#"
    error: `encap-traffic-class` cannot be "inner"
     --> r1.toml:3:23
      |
    3 | encap-traffic-class = "inner"
      |                       ^^^^^^^ not known
      |
      = help: `encap-traffic-class` is "copy" or a number from 0 to 255

    error: each of `sid-sources` must be IPv6
     --> r1.toml:4:16
      |
    4 | sid-sources = ["10.0.0.0/8", "fc00::1"]
      |                ^^^^^^^^^^^^ this is IPv4
      |
      = help: write an IPv6 address here

    error: `fc00::1` has no prefix length
     --> r1.toml:4:30
      |
    4 | sid-sources = ["10.0.0.0/8", "fc00::1"]
      |                              ^^^^^^^^^
      |
      = help: for this one address, write "fc00::1/128"
    "#);
}
