//! Messages about `[[policy]]` as RFC 9256 has it: candidate paths and colors; and about how segments are
//! written: insertion, and containers.

use insta::assert_snapshot;

use crate::tests::about;

#[test]
fn candidate_paths() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
color = 7
candidate-paths = [
    { preference = 7, segs = ["fc00:0:2::"] },
    { name = "b", preference = 7, lists = [{ segs = ["fc00:0:3::"] }] },
    { preference = -1 },
]
[[policy]]
name = "b"
behavior = "H.Encaps"
candidate-paths = []
endpoint = "fc00:0:2::1"
"#), @r#"
    error: `segs` and `candidate-paths` exclude each other
      --> r1.toml:15:8
       |
    15 |   segs = ["fc00:0:2::"]
       |          ^^^^^^^^^^^^^^
    16 |   color = 7
    17 |   candidate-paths = [
       |  ___________________-
    18 | |     { preference = 7, segs = ["fc00:0:2::"] },
    19 | |     { name = "b", preference = 7, lists = [{ segs = ["fc00:0:3::"] }] },
    20 | |     { preference = -1 },
    21 | | ]
       | |_-
       |
       = help: put the segments into a candidate path

    error: `color` needs `endpoint`
      --> r1.toml:16:9
       |
    16 | color = 7
       |         ^
       |
       = help: add a line such as endpoint = "fc00:0:3::1"

    error: two candidate paths have the preference 7
      --> r1.toml:19:32
       |
    18 |     { preference = 7, segs = ["fc00:0:2::"] },
       |                    - and this one
    19 |     { name = "b", preference = 7, lists = [{ segs = ["fc00:0:3::"] }] },
       |                                ^ this one
       |
       = help: the path with the highest preference is used: give each another

    error: a candidate path has no segments
      --> r1.toml:20:5
       |
    20 |     { preference = -1 },
       |     ^^^^^^^^^^^^^^^^^^^ `segs` is missing here
       |
       = help: add a line such as segs = ["fc00:0:2:e::", "fc00:0:3:d6::"]
       = help: or name nodes of the topology: via = ["r2", "fc00:0:3:d6::"]

    error: `preference` must be from 0 to 4294967295
      --> r1.toml:20:20
       |
    20 |     { preference = -1 },
       |                    ^^ -1 is out of range
       |
       = help: write a whole number from 0 to 4294967295

    error: `candidate-paths` names no path
      --> r1.toml:25:19
       |
    25 | candidate-paths = []
       |                   ^^ empty
       |
       = help: write { preference = 200, segs = ["fc00:0:2:e::"] } for each path

    error: `endpoint` needs `color`
      --> r1.toml:26:12
       |
    26 | endpoint = "fc00:0:2::1"
       |            ^^^^^^^^^^^^^
       |
       = help: add a line such as color = 100
    "#);
}

#[test]
fn colors() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
color = 7
endpoint = "fc00:0:2::1"
[[policy]]
name = "b"
behavior = "H.Encaps"
segs = ["fc00:0:2::"]
color = 7
endpoint = "fc00:0:2::1"
[[route]]
prefix = "2001:db8:1::/48"
color = 7
nh6 = "fc00:0:3::1"
[[route]]
prefix = "2001:db8:2::/48"
color = 8
nh6 = "fc00:0:2::1"
[[route]]
prefix = "2001:db8:3::/48"
color = 7
interface = "eth0"
"#), @r#"
    error: the policy with color 7 and endpoint fc00:0:2::1 is there twice
      --> r1.toml:22:9
       |
    16 | color = 7
       |         - first here
    ...
    22 | color = 7
       |         ^ again here
       |
       = help: remove or change one of them

    error: there is no policy with color 7 and endpoint fc00:0:3::1
      --> r1.toml:26:9
       |
    26 | color = 7
       |         ^
       |
       = help: policy `a` has this color, and endpoint fc00:0:2::1

    error: there is no policy with color 8 and endpoint fc00:0:2::1
      --> r1.toml:30:9
       |
    30 | color = 8
       |         ^
       |
       = help: add color = 8 and endpoint = "fc00:0:2::1" to a [[policy]]

    error: `color` needs `nh6`, and nothing else
      --> r1.toml:34:9
       |
    34 | color = 7
       |         ^
       |
       = help: the policy is the one with this color whose endpoint is the next hop
    "#);
}

#[test]
fn insertion() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Insert"
segs = ["fc00:0:2::"]
bsid = "fc00:0:1:b::"
[[route]]
prefix = "192.0.2.0/24"
policy = "a"
[[rule]]
destination = "192.0.2.0/24"
policy = "a"
"#), @r#"
    error: a policy of H.Insert has no binding SID
      --> r1.toml:16:8
       |
    14 | behavior = "H.Insert"
       |            ---------- puts its segments into packets
    15 | segs = ["fc00:0:2::"]
    16 | bsid = "fc00:0:1:b::"
       |        ^^^^^^^^^^^^^^
       |
       = help: remove `bsid`, or use H.Encaps: a binding SID encapsulates

    error: policy `a` is for IPv6 packets only
      --> r1.toml:19:10
       |
    19 | policy = "a"
       |          ^^^ the policy is H.Insert
       |
       = help: an IPv4 packet takes no SRH: use H.Encaps

    error: policy `a` is for IPv6 packets only
      --> r1.toml:22:10
       |
    22 | policy = "a"
       |          ^^^ the policy is H.Insert
       |
       = help: an IPv4 packet takes no SRH: use H.Encaps
    "#);
}

#[test]
fn segments_with_a_structure() {
    assert_snapshot!(about(r#"
[[policy]]
name = "a"
behavior = "H.Encaps"
compress = "yes"
segs = [
    { sid = "fcbb:bbbb:2::", node-bits = 16 },
    { sid = "fcbb:bbbb:2:7::", block-bits = 32, node-bits = 16 },
    { sid = "fcbb:bbbb::", block-bits = 32, node-bits = 16 },
    7,
]
"#), @r#"
    error: `compress` must be true or false
      --> r1.toml:15:12
       |
    15 | compress = "yes"
       |            ^^^^^ a string
       |
       = help: write true or false, without quotes

    error: segs has no `block-bits`
      --> r1.toml:17:5
       |
    17 |     { sid = "fcbb:bbbb:2::", node-bits = 16 },
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `block-bits` is missing here
       |
       = help: add a line such as block-bits = 32

    error: fcbb:bbbb:2:7:: cannot be compressed with these bits
      --> r1.toml:18:13
       |
    18 |     { sid = "fcbb:bbbb:2:7::", block-bits = 32, node-bits = 16 },
       |             ^^^^^^^^^^^^^^^^^ needs a block, a node or function that is not 0, and zeros behind it
       |
       = help: block, node and function are as the SID's own node has them; or write the SID alone

    error: fcbb:bbbb:: cannot be compressed with these bits
      --> r1.toml:19:13
       |
    19 |     { sid = "fcbb:bbbb::", block-bits = 32, node-bits = 16 },
       |             ^^^^^^^^^^^^^ needs a block, a node or function that is not 0, and zeros behind it
       |
       = help: block, node and function are as the SID's own node has them; or write the SID alone

    error: each of `segs` must be an IPv6 address, in quotes
      --> r1.toml:20:5
       |
    20 |     7,
       |     ^ a whole number
       |
       = help: write it in double quotes
    "#);
}
