//! API keys: what narrows them down, and who made them. And the signed requests that were seen.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        for column in [
            // JSON arrays; empty means that anything goes.
            columns.text("allowed_services").not_null().default("[]").take(),
            columns.text("allowed_event_types").not_null().default("[]").take(),
            columns.text("allowed_ips").not_null().default("[]").take(),
            columns.flag("requires_signature").not_null().default(false).take(),
            columns.text("created_by").null().take(),
        ] {
            // SQLite takes one change at a time.
            manager.alter_table(Table::alter().table("api_keys").add_column(column).take()).await?;
        }
        let seen = Table::create()
            .table("seen_messages")
            .col(columns.uuid("tenant_id"))
            .col(columns.text("key_id").not_null())
            .col(columns.text("message_id").not_null())
            .col(columns.instant("expires_at").not_null())
            .primary_key(Index::create().col("tenant_id").col("key_id").col("message_id"))
            .take();
        manager.create_table(seen).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("seen_messages").take()).await?;
        for column in
            ["created_by", "requires_signature", "allowed_ips", "allowed_event_types", "allowed_services"]
        {
            manager.alter_table(Table::alter().table("api_keys").drop_column(column).take()).await?;
        }
        Ok(())
    }
}
