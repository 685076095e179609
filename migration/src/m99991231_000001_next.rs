//! What the next release may do to the schema, to try out now what an upgrade will do to the instances that run.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        let table = Table::create()
            .table("next")
            .col(columns.uuid("tenant_id"))
            .col(columns.uuid("id"))
            .primary_key(Index::create().col("tenant_id").col("id"))
            .take();
        manager.create_table(table).await?;
        for table in ["tenants", "api_keys", "events"] {
            let column = columns.text("next").null().take();
            manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["events", "api_keys", "tenants"] {
            manager.alter_table(Table::alter().table(table).drop_column("next").take()).await?;
        }
        manager.drop_table(Table::drop().table("next").take()).await
    }
}
