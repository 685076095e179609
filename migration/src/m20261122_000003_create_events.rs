//! Events, and what they are found by.
//!
//! As few indexes as the searches need: each is paid for on every insert. There is no foreign key to
//! `tenants`: it would lock the tenant's row in every insert, to check what the credential has shown.

use sea_orm_migration::{prelude::*, sea_orm::Statement};

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        manager.create_table(table(columns)).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        let text_search = if columns.is_postgres() { POSTGRES_TEXT_SEARCH } else { SQLITE_TEXT_SEARCH };
        for statement in text_search {
            manager.get_connection().execute_raw(Statement::from_string(columns.0, *statement)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !Columns::of(manager).is_postgres() {
            manager.drop_table(Table::drop().table("event_terms").take()).await?;
        }
        manager.drop_table(Table::drop().table("events").take()).await
    }
}

fn table(columns: Columns) -> TableCreateStatement {
    let mut table = Table::create().table("events").take();
    if columns.is_postgres() {
        table.primary_key(Index::create().col("tenant_id").col("id"));
    } else {
        // The full-text index names rows by number, and VACUUM renumbers rows unless the number is the
        // primary key. It means nothing beyond this one file, so it need not start with the tenant.
        table.col(ColumnDef::new("row_number").integer().primary_key());
        table.index(Index::create().unique().name("events_key").col("tenant_id").col("id"));
    }
    table
        .col(columns.uuid("tenant_id"))
        .col(columns.uuid("id"))
        .col(columns.text("external_id").null())
        .col(columns.bytes("content_hash"))
        .col(columns.text("event_type").not_null())
        .col(columns.text("severity").not_null())
        .col(columns.text("service").not_null())
        .col(columns.text("endpoint").not_null())
        .col(columns.text("method").not_null())
        .col(columns.text("environment").null())
        .col(ColumnDef::new("status_code").small_integer().null())
        .col(ColumnDef::new("duration_ms").double().null())
        .col(columns.text("user_id").null())
        .col(columns.text("correlation_id").null())
        .col(columns.instant("occurred_at").not_null())
        .col(columns.instant("received_at").not_null())
        .col(columns.text("device_type").null())
        .col(columns.text("performance").null())
        // Text, not a binary JSON type: digits and order come back as sent, and it is cheaper to write.
        .col(columns.text("document").not_null())
        .col(columns.text("processing_status").not_null())
        .col(ColumnDef::new("is_deleted").boolean().not_null().default(false));
    if columns.is_postgres() {
        table.col(ColumnDef::new("terms").custom("tsvector").not_null());
    }
    table.take()
}

fn indexes() -> [IndexCreateStatement; 3] {
    let index = |name: &'static str| Index::create().name(name).table("events").col("tenant_id").take();
    let live = || Expr::cust("NOT is_deleted");
    [
        // What makes an event stored once: one live row per tenant and client's id.
        index("events_external_id")
            .unique()
            .col("external_id")
            .and_where(Expr::cust("external_id IS NOT NULL"))
            .and_where(live())
            .take(),
        // The order of every search, and of its cursor.
        index("events_occurred_at")
            .col(("occurred_at", IndexOrder::Desc))
            .col(("id", IndexOrder::Desc))
            .and_where(live())
            .take(),
        // Nearly always empty: events are completed before they are inserted.
        index("events_pending")
            .col("id")
            .and_where(Expr::cust("processing_status = 'pending'"))
            .and_where(live())
            .take(),
    ]
}

/// Terms begin with their tenant, so a posting list belongs to one tenant without a second column.
const POSTGRES_TEXT_SEARCH: &[&str] = &[
    "CREATE INDEX events_terms ON events USING gin (terms) WITH (gin_pending_list_limit = 1024) WHERE NOT is_deleted",
];

/// The index keeps no copy of the terms. The tokenizer splits at ASCII characters that are neither letter
/// nor digit and folds ASCII case; terms have none of the former and are in lower case.
const SQLITE_TEXT_SEARCH: &[&str] = &[
    "CREATE VIRTUAL TABLE event_terms USING fts5(
        terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii')",
    "CREATE TRIGGER events_terms_of_deleted AFTER UPDATE OF is_deleted ON events WHEN new.is_deleted
     BEGIN DELETE FROM event_terms WHERE rowid = old.row_number; END",
    "CREATE TRIGGER events_terms_of_removed AFTER DELETE ON events WHEN NOT old.is_deleted
     BEGIN DELETE FROM event_terms WHERE rowid = old.row_number; END",
];
