//! Signatures of webhooks: Standard Webhooks 1.0.0.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use pulsestream_domain::Timestamp;
use sha2::Sha256;
use uuid::Uuid;

const PREFIX: &str = "whsec_";

/// The key that one receiver verifies signatures with: `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// The secrets that sign for one channel. While a rotation lasts there are two, and each request carries a
/// signature of either, so that the receiver may change over whenever it likes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningSecrets {
    /// The newest.
    pub current: SigningSecret,
    /// The one before, while it still counts.
    pub previous: Option<SigningSecret>,
}

/// The text is not a signing secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a signing secret")]
pub struct ParseSecretError;

impl SigningSecret {
    /// Makes a secret out of 32 random bytes.
    pub fn from_entropy(entropy: [u8; 32]) -> Self {
        Self(entropy.to_vec())
    }

    /// The secret in the clear, to be shown once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    fn sign(&self, id: Uuid, seconds: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

impl SigningSecrets {
    /// The value of `webhook-signature`, newest secret first.
    pub(crate) fn sign(&self, id: Uuid, now: Timestamp, body: &[u8]) -> String {
        let secrets = std::iter::once(&self.current).chain(&self.previous);
        let signatures: Vec<_> = secrets.map(|secret| secret.sign(id, now.as_secs(), body)).collect();
        signatures.join(" ")
    }
}

impl From<SigningSecret> for SigningSecrets {
    fn from(current: SigningSecret) -> Self {
        Self { current, previous: None }
    }
}

impl FromStr for SigningSecret {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(PREFIX).ok_or(ParseSecretError)?;
        let bytes = BASE64.decode(encoded).map_err(|_| ParseSecretError)?;
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(ParseSecretError) }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_signs_with_either_secret_newest_first() {
        let (old, new) = (SigningSecret::from_entropy([1; 32]), SigningSecret::from_entropy([2; 32]));
        let (id, now) = (Uuid::from_u128(7), Timestamp::from_secs(1_800_000_000));
        let alone = |secret: &SigningSecret| SigningSecrets::from(secret.clone()).sign(id, now, b"{}");

        let both = SigningSecrets { current: new.clone(), previous: Some(old.clone()) }.sign(id, now, b"{}");

        assert_eq!(both, format!("{} {}", alone(&new), alone(&old)));
        assert_ne!(alone(&new), alone(&old));
    }

    #[test]
    fn a_secret_reads_back_and_is_never_shown() {
        let secret = SigningSecret::from_entropy([0xA5; 32]);
        assert_eq!(secret.reveal().parse(), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "SigningSecret([redacted])");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let encoded = |bytes: usize| format!("whsec_{}", BASE64.encode(vec![0; bytes]));
        for text in ["", "whsec_", "whsec_!", "hunter2", &encoded(23), &encoded(65), &encoded(32)[6..]] {
            assert_eq!(text.parse::<SigningSecret>(), Err(ParseSecretError), "{text}");
        }
        assert!(encoded(24).parse::<SigningSecret>().is_ok() && encoded(64).parse::<SigningSecret>().is_ok());
    }
}
