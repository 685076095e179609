//! The tables as `SeaORM` sees them.
#![expect(unreachable_pub, reason = "SeaORM's derives want public items")]

pub(crate) mod api_keys;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod secrets;
pub(crate) mod tenants;
