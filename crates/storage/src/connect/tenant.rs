//! Connections that say whose rows are asked for, before they are asked for anything.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use pulsestream_domain::tenant::TenantId;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    Statement, TransactionOptions,
};

use super::begin::begin;

/// Both last until the end of the transaction: a connection goes back to its pool as nobody's.
const ENTER: &str = "SELECT set_config('role', $1, true), set_config('app.tenant_id', $2, true)";

/// The role that stands between tenants in the database, once it is known that there is one.
///
/// See [`pulsestream_migration::wall`]. SQLite has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct TenantRole(Arc<OnceLock<String>>);

impl TenantRole {
    /// From now on, tenants' rows are asked for under this role.
    pub(crate) fn set(&self, role: String) {
        // The role of a database stays the same.
        self.0.get_or_init(|| role);
    }

    pub(crate) fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// Connections for one purpose.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    connections: DatabaseConnection,
    role: TenantRole,
}

impl Pool {
    pub(crate) fn new(connections: DatabaseConnection, role: TenantRole) -> Self {
        Self { connections, role }
    }

    /// To ask for rows of one tenant: each statement is a transaction behind the wall.
    pub(crate) fn of(&self, tenant_id: TenantId) -> TenantConnection<'_> {
        TenantConnection { pool: self, tenant_id }
    }

    /// A transaction on rows of one tenant, behind the wall.
    pub(crate) async fn begin(
        &self,
        tenant_id: TenantId,
        options: TransactionOptions,
    ) -> Result<DatabaseTransaction, DbErr> {
        let transaction = begin(&self.connections, options).await?;
        if let Some(role) = self.role.get() {
            let values = [role.into(), tenant_id.to_string().into()];
            let enter = Statement::from_sql_and_values(DbBackend::Postgres, ENTER, values);
            transaction.query_one_raw(enter).await?;
        }
        Ok(transaction)
    }

    /// A transaction on what belongs to no tenant, or to all of them.
    pub(crate) async fn begin_across_tenants(
        &self,
        options: TransactionOptions,
    ) -> Result<DatabaseTransaction, DbErr> {
        begin(&self.connections, options).await
    }

    /// To ask for what belongs to no tenant, or to all of them.
    pub(crate) fn across_tenants(&self) -> &DatabaseConnection {
        &self.connections
    }
}

/// Connections of a [`Pool`], for the rows of one tenant.
#[derive(Debug)]
pub(crate) struct TenantConnection<'a> {
    pool: &'a Pool,
    tenant_id: TenantId,
}

/// Runs a statement in a transaction behind the wall, or by itself where there is none.
macro_rules! behind_the_wall {
    ($self:ident, $call:ident($statement:expr)) => {{
        if $self.pool.role.get().is_none() {
            return $self.pool.connections.$call($statement).await;
        }
        let transaction = $self.pool.begin($self.tenant_id, TransactionOptions::default()).await?;
        let answer = transaction.$call($statement).await?;
        transaction.commit().await?;
        Ok(answer)
    }};
}

#[async_trait]
impl ConnectionTrait for TenantConnection<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.connections.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        behind_the_wall!(self, execute_raw(statement))
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        behind_the_wall!(self, execute_unprepared(sql))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        behind_the_wall!(self, query_one_raw(statement))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        behind_the_wall!(self, query_all_raw(statement))
    }

    fn support_returning(&self) -> bool {
        self.pool.connections.support_returning()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, time::Duration};

    use pulsestream_testing::shared;
    use sea_orm::FromQueryResult;
    use tokio::{task::JoinSet, time::timeout};
    use uuid::Uuid;

    use super::*;
    use crate::{Settings, Store};

    const ROUNDS: u128 = 1_000;

    #[derive(FromQueryResult, Debug, PartialEq)]
    struct Seen {
        tenants: i64,
        named: Option<String>,
        is_self: bool,
    }

    /// Whose rows a statement without a condition sees, and as whom.
    async fn seen(db: &impl ConnectionTrait) -> Seen {
        let text = "SELECT count(*) AS tenants, nullif(current_setting('app.tenant_id', true), '') AS named,
                        current_user = session_user AS is_self FROM tenants";
        let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, text)).await.unwrap();
        Seen::from_query_result(&row.unwrap(), "").unwrap()
    }

    async fn store() -> (Store, impl Sized) {
        let database = shared::databases().unwrap().fresh_with_owner().unwrap();
        let settings = Settings { bookkeeping_connections: 1, ..Settings::new(database.url()) };
        let store = Store::connect(&settings).await.unwrap();
        store.migrate().await.unwrap();
        let db = store.connections.changes.across_tenants();
        let insert = "INSERT INTO tenants
            (id, name, slug, rate_limit_per_minute, rate_limit_burst, duplicate_policy, created_at)
            SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, n, n, 1, 1, 'reject', 0
            FROM generate_series(1, 5) AS n";
        db.execute_unprepared(insert).await.unwrap();
        (store, database)
    }

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number % 5 + 1))
    }

    async fn interrupted(work: impl Future) {
        // Whichever happens first is fine: what matters is what the next one sees.
        _ = timeout(Duration::from_micros(200), work).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_thousand_interleaved_requests_on_one_connection_see_their_own_tenant_each() {
        let (store, _database) = store().await;
        let mut requests = JoinSet::new();
        for number in 0..ROUNDS {
            let store = store.clone();
            requests.spawn(async move {
                let (tenant_id, pool) = (tenant(number), &store.connections.lookups);
                let own = Seen { tenants: 1, named: Some(tenant_id.to_string()), is_self: false };
                match number % 7 {
                    0 => {
                        let everybody = Seen { tenants: 5, named: None, is_self: true };
                        assert_eq!(seen(pool.across_tenants()).await, everybody);
                    }
                    1 => {
                        let transaction = store.begin(tenant_id).await.unwrap();
                        assert_eq!(seen(&transaction).await, own);
                        transaction.commit().await.unwrap();
                    }
                    2 => {
                        // Dropped in the middle.
                        let snapshot = store.snapshot(tenant_id).await.unwrap();
                        assert_eq!(seen(&snapshot).await, own);
                    }
                    3 => {
                        let broken = pool.of(tenant_id).execute_unprepared("SELECT 1 / 0").await;
                        assert!(broken.is_err());
                    }
                    4 => interrupted(seen(&pool.of(tenant_id))).await,
                    _ => assert_eq!(seen(&pool.of(tenant_id)).await, own),
                }
            });
            // Not all at once: a queue of a thousand would wait for longer than the pool lets anybody.
            while requests.len() >= 16 {
                requests.join_next().await.unwrap().unwrap();
            }
        }
        while let Some(request) = requests.join_next().await {
            request.unwrap();
        }
        store.close().await;
    }
}
