//! Tokens that mean nothing by themselves: the store knows what they are good for.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::tenant::TenantId;

/// What a token is for. One for one thing is no token for another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// Gets the next access token.
    Refresh,
    /// Sets a new password.
    PasswordReset,
}

impl Purpose {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "psr_",
            Self::PasswordReset => "psp_",
        }
    }
}

/// A token in the clear: prefix, tenant, and 256 random bits. `Debug` does not show it.
///
/// It names its tenant because every look-up starts with one; that is no secret, and nothing is believed of it:
/// the store looks for the digest of the whole text.
#[derive(Clone, PartialEq, Eq)]
pub struct OpaqueToken {
    text: String,
    tenant_id: TenantId,
    purpose: Purpose,
}

/// SHA-256 of a whole token: what the store keeps. A fast hash is right for 256 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; 32]);

/// The text can't be a token: no store needs to be asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a token")]
pub struct ParseTokenError;

impl OpaqueToken {
    /// Makes a token out of 32 random bytes.
    pub fn from_entropy(purpose: Purpose, tenant_id: TenantId, entropy: [u8; 32]) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(entropy);
        let text = format!("{}{}_{secret}", purpose.prefix(), tenant_id.0.simple());
        Self { text, tenant_id, purpose }
    }

    /// The token in the clear, to be handed over once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The tenant it says it is of.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant_id
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// What the store keeps of it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.text.as_bytes()).into())
    }
}

impl FromStr for OpaqueToken {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let purpose = [Purpose::Refresh, Purpose::PasswordReset]
            .into_iter()
            .find(|purpose| text.starts_with(purpose.prefix()))
            .ok_or(ParseTokenError)?;
        let (tenant, secret) = text[purpose.prefix().len()..].split_once('_').ok_or(ParseTokenError)?;
        let tenant_id = TenantId(Uuid::try_parse(tenant).map_err(|_| ParseTokenError)?);
        let entropy: [u8; 32] = URL_SAFE_NO_PAD
            .decode(secret)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(ParseTokenError)?;
        let token = Self::from_entropy(purpose, tenant_id, entropy);
        // Another spelling of the same bytes would have another digest.
        if token.text == text { Ok(token) } else { Err(ParseTokenError) }
    }
}

impl fmt::Debug for OpaqueToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpaqueToken({:?}, [redacted])", self.purpose)
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_token_is_refused() {
        let good = OpaqueToken::from_entropy(Purpose::Refresh, TenantId(Uuid::from_u128(7)), [3; 32]);
        let text = good.reveal();
        for bad in [
            "",
            "psr_",
            "psr__",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}="),
            &text.to_uppercase(),
            &text.replace("psr_", "psx_"),
        ] {
            assert_eq!(bad.parse::<OpaqueToken>(), Err(ParseTokenError), "{bad}");
        }
        assert!(!format!("{good:?}").contains(&text[10..]));
    }

    proptest! {
        #[test]
        fn a_token_reads_back(entropy: [u8; 32], tenant: u128) {
            for purpose in [Purpose::Refresh, Purpose::PasswordReset] {
                let token = OpaqueToken::from_entropy(purpose, TenantId(Uuid::from_u128(tenant)), entropy);
                prop_assert_eq!(token.reveal().parse(), Ok(token));
            }
        }
    }
}
