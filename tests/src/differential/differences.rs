//! Where Sidewinder is meant to differ from Linux, and the sentence that says so.
//!
//! Each row looks at the packet and at both outputs, and says whether they differ in its way and in
//! no other. What Sidewinder sends is compared with what the rule asks for, byte for byte.

use super::side::Output;
use super::subject::Subject;
use crate::packet::parse::Layout;

/// A difference that is meant.
#[derive(Debug)]
pub struct Difference {
    /// A short name.
    pub name: &'static str,
    /// The sentence that asks for what Sidewinder does.
    pub rule: &'static str,
    /// Whether the outputs differ in this way.
    pub holds: fn(&Pair<'_>) -> bool,
}

/// A packet and both outputs.
#[derive(Debug)]
pub struct Pair<'a> {
    /// The behavior under test.
    pub subject: Subject,
    /// What was sent.
    pub input: &'a [u8],
    /// Its headers.
    pub layout: Layout,
    /// What Linux sent.
    pub linux: &'a [Output],
    /// What Sidewinder sent.
    pub sidewinder: &'a [Output],
}

impl<'a> Pair<'a> {
    pub(super) fn new(
        subject: Subject,
        input: &'a [u8],
        linux: &'a [Output],
        sidewinder: &'a [Output],
    ) -> Self {
        Self { subject, input, layout: Layout::of(input), linux, sidewinder }
    }
}

/// The first row that explains the outputs.
pub(super) fn explain(pair: &Pair<'_>) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|difference| (difference.holds)(pair))
}

/// Every intended difference.
pub const DIFFERENCES: &[Difference] = &[];
