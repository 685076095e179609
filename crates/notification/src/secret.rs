//! Text that must not be seen.

use std::fmt;

/// A text that `Debug` does not show: a password, a routing key, a signing secret in the clear.
///
/// It keeps secrets out of logs and panics. It does not keep them out of memory dumps: the text is not
/// wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text in the clear.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
