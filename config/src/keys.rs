//! The file with the keys of HMAC TLVs.
//!
//! Messages about it name lines and never show them: they would show the secrets.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::{HmacForm, HmacKey, Secret};
use crate::words;

/// What is wrong with the file, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) title: String,
    pub(crate) help: String,
}

impl Fault {
    fn new(title: impl Into<String>, help: impl Into<String>) -> Self {
        Self { title: title.into(), help: help.into() }
    }
}

/// Reads the file at `path`.
pub(crate) fn read(path: &Path) -> Result<Vec<HmacKey>, Vec<Fault>> {
    let unreadable = |why: std::io::Error| {
        vec![Fault::new(
            format!("the file of keys cannot be read: {}", words(&why)),
            "a path that is not absolute is taken from where this file is",
        )]
    };
    let mut file = File::open(path).map_err(unreadable)?;
    // Of the file that was opened, not of one that takes its place.
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(vec![Fault::new(
            format!("others than its owner may read or change the file of keys: mode {mode:04o}"),
            format!("chmod 600 {}, and take new secrets if they have been seen", path.display()),
        )]);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    match String::from_utf8(bytes) {
        Ok(text) => parse(&text),
        Err(_) => Err(vec![Fault::new(
            "the file of keys is not text",
            "it is TOML, in UTF-8; secrets of any bytes are written as `secret-hex`",
        )]),
    }
}

/// What the text of a file of keys says.
fn parse(text: &str) -> Result<Vec<HmacKey>, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if let Some(error) = errors.first() {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        return Err(vec![Fault::new(
            format!("the file of keys is not TOML: see its line {line}"),
            "https://toml.io shows how TOML is written",
        )]);
    }
    let mut reader = Reader { text, faults: Vec::new() };
    let mut keys: Vec<HmacKey> = Vec::new();
    for (name, value) in table.get_ref() {
        let tables = value.get_ref().as_array().filter(|_| name.get_ref() == "key");
        let Some(tables) = tables else {
            reader.fault(name.span().start, "there is something other than [[key]]");
            continue;
        };
        for table in tables {
            let Some(key) = reader.key(table) else { continue };
            if keys.iter().any(|other| other.id == key.id) {
                let what = format!("key {} is there twice", key.id);
                reader.fault(table.span().start, &what);
            }
            keys.push(key);
        }
    }
    if reader.faults.is_empty() && keys.is_empty() {
        return Err(vec![Fault::new("the file of keys has no [[key]]", EXAMPLE)]);
    }
    if reader.faults.is_empty() { Ok(keys) } else { Err(reader.faults) }
}

/// What a key looks like.
const EXAMPLE: &str = "a key is [[key]], id = 1, secret = \"…\" or secret-hex = \"…\", and perhaps \
                       algorithm = \"sha256\" and form = \"rfc8754\" or \"linux\"";

