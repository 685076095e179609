//! The schema, as steps that only ever get added to.
//!
//! One schema serves PostgreSQL and SQLite. Statements are built once for both; raw SQL stands only where a
//! database has something of its own (full-text indexes).
//!
//! Rules every table keeps:
//! - Every primary key, unique index and foreign key of a tenant-owned table starts with `tenant_id`, so that
//!   the tables can be distributed by tenant. The exceptions are named where they are made.
//! - Instants are `bigint` microseconds since 1970: they sort right on both databases, which text does not.
//! - Texts that are compared or sorted go by their bytes (`COLLATE "C"`, SQLite's `BINARY`), so that both
//!   databases order them alike.
//! - Predicates of partial indexes are literals: a bound value makes `ON CONFLICT` fail, on PostgreSQL only
//!   from the sixth execution on.
//!
//! On PostgreSQL a second [`wall`] stands between tenants; tables with a `tenant_id` get their part of it by
//! themselves. A step that changes rows of a table that is forced to keep to its policies has to lift that first
//! (`ALTER TABLE … NO FORCE ROW LEVEL SECURITY`): otherwise it fails, rather than change nothing.
//!
//! To add a step, write `m<date>_<number>_<what>.rs` and list it in [`Migrator`]. A step that was released
//! is never changed.
//!
//! While instances are replaced one by one, the build before a step works on the schema after it. So a step only adds: a
//! table, a column that has a default or may be null, an index. What nothing needs any more is removed a release after
//! the last build that used it. A build works on with later steps than its own ([`State::ahead`]).

mod columns;
mod m20261122_000001_create_tenants;
mod m20261122_000002_create_api_keys;
mod m20261122_000003_create_events;
mod m20261122_000004_create_secrets;
mod m20261122_000005_create_jobs;
mod m20261122_000006_create_rules;
mod m20261122_000007_create_alerts;
mod m20261122_000008_create_channels;
mod m20261122_000009_create_deliveries;
mod m20261122_000010_create_users;
mod m20261122_000011_create_sessions;
mod m20261122_000012_create_audit_log;
mod m20261122_000013_extend_api_keys;
mod m20261122_000014_extend_tenants;
mod m20261122_000020_cover_searches;
mod m20261122_000021_drop_covered_indexes;
mod m20261122_000022_keep_unindexed_terms;
mod m20261122_000023_cover_endpoints;
mod m20261122_000024_drop_filters_index;
#[cfg(feature = "sabotage")]
mod m99991231_000001_next;
mod postgres;
pub mod text_index;
pub mod wall;

use std::time::Duration;

use sea_orm_migration::{
    prelude::*,
    sea_orm::{
        ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, RuntimeErr,
        SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
    },
};

/// Every step, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        #[cfg(feature = "sabotage")]
        if pulsestream_sabotage::is_next_schema() {
            let next: Box<dyn MigrationTrait> = Box::new(m99991231_000001_next::Migration);
            return released().into_iter().chain([next]).collect();
        }
        released()
    }
}

fn released() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(m20261122_000001_create_tenants::Migration),
        Box::new(m20261122_000002_create_api_keys::Migration),
        Box::new(m20261122_000003_create_events::Migration),
        Box::new(m20261122_000004_create_secrets::Migration),
        Box::new(m20261122_000005_create_jobs::Migration),
        Box::new(m20261122_000006_create_rules::Migration),
        Box::new(m20261122_000007_create_alerts::Migration),
        Box::new(m20261122_000008_create_channels::Migration),
        Box::new(m20261122_000009_create_deliveries::Migration),
        Box::new(m20261122_000010_create_users::Migration),
        Box::new(m20261122_000011_create_sessions::Migration),
        Box::new(m20261122_000012_create_audit_log::Migration),
        Box::new(m20261122_000013_extend_api_keys::Migration),
        Box::new(m20261122_000014_extend_tenants::Migration),
        Box::new(m20261122_000020_cover_searches::Migration),
        Box::new(m20261122_000021_drop_covered_indexes::Migration),
        Box::new(m20261122_000022_keep_unindexed_terms::Migration),
        Box::new(m20261122_000023_cover_endpoints::Migration),
        Box::new(m20261122_000024_drop_filters_index::Migration),
    ]
}

/// How many steps there are.
pub fn steps() -> usize {
    Migrator::migrations().len()
}

/// The names of all steps, oldest first.
pub fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|step| step.name().to_owned()).collect()
}

/// How far the schema of a database is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// How many steps are still to be done.
    pub pending: usize,
    /// The steps of a later build that were done already, oldest first. This one works on with them there.
    pub ahead: Vec<String>,
}

/// Brings the schema up to date. Several processes may do so at once: one works, the others wait for it.
///
/// Each step is a transaction of its own, so one that fails or is cut short leaves nothing of itself behind, and the next
/// attempt goes on where this one ended. A step that has to wait for somebody's lock holds up everybody behind it: it gives
/// up after a second, and tries a few times more.
///
/// # Errors
/// When a step fails, or when the database has steps that this build does not know and that are not later than its own.
pub async fn up(db: &DatabaseConnection) -> Result<(), DbErr> {
    // Looking takes no lock, and needs no right to change anything.
    while state(db).await?.pending > 0 {
        patiently(db, Work::NextStep).await?;
    }
    patiently(db, Work::Wall).await
}

/// A part of bringing the schema up to date: a transaction of its own.
#[derive(Clone, Copy)]
enum Work {
    NextStep,
    Wall,
}

