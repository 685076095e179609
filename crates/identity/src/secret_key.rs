//! The secret that everything here is derived from.

use std::{fmt, str::FromStr};

/// The secret of an installation, at least 32 bytes. `Debug` does not show it.
///
/// No two uses share a key: each derives its own. Whoever has it can make tokens for everybody; changing it ends
/// every access token, invitation and signing secret at once.
#[derive(Clone)]
pub struct SecretKey(Vec<u8>);

/// The text is too short to be a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a secret key has at least 32 bytes")]
pub struct ShortSecret;

const MIN_BYTES: usize = 32;

impl SecretKey {
    /// A key for one use.
    pub(crate) fn derive(&self, context: &'static str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }
}

impl FromStr for SecretKey {
    type Err = ShortSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() >= MIN_BYTES { Ok(Self(text.as_bytes().to_vec())) } else { Err(ShortSecret) }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_not_shown() {
        assert!("x".repeat(31).parse::<SecretKey>().is_err());
        let secret: SecretKey = "hunter2-hunter2-hunter2-hunter2-".parse().expect("32 bytes");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn each_use_has_a_key_of_its_own() {
        let secret: SecretKey = "x".repeat(32).parse().expect("32 bytes");
        assert_ne!(secret.derive("one use"), secret.derive("another use"));
    }
}
