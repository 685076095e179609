//! From rows to values.

use std::str::FromStr;

use pulsestream_domain::{
    Timestamp,
    event::{Document, Enrichment, NewEvent, StoredEvent, Terms},
    tenant::TenantId,
};

use crate::{entity::events, error::UnreadableRow};

/// Reads an event. Its terms stay in the index.
pub(crate) fn event(row: events::Model) -> Result<StoredEvent, UnreadableRow> {
    let key = format!("tenant_id {}, id {}", row.tenant_id, row.id);
    let unreadable = |column| UnreadableRow { table: "events", column, row: key.clone() };
    let event_id = row.external_id.as_deref().and_then(|id| id.parse().ok());
    let event = NewEvent {
        tenant_id: TenantId(row.tenant_id),
        id: row.id,
        event_id: event_id.ok_or_else(|| unreadable("external_id"))?,
        content_hash: row.content_hash.try_into().map_err(|_| unreadable("content_hash"))?,
        event_type: parsed(&row.event_type).ok_or_else(|| unreadable("event_type"))?,
        severity: parsed(&row.severity).ok_or_else(|| unreadable("severity"))?,
        service: row.service,
        endpoint: row.endpoint,
        method: row.method,
        environment: row.environment,
        status_code: row.status_code.map(u16::try_from).transpose().map_err(|_| unreadable("status_code"))?,
        duration_ms: row.duration_ms,
        user_id: row.user_id,
        correlation_id: row.correlation_id,
        occurred_at: Timestamp::from_micros(row.occurred_at),
        received_at: Timestamp::from_micros(row.received_at),
        enrichment: Enrichment {
            device_type: optional(row.device_type.as_deref()).ok_or_else(|| unreadable("device_type"))?,
            performance: optional(row.performance.as_deref()).ok_or_else(|| unreadable("performance"))?,
        },
        document: Document::from_stored(row.document),
        terms: Terms::default(),
    };
    let processing_status = parsed(&row.processing_status).ok_or_else(|| unreadable("processing_status"))?;
    Ok(StoredEvent { event, processing_status })
}

pub(crate) fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn optional<T: FromStr>(text: Option<&str>) -> Option<Option<T>> {
    match text {
        None => Some(None),
        Some(text) => parsed(text).map(Some),
    }
}

/// A list of texts as a JSON array.
pub(crate) fn list(items: &[impl ToString]) -> String {
    let texts = items.iter().map(|item| serde_json::Value::String(item.to_string()));
    serde_json::Value::Array(texts.collect()).to_string()
}

/// What [`list`] wrote.
pub(crate) fn parsed_list<T: FromStr>(text: &str) -> Option<Vec<T>> {
    let texts: Vec<String> = serde_json::from_str(text).ok()?;
    texts.iter().map(|text| parsed(text)).collect()
}

/// A count, which no database gives below zero.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
