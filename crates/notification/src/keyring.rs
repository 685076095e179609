//! Secrets of channels at rest.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use pulsestream_domain::tenant::TenantId;
use uuid::Uuid;

use crate::Secret;

const VERSION: &str = "x1";
const NONCE_BYTES: usize = 24;
/// Longer ids would only be mistakes.
const MAX_KEY_ID_BYTES: usize = 64;

/// The keys that secrets are sealed with: one that seals, and older ones that still open.
///
/// XChaCha20-Poly1305. What a secret belongs to is authenticated with it, so a sealed text copied into
/// another tenant's row, or another channel's, does not open. Key material comes in as an argument; this
/// crate reads no file and no environment.
///
/// ```
/// use pulsestream_domain::tenant::TenantId;
/// use pulsestream_notification::{Keyring, Sealed, SealingKey, Secret, SecretOwner};
/// use uuid::Uuid;
///
/// let keyring = Keyring::new(SealingKey::new("2026-11", [7; 32])?);
/// let owner = SecretOwner { tenant_id: TenantId(Uuid::from_u128(1)), channel_id: Uuid::from_u128(2) };
///
/// let sealed = keyring.seal(&Secret::new("hunter2"), owner, [9; 24]);
/// let column = sealed.to_string();
///
/// assert_eq!(keyring.open(&column.parse::<Sealed>()?, owner)?.reveal(), "hunter2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keyring {
    current: SealingKey,
    older: Vec<SealingKey>,
}

/// 32 random bytes and the name they are known by.
#[derive(Clone)]
pub struct SealingKey {
    id: String,
    key: [u8; 32],
}

/// What a secret belongs to. A secret opens for this owner only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SecretOwner {
    /// The tenant.
    pub tenant_id: TenantId,
    /// Its channel.
    pub channel_id: Uuid,
}

/// A sealed secret, as it is stored: `x1.<key id>.<nonce and ciphertext in base64>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    key_id: String,
    nonce: [u8; NONCE_BYTES],
    ciphertext: Vec<u8>,
}

/// The id of a key must be 1 to 64 characters of `A-Za-z0-9_-`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an id of a sealing key")]
pub struct BadKeyId;

/// The text is not a sealed secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a sealed secret")]
pub struct ParseSealedError;

/// Why a secret could not be opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// The key it was sealed with is not on the ring: add it again.
    #[error("the sealing key {0} is unknown")]
    UnknownKey(String),
    /// It was changed, belongs to another owner, or the key of this id has other bytes.
    #[error("the sealed secret is not authentic")]
    NotAuthentic,
}

impl Keyring {
    /// A ring with the key that seals.
    pub fn new(current: SealingKey) -> Self {
        Self { current, older: Vec::new() }
    }

    /// Adds a key that only opens what was sealed before the last rotation.
    #[must_use]
    pub fn with_older(mut self, key: SealingKey) -> Self {
        self.older.push(key);
        self
    }

    /// Seals with the current key. `nonce` has to be random; 24 bytes are enough to never meet twice.
    pub fn seal(&self, secret: &Secret, owner: SecretOwner, nonce: [u8; NONCE_BYTES]) -> Sealed {
        let payload = Payload { msg: secret.reveal().as_bytes(), aad: &owner.associated_data() };
        let ciphertext = self.current.cipher().encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.expect("a text in memory is shorter than the cipher's 256 GiB");
        Sealed { key_id: self.current.id.clone(), nonce, ciphertext }
    }

    /// Opens with the key that sealed it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, sealed: &Sealed, owner: SecretOwner) -> Result<Secret, OpenError> {
        let mut keys = std::iter::once(&self.current).chain(&self.older);
        let key = keys.find(|key| key.id == sealed.key_id);
        let key = key.ok_or_else(|| OpenError::UnknownKey(sealed.key_id.clone()))?;
        let payload = Payload { msg: &sealed.ciphertext, aad: &owner.associated_data() };
        let opened = key.cipher().decrypt(&XNonce::from(sealed.nonce), payload);
        let opened = opened.map_err(|_| OpenError::NotAuthentic)?;
        String::from_utf8(opened).map(Secret::new).map_err(|_| OpenError::NotAuthentic)
    }

    /// Whether this secret should be sealed anew, as its key is no longer the current one.
    pub fn is_outdated(&self, sealed: &Sealed) -> bool {
        sealed.key_id != self.current.id
    }
}

impl SealingKey {
    /// Names a key.
    ///
    /// # Errors
    /// [`BadKeyId`] when the id would not fit into the stored form.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Result<Self, BadKeyId> {
        let id = id.into();
        if is_key_id(&id) { Ok(Self { id, key }) } else { Err(BadKeyId) }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.key.into())
    }
}

fn is_key_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=MAX_KEY_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed)
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}, [redacted])", self.id)
    }
}

