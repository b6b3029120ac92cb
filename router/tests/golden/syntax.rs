//! The notation of packets: one header per line, fields as `key=value`.
//!
//! `tests/golden/README.md` describes it for people.

use std::{cell::RefCell, collections::BTreeSet, net::IpAddr, str::FromStr};

/// One line of a packet: a header, or what follows the headers.
#[derive(Debug, Clone)]
pub struct Header {
    /// Line in the file, for messages.
    line: usize,
    /// First word: `ipv6`, `srh`, `payload`, …
    pub kind: String,
    /// What follows it without a key.
    pub words: Vec<String>,
    fields: Vec<(String, String)>,
    /// Keys that were asked for; the others are misspelt.
    asked: RefCell<BTreeSet<String>>,
}

impl Header {
    /// Reads a line.
    pub fn parse(line: usize, text: &str) -> Result<Self, String> {
        let mut tokens = tokens(text).into_iter();
        let kind = tokens.next().ok_or_else(|| format!("line {line}: an empty line"))?;
        let mut words = Vec::new();
        let mut fields = Vec::new();
        for token in tokens {
            match token.split_once('=') {
                Some((key, value)) if !token.starts_with('"') => {
                    fields.push((key.to_owned(), value.to_owned()));
                }
                _ => words.push(token),
            }
        }
        Ok(Self { line, kind, words, fields, asked: RefCell::default() })
    }

    /// A message about this line.
    pub fn fault(&self, what: impl std::fmt::Display) -> String {
        format!("line {}: {}: {what}", self.line, self.kind)
    }

    /// The text of a field.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A number, decimal or `0x…`, or `default`.
    pub fn number<T: TryFrom<u64>>(&self, key: &str, default: u64) -> Result<T, String> {
        let value = match self.text(key) {
            None => default,
            Some(text) => {
                number(text).ok_or_else(|| self.fault(format!("{key}={text}: not a number")))?
            }
        };
        T::try_from(value).map_err(|_| self.fault(format!("{key}: {value} does not fit")))
    }

    /// An address or the like.
    pub fn parsed<T: FromStr>(&self, key: &str) -> Result<Option<T>, String> {
        self.text(key)
            .map(|text| text.parse().map_err(|_| self.fault(format!("{key}={text}: unreadable"))))
            .transpose()
    }

    /// An address that has no default.
    pub fn required<T: FromStr>(&self, key: &str) -> Result<T, String> {
        self.parsed(key)?.ok_or_else(|| self.fault(format!("{key} is missing")))
    }

    /// `[a, b, c]`.
    pub fn list<T: FromStr>(&self, key: &str) -> Result<Vec<T>, String> {
        let text = self.text(key).unwrap_or("[]");
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let inner = inner.ok_or_else(|| self.fault(format!("{key}={text}: not a [list]")))?;
        inner
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| item.parse().map_err(|_| self.fault(format!("{key}: {item}: unreadable"))))
            .collect()
    }

    /// Bytes in hexadecimal; colons between them are welcome.
    pub fn hex(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.text(key)
            .map(|text| hex(text).ok_or_else(|| self.fault(format!("{key}={text}: not hex"))))
            .transpose()
    }

    /// Whether every field was one that the header has.
    pub fn all_asked(&self) -> Result<(), String> {
        let asked = self.asked.borrow();
        match self.fields.iter().find(|(key, _)| !asked.contains(key)) {
            Some((key, _)) => Err(self.fault(format!("there is no field {key}"))),
            None => Ok(()),
        }
    }
}

/// A number, decimal or hexadecimal.
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Bytes written as pairs of hexadecimal digits.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| *c != ':').collect();
    let pair = |pair: &[char]| {
        let text: String = pair.iter().collect();
        (pair.len() == 2).then(|| u8::from_str_radix(&text, 16).ok()).flatten()
    };
    digits.chunks(2).map(pair).collect()
}

/// A MAC address.
pub fn mac(text: &str) -> Option<[u8; 6]> {
    hex(text)?.try_into().ok()
}

/// Bytes of an address.
pub fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Splits at white space outside of `[…]` and `"…"`.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token = String::new();
    let (mut in_list, mut in_text) = (false, false);
    for c in text.chars() {
        match c {
            '"' => in_text = !in_text,
            '[' if !in_text => in_list = true,
            ']' if !in_text => in_list = false,
            _ => {}
        }
        if c.is_whitespace() && !in_list && !in_text {
            if !token.is_empty() {
                tokens.push(std::mem::take(&mut token));
            }
        } else {
            token.push(c);
        }
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    tokens
}
