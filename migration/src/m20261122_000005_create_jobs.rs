//! Jobs: what is to be done later, who works on it, and what was given up.
//!
//! There is no foreign key to `tenants`: the service has jobs of its own, under the nil id.

use sea_orm_migration::{prelude::*, sea_orm::Statement};

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        let table = Table::create()
            .table("jobs")
            .col(columns.uuid("tenant_id"))
            .col(columns.uuid("id"))
            .col(columns.text("kind").not_null())
            .col(columns.text("unique_key").null())
            .col(columns.text("payload").not_null())
            .col(ColumnDef::new("priority").small_integer().not_null())
            .col(columns.instant("due_at").not_null())
            .col(columns.instant("run_at").not_null())
            .col(ColumnDef::new("attempts").integer().not_null())
            // The fence: one more with each lease.
            .col(ColumnDef::new("token").big_integer().not_null())
            .col(columns.instant("lease_until").null())
            .col(columns.instant("dead_at").null())
            // Why the last attempt failed; of a dead job, why it was given up.
            .col(columns.text("error").null())
            .primary_key(Index::create().col("tenant_id").col("id"))
            .take();
        manager.create_table(table).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        // A queue's rows die young: their space has to come back at their pace, not at that of the table.
        if columns.is_postgres() {
            let clean_often = Statement::from_string(columns.0, CLEAN_OFTEN);
            manager.get_connection().execute_raw(clean_often).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("jobs").take()).await
    }
}

fn indexes() -> [IndexCreateStatement; 4] {
    let index = |name: &'static str| Index::create().name(name).table("jobs").take();
    let is_live = || Expr::cust("dead_at IS NULL");
    [
        // What waits, in the order in which it is claimed. A leased job is not in it, so that nothing that is
        // worked on is ever looked at.
        index("jobs_waiting")
            .col("kind")
            .col("priority")
            .col("run_at")
            .col("tenant_id")
            .and_where(Expr::cust("lease_until IS NULL"))
            .and_where(is_live())
            .take(),
        // What is worked on, by when others may have it.
        index("jobs_leased")
            .col("kind")
            .col("lease_until")
            .col("tenant_id")
            .and_where(Expr::cust("lease_until IS NOT NULL"))
            .take(),
        index("jobs_unique_key")
            .unique()
            .col("tenant_id")
            .col("kind")
            .col("unique_key")
            .and_where(Expr::cust("unique_key IS NOT NULL"))
            .and_where(is_live())
            .take(),
        index("jobs_dead")
            .col("tenant_id")
            .col(("dead_at", IndexOrder::Desc))
            .col(("id", IndexOrder::Desc))
            .and_where(Expr::cust("dead_at IS NOT NULL"))
            .take(),
    ]
}

const CLEAN_OFTEN: &str = "
ALTER TABLE jobs SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)";
