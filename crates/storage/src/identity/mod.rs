//! People, their sessions, and the book of what was done.
//!
//! Whatever changes who may do what takes an [`Origin`](pulsestream_domain::identity::Origin) and writes its line of
//! the book in its own transaction: there are both, or neither.

mod across_tenants;
pub(crate) mod audit;
mod messages;
mod password_resets;
mod sessions;
pub(crate) mod tenant_profile;
pub(crate) mod users;

pub use audit::AuditPosition;
pub use sessions::Refreshed;
pub use users::{UpdateUserError, UserChange, UserPage, UserQuery};
