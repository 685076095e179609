//! SQLite: one connection that writes, several that read.

use std::time::{Duration, Instant};

use sea_orm::{
    SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions as _, Connection as _, SqliteConnection,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

use super::Connections;
use crate::{append::Sqlite, open::OpenError, settings::Settings};

/// How many steps of its virtual machine SQLite goes between two looks at the clock: some microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// Opens the file.
///
/// One connection writes: SQLite has one writer anyway, and connections that wait for each other in its busy
/// handler starve. Commits are flushed (`synchronous = FULL`), so what is acknowledged survives a power cut.
pub(crate) async fn open(settings: &Settings) -> Result<(Connections, Sqlite), OpenError> {
    if settings.url.contains(":memory:") || settings.url.contains("mode=memory") {
        return Err(OpenError::InMemory);
    }
    let options: SqliteConnectOptions =
        settings.url.parse().map_err(|error: sea_orm::sqlx::Error| OpenError::BadUrl(error.into()))?;
    let options = if settings.url.contains("mode=") { options } else { options.create_if_missing(true) };
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // For another process that holds the file, such as a backup.
        .busy_timeout(settings.acquire_timeout)
        .foreign_keys(true)
        .disable_statement_logging();

    #[cfg(feature = "sabotage")]
    let options = match pulsestream_sabotage::is_broken("no_flush") {
        true => options.synchronous(SqliteSynchronous::Off),
        false => options,
    };
    let writer = pool(settings, 1)
        .after_release(|connection, _| Box::pin(is_between_transactions(connection)))
        .connect_with(options.clone())
        .await
        .map_err(OpenError::connecting)?;
    let reader_options = options.pragma("query_only", "on");
    let readers = cancelling(pool(settings, settings.query_connections), settings.query_timeout)
        .connect_lazy_with(reader_options);
    let queries = SqlxSqliteConnector::from_sqlx_sqlite_pool(readers.clone());
    let changes = SqlxSqliteConnector::from_sqlx_sqlite_pool(writer.clone());
    let deadline = settings.query_timeout + Duration::from_secs(1);
    let connections = Connections::new(queries.clone(), queries, changes, deadline);
    Ok((connections, Sqlite::new(writer, readers, settings.ingest_timeout, settings.text_index)))
}

/// Connections stay open: making one costs more than keeping it, and each has its statements prepared.
fn pool(settings: &Settings, connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(settings.acquire_timeout)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Whether a connection that comes back is out of its last transaction, so that it can begin another.
///
/// When the disk is full SQLite rolls back by itself, the rollback that follows fails, and the driver goes on
/// believing that the transaction is open. It refuses every later one, so such a connection is replaced.
async fn is_between_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A rollback may be on its way still; this waits behind it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Cancels whatever runs for longer than this on one of the connections since it was taken.
///
/// A statement works on a thread of its own and goes on when nobody waits for it any more, so it has to look
/// at the clock itself. SQLite then ends it with `SQLITE_INTERRUPT`.
fn cancelling(pool: SqlitePoolOptions, limit: Duration) -> SqlitePoolOptions {
    pool.after_connect(move |connection, _| Box::pin(set_deadline(connection, limit))).before_acquire(
        move |connection, _| {
            Box::pin(async move {
                set_deadline(connection, limit).await?;
                Ok(true)
            })
        },
    )
}

async fn set_deadline(connection: &mut SqliteConnection, limit: Duration) -> Result<(), sqlx::Error> {
    let deadline = Instant::now() + limit;
    let mut handle = connection.lock_handle().await?;
    handle.set_progress_handler(STEPS_BETWEEN_LOOKS, move || Instant::now() < deadline);
    Ok(())
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, TransactionTrait as _};

    use super::*;

    #[tokio::test]
    async fn a_full_disk_does_not_leave_the_writer_in_a_transaction_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings::new(format!("sqlite://{}", directory.path().join("store.db").display()));
        let (connections, _) = open(&settings).await.unwrap();
        let writer = connections.changes.across_tenants();
        writer.execute_unprepared("CREATE TABLE t (bytes blob)").await.unwrap();
        writer.execute_unprepared("PRAGMA max_page_count = 8").await.unwrap();

        let transaction = writer.begin().await.unwrap();
        let full = transaction.execute_unprepared("INSERT INTO t VALUES (zeroblob(100000))").await;
        drop(transaction);

        assert!(full.is_err_and(|error| error.to_string().contains("full")));
        // The bound belonged to the connection, and so it is gone with it.
        let transaction = writer.begin().await.unwrap();
        transaction.execute_unprepared("INSERT INTO t VALUES (zeroblob(100000))").await.unwrap();
        transaction.commit().await.unwrap();
    }
}
