//! What an event says, reduced to a hash and to the words it is found by.

use super::{
    MAX_PAYLOAD_BYTES, Severity,
    json::{self, Canonical, Finding},
    reader::{Known, NAMES, Reader, find},
    terms::{MAX_INDEXED_PAYLOAD_BYTES, WordSink},
};
use crate::Timestamp;

impl Reader {
    /// Hashes the content, gathers the words, and finds what no database keeps.
    pub(super) fn content(
        &mut self,
        known: &Known<'_>,
        severity: Severity,
        at: Option<Timestamp>,
    ) -> ([u8; 16], WordSink) {
        let mut canonical = Canonical::with_capacity(1_024);
        let mut words = WordSink::new();
        let error_message = known.get("error_details").and_then(json::members);
        if let Some(Ok(text)) = error_message.and_then(|m| find(&m, "error_message").and_then(json::text)) {
            words.add(&text);
        }
        for (name, raw) in NAMES.iter().zip(known.0) {
            let Some(raw) = raw else { continue };
            if *name == "payload" && raw.len() > MAX_PAYLOAD_BYTES {
                // Refused already: nothing is gained by looking into it.
                continue;
            }
            if *name == "payload" {
                // The last of those that are indexed.
                words.limit_to(MAX_INDEXED_PAYLOAD_BYTES);
            }
            let before = canonical.bytes.len();
            canonical.bytes.extend_from_slice(name.as_bytes());
            let indexed = matches!(*name, "title" | "message" | "payload").then_some(&mut words);
            if let Err(Finding { pointer, reason }) = canonical.add(raw, 1, indexed)
                && !self.errors.iter().any(|error| error.pointer == format!("/{name}"))
            {
                self.refuse(format!("/{name}{pointer}"), reason);
            }
            if matches!(*name, "event_id" | "severity" | "timestamp") {
                canonical.bytes.truncate(before);
            }
        }
        canonical.bytes.extend_from_slice(severity.as_str().as_bytes());
        canonical.bytes.extend_from_slice(&at.map_or(-1, Timestamp::as_micros).to_le_bytes());
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::hash(&canonical.bytes).as_bytes()[..16]);
        (hash, words)
    }
}
