//! Why a job failed.

use std::fmt;

const MAX_CHARS: usize = 1_000;

/// Why a job failed, as people will read it: at most 1,000 characters, and none that controls a terminal or
/// that a database could not keep.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reason(String);

impl Reason {
    /// The text, cut where it is too long. Control characters become spaces.
    pub fn new(text: &str) -> Self {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        Self(text.chars().take(MAX_CHARS).map(plain).collect())
    }

    /// The reason as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line_that_every_database_keeps() {
        assert_eq!(Reason::new("refused\n\0by ☃").as_str(), "refused  by ☃");
        assert_eq!(Reason::new(&"ä".repeat(2_000)).as_str(), "ä".repeat(1_000));
    }
}
