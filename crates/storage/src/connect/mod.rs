//! From settings to connections.

mod postgres;
mod sqlite;

use std::time::Duration;

use sea_orm::DatabaseConnection;

pub(crate) use postgres::open as open_postgres;
pub(crate) use sqlite::open as open_sqlite;

/// Connections by what they are for. On SQLite, `lookups` are `queries`, and `changes` is the one writer.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    /// Searches and figures: many rows, up to seconds.
    pub(crate) queries: DatabaseConnection,
    /// Single rows that a request waits for before anything else.
    pub(crate) lookups: DatabaseConnection,
    /// Everything that is written and is not an event.
    pub(crate) changes: DatabaseConnection,
    /// The longest any call may take: a little more than the database's own limit, for when it is silent.
    pub(crate) deadline: Duration,
}
