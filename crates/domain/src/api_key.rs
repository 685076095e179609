//! API keys: their format, what is kept of them, and what they may do.
//!
//! A key is `ps_live_<id>_<secret><checksum>`: 8 characters of public id, 30 of secret (178 bits), and 6
//! of CRC-32 over all before, each in base 62. The prefix lets secret scanners find it; the checksum
//! refuses a mistyped or invented key without asking the store; the id is what the store looks up. What is
//! kept is SHA-256 of the whole key: a fast hash is right for 178 random bits.
//!
//! A key that came from elsewhere, in any format of at least 16 characters, can be adopted: its id is then
//! derived from its digest.

mod restrictions;

use std::{fmt, str::FromStr};

use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Timestamp, event::ParseNameError, identity::Actor, tenant::TenantId};

pub use restrictions::{Network, ParseNetworkError, Restrictions};

const PREFIX: &str = "ps_live_";
const ID_CHARS: usize = 8;
const SECRET_CHARS: usize = 30;
const CHECKSUM_CHARS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How long an adopted key may be: what fits in a header without surprises.
const MAX_CHARS: usize = 255;

/// A key in the clear, as a client presents it. Never stored, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
    id: KeyId,
}

/// The public part of a key: what listings show and the store looks up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct KeyId(String);

/// SHA-256 of a whole key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest(pub [u8; 32]);

/// The text can't be a key: no store needs to be asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an API key")]
pub struct ParseKeyError;

impl ApiKey {
    /// Makes a key out of 32 random bytes.
    pub fn from_entropy(entropy: [u8; 32]) -> Self {
        let mut stream =
            blake3::Hasher::new_derive_key("pulsestream 2026 api key").update(&entropy).finalize_xof();
        let mut text = String::from(PREFIX);
        let mut digits = std::iter::from_fn(|| {
            let mut byte = [0];
            stream.fill(&mut byte);
            Some(byte[0])
        })
        // 248 = 4 × 62: every digit stays equally likely.
        .filter(|byte| *byte < 248)
        .map(|byte| char::from(BASE62[usize::from(byte) % 62]));
        text.extend(digits.by_ref().take(ID_CHARS));
        text.push('_');
        text.extend(digits.take(SECRET_CHARS));
        text.push_str(&checksum(&text));
        let id = KeyId(text[PREFIX.len()..PREFIX.len() + ID_CHARS].to_owned());
        Self { text, id }
    }

    /// The key in the clear, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What the store looks it up by.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What the store keeps of it.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest(Sha256::digest(self.text.as_bytes()).into())
    }

    /// Its last four characters, to recognise it by in a listing.
    pub fn last_four(&self) -> &str {
        &self.text[self.text.len() - 4..]
    }
}

impl FromStr for ApiKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(16..=MAX_CHARS).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ParseKeyError);
        }
        let id = match text.strip_prefix(PREFIX) {
            Some(rest) => KeyId(own_id(text, rest).ok_or(ParseKeyError)?),
            None => {
                let digest = Sha256::digest(text.as_bytes());
                KeyId(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
            }
        };
        Ok(Self { text: text.to_owned(), id })
    }
}

fn own_id(text: &str, rest: &str) -> Option<String> {
    let body = text.len().checked_sub(CHECKSUM_CHARS)?;
    let (id, secret) = rest.split_once('_')?;
    let well_formed = id.len() == ID_CHARS && secret.len() == SECRET_CHARS + CHECKSUM_CHARS;
    (well_formed && text[body..] == checksum(&text[..body])).then(|| id.to_owned())
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}, [redacted])", self.id)
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest([redacted])")
    }
}

impl KeyId {
    /// An id as it was stored or typed. It names a key; it proves nothing.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something a key may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// Send events, delete them, queue them for processing again.
    EventsWrite,
    /// Search, count and export events.
    EventsRead,
    /// Change alert rules.
    RulesWrite,
    /// Everything, keys included.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::EventsWrite, Self::EventsRead, Self::RulesWrite, Self::Admin];

    /// The name on the wire, in columns and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::EventsRead => "events:read",
            Self::RulesWrite => "rules:write",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(ParseNameError)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A key as the store keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredKey {
    /// What it is looked up by.
    pub id: KeyId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// For people; 1–100 characters.
    pub name: String,
    /// SHA-256 of the key.
    pub digest: KeyDigest,
    /// The key's last four characters.
    pub last_four: String,
    /// What it may do; at least one.
    pub scopes: Vec<Scope>,
    /// What narrows that down.
    pub restrictions: Restrictions,
    /// Who made it, if that is known.
    pub created_by: Option<Actor>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused, if ever.
    pub expires_at: Option<Timestamp>,
    /// Since when it is refused, if it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl StoredKey {
    /// Whether the presented key is this one and still good. Takes the same time whichever byte differs.
    pub fn admits(&self, presented: &KeyDigest, now: Timestamp) -> bool {
        let same: bool = self.digest.0.ct_eq(&presented.0).into();
        same && self.is_live(now)
    }

    /// Whether it is neither revoked nor expired.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none_or(|at| at > now) && self.expires_at.is_none_or(|at| at > now)
    }

    /// Whether it may do this.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_made_key_reads_back_and_keeps_its_id() {
        let key = ApiKey::from_entropy([7; 32]);
        assert_eq!(key.reveal().len(), 8 + 8 + 1 + 30 + 6);
        assert_eq!(key.reveal().parse().as_ref(), Ok(&key));
        assert!(key.reveal().contains(key.id().as_str()));
        assert!(!format!("{key:?}").contains(&key.reveal()[20..]));
    }

    #[test]
    fn a_key_of_another_format_can_be_adopted() {
        let adopted: ApiKey = "legacy-key-0123456789".parse().expect("16 characters are enough");
        assert_eq!(adopted.id().as_str().len(), 16);
        for bad in ["", "short", "has spaces in it, so no", "ps_live_abc", &"x".repeat(256)] {
            assert_eq!(bad.parse::<ApiKey>(), Err(ParseKeyError), "{bad}");
        }
    }

    #[test]
    fn revoked_and_expired_keys_are_refused_from_that_moment_on() {
        let key = ApiKey::from_entropy([1; 32]);
        let at = Timestamp::from_secs;
        let stored = StoredKey {
            id: key.id().clone(),
            tenant_id: TenantId(uuid::Uuid::nil()),
            name: "test".to_owned(),
            digest: key.digest(),
            last_four: key.last_four().to_owned(),
            scopes: vec![Scope::EventsWrite],
            restrictions: Restrictions::default(),
            created_by: None,
            created_at: at(0),
            expires_at: Some(at(100)),
            revoked_at: None,
            last_used_at: None,
        };
        assert!(stored.admits(&key.digest(), at(99)));
        assert!(!stored.admits(&key.digest(), at(100)));
        assert!(!stored.admits(&ApiKey::from_entropy([2; 32]).digest(), at(0)));
        let revoked = StoredKey { revoked_at: Some(at(50)), ..stored };
        assert!(!revoked.admits(&key.digest(), at(50)));
        assert!(revoked.allows(Scope::EventsWrite) && !revoked.allows(Scope::EventsRead));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(entropy in any::<[u8; 32]>(), at in 8_usize..53, with in 0_usize..62) {
            let key = ApiKey::from_entropy(entropy);
            let mut bytes = key.reveal().as_bytes().to_vec();
            prop_assume!(bytes[at] != BASE62[with]);
            bytes[at] = BASE62[with];
            let changed = String::from_utf8(bytes).expect("base 62 is ASCII");
            prop_assert_eq!(changed.parse::<ApiKey>(), Err(ParseKeyError));
        }
    }
}
