//! Indexes that PostgreSQL answers more searches from.
//!
//! A tenant's rows lie far apart there, so reading events only to count them or to look at a column is what a
//! search costs. What searches filter by now stands in the index that has their order. `endpoint` and
//! `correlation_id` do not: an entry has to stay below 2,704 bytes with every text at its longest, or its event
//! could not be stored.
//!
//! The index of terms no longer says `NOT is_deleted`. PostgreSQL intersects two indexes only if no condition,
//! not even that of their making, belongs to both, and a text is mostly searched for within a time.

use sea_orm_migration::{prelude::*, sea_orm::Statement};

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: [&str; 4] = [
    "DROP INDEX events_occurred_at",
    "CREATE INDEX events_occurred_at ON events (tenant_id, occurred_at DESC, id DESC)
     INCLUDE (event_type, severity, service, method, environment, status_code, duration_ms, user_id)
     WHERE NOT is_deleted",
    "DROP INDEX events_terms",
    "CREATE INDEX events_terms ON events USING gin (terms) WITH (gin_pending_list_limit = 1024)",
];

const DOWN: [&str; 4] = [
    "DROP INDEX events_occurred_at",
    "CREATE INDEX events_occurred_at ON events (tenant_id, occurred_at DESC, id DESC) WHERE NOT is_deleted",
    "DROP INDEX events_terms",
    "CREATE INDEX events_terms ON events USING gin (terms) WITH (gin_pending_list_limit = 1024) WHERE NOT is_deleted",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, DOWN).await
    }
}

async fn run(manager: &SchemaManager<'_>, statements: [&str; 4]) -> Result<(), DbErr> {
    let columns = Columns::of(manager);
    if columns.is_postgres() {
        for statement in statements {
            manager.get_connection().execute_raw(Statement::from_string(columns.0, statement)).await?;
        }
    }
    Ok(())
}
