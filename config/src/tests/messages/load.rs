//! Messages about files that cannot be read, and how messages are shown.

use std::path::PathBuf;

use insta::assert_snapshot;

use crate::{check, load};

/// What is said about `path`, with the same name on every machine.
fn about(path: &PathBuf) -> String {
    let text = load(path).unwrap_err().to_string();
    text.replace(&path.display().to_string(), "r1.toml")
}

#[test]
fn missing() {
    assert_snapshot!(about(&PathBuf::from("/nonexistent/r1.toml")), @"
    error: the file cannot be read: there is no such file
    --> r1.toml
     = help: check the path; a sample file comes with Sidewinder
    ");
}

#[test]
fn directory() {
    assert_snapshot!(about(&std::env::temp_dir()), @"
    error: the file cannot be read: it is a directory
    --> r1.toml
     = help: name the file, not its directory
    ");
}

#[test]
fn not_utf8() {
    let path = std::env::temp_dir().join(format!("sidewinder-config-{}", std::process::id()));
    std::fs::write(&path, b"name = \"\xff\"").unwrap();
    let text = about(&path);
    std::fs::remove_file(&path).unwrap();
    assert_snapshot!(text, @"
    error: the file is not text: byte 8 is not UTF-8
    --> r1.toml
     = help: a configuration file is TOML, in UTF-8
    ");
}

#[test]
fn colour_changes_nothing_else() {
    let failure = check("[router]\nnmae = 5", "r1.toml").unwrap_err();
    let colored = failure.render(true);
    assert!(colored.contains("\x1b["));
    let mut plain = String::new();
    let mut parts = colored.split("\x1b[");
    plain += parts.next().unwrap_or_default();
    for part in parts {
        plain += part.split_once('m').map_or("", |(_, text)| text);
    }
    assert_eq!(plain, failure.render(false));
    assert_eq!(plain, failure.to_string());
}

#[test]
fn escapes_are_not_sent_to_the_terminal() {
    let failure = check("[[interface]]\nname = \"\\u001b[31mred\"\n", "r1.toml").unwrap_err();
    assert!(!failure.to_string().contains('\u{1b}'));
}
