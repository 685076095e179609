//! The few things an embedder may replace.
//!
//! Each method is a verb at a transaction boundary, not a repository per table. The contract of each is
//! written down as assertions in the `testing` crate, and every implementation is held to them.

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    Timestamp,
    event::{EventId, NewEvent},
    tenant::TenantId,
};

/// Where events become durable.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Stores the events that are new, all in one transaction, and says of each what became of it.
    ///
    /// The answer has the length and order of `events`. It is given only once everything reported as
    /// [`Appended::Stored`] or [`Appended::Existing`] is durable and can be searched. Events of several
    /// tenants may come in one call; no two may share both tenant and event id.
    ///
    /// # Errors
    /// Nothing of this call was stored, except with [`StoreError::OutcomeUnknown`], where everything or
    /// nothing was: calling again with the same events tells which.
    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError>;

    /// Looks up which of these ids the tenant has stored. Answers in the order asked.
    ///
    /// # Errors
    /// Any [`StoreError`] but `TimedOut`, `OutcomeUnknown` and `Unstorable`: a look-up changes nothing.
    async fn existing(
        &self,
        tenant_id: TenantId,
        ids: &[EventId],
    ) -> Result<Vec<Option<Existing>>, StoreError>;
}

/// What became of one event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appended {
    /// It was new and is stored now.
    Stored,
    /// Its tenant has an event with this id; that one was left alone.
    Existing(Existing),
}

/// What is known of the event that holds an id already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Existing {
    /// Its [`NewEvent::content_hash`]: equal hashes mean equal content.
    pub content_hash: [u8; 16],
    /// When it was taken in.
    pub received_at: Timestamp,
}

/// Why a store could not do what it was asked. The variants are what a caller can do differently.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached. Nothing was stored; later may work.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// It is reached but others are in the way (locks, a full pool, an insert over its time). Nothing
    /// was stored; soon may work.
    #[error("the store is busy")]
    Busy(#[source] BoxError),
    /// A search took longer than it may and was cancelled. The same again takes as long, if the store is no
    /// less busy then; nothing was changed.
    #[error("the store took too long")]
    TimedOut(#[source] BoxError),
    /// It has no room left. Nothing was stored until somebody makes room.
    #[error("the store is full")]
    Full(#[source] BoxError),
    /// The connection broke while committing: everything is stored, or nothing is.
    #[error("the outcome of the commit is unknown")]
    OutcomeUnknown(#[source] BoxError),
    /// A value that validation let through can't be stored. Nothing was stored, and never will be.
    #[error("a value can't be stored")]
    Unstorable(#[source] BoxError),
    /// What was read does not make sense, or the statement itself is wrong: a bug, or a damaged row.
    #[error("the store answered something unexpected")]
    Unexpected(#[source] BoxError),
}

/// The cause of a [`StoreError`]; for logs, never for answers.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

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
