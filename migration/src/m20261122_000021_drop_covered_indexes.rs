//! The indexes that those of the step before make superfluous.
//!
//! A step of its own: it keeps everybody from the table, though for a moment only.

use sea_orm_migration::prelude::*;

use crate::postgres;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: [&str; 2] = ["DROP INDEX events_occurred_at", "DROP INDEX events_terms"];

const DOWN: [&str; 2] = [
    "CREATE INDEX events_occurred_at ON events (tenant_id, occurred_at DESC, id DESC) WHERE NOT is_deleted",
    "CREATE INDEX events_terms ON events USING gin (terms) WITH (gin_pending_list_limit = 1024) WHERE NOT is_deleted",
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
