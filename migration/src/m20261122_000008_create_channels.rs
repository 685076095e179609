//! Who is told of alerts, and when nobody is.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        manager.create_table(channels(columns)).await?;
        let name = Index::create()
            .unique()
            .name("channels_name")
            .table("channels")
            .col("tenant_id")
            .col("name")
            .take();
        manager.create_index(name).await?;
        manager.create_table(silences(columns)).await?;
        let ends =
            Index::create().name("silences_ends_at").table("silences").col("tenant_id").col("ends_at").take();
        manager.create_index(ends).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("silences").take()).await?;
        manager.drop_table(Table::drop().table("channels").take()).await
    }
}

fn channels(columns: Columns) -> TableCreateStatement {
    Table::create()
        .table("channels")
        .col(columns.uuid("tenant_id"))
        .col(columns.uuid("id"))
        .col(columns.text("name").not_null())
        .col(columns.text("kind").not_null())
        .col(ColumnDef::new("enabled").boolean().not_null())
        .col(ColumnDef::new("send_resolved").boolean().not_null())
        // JSON: what of the address may be read. Its members depend on the kind.
        .col(columns.text("destination").not_null())
        // What must not be read, encrypted with a key that is not in the database.
        .col(columns.text("sealed_secrets").null())
        .col(columns.text("disabled_reason").null())
        .col(columns.instant("disabled_at").null())
        // A streak of failures: all three or none.
        .col(columns.instant("failing_since").null())
        .col(columns.instant("last_failed_at").null())
        .col(ColumnDef::new("failures").integer().not_null())
        .col(columns.instant("created_at").not_null())
        .col(columns.instant("updated_at").not_null())
        .primary_key(Index::create().col("tenant_id").col("id"))
        .foreign_key(&mut tenant("channels_tenant", "channels"))
        .take()
}

fn silences(columns: Columns) -> TableCreateStatement {
    Table::create()
        .table("silences")
        .col(columns.uuid("tenant_id"))
        .col(columns.uuid("id"))
        // JSON: a list.
        .col(columns.text("matchers").not_null())
        .col(columns.instant("starts_at").not_null())
        .col(columns.instant("ends_at").not_null())
        .col(columns.text("created_by").not_null())
        .col(columns.text("comment").null())
        .col(columns.instant("created_at").not_null())
        .primary_key(Index::create().col("tenant_id").col("id"))
        .foreign_key(&mut tenant("silences_tenant", "silences"))
        .take()
}

fn tenant(name: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().name(name).from(table, "tenant_id").to("tenants", "id").take()
}
