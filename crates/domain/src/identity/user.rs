//! Users and their roles.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Email, PasswordHash};
use crate::{Timestamp, event::names, tenant::TenantId};

/// The id of a user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

names! {
    /// What a user is to their tenant. Each role may do what the ones before it may.
    Role {
        /// Reads.
        Viewer = "viewer",
        /// Changes rules, keys and users below an owner.
        Admin = "admin",
        /// Does everything.
        Owner = "owner",
    }
}

/// A person of one tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Never changes.
    pub id: UserId,
    /// Whose.
    pub tenant_id: TenantId,
    /// What they log in with; unique within the tenant.
    pub email: Email,
    /// For people; at most 255 characters.
    pub full_name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// What is kept of their password.
    pub password_hash: PasswordHash,
    /// Whether somebody else knows their password, so that all they may do is to change it.
    pub must_change_password: bool,
    /// Whether they may log in.
    pub is_active: bool,
    /// When they were made.
    pub created_at: Timestamp,
    /// When they logged in last.
    pub last_login_at: Option<Timestamp>,
}
