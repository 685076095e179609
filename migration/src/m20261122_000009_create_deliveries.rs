//! What was said to channels, and every attempt to say it.
//!
//! There is no foreign key to `channels` or `alerts`: what was said stays on record.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        manager.create_table(deliveries(columns)).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        manager.create_table(alerts(columns)).await?;
        manager.create_table(attempts(columns)).await?;
        let letters = Index::create()
            .name("delivery_attempts_letters")
            .table("delivery_attempts")
            .col("tenant_id")
            .col("started_at")
            .and_where(Expr::cust("letters > 0"))
            .take();
        manager.create_index(letters).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["delivery_attempts", "delivery_alerts", "deliveries"] {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}

fn deliveries(columns: Columns) -> TableCreateStatement {
    Table::create()
        .table("deliveries")
        .col(columns.uuid("tenant_id"))
        .col(columns.uuid("id"))
        .col(columns.uuid("channel_id"))
        .col(columns.text("reason").not_null())
        // JSON: what is said.
        .col(columns.text("facts").not_null())
        .col(columns.text("state").not_null())
        .col(ColumnDef::new("attempts").integer().not_null())
        .col(ColumnDef::new("failures").integer().not_null())
        // A bit for each part that need not be sent any more.
        .col(ColumnDef::new("parts_done").big_integer().not_null())
        .col(columns.instant("created_at").not_null())
        .col(columns.instant("next_attempt_at").null())
        .primary_key(Index::create().col("tenant_id").col("id"))
        .take()
}

fn indexes() -> [IndexCreateStatement; 2] {
    let newest_first = |mut index: IndexCreateStatement| {
        index.col(("created_at", IndexOrder::Desc)).col(("id", IndexOrder::Desc)).take()
    };
    let index = |name: &'static str| Index::create().name(name).table("deliveries").col("tenant_id").take();
    [
        newest_first(index("deliveries_created_at")),
        newest_first(index("deliveries_of_channel").col("channel_id").take()),
    ]
}

fn alerts(columns: Columns) -> TableCreateStatement {
    Table::create()
        .table("delivery_alerts")
        .col(columns.uuid("tenant_id"))
        .col(columns.uuid("alert_id"))
        .col(columns.uuid("delivery_id"))
        .primary_key(Index::create().col("tenant_id").col("alert_id").col("delivery_id"))
        .foreign_key(&mut delivery("delivery_alerts_delivery", "delivery_alerts"))
        .take()
}

fn attempts(columns: Columns) -> TableCreateStatement {
    Table::create()
        .table("delivery_attempts")
        .col(columns.uuid("tenant_id"))
        .col(columns.uuid("delivery_id"))
        .col(ColumnDef::new("number").integer().not_null())
        .col(columns.instant("started_at").not_null())
        .col(ColumnDef::new("duration_micros").big_integer().not_null())
        .col(columns.text("outcome").not_null())
        .col(ColumnDef::new("status").integer().null())
        .col(columns.text("error").null())
        .col(columns.text("excerpt").null())
        // How many letters it sent: what a tenant may send in a day has an end.
        .col(ColumnDef::new("letters").integer().not_null())
        .primary_key(Index::create().col("tenant_id").col("delivery_id").col("number"))
        .foreign_key(&mut delivery("delivery_attempts_delivery", "delivery_attempts"))
        .take()
}

fn delivery(name: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table, ("tenant_id", "delivery_id"))
        .to("deliveries", ("tenant_id", "id"))
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
