//! Where events become durable.

use async_trait::async_trait;

use super::StoreError;
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
