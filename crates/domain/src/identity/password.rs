//! Passwords, before and after hashing.

use std::fmt;

/// How many characters a password has at least: NIST's advice for a password alone, rounded up.
const MIN_CHARACTERS: usize = 12;

/// How many bytes a password has at most. It bounds what is hashed.
const MAX_BYTES: usize = 1_024;

/// A password in the clear. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// The text is too short or too long to be a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must have at least 12 characters and at most 1024 bytes")]
pub struct WeakPassword;

impl Password {
    /// A password that somebody wants to have from now on.
    ///
    /// # Errors
    /// When it has fewer than 12 characters or more than 1,024 bytes. Nothing else is asked of it: rules about kinds of characters
    /// make passwords worse.
    pub fn new(text: String) -> Result<Self, WeakPassword> {
        let is_long_enough = text.chars().count() >= MIN_CHARACTERS;
        if is_long_enough && text.len() <= MAX_BYTES { Ok(Self(text)) } else { Err(WeakPassword) }
    }

    /// A password that somebody says they have; it may be older than the rules.
    ///
    /// # Errors
    /// When it is longer than any password: it is not worth hashing.
    pub fn presented(text: String) -> Result<Self, WeakPassword> {
        if text.len() <= MAX_BYTES { Ok(Self(text)) } else { Err(WeakPassword) }
    }

    /// Its bytes, to be hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// It in the clear, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([redacted])")
    }
}

/// What is kept of a password: a PHC string, which names its algorithm, parameters and salt. `Debug` does not show
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_length_counts_in_characters_and_at_most_in_bytes() {
        for (text, is_good) in [
            ("", false),
            ("eleven-char", false),
            ("twelve-chars", true),
            ("öööööö", false),
            ("öööööööööööö", true),
            (&"ö".repeat(513), false),
            (&"x".repeat(1_024), true),
            (&"x".repeat(1_025), false),
        ] {
            assert_eq!(Password::new(text.to_owned()).is_ok(), is_good, "{text}");
        }
        assert!(Password::presented("old".to_owned()).is_ok());
        assert!(Password::presented("x".repeat(1_025)).is_err());
        assert_eq!(format!("{:?}", Password::new("twelve-chars".to_owned())), "Ok(Password([redacted]))");
    }
}
