//! A Sidewinder configuration file becomes a checked model, or a list of everything that is wrong
//! with it.
//!
//! [`load`] reads a file and [`check`] a text; both are free of side effects and need no
//! privilege. What they return can be trusted: names refer to something that exists, addresses are
//! of the right kind, prefixes have no host bits. What only the running machine can tell, the MTU
//! of its interfaces, is checked by [`Checked::check_mtu`].
//!
//! [`SAMPLE`] is a file with every key, its meaning and its default.

#![forbid(unsafe_code)]

mod behaviors;
mod checks;
mod compress;
mod item;
mod keys;
mod mac;
mod model;
mod mtu;
mod parse;
mod read;
mod report;

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

pub use crate::compress::pack;
pub use crate::mac::{BadMac, MacAddr};
pub use crate::model::{
    Behavior, BgpLsSource, BgpSession, CandidatePath, Color, Config, Domain, Flavors, FlowLabel,
    Headend, Hmac, HmacForm, HmacKey, Interface, KernelSource, Link, LocalSid, Locator, Neighbor,
    NextHop, Node, OFlag, Policy, Poll, Queues, Route, RouteAction, Router, RouterId, Rule,
    RuleAction, RuleScope, Secret, SegmentList, SourceCheck, Sources, Steer, Structure, Table,
    ZeroCopy,
};
pub use crate::report::{Diagnostic, Report, Severity};

use crate::item::{Item, Sink};
use crate::report::{Source, Span};

/// A file with every key, what it means, what it takes and what it defaults to.
pub const SAMPLE: &str = include_str!("../../sidewinder.sample.toml");

/// Bytes in front of a received packet that headers can be pushed into.
pub const HEADROOM: usize = 256;

/// A file without errors.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the file says.
    pub config: Config,
    /// What it probably should not say.
    pub warnings: Report,
    source: Arc<Source>,
    /// Places of the segment lists, policy by policy.
    segment_lists: Vec<Span>,
}

/// A file that cannot be used, with all its errors and warnings. Displays as text without colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong with it; at least one error.
    pub report: Report,
}

impl Failure {
    /// The errors and warnings as text for a terminal, with ANSI colours if `color`.
    pub fn render(&self, color: bool) -> String {
        self.report.render(color)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.report, f)
    }
}

impl std::error::Error for Failure {}

/// Reads and checks the file at `path`.
///
/// # Errors
///
/// The file cannot be read, or has errors.
pub fn load(path: impl AsRef<Path>) -> Result<Checked, Failure> {
    let path = path.as_ref();
    let file_name = path.display().to_string();
    let unreadable = |title: String, help: &str| {
        let source = Source { file_name: file_name.clone(), text: String::new() };
        let found = Diagnostic::error(title).help(help);
        Err(Failure { report: Report::new(Arc::new(source), vec![found]) })
    };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(why) => {
            let help = match why.kind() {
                ErrorKind::NotFound => "check the path; a sample file comes with Sidewinder",
                ErrorKind::PermissionDenied => "run as a user who may read it, or change its mode",
                ErrorKind::IsADirectory => "name the file, not its directory",
                _ => "check the file system it is on",
            };
            return unreadable(format!("the file cannot be read: {}", words(&why)), help);
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => check_in(&text, &file_name, Some(path.parent().unwrap_or(Path::new("")))),
        Err(why) => unreadable(
            format!("the file is not text: byte {} is not UTF-8", why.utf8_error().valid_up_to()),
            "a configuration file is TOML, in UTF-8",
        ),
    }
}

/// Why a file could not be read, without the error number.
fn words(why: &std::io::Error) -> String {
    match why.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => why.to_string(),
    }
}

/// Checks `text`, the content of the file that messages shall call `file_name`.
///
/// # Errors
///
/// The text is not TOML, or says something that cannot be done. All errors are reported, but after
/// a syntax error nothing else is, since what was meant is not known then.
///
/// A file of keys that the text names is not read, and what names its keys not checked: see [`load`].
pub fn check(text: &str, file_name: &str) -> Result<Checked, Failure> {
    check_in(text, file_name, None)
}

/// [`check`] of a file in a directory, together with the file of keys that it names.
fn check_in(text: &str, file_name: &str, directory: Option<&Path>) -> Result<Checked, Failure> {
    let source = Arc::new(Source { file_name: file_name.to_owned(), text: text.to_owned() });
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let sink = Sink::default();
    syntax(&errors, &sink);
    if !errors.iter().all(is_duplicate) {
        return Err(Failure { report: Report::new(source.clone(), sink.into_inner()) });
    }
    let (mut config, mut facts) = parse::file(&Item::top(table.get_ref(), &source.text, &sink));
    if let (Some(directory), Some(file)) = (directory, &facts.hmac_keys) {
        match keys::read(&directory.join(&file.value)) {
            Ok(keys) => {
                facts.hmac_key_ids = Some(keys.iter().map(|key| key.id).collect());
                config.hmac_keys = keys;
            }
            Err(faults) => faults.into_iter().for_each(|fault| {
                sink.push(
                    Diagnostic::error(fault.title).at(file.span.clone(), "").help(fault.help),
                );
            }),
        }
    }
    checks::all(&config, &facts, &sink);
    let report = Report::new(source.clone(), sink.into_inner());
    if report.has_errors() {
        return Err(Failure { report });
    }
    Ok(Checked { config, warnings: report, source, segment_lists: facts.segment_lists })
}

/// Reports what the TOML parser found.
fn syntax(errors: &[toml::de::Error], sink: &Sink) {
    // A file that is not TOML at all has an error in every line.
    const SHOWN: usize = 20;
    for error in errors.iter().take(SHOWN) {
        let found = if is_duplicate(error) {
            Diagnostic::error("a key or section is there twice").help(
                "keep one of them; sections in [[double brackets]] may be there several times",
            )
        } else {
            Diagnostic::error(format!("not TOML: {}", error.message()))
                .help("https://toml.io shows how TOML is written")
        };
        sink.push(match error.span() {
            Some(span) => found.at(span, ""),
            None => found,
        });
    }
    if let Some(more) = errors.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        sink.push(
            Diagnostic::error(format!("not TOML: {more} more syntax errors"))
                .help("is this the right file?"),
        );
    }
}

/// Whether the TOML parser found something that leaves no doubt about the rest of the file.
fn is_duplicate(error: &toml::de::Error) -> bool {
    error.message() == "duplicate key"
}

#[cfg(test)]
mod tests;
