//! Events: what clients send, and what is kept of it.
//!
//! The way of an event: its text is [parsed](parse()) and held to every rule at once, so that a store can't
//! find anything wrong with it later; what comes out is a [`NewEvent`], which has a column for each thing
//! that is searched and one [document](Document) for the rest, kept as the client wrote it.

mod content;
mod document;
mod draft;
mod enrichment;
pub(crate) mod json;
pub(crate) mod names;
mod parse;
mod problem;
mod reader;
mod terms;

use std::{fmt, str::FromStr};

use serde::Serialize;
use uuid::Uuid;

pub use document::Document;
pub use enrichment::{DeviceType, Enrichment, Performance};
pub(crate) use names::names;
pub use names::{EventType, ParseNameError, ProcessingStatus, Severity};
pub use parse::{Defaults, MAX_PAYLOAD_BYTES, Refused, parse};
pub use problem::{FieldError, Reason};
pub use terms::{MAX_INDEXED_PAYLOAD_BYTES, Terms, words};

use crate::{Timestamp, tenant::TenantId};

/// A client's name for an event: 1–255 printable ASCII characters without spaces.
///
/// It is the idempotency key: unique per tenant among the events that are not deleted. Case matters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct EventId(String);

/// The text is not an event id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an event id has 1 to 255 printable ASCII characters and no spaces")]
pub struct ParseEventIdError;

impl EventId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_valid(text: &str) -> bool {
        (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// The id that a request's `Idempotency-Key` gives to its event at this place.
    ///
    /// The same tenant, key and index always give the same id, so a request that is sent again is all
    /// duplicates and no table of keys has to be kept. The tenant is part of it only as a precaution.
    pub fn derived(tenant_id: TenantId, idempotency_key: &str, index: usize) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("pulsestream 2026 event id from idempotency key");
        hasher.update(tenant_id.0.as_bytes());
        hasher.update(&(index as u64).to_le_bytes());
        hasher.update(idempotency_key.as_bytes());
        let digest = hasher.finalize().to_hex();
        Self(format!("idem-{}", &digest[..40]))
    }
}

impl From<Uuid> for EventId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string())
    }
}

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Self::is_valid(text) { Ok(Self(text.to_owned())) } else { Err(ParseEventIdError) }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event that passed every rule, as a store writes it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewEvent {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The row's own id, a UUIDv7: rows sort by when they were taken in.
    pub id: Uuid,
    /// The client's id, or the text of [`NewEvent::id`] when there was none.
    pub event_id: EventId,
    /// Equal for equal content, however it is spelled; does not cover the id.
    pub content_hash: [u8; 16],
    /// What kind of event.
    pub event_type: EventType,
    /// How bad.
    pub severity: Severity,
    /// `source.service`.
    pub service: String,
    /// `source.endpoint`.
    pub endpoint: String,
    /// `source.method`.
    pub method: String,
    /// `source.environment`.
    pub environment: Option<String>,
    /// `metrics.status_code`, 100–599.
    pub status_code: Option<u16>,
    /// `metrics.response_time_ms`.
    pub duration_ms: Option<f64>,
    /// `context.user_id`.
    pub user_id: Option<String>,
    /// `context.request_id`.
    pub correlation_id: Option<String>,
    /// When it happened: the client's `timestamp`, or when it was taken in.
    pub occurred_at: Timestamp,
    /// When it was taken in, on the clock that limits count by.
    pub received_at: Timestamp,
    /// What was found out about it.
    pub enrichment: Enrichment,
    /// Everything that comes back out and is not searched as a column.
    pub document: Document,
    /// What text search and tag filters find it by.
    pub terms: Terms,
}

/// An event as a store reads it back.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredEvent {
    /// The event itself; its terms stay in the index.
    pub event: NewEvent,
    /// Where its processing stands.
    pub processing_status: ProcessingStatus,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_printable_ascii_without_spaces() {
        for good in ["a", "A1", "../x", "%00", "019ab-…".trim_end_matches('…'), &"x".repeat(255)] {
            assert!(good.parse::<EventId>().is_ok(), "{good}");
        }
        for bad in ["", " a", "a b", "a\n", "é", "\u{200b}a", "\u{202e}", "😀", &"x".repeat(256)] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_derived_id_depends_on_tenant_key_and_index() {
        let (a, b) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let id = EventId::derived(a, "key", 0);
        assert_eq!(id, EventId::derived(a, "key", 0));
        assert!(id.as_str().parse::<EventId>().is_ok());
        for other in
            [EventId::derived(b, "key", 0), EventId::derived(a, "kez", 0), EventId::derived(a, "key", 1)]
        {
            assert_ne!(id, other);
        }
    }
}
