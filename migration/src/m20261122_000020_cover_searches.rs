//! Indexes that PostgreSQL answers more searches from.
//!
//! A tenant's rows lie far apart there, so reading events only to count them or to look at a column is what a
//! search costs. What searches filter by now stands in the index that has their order. `endpoint` and
//! `correlation_id` do not: an entry has to stay below 2,704 bytes with every text at its longest, or its event
//! could not be stored.
//!
//! The index of terms no longer says `NOT is_deleted`. PostgreSQL intersects two indexes only if no condition,
//! not even that of their making, belongs to both, and a text is mostly searched for within a time.
//!
//! No event can be stored while these are made. Who can't have that makes them before, with `CONCURRENTLY`, and
//! this step finds them there.

use sea_orm_migration::prelude::*;

use crate::postgres;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: [&str; 2] = [
    "CREATE INDEX IF NOT EXISTS events_filters ON events (tenant_id, occurred_at DESC, id DESC)
     INCLUDE (event_type, severity, service, method, environment, status_code, duration_ms, user_id)
     WHERE NOT is_deleted",
    "CREATE INDEX IF NOT EXISTS events_all_terms ON events USING gin (terms) WITH (gin_pending_list_limit = 1024)",
];

const DOWN: [&str; 2] = ["DROP INDEX events_all_terms", "DROP INDEX events_filters"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        postgres::execute(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        postgres::execute(manager, &DOWN).await
    }
}
