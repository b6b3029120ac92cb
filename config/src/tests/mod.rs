//! Tests of whole files: every message, the sample, and text that is no configuration.

mod messages;
mod model;
mod mtu;
mod robust;
mod sample;

use crate::{Checked, check};

/// A file that is good as it is, for tests to add to.
const BASE: &str = r#"
[router]
encap-source = "fc00:0:1::1"
[[interface]]
name = "eth0"
[[interface]]
name = "eth1"
[[locator]]
name = "main"
prefix = "fc00:0:1::/48"
"#;

/// What [`BASE`] and `more` say.
#[track_caller]
fn good(more: &str) -> Checked {
    let checked = check(&format!("{BASE}{more}"), "r1.toml").unwrap_or_else(|why| panic!("{why}"));
    assert!(checked.warnings.is_empty(), "{}", checked.warnings);
    checked
}

/// The messages about `text`; each must say what to do.
#[track_caller]
fn messages(text: &str) -> String {
    let report = match check(text, "r1.toml") {
        Ok(checked) => checked.warnings,
        Err(failure) => failure.report,
    };
    assert!(!report.is_empty(), "nothing is wrong with it");
    let rendered = report.to_string();
    let (helps, messages) = (rendered.matches("= help: ").count(), report.diagnostics().len());
    assert!(helps >= messages, "a message without help:\n{rendered}");
    rendered
}

/// The messages about [`BASE`] with `more` after it.
#[track_caller]
fn about(more: &str) -> String {
    messages(&format!("{BASE}{more}"))
}
