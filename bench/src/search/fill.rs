//! Putting a [`History`] into the table, faster than over HTTP and to the same end.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use pulsestream_domain::event::NewEvent;
use pulsestream_ingestion::SystemIds;
use sea_orm::sqlx::{self, Connection as _, Row as _};
use uuid::Uuid;

use super::history::History;
use crate::{
    postgres::connect,
    runtime::block_on,
    yardstick::{
        COLUMNS,
        copy::{before_terms, before_times, columns},
    },
};

/// Connections that copy at the same time.
const CONNECTIONS: u64 = 2;
/// Rows in a transaction, and how far the connections are from each other in time.
const ROWS: u64 = 1_000;
/// After how many events to say how far it is.
const PROGRESS: u64 = 500_000;

/// Writes all events from this number on, with every index in place, and lets PostgreSQL take stock of the
/// table as it would by itself a little later.
///
/// # Errors
/// When PostgreSQL refuses, or has another number of rows in the end.
pub(crate) fn fill(url: &str, history: &History, from: u64) -> Result<()> {
    let before = block_on(count(url, history))?;
    let (start, done) = (Instant::now(), AtomicU64::new(from));
    let tell = |number: u64| {
        let now = done.fetch_add(number, Ordering::Relaxed) + number;
        if now / PROGRESS > (now - number) / PROGRESS {
            println!("{:<20} {now} events after {:.0} s", "fill", start.elapsed().as_secs_f64());
        }
    };
    std::thread::scope(|scope| {
        let tell = &tell;
        let fillers: Vec<_> = (0..CONNECTIONS)
            .map(|number| scope.spawn(move || block_on(copy(url, history, from + number * ROWS, tell))))
            .collect();
        fillers.into_iter().try_for_each(|filler| filler.join().expect("a filler returns its errors"))
    })?;
    let stored = block_on(count(url, history))? - before;
    let wanted = history.events() - from;
    ensure!(stored == wanted, "{stored} instead of {wanted} events were stored");
    block_on(async {
        let mut connection = connect(url).await?;
        sqlx::raw_sql("VACUUM ANALYZE events").execute(&mut connection).await.context("vacuuming")?;
        sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await.context("making a checkpoint")?;
        Ok(connection.close().await?)
    })
    .context("after filling the table")
}

async fn count(url: &str, history: &History) -> Result<u64> {
    let mut connection = connect(url).await?;
    let tenants: Vec<Uuid> = history.tenants().iter().map(|tenant| tenant.0).collect();
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE tenant_id = ANY($1)")
        .bind(tenants)
        .fetch_one(&mut connection)
        .await
        .context("counting events")?;
    connection.close().await?;
    Ok(stored.unsigned_abs())
}

async fn copy(url: &str, history: &History, first: u64, tell: &impl Fn(u64)) -> Result<()> {
    let mut connection = connect(url).await?;
    let ids = SystemIds::default();
    let statement = format!("COPY events ({COLUMNS}, terms) FROM STDIN");
    for start in (first..history.events()).step_by((CONNECTIONS * ROWS) as usize) {
        let end = (start + ROWS).min(history.events());
        let mut rows = String::new();
        for number in start..end {
            rows.push_str(&line(&history.event(number, &ids)?));
        }
        let mut copy = connection.copy_in_raw(&statement).await.context("starting to copy")?;
        copy.send(rows.as_bytes()).await.context("copying")?;
        copy.finish().await.with_context(|| format!("ending the copy of events {start} to {end}"))?;
        tell(end - start);
    }
    Ok(connection.close().await?)
}

/// An event as a line of `COPY`, in the order of [`COLUMNS`].
fn line(event: &NewEvent) -> String {
    let ids = columns(&[
        Some(event.tenant_id.to_string()),
        Some(event.id.to_string()),
        Some(event.event_id.to_string()),
    ]);
    let times = [event.occurred_at, event.received_at].map(|at| Some(at.as_micros().to_string()));
    let terms = columns(&[Some(event.terms.as_str().to_owned())]);
    [ids, before_times(event), columns(&times), before_terms(event), terms].join("\t") + "\n"
}

/// Makes sure that two rows differ in nothing but their ids and when they were taken in: the one that the
/// product has written of an event, and the one that [`fill`] has written of the same.
///
/// # Errors
/// When they differ.
pub(crate) fn check_same(url: &str, by_product: &str, by_filling: &str) -> Result<()> {
    let is_compared = |column: &&str| !["id", "external_id", "received_at", "tenant_id"].contains(column);
    let compared: Vec<&str> = COLUMNS.split(", ").map(str::trim).filter(is_compared).collect();
    let question = format!(
        "SELECT count(*) AS rows, count(DISTINCT ({}, terms)) AS kinds FROM events WHERE external_id IN ($1, $2)",
        compared.join(", ")
    );
    block_on(async {
        let mut connection = connect(url).await?;
        let row = sqlx::query(sqlx::AssertSqlSafe(question))
            .bind(by_product)
            .bind(by_filling)
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        let (rows, kinds): (i64, i64) = (row.try_get("rows")?, row.try_get("kinds")?);
        ensure!((rows, kinds) == (2, 1), "{rows} rows of {kinds} kinds instead of 2 that are alike");
        Ok(())
    })
    .context("comparing a row of the product with one that was copied")
}
