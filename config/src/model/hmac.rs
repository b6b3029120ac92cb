//! Keys of HMAC TLVs: what a file of keys says.

use std::fmt;

use super::HmacForm;

/// `[[key]]` of a file of keys: an algorithm, HMAC-SHA-256, and a pre-shared secret (RFC 8754,
/// 2.1.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacKey {
    /// HMAC Key ID, never 0.
    pub id: u32,
    /// What is signed, and how.
    pub form: HmacForm,
    /// What both ends know.
    pub secret: Secret,
}

/// Bytes that are shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The most bytes a secret has: as many as Linux takes.
    pub const MAX_LEN: usize = 64;

    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
