//! Tenants: who owns what, and how much of it.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        let table = Table::create()
            .table("tenants")
            .col(columns.uuid("id").primary_key())
            .col(columns.text("name").not_null())
            .col(columns.text("slug").not_null())
            .col(columns.instant("rate_limit_per_minute").not_null())
            .col(columns.instant("rate_limit_burst").not_null())
            .col(columns.text("duplicate_policy").not_null())
            .col(columns.instant("created_at").not_null())
            .take();
        manager.create_table(table).await?;
        let slug = Index::create().unique().name("tenants_slug").table("tenants").col("slug").take();
        manager.create_index(slug).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("tenants").take()).await
    }
}