impl SecretOwner {
    /// Of fixed length, so that no two owners share it.
    fn associated_data(self) -> [u8; 32] {
        let mut data = [0; 32];
        data[..16].copy_from_slice(self.tenant_id.0.as_bytes());
        data[16..].copy_from_slice(self.channel_id.as_bytes());
        data
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.nonce, self.ciphertext.as_slice()].concat();
        write!(f, "{VERSION}.{}.{}", self.key_id, BASE64.encode(bytes))
    }
}

impl FromStr for Sealed {
    type Err = ParseSealedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '.');
        let (Some(VERSION), Some(key_id), Some(bytes)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ParseSealedError);
        };
        let bytes = BASE64.decode(bytes).map_err(|_| ParseSealedError)?;
        let (nonce, ciphertext) = bytes.split_first_chunk().ok_or(ParseSealedError)?;
        if !is_key_id(key_id) {
            return Err(ParseSealedError);
        }
        Ok(Self { key_id: key_id.to_owned(), nonce: *nonce, ciphertext: ciphertext.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owner(tenant: u128, channel: u128) -> SecretOwner {
        SecretOwner { tenant_id: TenantId(Uuid::from_u128(tenant)), channel_id: Uuid::from_u128(channel) }
    }

    fn key(id: &str, byte: u8) -> SealingKey {
        SealingKey::new(id, [byte; 32]).unwrap()
    }

    #[test]
    fn a_secret_opens_for_its_owner_only() {
        let keyring = Keyring::new(key("a", 1));
        let sealed = keyring.seal(&Secret::new("hunter2"), owner(1, 2), [3; 24]);

        assert_eq!(keyring.open(&sealed, owner(1, 2)), Ok(Secret::new("hunter2")));
        for stranger in [owner(2, 2), owner(1, 3), owner(2, 1)] {
            assert_eq!(keyring.open(&sealed, stranger), Err(OpenError::NotAuthentic));
        }
    }

    #[test]
    fn after_a_rotation_old_secrets_open_and_are_outdated() {
        let before = Keyring::new(key("a", 1)).seal(&Secret::new("hunter2"), owner(1, 2), [3; 24]);
        let rotated = Keyring::new(key("b", 2)).with_older(key("a", 1));

        assert_eq!(rotated.open(&before, owner(1, 2)), Ok(Secret::new("hunter2")));
        assert!(rotated.is_outdated(&before));
        assert!(!rotated.is_outdated(&rotated.seal(&Secret::new("x"), owner(1, 2), [4; 24])));
        let without = Keyring::new(key("b", 2));
        assert_eq!(without.open(&before, owner(1, 2)), Err(OpenError::UnknownKey("a".to_owned())));
        let other_bytes = Keyring::new(key("a", 9));
        assert_eq!(other_bytes.open(&before, owner(1, 2)), Err(OpenError::NotAuthentic));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let keyring = Keyring::new(key("a", 1)).with_older(key("b", 2));
        let sealed = keyring.seal(&Secret::new("hunter2"), owner(1, 2), [3; 24]);

        let shown = format!("{keyring:?} {sealed:?} {sealed} {:?}", Secret::new("hunter2"));

        assert!(!shown.contains("hunter2") && !shown.contains("1, 1, 1"), "{shown}");
        assert!(shown.contains("[redacted]"));
    }

    #[test]
    fn what_is_no_sealed_secret_is_refused() {
        for text in ["", "x1", "x1.a", "x1.a.AAAA", "x2.a.", "x1..AAAA", "x1.a b.AAAA", "x1.a.!!!!"] {
            assert_eq!(text.parse::<Sealed>(), Err(ParseSealedError), "{text}");
        }
        assert_eq!(SealingKey::new("a.b", [0; 32]).unwrap_err(), BadKeyId);
    }

    proptest! {
        #[test]
        fn what_is_stored_reads_back(text in any::<String>(), nonce in any::<[u8; 24]>()) {
            let keyring = Keyring::new(key("a", 1));
            let sealed = keyring.seal(&Secret::new(text.clone()), owner(1, 2), nonce);
            let stored: Sealed = sealed.to_string().parse().unwrap();
            prop_assert_eq!(&stored, &sealed);
            let opened = keyring.open(&stored, owner(1, 2)).unwrap();
            prop_assert_eq!(opened.reveal(), text);
        }

        #[test]
        fn a_flipped_bit_is_found(nonce in any::<[u8; 24]>(), at in 0..(24 + 7 + 16_usize), bit in 0..8_u32) {
            let keyring = Keyring::new(key("a", 1));
            let mut sealed = keyring.seal(&Secret::new("hunter2"), owner(1, 2), nonce);
            match at.checked_sub(24) {
                None => sealed.nonce[at] ^= 1 << bit,
                Some(at) => sealed.ciphertext[at] ^= 1 << bit,
            }
            prop_assert_eq!(keyring.open(&sealed, owner(1, 2)), Err(OpenError::NotAuthentic));
        }
    }
}
