//! Addresses of people.

use std::{fmt, str::FromStr};

use serde::Serialize;
use validator::ValidateEmail;

/// One mailbox: `local@domain`, at most 254 characters of ASCII, in lower case.
///
/// Never a list, a display name or a comment, and never a line break: it can stand in a mail header as it is. Case
/// is dropped, so that one person does not become two.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Email(String);

/// The text is not one mailbox.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be one email address of at most 254 ASCII characters")]
pub struct ParseEmailError;

/// The longest path that SMTP carries (RFC 5321 §4.5.3.1.3, without the angle brackets).
const MAX_CHARS: usize = 254;

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = ParseEmailError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = text.len() <= MAX_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain && text.validate_email() {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ParseEmailError)
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_mailbox_in_lower_case() {
        for (text, expected) in [
            ("ann@example.com", Some("ann@example.com")),
            ("Ann.B+tag@Example.COM", Some("ann.b+tag@example.com")),
            ("root@localhost", Some("root@localhost")),
            ("", None),
            ("ann", None),
            ("@example.com", None),
            ("ann@", None),
            ("a@b@c", None),
            ("a@example.com, b@example.com", None),
            ("Ann <ann@example.com>", None),
            ("ann@example.com\r\nBcc: all@example.com", None),
            ("ann@exa mple.com", None),
            ("änn@example.com", None),
        ] {
            assert_eq!(text.parse::<Email>().ok().as_ref().map(Email::as_str), expected, "{text}");
        }
        assert_eq!(format!("a@{}.com", "b".repeat(250)).parse::<Email>(), Err(ParseEmailError));
    }
}
