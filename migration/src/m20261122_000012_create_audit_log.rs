//! The book of security-relevant changes, which both databases refuse to change.
//!
//! There are no foreign keys: the book outlives what it tells about.

use sea_orm_migration::{prelude::*, sea_orm::Statement};

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        let table = Table::create()
            .table("audit_log")
            .col(columns.uuid("tenant_id"))
            .col(columns.uuid("id"))
            .col(columns.instant("at").not_null())
            .col(columns.text("actor").not_null())
            .col(columns.text("action").not_null())
            .col(columns.text("target").not_null())
            .col(columns.optional_bytes("before_hash"))
            .col(columns.optional_bytes("after_hash"))
            .col(columns.text("ip").null())
            .col(columns.text("request_id").null())
            .primary_key(Index::create().col("tenant_id").col("id"))
            .take();
        manager.create_table(table).await?;
        let mut by_time = Index::create().name("audit_log_at").table("audit_log").take();
        manager.create_index(by_time.col("tenant_id").col("at").col("id").take()).await?;
        execute(manager, if columns.is_postgres() { POSTGRES } else { SQLITE }).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("audit_log").take()).await?;
        if Columns::of(manager).is_postgres() {
            execute(manager, &["DROP FUNCTION refuse_to_change_the_audit_log()"]).await?;
        }
        Ok(())
    }
}

async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        let backend = manager.get_database_backend();
        manager.get_connection().execute_raw(Statement::from_string(backend, *statement)).await?;
    }
    Ok(())
}

/// Per statement, not per row: TRUNCATE has no rows, and a refusal needs none.
const POSTGRES: &[&str] = &[
    "CREATE FUNCTION refuse_to_change_the_audit_log() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'insufficient_privilege'; END $$",
    "CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
     FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_audit_log()",
];

const SQLITE: &[&str] = &[
    "CREATE TRIGGER audit_log_is_not_updated BEFORE UPDATE ON audit_log
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
    "CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
];
