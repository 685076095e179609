//! SQLite: one connection that writes, several that read.

use std::time::Duration;

use sea_orm::{
    SqlxSqliteConnector,
    sqlx::{
        ConnectOptions as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

use super::Connections;
use crate::{append::Sqlite, open::OpenError, settings::Settings};

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
    let writer = pool(settings, 1).connect_with(options.clone()).await.map_err(OpenError::connecting)?;
    let reader_options = options.pragma("query_only", "on");
    let readers = pool(settings, settings.query_connections).connect_lazy_with(reader_options);
    let queries = SqlxSqliteConnector::from_sqlx_sqlite_pool(readers.clone());
    let connections = Connections {
        lookups: queries.clone(),
        queries,
        changes: SqlxSqliteConnector::from_sqlx_sqlite_pool(writer.clone()),
        deadline: settings.query_timeout + Duration::from_secs(1),
    };
    Ok((connections, Sqlite::new(writer, readers, settings.ingest_timeout)))
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
