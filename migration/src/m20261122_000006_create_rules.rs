//! Alert rules.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        let mut tenant =
            ForeignKey::create().name("rules_tenant").from("rules", "tenant_id").to("tenants", "id").take();
        let table = Table::create()
            .table("rules")
            .col(columns.uuid("tenant_id"))
            .col(columns.uuid("id"))
            // One more with each change of the rule or of one of its alerts.
            .col(ColumnDef::new("revision").big_integer().not_null())
            // JSON, as a client would write it.
            .col(columns.text("definition").not_null())
            // It stands in the definition, too; here queries see it.
            .col(ColumnDef::new("is_active").boolean().not_null())
            .col(columns.instant("created_at").not_null())
            .col(columns.instant("updated_at").not_null())
            .col(columns.instant("last_triggered_at").null())
            .col(ColumnDef::new("total_triggers").big_integer().not_null())
            .primary_key(Index::create().col("tenant_id").col("id"))
            .foreign_key(&mut tenant)
            .take();
        manager.create_table(table).await?;
        // Evaluations change a row often and no index of it: with room on the page, nothing else is written.
        if columns.is_postgres() {
            manager.get_connection().execute_unprepared("ALTER TABLE rules SET (fillfactor = 80)").await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("rules").take()).await
    }
}
