//! What is wrong with a file, and how it is shown: rustc's look, by annotate-snippets.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

/// Bytes of the file's text, from start to end.
pub(crate) type Span = Range<usize>;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not do what was meant.
    Warning,
}

/// One thing that is wrong: a sentence, the places it is about, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    severity: Severity,
    title: String,
    /// The place it is about first, then places that explain it.
    places: Vec<(Span, String)>,
    help: Vec<String>,
}

impl Diagnostic {
    pub(crate) fn error(title: impl Into<String>) -> Self {
        Self::new(Severity::Error, title.into())
    }

    pub(crate) fn warning(title: impl Into<String>) -> Self {
        Self::new(Severity::Warning, title.into())
    }

    fn new(severity: Severity, title: String) -> Self {
        Self { severity, title, places: Vec::new(), help: Vec::new() }
    }

    /// Adds a place; the first one added is the one it is about.
    pub(crate) fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.places.push((span, label.into()));
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, in one line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Whether it is an error, not a warning.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The text that places point into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) file_name: String,
    pub(crate) text: String,
}

/// Everything found wrong with one file. Displays as text without colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    source: Arc<Source>,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Errors first, each kind in the order of the file.
    pub(crate) fn new(source: Arc<Source>, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|found| {
            (!found.is_error(), found.places.first().map_or(0, |(span, _)| span.start))
        });
        Self { source, diagnostics }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Whether there is an error among what was found.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// What was found: errors first, each kind in the order of the file.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The whole report as text for a terminal, with ANSI colours if `color`. Ends without a
    /// newline, and is empty if nothing was found.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let parts: Vec<_> =
            self.diagnostics.iter().map(|found| renderer.render(&[self.group(found)])).collect();
        parts.join("\n\n")
    }

    fn group<'a>(&'a self, found: &'a Diagnostic) -> Group<'a> {
        let level = match found.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&*found.title));
        group = if found.places.is_empty() {
            group.element(Origin::path(&*self.source.file_name))
        } else {
            let (window, line) = self.window(found);
            let mut snippet = Snippet::source(&self.source.text[window.clone()])
                .path(&*self.source.file_name)
                .line_start(line);
            for (index, (span, label)) in found.places.iter().enumerate() {
                let kind =
                    if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                let label = (!label.is_empty()).then(|| normalize_untrusted_str(label));
                let Span { start, end } = self.clamp(span);
                let span = start - window.start..end - window.start;
                snippet = snippet.annotation(kind.span(span).label(label));
            }
            group.element(snippet)
        };
        for help in &found.help {
            group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
        }
        group
    }

    /// The lines that the places of `found` are in, and the number of the first: the renderer
    /// reads all of the text it is given, which would be slow for many errors in a large file.
    fn window(&self, found: &Diagnostic) -> (Span, usize) {
        let text = &self.source.text;
        let spans = || found.places.iter().map(|(span, _)| self.clamp(span));
        let first = spans().map(|span| span.start).min().unwrap_or(0);
        let last = spans().map(|span| span.end).max().unwrap_or(0);
        let start = text[..first].rfind('\n').map_or(0, |at| at + 1);
        let end = text[last..].find('\n').map_or(text.len(), |at| last + at);
        (start..end, text[..start].matches('\n').count() + 1)
    }

    /// A span that lies inside the text on character boundaries, whatever the TOML parser said:
    /// the renderer panics otherwise.
    fn clamp(&self, span: &Span) -> Span {
        let text = &self.source.text;
        let boundary = |at: usize| {
            (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
        };
        let start = boundary(span.start);
        start..boundary(span.end).max(start)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}
