//! People: who they are, what they may do, and the book of what was done.
//!
//! A user belongs to one tenant and has one [`Role`] there. What proves who somebody is comes in three forms, of
//! which only digests are kept: a password, the [tokens](OpaqueToken) of a [`Session`], and a one-time token that
//! resets a password. Whatever changes who may do what is written down as an [`AuditEntry`].
//!
//! Hashing passwords, signing access tokens and deciding who may do what is for the `identity` crate.

mod audit;
mod email;
mod password;
mod profile;
mod session;
mod token;
mod user;

pub use audit::{Actor, AuditAction, AuditEntry, AuditFilter, AuditHash, Origin, ParseActorError, Target};
pub use email::{Email, ParseEmailError};
pub use password::{Password, PasswordHash, WeakPassword};
pub use profile::TenantProfile;
pub use session::{Session, SessionId};
pub use token::{OpaqueToken, ParseTokenError, Purpose, TokenDigest};
pub use user::{Role, User, UserId};
