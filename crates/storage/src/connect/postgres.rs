//! PostgreSQL: three sets of connections, and no server that could lose what it acknowledges.

use std::time::Duration;

use sea_orm::{
    SqlxPostgresConnector,
    sqlx::{
        self, ConnectOptions as _, Connection as _, PgConnection, PgPool,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};

use super::Connections;
use crate::{
    append::{Lanes, PENDING_TERMS_SETTINGS, Postgres},
    open::OpenError,
    settings::Settings,
};

/// How long a statement waits for somebody else's lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a transaction may stand open with nothing to do, should this process hang.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);
/// How long a connection has to prove, before it is kept, that it is in order.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);
/// How much longer than the server's own limit to wait for a server that says nothing.
const SILENCE: Duration = Duration::from_secs(1);

/// Connects, and makes sure of the server.
pub(crate) async fn open(settings: &Settings) -> Result<(Connections, Postgres), OpenError> {
    let options: PgConnectOptions =
        settings.url.parse().map_err(|error: sqlx::Error| OpenError::BadUrl(error.into()))?;
    let options = options.application_name(&settings.application_name).disable_statement_logging();

    let probe = async {
        let mut connection = PgConnection::connect_with(&options).await.map_err(OpenError::connecting)?;
        check(&mut connection).await?;
        connection.close().await.map_err(|error| OpenError::Unexpected(error.into()))
    };
    tokio::time::timeout(settings.query_timeout, probe)
        .await
        .map_err(|silence| OpenError::Unreachable(silence.into()))??;

    // A generic plan knows neither how rare a word is nor how long the time range: plan each search.
    let query_options =
        limited(&options, settings.query_timeout).options([("plan_cache_mode", "force_custom_plan")]);
    let queries = pool(settings, settings.query_connections, query_options);
    let bookkeeping =
        pool(settings, settings.bookkeeping_connections, limited(&options, settings.query_timeout));
    let lookups = SqlxPostgresConnector::from_sqlx_postgres_pool(bookkeeping);
    let queries = SqlxPostgresConnector::from_sqlx_postgres_pool(queries);
    let deadline = settings.query_timeout + SILENCE;
    let connections = Connections::new(queries, lookups.clone(), lookups, deadline);
    // Inserts and look-ups by key have one good plan; making it anew for each group was a tenth of what an event cost here.
    let ingest_options =
        limited(&options, settings.ingest_timeout).options([("plan_cache_mode", "force_generic_plan")]);
    #[cfg(feature = "sabotage")]
    let ingest_options = match pulsestream_sabotage::is_broken("no_flush") {
        true => ingest_options.options([("synchronous_commit", "off")]),
        false => ingest_options,
    };
    let for_terms = ingest_options.clone().options(PENDING_TERMS_SETTINGS);
    let for_terms = Lanes::new(for_terms, 1, settings.acquire_timeout);
    let lanes = Lanes::new(ingest_options, settings.ingest_connections, settings.acquire_timeout);
    Ok((connections, Postgres::new(lanes, for_terms, settings.ingest_timeout + SILENCE)))
}

fn limited(options: &PgConnectOptions, statement_timeout: Duration) -> PgConnectOptions {
    let milliseconds = |duration: Duration| duration.as_millis().to_string();
    options.clone().options([
        ("statement_timeout", milliseconds(statement_timeout)),
        ("lock_timeout", milliseconds(LOCK_TIMEOUT)),
        ("idle_in_transaction_session_timeout", milliseconds(IDLE_IN_TRANSACTION)),
    ])
}

fn pool(settings: &Settings, connections: u32, options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(settings.acquire_timeout)
        // A call that was given up leaves an answer on its way. The pool would wait for it without end; a
        // connection that does not answer in time is dropped instead, and its place is free.
        .after_release(|connection, _| {
            Box::pin(async move {
                match tokio::time::timeout(RELEASE_TIMEOUT, connection.ping()).await {
                    Ok(answer) => answer.map(|()| true),
                    Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
                }
            })
        })
        .connect_lazy_with(options)
}

/// Refuses a server that is too old, can't hold the texts, or may lose what it acknowledged.
async fn check(connection: &mut PgConnection) -> Result<(), OpenError> {
    let version = show(connection, "server_version_num").await?;
    if version.parse::<u32>().is_ok_and(|number| number < 130_000) {
        return Err(OpenError::TooOld { version: show(connection, "server_version").await? });
    }
    let encoding = show(connection, "server_encoding").await?;
    if encoding != "UTF8" {
        return Err(OpenError::WrongEncoding { encoding });
    }
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value = show(connection, setting).await?;
        if value == "off" {
            return Err(OpenError::Unsafe { setting, value });
        }
    }
    Ok(())
}

async fn show(connection: &mut PgConnection, setting: &str) -> Result<String, OpenError> {
    sqlx::query_scalar("SELECT current_setting($1)")
        .bind(setting)
        .fetch_one(connection)
        .await
        .map_err(|error| OpenError::Unexpected(error.into()))
}
