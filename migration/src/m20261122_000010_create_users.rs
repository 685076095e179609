//! Users: people of one tenant each.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        let mut tenant =
            ForeignKey::create().name("users_tenant").from("users", "tenant_id").to("tenants", "id").take();
        let table = Table::create()
            .table("users")
            .col(columns.uuid("tenant_id"))
            .col(columns.uuid("id"))
            .col(columns.text("email").not_null())
            .col(columns.text("full_name").null())
            // In lower case, so that both databases find a name alike whatever its letters.
            .col(columns.text("folded_name").not_null())
            .col(columns.text("role").not_null())
            .col(columns.text("password_hash").not_null())
            .col(columns.flag("must_change_password").not_null())
            .col(columns.flag("is_active").not_null())
            .col(columns.instant("created_at").not_null())
            .col(columns.instant("last_login_at").null())
            .primary_key(Index::create().col("tenant_id").col("id"))
            .foreign_key(&mut tenant)
            .take();
        manager.create_table(table).await?;
        let email =
            Index::create().unique().name("users_email").table("users").col("tenant_id").col("email").take();
        manager.create_index(email).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("users").take()).await
    }
}
