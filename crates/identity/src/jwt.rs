//! JSON Web Tokens (RFC 7519) of exactly one kind: HS256, one key, one header.
//!
//! The header has one spelling, and anything else is none of our tokens. There is no algorithm to choose, no key
//! to look up and no extension to understand, so `alg: none`, a foreign `kid`, `jku`, `x5u`, `jwk` and `crit` have
//! nothing to act on. The tag is checked before a byte of the claims is read.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use pulsestream_domain::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

/// `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Longer texts are no tokens of ours.
const MAX_BYTES: usize = 2_048;
/// How far the clocks of two instances may be apart.
const LEEWAY_SECS: i64 = 60;

/// The text is no token that is good now.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a valid token")]
pub struct Refused;

/// Signs and checks with one key.
#[derive(Clone)]
pub(crate) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> String {
        let claims = serde_json::to_vec(claims).expect("claims are texts and numbers");
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let tag = self.0.clone().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// The claims of a token that this key signed.
    pub(crate) fn open<C: DeserializeOwned>(&self, token: &str) -> Result<C, Refused> {
        if token.len() > MAX_BYTES {
            return Err(Refused);
        }
        let (signed, tag) = token.rsplit_once('.').ok_or(Refused)?;
        let claims = signed.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('.')).ok_or(Refused)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| Refused)?;
        self.0.clone().chain_update(signed).verify_slice(&tag).map_err(|_| Refused)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| Refused)?;
        serde_json::from_slice(&claims).map_err(|_| Refused)
    }
}

/// Whether a token with these times is good now. All are whole seconds since 1970.
pub(crate) fn is_timely(issued_at: i64, not_before: i64, expires_at: i64, now: Timestamp) -> bool {
    let now = now.as_secs();
    let latest_start = now.saturating_add(LEEWAY_SECS);
    issued_at <= latest_start && not_before <= latest_start && now <= expires_at.saturating_add(LEEWAY_SECS)
}
