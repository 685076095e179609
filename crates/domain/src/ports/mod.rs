//! The few things an embedder may replace.
//!
//! Each method is a verb at a transaction boundary, not a repository per table. The contract of each is
//! written down as assertions in the `testing` crate, and every implementation is held to them.

mod alert_store;
mod delivery_store;
mod event_store;
mod job_queue;
mod store_error;

use uuid::Uuid;

pub use alert_store::AlertStore;
pub use delivery_store::DeliveryStore;
pub use event_store::{Appended, EventStore, Existing};
pub use job_queue::JobQueue;
pub use store_error::{BoxError, StoreError};

use crate::Timestamp;

/// What time it is.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Where new ids come from.
pub trait IdSource: Send + Sync {
    /// A UUIDv7 (RFC 9562 §5.7) of this instant, larger than any this source gave for an earlier one.
    fn uuid_v7(&self, now: Timestamp) -> Uuid;
}
