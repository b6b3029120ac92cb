//! Messages about the border of the SR domain, and who may use SIDs.

use insta::assert_snapshot;

use crate::tests::{about, good};
use crate::{Domain, SourceCheck};

#[test]
fn leaving_and_entering() {
    assert_snapshot!(about(r#"
[[interface]]
name = "eth2"
let-sids-out = true
[[interface]]
name = "eth3"
domain = "external"
source-check = "exact"
"#), @r#"
    error: `let-sids-out` is a matter of external interfaces
      --> r1.toml:14:16
       |
    14 | let-sids-out = true
       |                ^^^^ SIDs may leave by any other
       |
       = help: remove it, or add domain = "external"

    error: `source-check` cannot be "exact"
      --> r1.toml:18:16
       |
    18 | source-check = "exact"
       |                ^^^^^^^ not known
       |
       = help: `source-check` is "off", "domain", "loose" or "strict"
    "#);
}

/// C-115: what an external interface does if nothing is said.
#[test]
fn filters_are_on_at_the_border() {
    let config = good("[[interface]]\nname = \"eth2\"\ndomain = \"external\"\n").config;
    let of = |name| {
        let interface = config.interface(name).unwrap();
        (interface.domain, interface.source_check, interface.let_sids_out)
    };
    assert_eq!(of("eth0"), (Domain::Internal, SourceCheck::Off, false));
    assert_eq!(of("eth2"), (Domain::External, SourceCheck::Domain, false));
}

#[test]
fn hmac_of_a_policy() {
    assert_snapshot!(about(r#"
[[policy]]
name = "to-r3"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::"]
hmac = "require"
[[policy]]
name = "by-r2"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::"]
bsid = "fc00:0:1:b::"
hmac = "required"
"#), @r#"
    error: `hmac` is asked of packets to a binding SID
      --> r1.toml:16:8
       |
    16 | hmac = "require"
       |        ^^^^^^^^^ the policy has none
       |
       = help: remove it, or add `bsid`; `hmac-key` has the segment lists signed

    error: there are no keys for an HMAC
      --> r1.toml:16:8
       |
    16 | hmac = "require"
       |        ^^^^^^^^^
       |
       = help: write them into a file of mode 0600, and its path into hmac-keys of [router]

    error: `hmac` cannot be "required"
      --> r1.toml:22:8
       |
    22 | hmac = "required"
       |        ^^^^^^^^^^ did you mean "require"?
       |
       = help: `hmac` is "ignore", "verify-if-present" or "require"
    "#);
}
