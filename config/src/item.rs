//! Walking TOML tables by hand, so that one bad key does not hide the others.
//!
//! An [`Item`] is one section of the file (or one inline table). Its getters report what is wrong
//! with a key to the [`Sink`] and return `None`, and the caller goes on.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::report::{Diagnostic, Span};

/// A kind of section: how it is written, and the keys it takes.
pub(crate) struct Schema {
    /// How the section is written in a file, for messages.
    pub(crate) header: &'static str,
    /// Every key it takes.
    pub(crate) keys: &'static [&'static str],
}

/// Every kind of section; the keys of the first are the sections themselves.
pub(crate) const SCHEMAS: [&Schema; 18] = [
    &TOP,
    &ROUTER,
    &INTERFACE,
    &LOCATOR,
    &SID,
    &POLICY,
    &CANDIDATE_PATH,
    &LIST,
    &SEG,
    &ROUTE,
    &NEXT_HOP,
    &RULE,
    &NEIGHBOR,
    &SOURCE,
    &SOURCE_KERNEL,
    &SOURCE_BGP_LS,
    &NODE,
    &LINK,
];

macro_rules! schemas {
    ($($name:ident = $header:literal $keys:expr;)+) => {
        $(pub(crate) const $name: Schema = Schema { header: $header, keys: &$keys };)+
    };
}

schemas! {
    TOP = "the file" [
        "router", "interface", "locator", "sid", "policy", "route", "rule", "neighbor", "source",
        "node", "link",
    ];
    ROUTER = "[router]" [
        "name", "cores", "encap-source", "encap-hop-limit", "encap-flow-label", "encap-traffic-class", "sid-sources", "icmp-source",
        "icmp-rate", "o-flag", "poll", "socket", "metrics", "hmac-keys",
    ];
    INTERFACE = "[[interface]]" ["name", "zero-copy", "queues", "steer", "domain", "let-sids-out", "source-check", "table", "policy"];
    LOCATOR = "[[locator]]" ["name", "prefix", "block-bits", "node-bits", "function-bits"];
    SID = "[[sid]]" [
        "sid", "behavior", "flavors", "nh6", "nh4", "interface", "next-hops", "table", "policy",
        "block-bits", "node-bits", "function-bits", "hmac",
    ];
    POLICY = "[[policy]]" [
        "name", "behavior", "segs", "via", "lists", "candidate-paths", "compress", "color", "endpoint",
        "source", "bsid", "hmac", "hmac-key",
    ];
    CANDIDATE_PATH = "candidate-paths" ["name", "preference", "segs", "via", "lists"];
    SEG = "segs" ["sid", "block-bits", "node-bits", "function-bits"];
    LIST = "lists" ["segs", "via", "weight"];
    ROUTE = "[[route]]" [
        "prefix", "table", "policy", "color", "nh6", "nh4", "interface", "next-hops", "action",
    ];
    NEXT_HOP = "next-hops" ["nh6", "nh4", "interface", "weight", "backup"];
    RULE = "[[rule]]" [
        "interface", "table", "source", "destination", "protocol", "source-port",
        "destination-port", "dscp", "policy", "action",
    ];
    NEIGHBOR = "[[neighbor]]" ["address", "interface", "mac"];
    SOURCE = "[source]" ["kernel", "bgp-ls"];
    SOURCE_KERNEL = "[source.kernel]" ["tables"];
    SOURCE_BGP_LS = "[source.bgp-ls]" [
        "peer", "local-address", "listen", "from", "local-as", "peer-as", "router-id",
        "bgp-identifier", "instance-id", "hold-time", "grace", "password-file",
    ];
    NODE = "[[node]]" ["name", "router-id", "locators", "end-sids", "prefixes", "overload"];
    LINK = "[[link]]" [
        "from", "to", "metric", "metric-back", "local", "remote", "bandwidth", "delay", "srlgs",
        "adjacency-sids", "adjacency-sids-back",
    ];
}

/// Collects what is found wrong.
#[derive(Default)]
pub(crate) struct Sink(RefCell<Vec<Diagnostic>>);

impl Sink {
    pub(crate) fn push(&self, found: Diagnostic) {
        self.0.borrow_mut().push(found);
    }

    pub(crate) fn into_inner(self) -> Vec<Diagnostic> {
        self.0.into_inner()
    }
}

/// Something read from the file, with its place.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// A value, and the key it is the value (or an element of the value) of.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) key: &'a str,
    /// Whether it is an element of a list.
    element: bool,
    toml: &'a Spanned<DeValue<'a>>,
    text: &'a str,
}

impl<'a> Value<'a> {
    pub(crate) fn toml(&self) -> &'a DeValue<'a> {
        self.toml.get_ref()
    }

    pub(crate) fn span(&self) -> Span {
        self.toml.span()
    }

