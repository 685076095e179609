//! Requests that are signed with a secret beside their API key, in the form of Standard Webhooks 1.0.
//!
//! A request has three headers: `webhook-id`, unique for each; `webhook-timestamp`, in seconds since 1970; and
//! `webhook-signature`, a list of `v1,<base64>` parted by spaces. What is signed is `id.timestamp.body` with
//! HMAC-SHA256. A signature says that whoever sent the body has the secret, that nobody changed it, and that it was
//! not seen before. It says nothing about the address it was sent to: that is for TLS.

use std::{collections::HashMap, fmt, sync::Mutex};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use pulsestream_domain::{Timestamp, api_key::KeyId, ports::StoreError, tenant::TenantId};
use sha2::Sha256;

use crate::SecretKey;

/// How far the time of a request may be from ours, either way, in seconds.
pub const TOLERANCE_SECS: i64 = 300;

/// How many signatures of one request are looked at.
const MAX_SIGNATURES: usize = 8;
const PREFIX: &str = "whsec_";

/// Why a signed request is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    /// The headers are not what they should be.
    #[error("the headers of the signature are not well formed")]
    Malformed,
    /// It is too old, or from the future.
    #[error("the request was not signed within the last five minutes")]
    Untimely,
    /// No signature fits.
    #[error("the signature does not fit the body")]
    Mismatch,
}

/// What a request says about its signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// `webhook-id`: 1–255 printable ASCII characters without a dot or a space.
    pub id: String,
    /// `webhook-timestamp`, as it was sent.
    pub timestamp: i64,
    signatures: Vec<Vec<u8>>,
}

impl Signed {
    /// Reads the three headers.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`].
    pub fn parse(id: &str, timestamp: &str, signatures: &str) -> Result<Self, SignatureError> {
        let is_id =
            (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
        let is_number = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        if !is_id || !is_number {
            return Err(SignatureError::Malformed);
        }
        let timestamp = timestamp.parse().map_err(|_| SignatureError::Malformed)?;
        // Versions that are not known are for somebody else.
        let signatures: Vec<Vec<u8>> = signatures
            .split(' ')
            .take(MAX_SIGNATURES)
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
            .collect();
        if signatures.is_empty() {
            return Err(SignatureError::Malformed);
        }
        Ok(Self { id: id.to_owned(), timestamp, signatures })
    }

    /// From when on the id may be forgotten: then the request is too old anyway.
    pub fn forgettable_at(&self) -> Timestamp {
        Timestamp::from_micros(self.timestamp.saturating_mul(1_000_000)).plus_secs(TOLERANCE_SECS + 1)
    }
}

/// The secret that goes with a key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret([u8; 32]);

impl SigningSecret {
    /// `whsec_` and its bytes in base 64, to be shown once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0))
    }

    /// The signature of a body, as `webhook-signature` has it.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(self.mac(id, timestamp, body).finalize().into_bytes()))
    }

    fn mac(&self, id: &str, timestamp: i64, body: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret([redacted])")
    }
}

/// Knows the signing secret of every key, and keeps none: each is derived from the key's id.
pub struct Signatures([u8; 32]);

impl Signatures {
    /// With a key derived from this secret.
    pub fn new(secret: &SecretKey) -> Self {
        Self(secret.derive("pulsestream 2026 signing secrets"))
    }

    /// The secret that goes with a key.
    pub fn secret(&self, tenant_id: TenantId, key_id: &KeyId) -> SigningSecret {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(tenant_id.0.as_bytes()).update(key_id.as_str().as_bytes());
        SigningSecret(*hasher.finalize().as_bytes())
    }

    /// Makes sure that a body was signed with the secret of this key within the last five minutes. Whether it was
    /// seen before is for a [`SeenMessages`] to say, after this.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn verify(
        &self,
        tenant_id: TenantId,
        key_id: &KeyId,
        signed: &Signed,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        if now.as_secs().abs_diff(signed.timestamp) > TOLERANCE_SECS.unsigned_abs() {
            return Err(SignatureError::Untimely);
        }
        let mac = self.secret(tenant_id, key_id).mac(&signed.id, signed.timestamp, body);
        let fits = |signature: &Vec<u8>| mac.clone().verify_slice(signature).is_ok();
        if signed.signatures.iter().any(fits) { Ok(()) } else { Err(SignatureError::Mismatch) }
    }
}

