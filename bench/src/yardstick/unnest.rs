//! PostgreSQL alone: the product's own statement, many rows at a time, which knows duplicates and answers for
//! each row. What is left out is HTTP, parsing, and waiting for others.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pulsestream_domain::{
    event::NewEvent,
    ports::{Clock as _, IdSource as _},
};
use pulsestream_ingestion::{SystemClock, SystemIds};
use pulsestream_storage::{INSERT_ON_POSTGRES, TermVector};
use sea_orm::sqlx::{self, Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    measurement::Tally,
    runtime::block_on,
    sample::{Sample, Variation},
};

/// Rows in a transaction: as many as the product puts into a group at most.
pub(crate) const ROWS: usize = 500;
/// Connections that insert at the same time: as many as the product has lanes for groups.
pub(crate) const CONNECTIONS: u64 = 2;

/// Runs it. `seed` tells its rows from those of other runs on the same table.
///
/// # Errors
/// When PostgreSQL refuses, or takes a row for a duplicate.
pub(crate) fn run(url: &str, samples: &[Sample], seed: u64, duration: Duration) -> Result<Tally> {
    let start = Instant::now();
    let inserted = std::thread::scope(|scope| {
        let inserters: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                scope.spawn(move || block_on(insert(url, samples, seed * CONNECTIONS + number, duration)))
            })
            .collect();
        let inserted =
            inserters.into_iter().map(|inserter| inserter.join().expect("an inserter returns its errors"));
        inserted.sum::<Result<u64>>()
    });
    Ok(Tally { events: inserted?, elapsed: start.elapsed(), in_flight: 0, repeated: 0, latency: None })
}

async fn insert(url: &str, samples: &[Sample], seed: u64, duration: Duration) -> Result<u64> {
    let mut connection = PgConnection::connect(url).await.context("connecting to PostgreSQL")?;
    let (ids, mut variation) = (SystemIds::default(), Variation::seeded(seed));
    let mut inserted = 0;
    let start = Instant::now();
    while start.elapsed() < duration {
        let mut rows: Vec<Row<'_>> =
            samples.iter().cycle().take(ROWS).map(|sample| Row::new(sample, &ids, &mut variation)).collect();
        // The order in which the product has them, too.
        rows.sort_unstable_by(|one, two| one.event_id.cmp(&two.event_id));
        let made = insert_once(&mut connection, &rows).await.context("inserting")?;
        ensure!(made == ROWS, "{made} of {ROWS} new rows were inserted");
        inserted += ROWS as u64;
    }
    connection.close().await?;
    Ok(inserted)
}

/// A sample with ids, times and the number filled in.
struct Row<'a> {
    event: &'a NewEvent,
    id: Uuid,
    event_id: String,
    now: i64,
    terms: String,
}

impl<'a> Row<'a> {
    fn new(sample: &'a Sample, ids: &SystemIds, variation: &mut Variation) -> Self {
        let now = SystemClock.now();
        Self {
            event: &sample.event,
            id: ids.uuid_v7(now),
            event_id: variation.event_id().to_string(),
            now: now.as_micros(),
            terms: format!("{}{}", sample.open_terms, variation.number()),
        }
    }
}

async fn insert_once(connection: &mut PgConnection, rows: &[Row<'_>]) -> Result<usize, sqlx::Error> {
    macro_rules! column {
        (|$row:ident| $value:expr) => {
            rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    let made: Option<Vec<Uuid>> = sqlx::query_scalar(INSERT_ON_POSTGRES)
        .bind(column!(|row| row.event.tenant_id.0))
        .bind(column!(|row| row.id))
        .bind(column!(|row| row.event_id.as_str()))
        .bind(column!(|row| &row.event.content_hash[..]))
        .bind(column!(|row| row.event.event_type.as_str()))
        .bind(column!(|row| row.event.severity.as_str()))
        .bind(column!(|row| row.event.service.as_str()))
        .bind(column!(|row| row.event.endpoint.as_str()))
        .bind(column!(|row| row.event.method.as_str()))
        .bind(column!(|row| row.event.environment.as_deref()))
        .bind(column!(|row| row.event.status_code.map(u16::cast_signed)))
        .bind(column!(|row| row.event.duration_ms))
        .bind(column!(|row| row.event.user_id.as_deref()))
        .bind(column!(|row| row.event.correlation_id.as_deref()))
        .bind(column!(|row| row.now))
        .bind(column!(|row| row.now))
        .bind(column!(|row| row.event.enrichment.device_type.map(|device| device.as_str())))
        .bind(column!(|row| row.event.enrichment.performance.map(|class| class.as_str())))
        .bind(column!(|row| row.event.document.as_str()))
        .bind(column!(|row| TermVector::of(&row.terms)))
        .fetch_one(connection)
        .await?;
    Ok(made.map_or(0, |made| made.len()))
}
