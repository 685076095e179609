//! Tenants: whom to write to, on what terms, and how long their events are kept.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        for column in [
            columns.text("contact_email").null().take(),
            columns.text("billing_email").null().take(),
            columns.text("subscription_tier").not_null().default("free").take(),
            columns.text("timezone").not_null().default("UTC").take(),
            columns.instant("retention_days").null().take(),
        ] {
            manager.alter_table(Table::alter().table("tenants").add_column(column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["retention_days", "timezone", "subscription_tier", "billing_email", "contact_email"] {
            manager.alter_table(Table::alter().table("tenants").drop_column(column).take()).await?;
        }
        Ok(())
    }
}