/// Remembers which signed requests came already.
#[async_trait]
pub trait SeenMessages: Send + Sync {
    /// Remembers a request until `forgettable_at`, and answers whether it is the first with its id for this key. Of
    /// several at the same time exactly one is.
    ///
    /// # Errors
    /// When it can't be remembered: then the request must not be taken.
    async fn is_first(
        &self,
        tenant_id: TenantId,
        key_id: &KeyId,
        message_id: &str,
        forgettable_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// Remembers requests of this process, up to a number.
///
/// It forgets none that still counts: when all its places are taken, requests are refused until some are free.
pub struct LocalSeenMessages {
    seen: Mutex<HashMap<(TenantId, KeyId, String), Timestamp>>,
    capacity: usize,
}

impl LocalSeenMessages {
    /// Remembers up to `capacity` requests.
    pub fn new(capacity: usize) -> Self {
        Self { seen: Mutex::new(HashMap::new()), capacity }
    }
}

#[async_trait]
impl SeenMessages for LocalSeenMessages {
    async fn is_first(
        &self,
        tenant_id: TenantId,
        key_id: &KeyId,
        message_id: &str,
        forgettable_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // An entry is there or not: a panic of another holder leaves nothing to repair.
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let message = (tenant_id, key_id.clone(), message_id.to_owned());
        if seen.contains_key(&message) {
            return Ok(false);
        }
        if seen.len() >= self.capacity {
            seen.retain(|_, forgettable_at| *forgettable_at > now);
            if seen.len() >= self.capacity {
                return Err(StoreError::Full("every place for signed requests is taken".into()));
            }
        }
        seen.insert(message, forgettable_at);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn signatures() -> Signatures {
        Signatures::new(&"a secret of thirty-two bytes or more".parse().expect("long enough"))
    }

    fn key() -> KeyId {
        KeyId::from_stored("AbCd1234")
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(NOW)
    }

    #[test]
    fn the_form_is_that_of_standard_webhooks() {
        // HMAC-SHA256 of `msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}`, worked out elsewhere.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base 64");
        let mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length");
        let (id, timestamp, body) =
            ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        let tag = mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body).finalize().into_bytes();
        assert_eq!(STANDARD.encode(tag), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let secret = signatures().secret(TENANT, &key());
        assert!(secret.reveal().starts_with("whsec_") && secret.reveal().len() == 6 + 44);
        assert!(!format!("{secret:?}").contains("whsec_"));
    }

    #[test]
    fn a_signature_fits_its_key_body_id_and_time() {
        let signatures = signatures();
        let sign = |id: &str, time: i64, body: &[u8]| signatures.secret(TENANT, &key()).sign(id, time, body);
        let good = sign("a", NOW, b"body");
        let old = sign("a", NOW - 301, b"body");
        let early = sign("a", NOW + 301, b"body");
        let other = signatures.secret(TENANT, &KeyId::from_stored("other")).sign("a", NOW, b"body");
        let foreign = signatures.secret(TenantId(Uuid::from_u128(2)), &key()).sign("a", NOW, b"body");
        let late = sign("a", NOW - 300, b"body");
        for (id, time, signature, body, expected) in [
            ("a", NOW, good.as_str(), "body", Ok(())),
            ("a", NOW, &format!("v2,xx {other} {good}"), "body", Ok(())),
            ("a", NOW - 300, &late, "body", Ok(())),
            ("a", NOW - 301, &old, "body", Err(SignatureError::Untimely)),
            ("a", NOW + 301, &early, "body", Err(SignatureError::Untimely)),
            ("a", NOW, &good, "bodY", Err(SignatureError::Mismatch)),
            ("b", NOW, &good, "body", Err(SignatureError::Mismatch)),
            ("a", NOW + 1, &good, "body", Err(SignatureError::Mismatch)),
            ("a", NOW, &other, "body", Err(SignatureError::Mismatch)),
            ("a", NOW, &foreign, "body", Err(SignatureError::Mismatch)),
            ("a", NOW, "v1,", "body", Err(SignatureError::Mismatch)),
        ] {
            let signed = Signed::parse(id, &time.to_string(), signature).expect("well formed");
            let verdict = signatures.verify(TENANT, &key(), &signed, body.as_bytes(), now());
            assert_eq!(verdict, expected, "{id} {time} {signature} {body}");
        }
    }

    #[test]
    fn headers_that_are_not_well_formed_are_refused() {
        let good = signatures().secret(TENANT, &key()).sign("a", NOW, b"");
        for (id, time, signature) in [
            ("", "1800000000", good.as_str()),
            ("a.b", "1800000000", &good),
            ("a b", "1800000000", &good),
            (&"a".repeat(256), "1800000000", &good),
            ("a", "", &good),
            ("a", "+1800000000", &good),
            ("a", "1.8e9", &good),
            ("a", "99999999999999999999", &good),
            ("a", "1800000000", ""),
            ("a", "1800000000", "v1"),
            ("a", "1800000000", "v1a,abcd"),
            ("a", "1800000000", "v1,not base 64"),
        ] {
            let parsed = Signed::parse(id, time, signature);
            assert_eq!(parsed, Err(SignatureError::Malformed), "{id} {time} {signature}");
        }
    }

    #[tokio::test]
    async fn a_request_is_first_once_and_a_full_memory_refuses_instead_of_forgetting() {
        let seen = LocalSeenMessages::new(2);
        let first = async |id: &str, now: Timestamp| {
            seen.is_first(TENANT, &key(), id, now.plus_secs(301), now)
                .await
                .map_err(|error| error.to_string())
        };
        assert_eq!(first("a", now()).await, Ok(true));
        assert_eq!(first("a", now()).await, Ok(false));
        assert_eq!(first("b", now()).await, Ok(true));
        assert!(first("c", now()).await.is_err());
        assert_eq!(first("b", now()).await, Ok(false));
        assert_eq!(first("c", now().plus_secs(301)).await, Ok(true));
    }
}
