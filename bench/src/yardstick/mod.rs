//! What the product is measured against: the same work with everything left out but one thing.

pub(crate) mod copy;
pub(crate) mod parse_only;
pub(crate) mod pgbench;
pub(crate) mod sqlite;
pub(crate) mod unnest;

/// The columns of `events` that are always written, in the order all yardsticks write them.
pub(crate) const COLUMNS: &str = "tenant_id, id, external_id, content_hash, event_type, severity, service, endpoint, \
    method, environment, status_code, duration_ms, user_id, correlation_id, occurred_at, received_at, \
    device_type, performance, document, processing_status";

/// Bytes as PostgreSQL reads them.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
