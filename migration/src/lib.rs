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
//! To add a step, write `m<date>_<number>_<what>.rs` and list it in [`Migrator`]. A step that was released
//! is never changed.

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

use sea_orm_migration::{
    prelude::*,
    sea_orm::{
        DatabaseBackend, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions,
        TransactionTrait as _,
    },
};

/// Every step, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
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
        ]
    }
}

/// How many steps there are.
pub fn steps() -> usize {
    Migrator::migrations().len()
}

/// Brings the schema up to date. Several processes may do so at once: one works, the others wait for it.
///
/// All steps happen in one transaction, so a failed step leaves the schema as it was.
///
/// # Errors
/// When a step fails, or when the database has steps that this build does not know.
pub async fn up(db: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = begin_alone(db).await?;
    Migrator::up(&transaction, None).await?;
    transaction.commit().await
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

/// How many steps are still to be done. Changes nothing.
///
/// # Errors
/// When the database can't be read, or has steps that this build does not know.
pub async fn pending(db: &DatabaseConnection) -> Result<usize, DbErr> {
    Ok(Migrator::get_pending_migrations_read_only(db).await?.len())
}

/// A transaction that no other migration runs beside.
///
/// SQLite takes its one write lock at once. PostgreSQL takes an advisory lock that ends with the
/// transaction; waiting for it may take as long as the other process needs, so no timeout applies.
async fn begin_alone(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    if db.get_database_backend() == DatabaseBackend::Postgres {
        for statement in [
            "SET LOCAL lock_timeout = 0",
            "SET LOCAL statement_timeout = 0",
            "SET LOCAL idle_in_transaction_session_timeout = 0",
            // Any number does, as long as nothing else in the database locks it: "pulsestr" in ASCII.
            "SELECT pg_advisory_xact_lock(8103509296926454898)",
        ] {
            transaction.execute_unprepared(statement).await?;
        }
    }
    Ok(transaction)
}
