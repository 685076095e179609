//! From settings to connections.

mod begin;
mod postgres;
mod sqlite;
mod tenant;

use std::time::Duration;

use sea_orm::DatabaseConnection;

pub(crate) use postgres::open as open_postgres;
pub(crate) use sqlite::open as open_sqlite;
pub(crate) use tenant::{Pool, TenantRole};

/// Connections by what they are for. On SQLite, `lookups` are `queries`, and `changes` is the one writer.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    /// Searches and figures of events that a filter finds: many rows, up to seconds. Those are not behind the wall;
    /// see [`pulsestream_migration::wall::OPEN_TO_THE_OWNER`].
    pub(crate) queries: DatabaseConnection,
    /// The same connections, for everything else that has many rows.
    pub(crate) lists: Pool,
    /// Single rows that a request waits for before anything else.
    pub(crate) lookups: Pool,
    /// Everything that is written and is not an event.
    pub(crate) changes: Pool,
    /// The role that tenants' rows are asked for under.
    pub(crate) role: TenantRole,
    /// The longest any call may take: a little more than the database's own limit, for when it is silent.
    pub(crate) deadline: Duration,
}

impl Connections {
    pub(crate) fn new(
        queries: DatabaseConnection,
        lookups: DatabaseConnection,
        changes: DatabaseConnection,
        deadline: Duration,
    ) -> Self {
        let role = TenantRole::default();
        let pool = |connections| Pool::new(connections, role.clone());
        let (lists, lookups, changes) = (pool(queries.clone()), pool(lookups), pool(changes));
        Self { queries, lists, lookups, changes, role, deadline }
    }
}