    /// The place of `part`, a range of bytes of this string; the whole string where the file
    /// spells it with escapes.
    pub(crate) fn part(&self, part: Span) -> Span {
        let Span { start, end } = self.span();
        let Some(content) = self.toml().as_str() else { return start..end };
        let plain = start + 1..end.saturating_sub(1);
        match self.text.get(plain.clone()) {
            Some(raw) if raw == content => plain.start + part.start..plain.start + part.end,
            _ => start..end,
        }
    }

    /// What this value is called in messages.
    pub(crate) fn name(&self) -> String {
        if self.element { format!("each of `{}`", self.key) } else { format!("`{}`", self.key) }
    }

    /// This value's kind, with an article.
    pub(crate) fn kind(&self) -> &'static str {
        match self.toml() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    /// An error about this value.
    pub(crate) fn error(&self, title: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::error(title).at(self.span(), label)
    }
}

/// One section of the file, or one inline table.
pub(crate) struct Item<'a> {
    schema: &'static Schema,
    table: &'a DeTable<'a>,
    header: Span,
    text: &'a str,
    sink: &'a Sink,
}

impl<'a> Item<'a> {
    /// The whole file.
    pub(crate) fn top(table: &'a DeTable<'a>, text: &'a str, sink: &'a Sink) -> Self {
        Self::new(&TOP, table, 0..0, text, sink)
    }

    fn new(
        schema: &'static Schema,
        table: &'a DeTable<'a>,
        header: Span,
        text: &'a str,
        sink: &'a Sink,
    ) -> Self {
        let item = Self { schema, table, header, text, sink };
        item.report_unknown_keys();
        item
    }

