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
        let unique = Index::create()
            .unique()
            .name("jobs_unique_key")
            .table("jobs")
            .col("tenant_id")
            .col("kind")
            .col("unique_key")
            .and_where(Expr::cust("unique_key IS NOT NULL"))
            .and_where(Expr::cust("dead_at IS NULL"))
            .take();
        manager.create_index(unique).await?;
        let dead = Index::create()
            .name("jobs_dead")
            .table("jobs")
            .col("tenant_id")
            .col(("dead_at", IndexOrder::Desc))
            .col(("id", IndexOrder::Desc))
            .and_where(Expr::cust("dead_at IS NOT NULL"))
            .take();
        manager.create_index(dead).await?;
        let database = manager.get_connection();
        database.execute_raw(Statement::from_string(columns.0, QUEUE)).await?;
        // A queue's rows die young: their space has to come back at their pace, not at that of the table.
        if columns.is_postgres() {
            database.execute_raw(Statement::from_string(columns.0, CLEAN_OFTEN)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("jobs").take()).await
    }
}

/// The order in which jobs are claimed. A leased job stands where its lease ends, so that one condition finds
/// those that wait and those that were left behind, and none that is being worked on is looked at.
const QUEUE: &str = "
CREATE INDEX jobs_queue ON jobs (kind, priority, (coalesce(lease_until, run_at)), tenant_id)
WHERE dead_at IS NULL";

const CLEAN_OFTEN: &str = "
ALTER TABLE jobs SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)";
