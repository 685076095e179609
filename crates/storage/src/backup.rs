//! What a backup is made of: a moment of the store that stands still, and a count of what is in it.
//!
//! SQLite writes a copy of itself. PostgreSQL's own tool does that there; what is here holds the moment that the tool
//! copies, so that the count is of the very same rows.

use std::{collections::BTreeMap, path::Path};

use pulsestream_domain::ports::{BoxError, StoreError};
use pulsestream_migration::wall::WHOLE_STORE;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, IsolationLevel, SqlxSqliteConnector,
    Statement, TransactionTrait as _,
    sqlx::{
        self, ConnectOptions as _,
        sqlite::{SqliteConnectOptions, SqlitePoolOptions},
    },
};
use serde::{Deserialize, Serialize};

use crate::{Database, OpenError, Store, error::fault};

/// What a store holds: the steps of its schema, and the number of rows in each of its tables.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Inventory {
    /// The steps that were done, by name, oldest first.
    pub schema: Vec<String>,
    /// How many rows each table has, by its name.
    pub rows: BTreeMap<String, u64>,
}

impl Inventory {
    /// Whether there is not even a table.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The steps that this build does not know.
    pub fn unknown_steps(&self) -> Vec<&str> {
        let known = pulsestream_migration::names();
        self.schema.iter().map(String::as_str).filter(|step| !known.iter().any(|name| name == step)).collect()
    }
}

/// A moment of a PostgreSQL that stands still until this is released or dropped.
#[derive(Debug)]
pub struct Snapshot {
    name: String,
    inventory: Inventory,
    transaction: DatabaseTransaction,
}

impl Snapshot {
    /// What `pg_dump --snapshot` has to be told.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What `PGOPTIONS` has to be for `pg_dump --enable-row-security`, so that it sees the rows of all tenants.
    pub fn options(&self) -> String {
        format!("-c {WHOLE_STORE}=on")
    }

    /// What there is at that moment.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Lets time go on.
    ///
    /// # Errors
    /// When the moment had been lost meanwhile: a copy of it may be of another one then.
    pub async fn release(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(unchanged)
    }
}

/// Why a copy of an SQLite store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It can't be opened or read: it is no SQLite file, or only a part of one.
    #[error("it can't be read as an SQLite file")]
    Unreadable(#[source] BoxError),
    /// SQLite itself finds that it is damaged.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl Store {
    /// Counts what is there, all at one moment.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        let transaction = self.still().await.map_err(unchanged)?;
        take_inventory(&transaction).await.map_err(unchanged)
    }

    /// Holds a moment of a PostgreSQL. Nobody waits because of it; only the room of deleted rows is not used again
    /// meanwhile.
    ///
    /// # Errors
    /// When the store does not answer, or is an SQLite ([`StoreError::Unexpected`]).
    pub async fn hold(&self) -> Result<Snapshot, StoreError> {
        let held = async {
            let transaction = self.still().await?;
            let name = transaction.query_one_raw(self.sql("SELECT pg_export_snapshot()", [])).await?;
            let name = name.ok_or_else(|| DbErr::RecordNotFound("pg_export_snapshot".to_owned()))?;
            let name = name.try_get_by_index(0)?;
            let inventory = take_inventory(&transaction).await?;
            Ok(Snapshot { name, inventory, transaction })
        };
        held.await.map_err(unchanged)
    }

    /// Writes a copy of an SQLite store, as it is at one moment, to a file that does not exist yet. Others may read and
    /// write meanwhile. The file is not flushed to the disk yet.
    ///
    /// # Errors
    /// When that fails, for want of room for example; a part of the file may be there then.
    pub async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let file = file.to_str().ok_or_else(|| StoreError::Unexpected("the path is not UTF-8".into()))?;
        let copy = self.sql("VACUUM INTO $1", [file.into()]);
        self.connections.changes.across_tenants().execute_raw(copy).await.map(|_| ()).map_err(unchanged)
    }

    /// A transaction that sees one moment for as long as it likes.
    async fn still(&self) -> Result<DatabaseTransaction, DbErr> {
        let connections = self.connections.changes.across_tenants();
        let Database::Postgres = self.database() else {
            return connections.begin().await;
        };
        let (isolation, access) = (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly));
        let transaction = connections.begin_with_config(isolation, access).await?;
        for statement in
            ["SET LOCAL statement_timeout = 0", "SET LOCAL idle_in_transaction_session_timeout = 0"]
        {
            transaction.execute_unprepared(statement).await?;
        }
        transaction.execute_unprepared(&format!("SET LOCAL {WHOLE_STORE} = 'on'")).await?;
        Ok(transaction)
    }

    /// Has PostgreSQL look at what it holds, so that it plans searches well: after a restore it knows nothing.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn analyze(&self) -> Result<(), StoreError> {
        let work = async {
            // A statement of its own transaction would be cancelled after the time of a search.
            let transaction = self.connections.changes.across_tenants().begin().await?;
            transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
            transaction.execute_unprepared("ANALYZE").await?;
            transaction.commit().await
        };
        work.await.map_err(unchanged)
    }
}

/// Reads a copy of an SQLite store from its first to its last page. The file is not changed.
///
/// # Errors
/// When it is damaged, or no SQLite file at all.
pub async fn examine_copy(file: &Path) -> Result<Inventory, CopyError> {
    // Nobody writes to a copy, so no lock is needed, and no file is made beside it.
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options.disable_statement_logging())
        .await
        .map_err(|error| CopyError::Unreadable(error.into()))?;
    let checked: Result<String, sqlx::Error> =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&pool).await;
    match checked {
        Ok(verdict) if verdict == "ok" => {}
        Ok(verdict) => return Err(CopyError::Damaged(verdict)),
        Err(error) => return Err(CopyError::Unreadable(error.into())),
    }
    let copy = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
    let inventory = take_inventory(&copy).await.map_err(|error| CopyError::Unreadable(error.into()))?;
    // What it was opened for is done; an error here is only that it is closed already.
    drop(copy.close().await);
    Ok(inventory)
}

/// The file of an SQLite store at this URL.
///
/// # Errors
/// When the URL is no such one.
pub fn sqlite_file(url: &str) -> Result<std::path::PathBuf, OpenError> {
    let options: SqliteConnectOptions =
        url.parse().map_err(|error: sqlx::Error| OpenError::BadUrl(error.into()))?;
    Ok(options.get_filename().to_path_buf())
}

async fn take_inventory(db: &impl ConnectionTrait) -> Result<Inventory, DbErr> {
    let backend = db.get_database_backend();
    let tables = if backend == DbBackend::Postgres { POSTGRES_TABLES } else { SQLITE_TABLES };
    let mut inventory = Inventory::default();
    for row in db.query_all_raw(Statement::from_string(backend, tables)).await? {
        let table: String = row.try_get_by_index(0)?;
        let count = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let count = db.query_one_raw(Statement::from_string(backend, count)).await?;
        let count: i64 = count.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        inventory.rows.insert(table, count.unsigned_abs());
    }
    if inventory.rows.contains_key("seaql_migrations") {
        let steps = "SELECT version FROM seaql_migrations ORDER BY version";
        for row in db.query_all_raw(Statement::from_string(backend, steps)).await? {
            inventory.schema.push(row.try_get_by_index(0)?);
        }
    }
    Ok(inventory)
}

const POSTGRES_TABLES: &str =
    "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1";

/// Those of rows; a virtual table is kept in some of them.
const SQLITE_TABLES: &str = r"SELECT name FROM sqlite_schema
WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY 1";

fn unchanged(error: DbErr) -> StoreError {
    fault(&error).with(error)
}
