//! Messages about HMAC keys, and who names them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;

use crate::tests::{BASE, about};
use crate::{Checked, Failure, Hmac, load};

/// What is said about [`BASE`] with `hmac-keys` and `more`, beside a file with these keys and mode.
#[track_caller]
fn beside(keys: Option<(&str, u32)>, more: &str) -> Result<Checked, Failure> {
    // The line tells the tests apart.
    let line = std::panic::Location::caller().line();
    let name = format!("sidewinder-keys-{}-{line}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder).unwrap();
    if let Some((keys, mode)) = keys {
        fs::write(folder.join("keys.toml"), keys).unwrap();
        fs::set_permissions(folder.join("keys.toml"), Permissions::from_mode(mode)).unwrap();
    }
    let base = BASE.replace("[router]\n", "[router]\nhmac-keys = \"keys.toml\"\n");
    fs::write(folder.join("r1.toml"), format!("{base}{more}")).unwrap();
    let found = load(folder.join("r1.toml"));
    fs::remove_dir_all(&folder).unwrap();
    found
}

/// The same as text, with the same path on every machine.
#[track_caller]
fn said(keys: Option<(&str, u32)>, more: &str) -> String {
    let text = beside(keys, more).unwrap_err().to_string();
    let folder = std::env::temp_dir().display().to_string();
    text.lines()
        .map(|line| match (line.find(&folder), line.rfind("/r1.toml"), line.rfind("/keys.toml")) {
            (Some(start), Some(end), _) | (Some(start), _, Some(end)) => {
                format!("{}{}\n", &line[..start], &line[end + 1..])
            }
            _ => format!("{line}\n"),
        })
        .collect()
}

const KEY: &str = "[[key]]\nid = 1\nsecret = \"hush\"\n";

const SIGNED: &str = r#"
[[policy]]
name = "to-r3"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::"]
hmac-key = 1
[[sid]]
sid = "fc00:0:1:e::"
behavior = "End"
hmac = "require"
"#;

#[test]
fn a_good_file() {
    let checked = beside(Some((KEY, 0o600)), SIGNED).unwrap();
    assert!(checked.warnings.is_empty());
    let config = checked.config;
    assert_eq!(config.hmac_keys[0].secret.bytes(), b"hush");
    assert_eq!(config.policies[0].hmac_key, Some(1));
    assert_eq!(config.policies[0].overhead(1), 64 + 40);
    assert_eq!(config.sids[0].hmac, Hmac::Require);
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn others_may_read_it() {
    assert_snapshot!(said(Some((KEY, 0o640)), SIGNED), @r#"
    error: others than its owner may read or change the file of keys: mode 0640
     --> r1.toml:3:13
      |
    3 | hmac-keys = "keys.toml"
      |             ^^^^^^^^^^^
      |
      = help: chmod 600 keys.toml, and take new secrets if they have been seen
    "#);
}

#[test]
fn not_there() {
    assert_snapshot!(said(None, SIGNED), @r#"
    error: the file of keys cannot be read: there is no such file
     --> r1.toml:3:13
      |
    3 | hmac-keys = "keys.toml"
      |             ^^^^^^^^^^^
      |
      = help: a path that is not absolute is taken from where this file is
    "#);
}

#[test]
fn wrong_in_several_ways() {
    let keys = "[[key]]\nid = 0\nsecret = \"hush\"\n[[key]]\nid = 2\nsecret = \"\"\n";
    assert_snapshot!(said(Some((keys, 0o600)), SIGNED), @r#"
    error: file of keys, line 2: `id` has to be a whole number from 1 to 4294967295
     --> r1.toml:3:13
      |
    3 | hmac-keys = "keys.toml"
      |             ^^^^^^^^^^^
      |
      = help: a key is [[key]], id = 1, secret = "…" or secret-hex = "…", and perhaps algorithm = "sha256" and form = "rfc8754" or "linux"

    error: file of keys, line 6: `secret` has to be a text of 1 to 64 bytes
     --> r1.toml:3:13
      |
    3 | hmac-keys = "keys.toml"
      |             ^^^^^^^^^^^
      |
      = help: a key is [[key]], id = 1, secret = "…" or secret-hex = "…", and perhaps algorithm = "sha256" and form = "rfc8754" or "linux"
    "#);
}

#[test]
fn a_key_that_is_not_in_the_file() {
    let more = SIGNED.replace("hmac-key = 1", "hmac-key = 3");
    let keys = format!("{KEY}{}", KEY.replace('1', "2"));
    assert_snapshot!(said(Some((&keys, 0o600)), &more), @r#"
    error: there is no key 3
      --> r1.toml:17:12
       |
     3 | hmac-keys = "keys.toml"
       |             ----------- the file of keys
    ...
    17 | hmac-key = 3
       |            ^ not in the file of keys
       |
       = help: the file has the keys 1 and 2
    "#);
}

#[test]
fn no_file_is_named() {
    assert_snapshot!(about(SIGNED), @r#"
    error: there are no keys for an HMAC
      --> r1.toml:16:12
       |
    16 | hmac-key = 1
       |            ^
       |
       = help: write them into a file of mode 0600, and its path into hmac-keys of [router]

    error: there are no keys for an HMAC
      --> r1.toml:20:8
       |
    20 | hmac = "require"
       |        ^^^^^^^^^
       |
       = help: write them into a file of mode 0600, and its path into hmac-keys of [router]
    "#);
}

#[test]
fn not_a_key_id() {
    let more = SIGNED.replace("hmac-key = 1", "hmac-key = 0").replace("require", "required");
    assert_snapshot!(about(&more), @r#"
    error: `hmac-key` must be from 1 to 4294967295
      --> r1.toml:16:12
       |
    16 | hmac-key = 0
       |            ^ 0 is out of range
       |
       = help: write a whole number from 1 to 4294967295

    error: `hmac` cannot be "required"
      --> r1.toml:20:8
       |
    20 | hmac = "required"
       |        ^^^^^^^^^^ did you mean "require"?
       |
       = help: `hmac` is "ignore", "verify-if-present" or "require"
    "#);
}

#[test]
fn not_with_next_csid() {
    let more = r#"
[[sid]]
sid = "fc00:0:1::/48"
behavior = "End"
flavors = ["NEXT-CSID"]
hmac = "verify-if-present"
"#;
    assert_snapshot!(said(Some((KEY, 0o600)), more), @r#"
    error: a SID with NEXT-CSID cannot ask for an HMAC
      --> r1.toml:17:8
       |
    17 | hmac = "verify-if-present"
       |        ^^^^^^^^^^^^^^^^^^^
       |
       = help: on the way through a container the destination is not in the segment list
       = help: remove `hmac`, or have a SID without the flavor behind the container
    "#);
}

#[test]
fn too_many_segments() {
    let segs: Vec<String> = (1..=11).map(|n| format!("\"fc00:0:{n}::\"")).collect();
    let more = SIGNED.replace("\"fc00:0:2:e::\"", &segs.join(", "));
    assert_snapshot!(said(Some((KEY, 0o600)), &more), @r#"
    error: 11 segments do not fit in front of a packet
      --> r1.toml:16:150
       |
    16 | ...0:7::", "fc00:0:8::", "fc00:0:9::", "fc00:0:10::", "fc00:0:11::"]
       |                                                       ^^^^^^^^^^^^^ one too many
       |
       = help: H.Encaps can carry at most 10 segments with an HMAC
       = help: this list adds 264 bytes, and there is room for 256
    "#);
}
