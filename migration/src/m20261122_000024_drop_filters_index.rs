//! The index that the step before makes superfluous.
//!
//! A step of its own: it keeps everybody from the table, though for a moment only.

use sea_orm_migration::prelude::*;

use crate::postgres;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: [&str; 1] = ["DROP INDEX events_filters"];

const DOWN: [&str; 1] = ["CREATE INDEX events_filters ON events (tenant_id, occurred_at DESC, id DESC)
     INCLUDE (event_type, severity, service, method, environment, status_code, duration_ms, user_id)
     WHERE NOT is_deleted"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        postgres::execute(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        postgres::execute(manager, &DOWN).await
    }
}
