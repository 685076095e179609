//! Endpoints and correlation ids stand in the index that searches of a time are answered from, as hashes of four bytes:
//! as texts they would not fit, see [`m20261122_000020_cover_searches`](super::m20261122_000020_cover_searches). Of two
//! that share a hash, the event itself tells which it is.
//!
//! How long the list of terms may be that wait for the index of words is up to each session now: the product has one of
//! its own that sorts them in before the list is full for those that insert.
//!
//! No event can be stored while the index is made. Who can't have that makes it before, with `CONCURRENTLY`, and this
//! step finds it there.

use sea_orm_migration::prelude::*;

use crate::postgres;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: [&str; 2] = [
    "CREATE INDEX IF NOT EXISTS events_search
     ON events (tenant_id, occurred_at DESC, id DESC, hashtext(endpoint), hashtext(correlation_id))
     INCLUDE (event_type, severity, service, method, environment, status_code, duration_ms, user_id)
     WHERE NOT is_deleted",
    "ALTER INDEX IF EXISTS events_all_terms RESET (gin_pending_list_limit)",
];

const DOWN: [&str; 2] = [
    "ALTER INDEX IF EXISTS events_all_terms SET (gin_pending_list_limit = 1024)",
    "DROP INDEX events_search",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        postgres::execute(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        postgres::execute(manager, &DOWN).await
    }
}
