//! API keys: what is kept of them.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        let mut tenant = ForeignKey::create()
            .name("api_keys_tenant")
            .from("api_keys", "tenant_id")
            .to("tenants", "id")
            .take();
        let table = Table::create()
            .table("api_keys")
            .col(columns.uuid("tenant_id"))
            .col(columns.text("id").not_null())
            .col(columns.text("name").not_null())
            .col(columns.bytes("digest"))
            .col(columns.text("last_four").not_null())
            .col(columns.text("scopes").not_null())
            .col(columns.instant("created_at").not_null())
            .col(columns.instant("expires_at").null())
            .col(columns.instant("revoked_at").null())
            .col(columns.instant("last_used_at").null())
            .primary_key(Index::create().col("tenant_id").col("id"))
            .foreign_key(&mut tenant)
            .take();
        manager.create_table(table).await?;
        // The one index of a tenant-owned table that does not start with the tenant: a request presents a
        // key id before anybody knows whose it is.
        let id = Index::create().unique().name("api_keys_id").table("api_keys").col("id").take();
        manager.create_index(id).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("api_keys").take()).await
    }
}
