//! The store itself: opened, migrated, asked, closed.

use std::{future::Future, sync::Arc};

use pulsestream_domain::{
    ports::{BoxError, StoreError},
    search::TextIndex,
    tenant::TenantId,
};
use pulsestream_migration::{text_index, wall::Wall};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    IsolationLevel, SqliteTransactionMode, TransactionOptions,
};
use tokio::{sync::Notify, time::timeout};

use crate::{
    alerting::Evaluations,
    append::Appender,
    connect::{Connections, open_postgres, open_sqlite},
    error::{Fault, fault},
    open::OpenError,
    settings::Settings,
};

/// One database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) connections: Connections,
    pub(crate) appender: Appender,
    text_index: TextIndex,
    /// Told when this process has enqueued a job.
    pub(crate) jobs_enqueued: Arc<Notify>,
    pub(crate) evaluations: Arc<Evaluations>,
}

/// Which kind of database a store is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Database {
    /// A server that many instances can share.
    Postgres,
    /// A file of this process.
    Sqlite,
}

impl Database {
    /// Its name in logs and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

impl Store {
    /// Connects to a database that exists, or makes an SQLite file. The schema is left as it is: see
    /// [`migrate`](Self::migrate).
    ///
    /// # Errors
    /// See [`OpenError`]. A PostgreSQL that could lose what it acknowledges is refused.
    pub async fn connect(settings: &Settings) -> Result<Self, OpenError> {
        match settings.url.split(':').next() {
            Some("postgres" | "postgresql") => {
                let (connections, postgres) = open_postgres(settings).await?;
                let store =
                    Self::of(connections, Appender::Postgres(Arc::new(postgres)), settings.text_index);
                store.look_for_wall().await?;
                Ok(store)
            }
            Some("sqlite") => {
                let (connections, sqlite) = open_sqlite(settings).await?;
                Ok(Self::of(connections, Appender::Sqlite(sqlite), settings.text_index))
            }
            _ => Err(OpenError::UnknownScheme),
        }
    }

    fn of(connections: Connections, appender: Appender, text_index: TextIndex) -> Self {
        let (jobs_enqueued, evaluations) = (Arc::default(), Arc::default());
        Self { connections, appender, text_index, jobs_enqueued, evaluations }
    }

    /// Which kind of database it is.
    pub fn database(&self) -> Database {
        match self.appender {
            Appender::Postgres(_) => Database::Postgres,
            Appender::Sqlite(_) => Database::Sqlite,
        }
    }

    /// What of the text of events is indexed, as far as this store was told.
    pub fn text_index(&self) -> TextIndex {
        self.text_index
    }

    /// Brings the schema up to date. Several instances may do so at once, also while others work on the store.
    ///
    /// # Errors
    /// [`OpenError::SchemaLocked`] and [`OpenError::Migration`]; then the steps before the one that failed are done, and
    /// nothing of that one is.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        let changes = self.connections.changes.across_tenants();
        pulsestream_migration::up(changes).await.map_err(|error| match fault(&error) {
            Fault::Conflict => OpenError::SchemaLocked(error.into()),
            _ => OpenError::Migration(error.into()),
        })?;
        self.look_for_wall().await?;
        #[cfg(feature = "sabotage")]
        if pulsestream_sabotage::is_broken("check_then_insert") {
            let drop_index = self.sql("DROP INDEX IF EXISTS events_external_id", []);
            let dropped = self.connections.changes.across_tenants().execute_raw(drop_index).await;
            dropped.map_err(|error| OpenError::Migration(error.into()))?;
        }
        Ok(())
    }

    /// Makes the index of words, or drops it, as the settings say; call it after [`migrate`](Self::migrate). Events are
    /// stored and found meanwhile, and several instances may do so at once. It takes as long as there are events.
    ///
    /// Until it is done, and where others on the database have other settings, a search finds the same events and may
    /// only be slow.
    ///
    /// # Errors
    /// [`OpenError::TextIndex`]; the next call goes on where this one ended.
    pub async fn arrange_text_index(&self) -> Result<(), OpenError> {
        let changes = self.connections.changes.across_tenants();
        let is_wanted = self.text_index == TextIndex::Words;
        let arranged = async {
            if text_index::is_arranged(changes, is_wanted).await? {
                return Ok(());
            }
            let verb = if is_wanted { "making" } else { "dropping" };
            tracing::info!("{verb} the index of words: with many events that takes a while");
            text_index::arrange(changes, is_wanted).await
        };
        arranged.await.map_err(|error: DbErr| OpenError::TextIndex(error.into()))
    }

