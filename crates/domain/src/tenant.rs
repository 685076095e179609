//! Whose events they are, and how many of them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// The id of a tenant. Nothing is read or written without one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub Uuid);

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One customer of the service: the owner of events and keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tenant {
    /// Never changes.
    pub id: TenantId,
    /// For people; 1–255 characters.
    pub name: String,
    /// For commands and addresses; see [`Slug`].
    pub slug: Slug,
    /// How many events it may store.
    pub limits: Limits,
    /// What a resent id with other content is answered.
    pub duplicate_policy: DuplicatePolicy,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A tenant's short name: 1–100 of `a-z`, `0-9` and `-`, starting with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Slug(String);

/// The text is not a slug.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a slug has 1 to 100 of a-z, 0-9 and '-', and starts with a letter or digit")]
pub struct ParseSlugError;

impl Slug {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = ParseSlugError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=100).contains(&text.len()) && !text.starts_with('-') && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseSlugError)
        }
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many *newly stored* events a tenant may have in any window of that length.
///
/// Duplicates and rejected events cost nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// At most this many in any 60 seconds; at least 1.
    pub per_minute: u32,
    /// At most this many in any second; at least 1. Equal to `per_minute` when nothing else is asked for.
    pub burst: u32,
}

impl Limits {
    /// Limits with a burst cap that never bites on its own.
    pub const fn per_minute(per_minute: u32) -> Self {
        Self { per_minute, burst: per_minute }
    }

    /// These limits with some changed. A burst that was as large as the minute follows it.
    #[must_use]
    pub fn changed(self, per_minute: Option<u32>, burst: Option<u32>) -> Self {
        let minute = per_minute.unwrap_or(self.per_minute);
        let follows = self.burst == self.per_minute;
        let burst = burst.unwrap_or(if follows { minute } else { self.burst });
        Self { per_minute: minute, burst }
    }
}

impl Default for Limits {
    /// 100 events a minute.
    fn default() -> Self {
        Self::per_minute(100)
    }
}

/// What a resend of a stored id is answered. The first write always wins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DuplicatePolicy {
    /// Identical content is a duplicate; other content is a conflict.
    #[default]
    Strict,
    /// Always a duplicate.
    Lenient,
    /// Always a conflict.
    Reject,
}

impl DuplicatePolicy {
    /// Every policy, for listings and parsers.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Lenient, Self::Reject];

    /// The name on the wire, in columns and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Lenient => "lenient",
            Self::Reject => "reject",
        }
    }
}

/// The text is not a duplicate policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a duplicate policy is one of strict, lenient, reject")]
pub struct ParseDuplicatePolicyError;

impl FromStr for DuplicatePolicy {
    type Err = ParseDuplicatePolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or(ParseDuplicatePolicyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_what_fits_in_an_address() {
        for good in ["a", "default", "team-7", "0x"] {
            assert_eq!(good.parse::<Slug>().map(|slug| slug.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-a", "A", "a b", "ä", &"a".repeat(101)] {
            assert_eq!(bad.parse::<Slug>(), Err(ParseSlugError), "{bad}");
        }
    }

    #[test]
    fn policies_read_back_as_written() {
        for policy in DuplicatePolicy::ALL {
            assert_eq!(policy.as_str().parse(), Ok(policy));
        }
    }
}
