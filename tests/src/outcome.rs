//! What a test returns.

use std::fmt;

/// The result of a test: any error may be returned by `?`.
pub type Outcome = Result<(), Failure>;

/// Why a test failed, shown as its chain of causes. The place in the code where a command failed
/// says nothing; what the command said does.
pub struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}
