//! Sessions: one login and the refresh tokens that come of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UserId;
use crate::{Timestamp, tenant::TenantId};

/// The id of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What one login began: a family of refresh tokens of which one at a time is good.
///
/// Each token is used once and replaced by the next. One that is used again was stolen, or its thief was first:
/// the whole session ends then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Never changes.
    pub id: SessionId,
    /// Whose users it is of.
    pub tenant_id: TenantId,
    /// Who logged in.
    pub user_id: UserId,
    /// How long each of its refresh tokens is good, in seconds.
    pub token_life_secs: i64,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// Since when it is over, if it was ended.
    pub ended_at: Option<Timestamp>,
}

impl Session {
    /// Whether it is neither ended nor over.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none_or(|at| at > now) && self.expires_at > now
    }

    /// Until when a refresh token given now is good.
    pub fn token_expires_at(&self, now: Timestamp) -> Timestamp {
        now.plus_secs(self.token_life_secs).min(self.expires_at)
    }
}
