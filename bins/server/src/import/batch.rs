//! What goes from the reader to the sink: events in groups, and what could not be read.

use serde_json::value::RawValue;

/// As many events as one request may have, halved: a refused head is then not read twice.
pub(super) const MAX_EVENTS: usize = 500;
/// Below the body limit of a server with default settings.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// An event on its way, and where in the file it came from.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Line of a log or item of an array, from 1.
    pub(crate) position: u64,
    /// One event as JSON, with an `event_id`.
    pub(crate) event: Box<RawValue>,
}

/// A line or item that gave no event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BadLine {
    /// Line of a log or item of an array, from 1.
    pub(super) position: u64,
    /// What is wrong with it, without its content.
    pub(super) reason: String,
}

/// A group of events, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) bad: Vec<BadLine>,
    /// How many of the records have a response time that was made up.
    pub(super) assumed_times: u64,
    bytes: usize,
}

impl Batch {
    pub(super) fn push(&mut self, record: Record) {
        self.bytes += record.event.get().len();
        self.records.push(record);
    }

    /// Whether an event of this length should start another batch.
    pub(super) fn is_full_for(&self, bytes: usize) -> bool {
        self.records.len() >= MAX_EVENTS
            || (!self.records.is_empty() && self.bytes + bytes > MAX_BYTES)
            || self.bad.len() >= MAX_EVENTS
    }
}
