//! Where SQLite keeps the terms of events that are stored while words are not indexed.
//!
//! A table beside the text index and of its shape, rather than a column of `events`: a row of it is short, where that
//! of an event may have megabytes in front of its last column, and the table alone says what is not indexed yet.
//! PostgreSQL needs none: there the terms are a column, with an index or without.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// As in the text index, what is deleted is gone at once: numbers of rows are used again.
const UP: [&str; 3] = [
    "CREATE TABLE unindexed_terms (row_number integer PRIMARY KEY, terms text NOT NULL)",
    "CREATE TRIGGER events_unindexed_terms_of_deleted AFTER UPDATE OF is_deleted ON events WHEN new.is_deleted
     BEGIN DELETE FROM unindexed_terms WHERE row_number = old.row_number; END",
    "CREATE TRIGGER events_unindexed_terms_of_removed AFTER DELETE ON events WHEN NOT old.is_deleted
     BEGIN DELETE FROM unindexed_terms WHERE row_number = old.row_number; END",
];

const DOWN: [&str; 3] = [
    "DROP TRIGGER events_unindexed_terms_of_removed",
    "DROP TRIGGER events_unindexed_terms_of_deleted",
    "DROP TABLE unindexed_terms",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        execute(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        execute(manager, &DOWN).await
    }
}

async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    if !Columns::of(manager).is_postgres() {
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
    }
    Ok(())
}
