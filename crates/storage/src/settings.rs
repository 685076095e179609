//! Where the database is, and how much of it to use.

use std::{fmt, time::Duration};

use pulsestream_domain::search::TextIndex;

/// Where the database is, and how much of it to use.
///
/// The connections of PostgreSQL are split by purpose, so that slow searches can't hold up ingestion, nor
/// either of them the check of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `postgres://…`, or `sqlite://<path>`. An SQLite file is made when it is missing, unless the URL says
    /// `?mode=rw`.
    pub url: String,
    /// What the server's own listings call these connections.
    pub application_name: String,
    /// How many inserts run at a time on PostgreSQL. SQLite has one writer.
    pub ingest_connections: u32,
    /// How many searches run at a time.
    pub query_connections: u32,
    /// How many look-ups of keys and tenants, changes to them, and health checks run at a time on PostgreSQL.
    pub bookkeeping_connections: u32,
    /// How long a call may wait for a connection.
    pub acquire_timeout: Duration,
    /// How long one insert may take.
    pub ingest_timeout: Duration,
    /// How long one search may take.
    pub query_timeout: Duration,
    /// What of the text of events is indexed. All that work on one database should agree: see
    /// [`Store::arrange_text_index`](crate::Store::arrange_text_index).
    pub text_index: TextIndex,
}

impl Settings {
    /// The defaults: 4, 8 and 4 connections; 2 seconds to get one, 5 for an insert, 10 for a search; words indexed.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            application_name: "pulsestream".to_owned(),
            ingest_connections: 4,
            query_connections: 8,
            bookkeeping_connections: 4,
            acquire_timeout: Duration::from_secs(2),
            ingest_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(10),
            text_index: TextIndex::Words,
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("ingest_connections", &self.ingest_connections)
            .field("query_connections", &self.query_connections)
            .field("bookkeeping_connections", &self.bookkeeping_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("ingest_timeout", &self.ingest_timeout)
            .field("query_timeout", &self.query_timeout)
            .field("text_index", &self.text_index)
            .finish_non_exhaustive()
    }
}