/// Takes values out of the tables, and collects what is wrong.
struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, at: usize, what: &str) {
        let line = line_of(self.text, at);
        self.faults.push(Fault::new(format!("file of keys, line {line}: {what}"), EXAMPLE));
    }

    fn key(&mut self, table: &Spanned<DeValue<'_>>) -> Option<HmacKey> {
        let at = table.span().start;
        let Some(values) = table.get_ref().as_table() else {
            self.fault(at, "a key is a table");
            return None;
        };
        const KEYS: [&str; 5] = ["id", "algorithm", "form", "secret", "secret-hex"];
        for (name, _) in values {
            if !KEYS.contains(&name.get_ref().as_ref()) {
                self.fault(name.span().start, "not something that a [[key]] takes");
            }
        }
        let id = self.take(values, "id", "a whole number from 1 to 4294967295", |value| {
            let DeValue::Integer(integer) = value else { return None };
            let id = i128::from_str_radix(integer.as_str(), integer.radix()).ok()?;
            u32::try_from(id).ok().filter(|id| *id > 0)
        });
        if !values.contains_key("id") {
            self.fault(at, "a key has no `id`");
        }
        self.take(values, "algorithm", "\"sha256\"", |value| {
            (value.as_str() == Some("sha256")).then_some(())
        });
        let form = self.take(values, "form", "\"rfc8754\" or \"linux\"", |value| {
            let word = value.as_str()?;
            HmacForm::WORDS.iter().find(|(name, _)| *name == word).map(|(_, form)| *form)
        });
        let fits = |bytes: &Vec<u8>| (1..=Secret::MAX_LEN).contains(&bytes.len());
        let plain = self.take(values, "secret", "a text of 1 to 64 bytes", |value| {
            value.as_str().map(|text| text.as_bytes().to_vec()).filter(fits)
        });
        let hex = self.take(values, "secret-hex", "1 to 64 bytes in hexadecimal", |value| {
            value.as_str().and_then(hex).filter(fits)
        });
        if values.contains_key("secret") == values.contains_key("secret-hex") {
            self.fault(at, "a key has one of `secret` and `secret-hex`");
        }
        let secret = Secret::new(plain.or(hex)?);
        Some(HmacKey { id: id?, form: form.unwrap_or_default(), secret })
    }

    /// The value of a key, if it is there and is what it has to be.
    fn take<T>(
        &mut self,
        values: &DeTable<'_>,
        name: &str,
        what: &str,
        read: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = values.get(name)?;
        let taken = read(value.get_ref());
        if taken.is_none() {
            self.fault(value.span().start, &format!("`{name}` has to be {what}"));
        }
        taken
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let text = "[[key]]\nid = 1\nsecret = \"sesame\"\n\n[[key]]\nid = 0xffff_ffff\n\
                    algorithm = \"sha256\"\nform = \"linux\"\nsecret-hex = \"00fF\"\n";
        let keys = parse(text).unwrap();
        assert_eq!(keys[0].secret.bytes(), b"sesame");
        assert_eq!((keys[0].id, keys[0].form), (1, HmacForm::Rfc8754));
        assert_eq!(keys[1].secret.bytes(), [0, 255]);
        assert_eq!((keys[1].id, keys[1].form), (u32::MAX, HmacForm::Linux));
    }

    /// What is wrong is said by line, and nothing of the line is shown.
    #[test]
    fn faults() {
        let long = format!("secret = \"{}\"", "hush".repeat(17));
        for (text, title) in [
            ("", "the file of keys has no [[key]]"),
            ("\nid = hush", "the file of keys is not TOML: see its line 2"),
            ("[[keys]]\nid = 1", "file of keys, line 1: there is something other than [[key]]"),
            ("key = 1", "file of keys, line 1: there is something other than [[key]]"),
            ("key = [\"hush\"]", "file of keys, line 1: a key is a table"),
            ("[[key]]\nsecret = \"hush\"", "file of keys, line 1: a key has no `id`"),
            (
                "[[key]]\nid = 0\nsecret = \"hush\"",
                "file of keys, line 2: `id` has to be a whole number from 1 to 4294967295",
            ),
            ("[[key]]\nid = 1", "file of keys, line 1: a key has one of `secret` and `secret-hex`"),
            (
                "[[key]]\nid = 1\nsecret = \"hush\"\nsecret-hex = \"00\"",
                "file of keys, line 1: a key has one of `secret` and `secret-hex`",
            ),
            (
                "[[key]]\nid = 1\nsecret-hex = \"hush\"",
                "file of keys, line 3: `secret-hex` has to be 1 to 64 bytes in hexadecimal",
            ),
            (
                "[[key]]\nid = 1\nsecret = \"\"",
                "file of keys, line 3: `secret` has to be a text of 1 to 64 bytes",
            ),
            (
                &format!("[[key]]\nid = 1\n{long}"),
                "file of keys, line 3: `secret` has to be a text of 1 to 64 bytes",
            ),
            (
                "[[key]]\nid = 1\nsecret = \"hush\"\nalgorithm = \"md5\"",
                "file of keys, line 4: `algorithm` has to be \"sha256\"",
            ),
            (
                "[[key]]\nid = 1\nsecret = \"hush\"\nform = \"frr\"",
                "file of keys, line 4: `form` has to be \"rfc8754\" or \"linux\"",
            ),
            (
                "[[key]]\nid = 1\nsecret = \"hush\"\nhush = 1",
                "file of keys, line 4: not something that a [[key]] takes",
            ),
            (
                "[[key]]\nid = 1\nsecret = \"a\"\n[[key]]\nid = 1\nsecret = \"b\"",
                "file of keys, line 4: key 1 is there twice",
            ),
        ] {
            let faults = parse(text).unwrap_err();
            assert_eq!(faults[0].title, title, "{text}");
            assert!(!faults.iter().any(|fault| format!("{fault:?}").contains("hush")), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let keys = parse("[[key]]\nid = 1\nsecret = \"hush\"").unwrap();
        assert!(!format!("{keys:?}").contains("hush"));
    }
}
