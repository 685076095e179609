//! The index of words. It is no step of the schema: a setting says whether there is one.
//!
//! PostgreSQL keeps the terms of every event in a column, and has an index on it or not. SQLite keeps those of an event
//! either in the index or beside it, and a search looks into both; what stands beside it can be moved into it.

use sea_orm_migration::{
    prelude::DbErr,
    sea_orm::{
        ConnectionTrait, DatabaseBackend, DatabaseConnection, RuntimeErr, Statement,
        sqlx::{self, Connection as _, PgConnection},
    },
};

use crate::{LOCK, TURN, begin_alone};

/// Whether the index is valid; no row when there is none.
const LOOK: &str = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('events_all_terms')";
const DROP: &str = "DROP INDEX CONCURRENTLY IF EXISTS events_all_terms";
const CREATE: &str = "CREATE INDEX CONCURRENTLY events_all_terms
    ON events USING gin (terms)";

/// How many events are moved in one transaction: others write between two of them.
const MOVED_AT_ONCE: u32 = 500;

/// Whether the index is as it should be: there and complete, or not there. On SQLite, what is in the index may stay there.
///
/// # Errors
/// When the database does not answer.
pub async fn is_arranged(db: &DatabaseConnection, is_wanted: bool) -> Result<bool, DbErr> {
    let backend = db.get_database_backend();
    let ask = |question: &'static str| db.query_one_raw(Statement::from_string(backend, question));
    match backend {
        DatabaseBackend::Postgres => {
            let is_valid = ask(LOOK).await?.map(|row| row.try_get_by_index(0)).transpose()?;
            Ok(is_valid == is_wanted.then_some(true))
        }
        _ => Ok(!is_wanted || ask("SELECT 1 FROM unindexed_terms LIMIT 1").await?.is_none()),
    }
}

/// Makes or drops the index, or goes on where an attempt was cut short. Events are stored and searched for meanwhile, and
/// of several processes one works and the others wait for it.
///
/// PostgreSQL waits for every transaction that is older, such as a backup.
///
/// # Errors
/// When that fails. What is half done is found by the next attempt.
pub async fn arrange(db: &DatabaseConnection, is_wanted: bool) -> Result<(), DbErr> {
    if db.get_database_backend() == DatabaseBackend::Postgres {
        return on_postgres(db, is_wanted).await.map_err(sqlx_error);
    }
    while is_wanted && move_some(db).await? {}
    Ok(())
}

/// A session of its own holds the lock: `CONCURRENTLY` is not for transactions. It asks for the lock again and again, and
/// so does who is about to do a step. A statement that waited for it would be a transaction that the making of the index
/// waits for.
async fn on_postgres(db: &DatabaseConnection, is_wanted: bool) -> Result<(), sqlx::Error> {
    let mut session = db.get_postgres_connection_pool().acquire().await?.detach();
    for setting in ["SET lock_timeout = 0", "SET statement_timeout = 0"] {
        sqlx::raw_sql(setting).execute(&mut session).await?;
    }
    while !is_locked_by(&mut session).await? {
        tokio::time::sleep(TURN).await;
    }
    let is_valid: Option<bool> = sqlx::query_scalar(LOOK).fetch_optional(&mut session).await?;
    // What is not valid was cut short.
    if is_valid.is_some_and(|is_valid| !is_valid || !is_wanted) {
        sqlx::raw_sql(DROP).execute(&mut session).await?;
    }
    if is_wanted && is_valid != Some(true) {
        sqlx::raw_sql(CREATE).execute(&mut session).await?;
    }
    // The lock ends with the session.
    session.close().await
}

async fn is_locked_by(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(session).await
}

/// Moves terms into SQLite's index. Answers whether there were any.
async fn move_some(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let transaction = begin_alone(db).await?;
    let some = format!("FROM unindexed_terms ORDER BY row_number LIMIT {MOVED_AT_ONCE}");
    let copy = format!("INSERT INTO event_terms (rowid, terms) SELECT row_number, terms {some}");
    let moved = transaction.execute_unprepared(&copy).await?.rows_affected();
    let forget = format!("DELETE FROM unindexed_terms WHERE row_number IN (SELECT row_number {some})");
    transaction.execute_unprepared(&forget).await?;
    transaction.commit().await?;
    Ok(moved > 0)
}

fn sqlx_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}
