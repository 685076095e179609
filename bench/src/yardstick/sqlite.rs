//! SQLite alone: one row per transaction, each flushed, on one connection, as the product sets it up.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use pulsestream_domain::ports::{Clock as _, IdSource as _};
use pulsestream_ingestion::{SystemClock, SystemIds};
use sea_orm::sqlx::{
    self, AssertSqlSafe, Connection as _, Sqlite, SqliteConnection,
    query::QueryScalar,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use super::COLUMNS;
use crate::{
    load::{COUNT_OF_RUN, mark},
    measurement::Tally,
    runtime::block_on,
    sample::{Sample, Variation},
};

/// Runs it on a file that has the product's schema.
///
/// # Errors
/// When SQLite refuses.
pub(crate) fn run(file: &Path, samples: &[Sample], seed: u64, duration: Duration) -> Result<Tally> {
    block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let mut connection = SqliteConnection::connect_with(&options).await.context("opening the file")?;
        let (ids, mut variation) = (SystemIds::default(), Variation::seeded(seed));
        let insert = Insert::new();
        let mut events = 0;
        let start = Instant::now();
        for sample in samples.iter().cycle() {
            if start.elapsed() >= duration {
                break;
            }
            let id = ids.uuid_v7(SystemClock.now());
            insert.run(&mut connection, sample, id, &mut variation).await.context("inserting")?;
            events += 1;
        }
        let elapsed = start.elapsed();
        connection.close().await?;
        Ok(Tally { events, elapsed, in_flight: 0, repeated: 0, latency: None })
    })
}

/// How many events are in a file.
///
/// # Errors
/// When they can't be counted.
pub(crate) fn stored(file: &Path) -> Result<u64> {
    count(file, sqlx::query_scalar("SELECT count(*) FROM events"))
}

/// How many events of this run are in a file.
///
/// # Errors
/// When they can't be counted.
pub(crate) fn stored_by(run: u64, file: &Path) -> Result<u64> {
    count(file, sqlx::query_scalar(COUNT_OF_RUN).bind(mark(run)))
}

fn count(file: &Path, question: QueryScalar<'_, Sqlite, i64, SqliteArguments>) -> Result<u64> {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(file);
        let mut connection = SqliteConnection::connect_with(&options).await.context("opening the file")?;
        let count = question.fetch_one(&mut connection).await.context("counting events")?;
        connection.close().await?;
        Ok(count.unsigned_abs())
    })
}

/// The version of the library.
///
/// # Errors
/// When it can't be asked.
pub(crate) fn version() -> Result<String> {
    block_on(async {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
        Ok(sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await?)
    })
}

struct Insert {
    event: String,
}

impl Insert {
    fn new() -> Self {
        let places = vec!["?"; COLUMNS.split(',').count()].join(", ");
        Self { event: format!("INSERT INTO events ({COLUMNS}) VALUES ({places})") }
    }

    async fn run(
        &self,
        connection: &mut SqliteConnection,
        sample: &Sample,
        id: Uuid,
        variation: &mut Variation,
    ) -> Result<(), sqlx::Error> {
        let event = &sample.event;
        let now = SystemClock.now().as_micros();
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let made = sqlx::query(AssertSqlSafe(self.event.as_str()))
            .bind(event.tenant_id.0)
            .bind(id)
            .bind(variation.event_id().to_string())
            .bind(event.content_hash.to_vec())
            .bind(event.event_type.as_str())
            .bind(event.severity.as_str())
            .bind(event.service.clone())
            .bind(event.endpoint.clone())
            .bind(event.method.clone())
            .bind(event.environment.clone())
            .bind(event.status_code)
            .bind(event.duration_ms)
            .bind(event.user_id.clone())
            .bind(event.correlation_id.clone())
            .bind(now)
            .bind(now)
            .bind(event.enrichment.device_type.map(|device| device.as_str()))
            .bind(event.enrichment.performance.map(|class| class.as_str()))
            .bind(event.document.as_str().to_owned())
            .bind("completed")
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO event_terms (rowid, terms) VALUES (?, ?)")
            .bind(made.last_insert_rowid())
            .bind(format!("{}{}", sample.open_terms, variation.number()))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}
