//! The private PostgreSQL of a benchmark.

use std::{path::PathBuf, str::FromStr as _};

use anyhow::{Context, Result};
use pulsestream_domain::{Timestamp, tenant::TenantId};
use pulsestream_testing::postgres::PostgresServer;
use sea_orm::sqlx::{self, Connection as _, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

use crate::{
    environment,
    load::{COUNT_OF_RUN, mark},
    runtime::block_on,
    schema::migrate,
};

/// Settings beyond those PostgreSQL ships with, as `docs/operations.md` recommends them. Durability is spelled out
/// although it is the default.
pub(crate) fn settings() -> [(&'static str, String); 4] {
    let quarter = environment::memory_kib().unwrap_or(1 << 22) / 4;
    [
        ("fsync", "on".to_owned()),
        ("synchronous_commit", "on".to_owned()),
        ("shared_buffers", format!("{}MB", quarter >> 10)),
        ("max_wal_size", "4GB".to_owned()),
    ]
}

/// How long a statement may take. To vacuum ten million events takes minutes.
const PATIENCE: &str = "30min";

/// A server with one database that has the product's schema.
pub(crate) struct Postgres {
    server: PostgresServer,
    url: String,
}

impl Postgres {
    /// Starts it.
    ///
    /// # Errors
    /// When it is not installed, or does not run here.
    pub(crate) fn start() -> Result<Self> {
        let settings = settings();
        let server =
            PostgresServer::start_with(&settings.each_ref().map(|(name, value)| (*name, value.as_str())))?;
        let url = server.create_database("bench")?;
        migrate(&url)?;
        Ok(Self { server, url })
    }

    /// Makes one more database, without a schema, and answers with its URL.
    ///
    /// # Errors
    /// When there is one of this name.
    pub(crate) fn create(&self, name: &str) -> Result<String> {
        self.server.create_database(name)
    }

    /// Where to connect to the database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The process id of the server, whose children do its work.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Where its files are.
    pub(crate) fn data_directory(&self) -> PathBuf {
        self.server.data_directory()
    }

    /// Empties the table of events, and writes out what is dirty, so that every run begins alike.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn reset(&self) -> Result<()> {
        block_on(async {
            let mut connection = self.connect().await?;
            sqlx::raw_sql("TRUNCATE events").execute(&mut connection).await?;
            Ok(connection.close().await?)
        })
        .context("emptying the table")?;
        self.checkpoint()
    }

    /// Writes out what is dirty.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        block_on(async {
            let mut connection = self.connect().await?;
            sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await?;
            Ok(connection.close().await?)
        })
        .context("making a checkpoint")
    }

    /// Reads all events and their indexes once, as those who have searched for a while will have done: the indexes into
    /// the server's own memory, the events into that of the machine, as far as they have room there.
    ///
    /// # Errors
    /// When the server has no `pg_prewarm`, which comes with it as a rule.
    pub(crate) fn warm(&self) -> Result<()> {
        block_on(async {
            let mut connection = self.connect().await?;
            sqlx::raw_sql(
                "CREATE EXTENSION IF NOT EXISTS pg_prewarm;
                 SELECT pg_prewarm(indexrelid, 'buffer') FROM pg_index WHERE indrelid = 'events'::regclass;
                 SELECT pg_prewarm('events', 'read')",
            )
            .execute(&mut connection)
            .await?;
            Ok(connection.close().await?)
        })
        .context("reading all events")
    }

    /// How many events are stored.
    ///
    /// # Errors
    /// When they can't be counted.
    pub(crate) fn stored(&self) -> Result<u64> {
        let count: i64 = self.ask("SELECT count(*) FROM events")?;
        Ok(count.unsigned_abs())
    }

    /// How many events of this run are stored, which began after `start`. What happened before is not looked at,
    /// however much there is.
    ///
    /// # Errors
    /// When they can't be counted.
    pub(crate) fn stored_by(&self, run: u64, start: Timestamp) -> Result<u64> {
        let question = format!(
            "{COUNT_OF_RUN} AND tenant_id = ANY (ARRAY(SELECT id FROM tenants)) AND occurred_at >= $2"
        );
        let count: i64 = block_on(async {
            let mut connection = self.connect().await?;
            let count = sqlx::query_scalar(sqlx::AssertSqlSafe(question))
                .bind(mark(run))
                .bind(start.as_micros())
                .fetch_one(&mut connection)
                .await;
            connection.close().await?;
            count.context("counting events")
        })?;
        Ok(count.unsigned_abs())
    }

    /// How many bytes of write-ahead log there have been.
    ///
    /// # Errors
    /// When the server can't be asked.
    pub(crate) fn wal_position(&self) -> Result<u64> {
        let bytes: i64 = self.ask("SELECT CAST(pg_current_wal_lsn() - '0/0' AS bigint)")?;
        Ok(bytes.unsigned_abs())
    }

    /// How many bytes the table of events and its indexes have.
    ///
    /// # Errors
    /// When the server can't be asked.
    pub(crate) fn bytes_of_events(&self) -> Result<u64> {
        let bytes: i64 = self.ask("SELECT pg_total_relation_size('events')")?;
        Ok(bytes.unsigned_abs())
    }

    /// The tenants whose slugs begin like this, by slug.
    ///
    /// # Errors
    /// When the server can't be asked.
    pub(crate) fn tenants(&self, beginning: &str) -> Result<Vec<TenantId>> {
        block_on(async {
            let mut connection = self.connect().await?;
            let ids: Vec<Uuid> =
                sqlx::query_scalar("SELECT id FROM tenants WHERE starts_with(slug, $1) ORDER BY slug")
                    .bind(beginning)
                    .fetch_all(&mut connection)
                    .await
                    .context("listing tenants")?;
            connection.close().await?;
            Ok(ids.into_iter().map(TenantId).collect())
        })
    }

    /// What the server calls its version.
    ///
    /// # Errors
    /// When it can't be asked.
    pub(crate) fn version(&self) -> Result<String> {
        self.ask("SHOW server_version")
    }

    fn ask<T>(&self, question: &'static str) -> Result<T>
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        block_on(async {
            let mut connection = self.connect().await?;
            let answer = sqlx::query_scalar(question).fetch_one(&mut connection).await;
            connection.close().await?;
            answer.context("asking PostgreSQL")
        })
    }

    async fn connect(&self) -> Result<PgConnection> {
        connect(&self.url).await
    }
}

/// Connects to a database, on which no statement may take for ever.
///
/// # Errors
/// When nobody listens.
pub(crate) async fn connect(url: &str) -> Result<PgConnection> {
    let options = PgConnectOptions::from_str(url)?.options([("statement_timeout", PATIENCE)]);
    PgConnection::connect_with(&options).await.context("connecting to PostgreSQL")
}