    /// Whether there is nothing for [`arrange_text_index`](Self::arrange_text_index) to do. The schema has to be up to
    /// date.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_text_index_arranged(&self) -> Result<bool, StoreError> {
        let is_wanted = self.text_index == TextIndex::Words;
        self.read(text_index::is_arranged(self.connections.lookups.across_tenants(), is_wanted)).await
    }

    /// Whether the database itself keeps tenants apart: statements on a tenant's rows run under a role that sees no
    /// others. Never on SQLite, and not on PostgreSQL where whoever migrated could not make that role.
    pub fn has_wall(&self) -> bool {
        self.connections.role.get().is_some()
    }

    async fn look_for_wall(&self) -> Result<(), OpenError> {
        let found = pulsestream_migration::wall::look(self.connections.lookups.across_tenants());
        match found.await.map_err(|error| OpenError::Unexpected(error.into()))? {
            Wall::Absent => Ok(()),
            Wall::Up { role } => {
                self.connections.role.set(role);
                Ok(())
            }
            Wall::Barred { role } => Err(OpenError::NotOfTenantRole { role }),
        }
    }

    /// How many steps of the schema are still to be done; not 0 means that the store can't be used yet.
    ///
    /// # Errors
    /// When the database does not answer, or has steps of something else ([`StoreError::Unexpected`]).
    pub async fn pending_migrations(&self) -> Result<usize, StoreError> {
        Ok(self.schema().await?.pending)
    }

    /// The steps of a later build that were done already. The store can be used: steps only add.
    ///
    /// # Errors
    /// Those of [`pending_migrations`](Self::pending_migrations).
    pub async fn steps_ahead(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.schema().await?.ahead)
    }

    async fn schema(&self) -> Result<pulsestream_migration::State, StoreError> {
        self.read(pulsestream_migration::state(self.connections.lookups.across_tenants())).await
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let lookups = self.connections.lookups.across_tenants();
        self.read(async { lookups.query_one_raw(self.sql("SELECT 1", [])).await.map(|_| ()) }).await
    }

    /// Waits for what is under way and closes every connection. Calls after it fail.
    pub async fn close(&self) {
        if let Appender::Postgres(postgres) = &self.appender {
            postgres.close();
        }
        let Connections { queries, lookups, changes, .. } = &self.connections;
        for connection in [queries, lookups.across_tenants(), changes.across_tenants()] {
            // An error here is only that it is closed already.
            drop(connection.close_by_ref().await);
        }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.connections.queries.get_database_backend()
    }

    /// A statement with `$1`, `$2`… for its values, on either database.
    pub(crate) fn sql(
        &self,
        text: &str,
        values: impl IntoIterator<Item = sea_orm::Value>,
    ) -> sea_orm::Statement {
        sea_orm::Statement::from_sql_and_values(self.backend(), text, values)
    }

    /// Runs a look-up: it changes nothing, and when it takes long, others are in its way.
    pub(crate) async fn read<T>(
        &self,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, StoreError> {
        self.ask(work).await.map_err(|(fault, source)| fault.with(source))
    }

    /// Runs a search: it changes nothing, and may take long by itself.
    pub(crate) async fn query<T>(
        &self,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, StoreError> {
        self.ask(work).await.map_err(|(fault, source)| match fault {
            Fault::TimedOut => StoreError::TimedOut(source),
            fault => fault.with(source),
        })
    }

    async fn ask<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, (Fault, BoxError)> {
        match timeout(self.connections.deadline, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err((self.fault(&error), error.into())),
            Err(silence) => Err((Fault::NotReady, silence.into())),
        }
    }

    /// Runs what changes something, in one transaction or one statement.
    pub(crate) async fn change<T>(
        &self,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, StoreError> {
        match timeout(self.connections.deadline, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(match self.fault(&error) {
                Fault::ConnectionLost => StoreError::OutcomeUnknown(error.into()),
                fault => fault.with(error),
            }),
            Err(silence) => Err(StoreError::OutcomeUnknown(silence.into())),
        }
    }

    /// A transaction that changes something of one tenant.
    pub(crate) async fn begin(&self, tenant_id: TenantId) -> Result<DatabaseTransaction, DbErr> {
        self.connections.changes.begin(tenant_id, for_changes()).await
    }

    /// A transaction that changes something of several tenants.
    pub(crate) async fn begin_across_tenants(&self) -> Result<DatabaseTransaction, DbErr> {
        self.connections.changes.begin_across_tenants(for_changes()).await
    }

    /// A transaction whose statements all see the same moment of one tenant.
    pub(crate) async fn snapshot(&self, tenant_id: TenantId) -> Result<DatabaseTransaction, DbErr> {
        // SQLite's transactions do that by themselves.
        let isolation_level =
            (self.database() == Database::Postgres).then_some(IsolationLevel::RepeatableRead);
        let options = TransactionOptions { isolation_level, ..TransactionOptions::default() };
        self.connections.lookups.begin(tenant_id, options).await
    }

    /// A pool that waits for a server that is down says the same as one whose connections are all taken.
    fn fault(&self, error: &DbErr) -> Fault {
        let Connections { queries, changes, .. } = &self.connections;
        match error {
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
                if self.database() == Database::Postgres
                    && [queries, changes.across_tenants()].into_iter().all(has_room) =>
            {
                Fault::NotReady
            }
            error => fault(error),
        }
    }
}

/// SQLite takes its write lock at the start: a transaction that starts to read and then wants to write can be
/// refused half way.
fn for_changes() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}

fn has_room(connection: &DatabaseConnection) -> bool {
    let pool = connection.get_postgres_connection_pool();
    pool.size() < pool.options().get_max_connections()
}
