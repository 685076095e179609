//! Who somebody is, and what they may do.
//!
//! | module | holds |
//! |---|---|
//! | [`authority`] | the one table of who may do what, for API keys and for people |
//! | [`passwords`] | hashing with Argon2id, bounded in memory and processor time |
//! | [`access_tokens`] | the tokens that people's requests carry for half an hour |
//! | [`invitations`] | tokens that allow to make one tenant |
//! | [`throttle`] | how often somebody may try |
//! | [`signatures`] | requests signed with a secret beside their API key |
//! | [`mail`] | how people get what only they may know |
//! | [`entropy`] | where secrets come from |
//!
//! Everything takes the time as an argument. What is kept is kept by somebody else: this crate knows no SQL and no
//! HTTP.
//!
//! ```
//! use pulsestream_domain::{Timestamp, identity::{SessionId, UserId}, tenant::TenantId};
//! use pulsestream_identity::{SecretKey, access_tokens::{AccessTokens, Subject}};
//! use uuid::Uuid;
//!
//! let secret: SecretKey = "a secret of thirty-two bytes or more".parse()?;
//! let tokens = AccessTokens::new(&secret);
//! let subject = Subject {
//!     tenant_id: TenantId(Uuid::from_u128(1)),
//!     user_id: UserId(Uuid::from_u128(2)),
//!     session_id: SessionId(Uuid::from_u128(3)),
//! };
//! let now = Timestamp::from_secs(1_800_000_000);
//!
//! let token = tokens.issue(&subject, now);
//!
//! assert_eq!(tokens.verify(&token, now.plus_secs(1_800)), Ok(subject));
//! assert!(tokens.verify(&token, now.plus_secs(1_861)).is_err());
//! # Ok::<(), pulsestream_identity::ShortSecret>(())
//! ```
//!
//! To let somebody do one more thing, add a line to the table in [`authority`].

pub mod access_tokens;
pub mod authority;
pub mod entropy;
pub mod invitations;
mod jwt;
pub mod mail;
pub mod passwords;
mod secret_key;
pub mod signatures;
pub mod throttle;

use std::sync::Arc;

use pulsestream_rate_limit::Limiter;

pub use jwt::Refused;
pub use secret_key::{SecretKey, ShortSecret};

use access_tokens::AccessTokens;
use entropy::Entropy;
use invitations::Invitations;
use mail::AccountMail;
use passwords::Passwords;
use signatures::Signatures;
use throttle::Throttle;

/// How long a refresh token is good, in seconds: 7 days.
pub const REFRESH_SECS: i64 = 7 * DAY_SECS;
/// How long a refresh token is good for somebody who wants to be remembered, in seconds: 30 days.
pub const REMEMBERED_SECS: i64 = 30 * DAY_SECS;
/// How long a session lasts at most, however often its tokens are refreshed, in seconds: 30 days.
pub const SESSION_SECS: i64 = 30 * DAY_SECS;
/// How long a token that resets a password is good, in seconds: 30 minutes.
pub const PASSWORD_RESET_SECS: i64 = 30 * 60;
/// How long the link in an invitation of a user is good, in seconds: 3 days.
pub const USER_INVITATION_SECS: i64 = 3 * DAY_SECS;
const DAY_SECS: i64 = 86_400;

/// All parts, over one secret. Shared by all requests.
pub struct Identity {
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Signs and checks the tokens of requests.
    pub access_tokens: AccessTokens,
    /// Signs and checks invitations.
    pub invitations: Invitations,
    /// Holds up those who try too often.
    pub throttle: Throttle,
    /// Knows the secrets that requests are signed with.
    pub signatures: Signatures,
    /// Writes to people, if that is set up.
    pub mail: Option<Arc<dyn AccountMail>>,
    /// Where secrets come from.
    pub entropy: Arc<dyn Entropy>,
}

impl Identity {
    /// Puts the parts together. Instances that share a store have to share the secret; those that share a limiter
    /// hold people up together.
    pub fn new(secret: &SecretKey, limiter: Arc<dyn Limiter>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            passwords: Passwords::new(passwords::Settings::default(), Arc::clone(&entropy)),
            access_tokens: AccessTokens::new(secret),
            invitations: Invitations::new(secret),
            throttle: Throttle::new(secret, limiter),
            signatures: Signatures::new(secret),
            mail: None,
            entropy,
        }
    }

    /// The same, writing to people through `mail`.
    #[must_use]
    pub fn with_mail(mut self, mail: Arc<dyn AccountMail>) -> Self {
        self.mail = Some(mail);
        self
    }
}
