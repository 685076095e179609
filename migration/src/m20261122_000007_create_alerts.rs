//! Alerts and their history.
//!
//! There is no foreign key to `rules`: alerts outlive their rule.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        manager.create_table(alerts(columns)).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        manager.create_table(timeline(columns)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("alert_timeline").take()).await?;
        manager.drop_table(Table::drop().table("alerts").take()).await
    }
}

fn alerts(columns: Columns) -> TableCreateStatement {
    Table::create()
        .table("alerts")
        .col(columns.uuid("tenant_id"))
        .col(columns.uuid("id"))
        .col(columns.uuid("rule_id"))
        .col(columns.text("rule_name").not_null())
        .col(columns.bytes("fingerprint"))
        .col(columns.text("labels").not_null())
        .col(columns.text("title").not_null())
        .col(columns.text("message").not_null())
        .col(columns.text("severity").not_null())
        .col(columns.text("status").not_null())
        .col(ColumnDef::new("value").double().null())
        .col(columns.text("trigger_data").not_null())
        .col(columns.instant("started_at").not_null())
        .col(columns.instant("triggered_at").null())
        .col(columns.instant("clear_since").null())
        .col(columns.instant("acknowledged_at").null())
        .col(columns.text("acknowledged_by").null())
        .col(columns.instant("resolved_at").null())
        .col(columns.text("resolved_by").null())
        .col(columns.text("resolution_note").null())
        .col(ColumnDef::new("is_silenced").boolean().not_null())
        .col(columns.instant("notified_at").null())
        .col(columns.text("notified_severity").null())
        .col(columns.instant("changed_at").not_null())
        .primary_key(Index::create().col("tenant_id").col("id"))
        .take()
}

fn indexes() -> [IndexCreateStatement; 3] {
    let index = |name: &'static str| Index::create().name(name).table("alerts").col("tenant_id").take();
    [
        // What makes an alert open once.
        index("alerts_open")
            .unique()
            .col("rule_id")
            .col("fingerprint")
            .and_where(Expr::cust("status <> 'resolved'"))
            .take(),
        // What a rule raised lately.
        index("alerts_of_rule").col("rule_id").col("triggered_at").take(),
        // The order of every list.
        index("alerts_started_at").col(("started_at", IndexOrder::Desc)).col(("id", IndexOrder::Desc)).take(),
    ]
}

fn timeline(columns: Columns) -> TableCreateStatement {
    let mut alert = ForeignKey::create()
        .name("alert_timeline_alert")
        .from("alert_timeline", ("tenant_id", "alert_id"))
        .to("alerts", ("tenant_id", "id"))
        .on_delete(ForeignKeyAction::Cascade)
        .take();
    Table::create()
        .table("alert_timeline")
        .col(columns.uuid("tenant_id"))
        .col(columns.uuid("alert_id"))
        // From 1 on: two entries may have the same time.
        .col(ColumnDef::new("number").integer().not_null())
        .col(columns.instant("at").not_null())
        .col(columns.text("kind").not_null())
        .col(columns.text("by").null())
        .col(columns.text("note").null())
        .primary_key(Index::create().col("tenant_id").col("alert_id").col("number"))
        .foreign_key(&mut alert)
        .take()
}
