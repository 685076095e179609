//! Texts that are never shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A text such as a database URL, which may hold a password. Empty means that there is none.
///
/// Neither `Debug` nor serialization shows it.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

const REDACTED: &str = "[redacted]";

impl Secret {
    /// The text, to be used and not to be shown; `None` when it is empty.
    pub(crate) fn reveal(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { REDACTED })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}
