//! The book of security-relevant changes.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::{SessionId, UserId};
use crate::{
    Timestamp,
    alerting::{ChannelId, RuleId, SilenceId},
    api_key::KeyId,
    event::names,
    tenant::TenantId,
};

/// Who did something. Written as `user:<id>`, `key:<id>`, `operator` or `anonymous`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Actor {
    /// A user who was logged in, or proved to be them.
    User(UserId),
    /// Whoever had the API key.
    Key(KeyId),
    /// Whoever runs the service, at its command line.
    Operator,
    /// Somebody who proved nothing.
    Anonymous,
}

/// The text names no actor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an actor is user:<id>, key:<id>, operator or anonymous")]
pub struct ParseActorError;

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Operator => f.write_str("operator"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl FromStr for Actor {
    type Err = ParseActorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("user", id)) => id.parse().map(UserId).map(Self::User).map_err(|_| ParseActorError),
            Some(("key", id)) if !id.is_empty() => Ok(Self::Key(KeyId::from_stored(id))),
            None if text == "operator" => Ok(Self::Operator),
            None if text == "anonymous" => Ok(Self::Anonymous),
            _ => Err(ParseActorError),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What something was done to. Written as its kind, a colon and its id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// The tenant itself.
    Tenant(TenantId),
    /// A user.
    User(UserId),
    /// An API key.
    Key(KeyId),
    /// A session.
    Session(SessionId),
    /// An alert rule.
    Rule(RuleId),
    /// A channel.
    Channel(ChannelId),
    /// A silence.
    Silence(SilenceId),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(id) => write!(f, "tenant:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Session(id) => write!(f, "session:{id}"),
            Self::Rule(id) => write!(f, "rule:{id}"),
            Self::Channel(id) => write!(f, "channel:{id}"),
            Self::Silence(id) => write!(f, "silence:{id}"),
        }
    }
}

names! {
    /// What was done.
    AuditAction {
        /// A tenant was made, with what it begins with.
        TenantCreated = "tenant.created",
        /// Its name, limits, policy or profile was changed.
        TenantUpdated = "tenant.updated",
        /// A user was made.
        UserCreated = "user.created",
        /// A user's name, role or access was changed.
        UserUpdated = "user.updated",
        /// A user has a new password, by themselves or by somebody who may.
        PasswordChanged = "password.changed",
        /// A token to reset a password was made.
        PasswordResetRequested = "password.reset_requested",
        /// A password was reset with a token.
        PasswordReset = "password.reset",
        /// Somebody logged in.
        LoginSucceeded = "login.succeeded",
        /// Somebody could not log in.
        LoginFailed = "login.failed",
        /// A session was ended.
        SessionEnded = "session.ended",
        /// A refresh token came a second time, and the session was ended.
        TokenReused = "session.token_reused",
        /// An API key was made.
        KeyCreated = "key.created",
        /// An API key was replaced; what is written down is the old one.
        KeyRotated = "key.rotated",
        /// An API key was revoked.
        KeyRevoked = "key.revoked",
        /// An alert rule was made.
        RuleCreated = "rule.created",
        /// An alert rule has another definition.
        RuleUpdated = "rule.updated",
        /// An alert rule was deleted.
        RuleDeleted = "rule.deleted",
        /// There is somebody more to tell.
        ChannelCreated = "channel.created",
        /// Who is told, or how, was changed by somebody.
        ChannelUpdated = "channel.updated",
        /// A channel signs with a new secret.
        ChannelSecretRotated = "channel.secret_rotated",
        /// There is somebody less to tell.
        ChannelDeleted = "channel.deleted",
        /// A time in which nobody is told was decided.
        SilenceCreated = "silence.created",
        /// A silence was ended before its time.
        SilenceEnded = "silence.ended",
    }
}

/// Who wants a change, from where, and when: what an entry says beside the change itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The id of the entry, a UUIDv7 of `at`; further entries of the same change get the ids after it.
    pub entry_id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// From which address, if it came over the network.
    pub ip: Option<IpAddr>,
    /// With which request, if with one.
    pub request_id: Option<String>,
}

impl Origin {
    /// A change at the command line.
    pub fn operator(entry_id: Uuid, at: Timestamp) -> Self {
        Self { entry_id, at, actor: Actor::Operator, ip: None, request_id: None }
    }

    /// The id of the entry that comes `places` after the first one.
    pub fn entry_id_after(&self, places: u8) -> Uuid {
        Uuid::from_u128(self.entry_id.as_u128().wrapping_add(places.into()))
    }
}

/// A hash over all that a thing was, secrets included, so that a change of anything shows. Neither the use of a key
/// nor a login changes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AuditHash(pub [u8; 32]);

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for AuditHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One line of the book. It is written in the transaction of the change and never changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// A UUIDv7.
    pub id: Uuid,
    /// Whose book it stands in.
    pub tenant_id: TenantId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: AuditAction,
    /// To what, written as [`Target`] writes it.
    pub target: String,
    /// What it was, if it was there before.
    pub before: Option<AuditHash>,
    /// What it is, if it is there after.
    pub after: Option<AuditHash>,
    /// From which address.
    pub ip: Option<IpAddr>,
    /// With which request.
    pub request_id: Option<String>,
}

/// Which entries. All conditions have to hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditFilter {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
    /// By exactly this one.
    pub actor: Option<Actor>,
    /// Exactly this.
    pub action: Option<AuditAction>,
    /// To exactly this, as [`Target`] writes it.
    pub target: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_read_back_as_written() {
        for actor in [
            Actor::User(UserId(Uuid::from_u128(7))),
            Actor::Key(KeyId::from_stored("AbCd1234")),
            Actor::Operator,
            Actor::Anonymous,
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        for bad in ["", "user", "user:", "user:7", "key:", "operator:1", "root"] {
            assert_eq!(bad.parse::<Actor>(), Err(ParseActorError), "{bad}");
        }
    }

    #[test]
    fn further_entries_sort_behind_the_first() {
        let origin = Origin::operator(Uuid::from_u128(7), Timestamp::EPOCH);
        assert!(origin.entry_id_after(1) > origin.entry_id_after(0));
        assert_eq!(origin.entry_id_after(0), origin.entry_id);
    }
}