impl Work {
    async fn attempt(self, db: &DatabaseConnection) -> Result<(), DbErr> {
        match self {
            Self::NextStep => next_step(db).await,
            Self::Wall => put_up_wall(db).await,
        }
    }
}

/// Tries again what met somebody's lock.
async fn patiently(db: &DatabaseConnection, work: Work) -> Result<(), DbErr> {
    let mut tries = 1;
    while let Err(error) = work.attempt(db).await {
        if !is_locked_out(&error) || tries == TRIES {
            return Err(error);
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// How long a step waits for a lock. Inserts that queue up behind it wait twice as long before they give up, so that
/// they outlast it.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '1s'";
/// How often a step is tried.
const TRIES: u32 = 3;
/// What only one process at a time holds on PostgreSQL. Any number does, as long as nothing else in the database locks it:
/// "pulsestr" in ASCII.
const LOCK: i64 = 8_103_509_296_926_454_898;
/// How long to wait between two tries to take it.
const TURN: Duration = Duration::from_millis(50);
/// How long those who queued up behind a step get before it tries again.
const PAUSE: Duration = Duration::from_secs(2);

/// Does the first step that is still to be done, if there is one by now.
async fn next_step(db: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = begin_alone(db).await?;
    wait_for_locks_only_so_long(&transaction).await?;
    Migrator::install(&transaction).await?;
    let done = done(&transaction).await?;
    let next = Migrator::migrations().into_iter().find(|step| !done.iter().any(|name| name == step.name()));
    if let Some(step) = next {
        step.up(&SchemaManager::new(&transaction)).await?;
        let now = if db.get_database_backend() == DatabaseBackend::Postgres {
            "extract(epoch FROM now())::bigint"
        } else {
            "unixepoch()"
        };
        let note = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ($1, {now})");
        let backend = db.get_database_backend();
        transaction.execute_raw(Statement::from_sql_and_values(backend, note, [step.name().into()])).await?;
        #[cfg(feature = "sabotage")]
        pulsestream_sabotage::step(pulsestream_sabotage::SCHEMA_STEP);
    }
    transaction.commit().await
}

/// The wall is no step: it follows from the tables that the steps have made.
async fn put_up_wall(db: &DatabaseConnection) -> Result<(), DbErr> {
    if db.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let transaction = begin_alone(db).await?;
    wait_for_locks_only_so_long(&transaction).await?;
    wall::raise(&transaction).await?;
    transaction.commit().await
}

async fn wait_for_locks_only_so_long(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    #[cfg(feature = "sabotage")]
    if pulsestream_sabotage::is_broken("migration_waits") {
        return Ok(());
    }
    if transaction.get_database_backend() == DatabaseBackend::Postgres {
        transaction.execute_unprepared(LOCK_TIMEOUT).await?;
    }
    Ok(())
}

/// Whether somebody else held a lock for too long.
fn is_locked_out(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

/// Takes back the last `steps` steps, with all they hold.
///
/// # Errors
/// When a step fails; then nothing changed.
pub async fn down(db: &DatabaseConnection, steps: u32) -> Result<(), DbErr> {
    let transaction = begin_alone(db).await?;
    Migrator::down(&transaction, Some(steps)).await?;
    transaction.commit().await
}

/// How far the schema is. Changes nothing.
///
/// # Errors
/// When the database can't be read, or has steps that this build does not know and that are not later than its own.
pub async fn state(db: &DatabaseConnection) -> Result<State, DbErr> {
    let is_there = SchemaManager::new(db).has_table("seaql_migrations").await?;
    let done = if is_there { done(db).await? } else { Vec::new() };
    let own = names();
    let unknown = done.iter().filter(|name| !own.contains(name)).cloned();
    let (ahead, astray): (Vec<String>, Vec<String>) = unknown.partition(|name| own.last() < Some(name));
    if let Some(name) = astray.first() {
        return Err(DbErr::Migration(format!(
            "the database has the step {name}, which is of another product"
        )));
    }
    Ok(State { pending: own.iter().filter(|name| !done.contains(name)).count(), ahead })
}

/// The steps that were done, oldest first.
async fn done(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let steps = "SELECT version FROM seaql_migrations ORDER BY version";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), steps)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// A transaction that no other migration runs beside.
///
/// SQLite takes its one write lock at once. PostgreSQL takes an advisory lock that ends with the transaction. The other
/// process may need as long as it likes, and nobody waits for it in a transaction: see [`text_index`].
async fn begin_alone(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    loop {
        let transaction = db.begin_with_options(options).await?;
        if is_alone(&transaction).await? {
            return Ok(transaction);
        }
        transaction.rollback().await?;
        tokio::time::sleep(TURN).await;
    }
}

async fn is_alone(transaction: &DatabaseTransaction) -> Result<bool, DbErr> {
    if transaction.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(true);
    }
    for statement in [
        "SET LOCAL lock_timeout = 0",
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL idle_in_transaction_session_timeout = 0",
        // What a policy would hide is an error.
        "SET LOCAL row_security = off",
    ] {
        transaction.execute_unprepared(statement).await?;
    }
    let lock = "SELECT pg_try_advisory_xact_lock($1)";
    let lock = Statement::from_sql_and_values(DatabaseBackend::Postgres, lock, [LOCK.into()]);
    match transaction.query_one_raw(lock).await? {
        Some(row) => row.try_get_by_index(0),
        None => Ok(false),
    }
}
