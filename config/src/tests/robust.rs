//! Whatever the text, there is an answer.

use crate::{SAMPLE, check};

/// Checks and renders, which must not panic.
fn try_out(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match check(&text, "mangled.toml") {
        Ok(checked) => {
            checked.check_mtu(|_| Some(1300)).render(true);
            checked.warnings.render(false);
        }
        Err(failure) => {
            assert!(!failure.render(false).is_empty());
        }
    }
}

/// The sample without its comments, to be mangled where it matters.
fn bare() -> Vec<u8> {
    let lines = SAMPLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

#[test]
fn any_byte_missing() {
    let text = bare();
    for at in 0..text.len() {
        try_out(&[&text[..at], &text[at + 1..]].concat());
    }
}

#[test]
fn any_byte_wrong() {
    let mut text = bare();
    for at in 0..text.len() {
        let good = text[at];
        for bad in [good ^ 0x01, good ^ 0x04, good ^ 0x10, good ^ 0x80, b'"', b'[', b'/', b'\n', 0]
        {
            text[at] = bad;
            try_out(&text);
        }
        text[at] = good;
    }
}

#[test]
fn cut_anywhere() {
    let text = bare();
    for at in 0..text.len() {
        try_out(&text[..at]);
        try_out(&text[at..]);
    }
}

#[test]
fn other_line_ends_and_letters() {
    let text = String::from_utf8(bare()).unwrap();
    try_out(text.replace('\n', "\r\n").as_bytes());
    try_out(text.replace("eth", "ët\u{301}🦀").as_bytes());
    try_out(format!("\u{feff}{text}").as_bytes());
    try_out(text.replace("main", "\\u0000\\u001b[31m").as_bytes());
    try_out("[[a]]\n".repeat(10_000).as_bytes());
    try_out("[".repeat(100_000).as_bytes());
    try_out(format!("a = {}", "[".repeat(100_000)).as_bytes());
}

#[test]
fn many_sections_take_no_time() {
    let mut text = super::BASE.to_owned();
    for n in 0..20_000 {
        text += &format!("[[sid]]\nsid = \"fc00:0:1:{n:x}::\"\nbehavior = \"End\"\n");
        text += &format!("[[route]]\nprefix = \"fd00:{n:x}::/32\"\ninterface = \"eth0\"\n");
    }
    let begin = std::time::Instant::now();
    check(&text, "large.toml").unwrap_or_else(|why| panic!("{why}"));
    // Far more than it takes, far less than anything quadratic would.
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}