    /// What it is called in messages.
    pub(crate) fn written(&self) -> &'static str {
        match self.schema.header {
            "candidate-paths" => "a candidate path",
            header => header,
        }
    }

    /// Where the section begins.
    pub(crate) fn header(&self) -> Span {
        self.header.clone()
    }

    pub(crate) fn push(&self, found: Diagnostic) {
        self.sink.push(found);
    }

    pub(crate) fn value(&self, key: &'static str) -> Option<Value<'a>> {
        debug_assert!(self.schema.keys.contains(&key), "{key} in {}", self.schema.header);
        let toml = self.table.get(key)?;
        Some(Value { key, element: false, toml, text: self.text })
    }

    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// The value of `key`; `None` if it is not there, or is bad, which is reported.
    pub(crate) fn get<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(Value<'a>) -> Result<T, Diagnostic>,
    ) -> Option<T> {
        read(self.value(key)?).map_err(|found| self.push(found)).ok()
    }

    /// As [`Item::get`], with the value's place.
    pub(crate) fn get_at<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(Value<'a>) -> Result<T, Diagnostic>,
    ) -> Option<At<T>> {
        let span = self.value(key)?.span();
        self.get(key, read).map(|value| At { value, span })
    }

    /// As [`Item::get_at`], and a missing key is reported too; `example` says what to write.
    pub(crate) fn require<T>(
        &self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(Value<'a>) -> Result<T, Diagnostic>,
    ) -> Option<At<T>> {
        if !self.has(key) {
            self.push(
                Diagnostic::error(format!("{} has no `{key}`", self.schema.header))
                    .at(self.header(), format!("`{key}` is missing here"))
                    .help(format!("add a line such as {key} = {example}")),
            );
        }
        self.get_at(key, read)
    }

    /// The good elements of the list at `key`; bad ones are reported. `None` if there is no list.
    pub(crate) fn list<T>(
        &self,
        key: &'static str,
        read: impl Fn(Value<'a>) -> Result<T, Diagnostic>,
    ) -> Option<At<Vec<At<T>>>> {
        let elements = self.elements(key)?;
        let value = elements
            .value
            .into_iter()
            .filter_map(|element| {
                let span = element.span();
                match read(element) {
                    Ok(value) => Some(At { value, span }),
                    Err(found) => {
                        self.push(found);
                        None
                    }
                }
            })
            .collect();
        Some(At { value, span: elements.span })
    }

    /// The good elements of the list at `key`, of which some may be tables.
    pub(crate) fn list_or_tables<T>(
        &self,
        key: &'static str,
        schema: &'static Schema,
        read: impl Fn(Value<'a>) -> Result<T, Diagnostic>,
        open: impl Fn(&Item<'a>) -> Option<T>,
    ) -> Option<At<Vec<At<T>>>> {
        let elements = self.elements(key)?;
        let good = |element: Value<'a>| {
            let span = element.span();
            let value = match element.toml() {
                DeValue::Table(_) => open(&self.open(element, schema)?)?,
                _ => read(element).map_err(|found| self.push(found)).ok()?,
            };
            Some(At { value, span })
        };
        let value = elements.value.into_iter().filter_map(good).collect();
        Some(At { value, span: elements.span })
    }

    /// The tables in the list at `key`.
    pub(crate) fn tables(&self, key: &'static str, schema: &'static Schema) -> Vec<Item<'a>> {
        let elements = self.elements(key).map(|elements| elements.value).unwrap_or_default();
        elements.into_iter().filter_map(|element| self.open(element, schema)).collect()
    }

    /// The table at `key`.
    pub(crate) fn table(&self, key: &'static str, schema: &'static Schema) -> Option<Item<'a>> {
        self.open(self.value(key)?, schema)
    }

    fn open(&self, value: Value<'a>, schema: &'static Schema) -> Option<Item<'a>> {
        match value.toml() {
            DeValue::Table(table) => {
                Some(Item::new(schema, table, value.span(), self.text, self.sink))
            }
            other => {
                let found = value.error(format!("{} must be a table", value.name()), value.kind());
                let once = schema.header.starts_with('[') && !schema.header.starts_with("[[");
                self.push(if matches!(other, DeValue::Array(_)) && once {
                    found.help(format!(
                        "there is one such section only: write {} with single brackets",
                        schema.header
                    ))
                } else {
                    found.help(match schema.header {
                        "lists" => {
                            r#"write { segs = ["fc00:0:2:e::"], weight = 1 } for each list"#.into()
                        }
                        "segs" => r#"write "fc00:0:2:e::" for each segment"#.into(),
                        "candidate-paths" => {
                            r#"write { preference = 200, segs = ["fc00:0:2:e::"] } for each path"#
                                .into()
                        }
                        "next-hops" => {
                            r#"write { nh6 = "fe80::2", interface = "eth1" } for each next hop"#
                                .into()
                        }
                        header => format!("begin the section with a line {header}"),
                    })
                });
                None
            }
        }
    }

    fn elements(&self, key: &'static str) -> Option<At<Vec<Value<'a>>>> {
        let value = self.value(key)?;
        let DeValue::Array(array) = value.toml() else {
            let found = value.error(format!("`{key}` must be a list"), value.kind());
            self.push(match value.toml() {
                DeValue::Table(_) if self.schema.header == TOP.header => {
                    found.help(format!("there may be several: write [[{key}]], with two brackets"))
                }
                _ => match self.text.get(value.span()) {
                    Some(raw) if !raw.contains('\n') => {
                        found.help(format!("write {key} = [{raw}]"))
                    }
                    _ => found.help(format!("write {key} = […]")),
                },
            });
            return None;
        };
        let text = self.text;
        let elements = array.iter().map(|toml| Value { key, element: true, toml, text }).collect();
        Some(At { value: elements, span: value.span() })
    }

    fn report_unknown_keys(&self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !self.schema.keys.contains(&name) {
                self.push(self.unknown_key(name, key.span()));
            }
        }
    }

    fn unknown_key(&self, name: &str, span: Span) -> Diagnostic {
        let header = self.schema.header;
        let found = Diagnostic::error(format!("unknown key `{name}`"));
        // `foo_bar` for `foo-bar` and `foos` for `foo` are not another section's keys; they are slips.
        let nearest = nearest(name, self.schema.keys.iter().copied());
        let slip = nearest.filter(|near| {
            near.replace('-', "_") == name.replace('-', "_") || name == format!("{near}s")
        });
        let elsewhere: Vec<_> = SCHEMAS[1..]
            .iter()
            .filter(|schema| slip.is_none() && schema.keys.contains(&name))
            .map(|schema| schema.header)
            .collect();
        let found = found.at(span, format!("{header} has no such key"));
        if !elsewhere.is_empty() {
            return found.help(format!("`{name}` belongs in {}", join(&elsewhere, "or")));
        }
        if let Some(near) = nearest {
            return found.help(format!("did you mean `{near}`?"));
        }
        let keys: Vec<_> = self.schema.keys.iter().map(|key| format!("`{key}`")).collect();
        found.help(format!("{header} takes {}", join(&keys, "and")))
    }
}

/// The candidate most like `word`, if one is like it at all.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LIKE: f64 = 0.75;
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let word = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, &plain(candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE)
        // The first of equals, where max_by would take the last.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

/// `a, b and c`.
pub(crate) fn join(words: &[impl AsRef<str>], and: &str) -> String {
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} {and} {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word() {
        let near = |word| nearest(word, POLICY.keys.iter().copied());
        assert_eq!(near("segments"), Some("segs"));
        assert_eq!(near("Name"), Some("name"));
        assert_eq!(near("behaviour"), Some("behavior"));
        assert_eq!(near("xyzzy"), None);
        assert_eq!(nearest("end.dt4", ["End.DT6", "End.DT4", "End.DT46"]), Some("End.DT4"));
        assert_eq!(nearest("nh", ["nh6", "nh4"]), Some("nh6"));
    }

    #[test]
    fn joined_words() {
        assert_eq!(join(&["a", "b", "c"], "or"), "a, b or c");
        assert_eq!(join(&["a"], "or"), "a");
        assert_eq!(join(&[""; 0], "or"), "");
    }
}
