//! What sort of work a job is.

use std::{borrow::Cow, fmt, str::FromStr};

/// The name of a sort of work, such as `deliver`: 1–64 of `a-z`, `0-9` and `_`.
///
/// It is in the database as long as a job of it is, so a released name is never given another meaning.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobKind(Cow<'static, str>);

/// The text is not the name of a kind of job.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a kind of job is 1 to 64 of a-z, 0-9 and '_'")]
pub struct ParseJobKindError;

impl JobKind {
    /// The kind with this name, for constants.
    ///
    /// ```
    /// # use pulsestream_domain::job::JobKind;
    /// const DELIVER: JobKind = JobKind::named("deliver");
    /// ```
    ///
    /// # Panics
    /// When it is not a name; in a constant that is an error of the compiler.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        assert!(is_name(name), "a kind of job is 1 to 64 of a-z, 0-9 and '_'");
        Self(Cow::Borrowed(name))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= 64
}

impl FromStr for JobKind {
    type Err = ParseJobKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_name(text) { Ok(Self(Cow::Owned(text.to_owned()))) } else { Err(ParseJobKindError) }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_plain_name() {
        for good in ["deliver", "evaluate_rule", "v2", &"a".repeat(64)] {
            assert_eq!(good.parse::<JobKind>().map(|kind| kind.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "Deliver", "a b", "a-b", "ä", "a\0", &"a".repeat(65)] {
            assert_eq!(bad.parse::<JobKind>(), Err(ParseJobKindError), "{bad}");
        }
        assert_eq!(Ok(JobKind::named("deliver")), "deliver".parse());
    }
}
