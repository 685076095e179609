//! PostgreSQL alone: `COPY`, the fastest way in there is. It knows neither duplicates nor answers per row.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use pulsestream_domain::{
    event::NewEvent,
    ports::{Clock as _, IdSource as _},
};
use pulsestream_ingestion::{SystemClock, SystemIds};
use sea_orm::sqlx::{Connection as _, PgConnection};

use super::{COLUMNS, hexadecimal};
use crate::{
    measurement::Tally,
    runtime::block_on,
    sample::{Sample, Variation},
};

/// Rows in a transaction.
pub(crate) const ROWS: usize = 1_000;
/// Connections that copy at the same time.
pub(crate) const CONNECTIONS: u64 = 2;

/// Runs it.
///
/// # Errors
/// When PostgreSQL refuses.
pub(crate) fn run(url: &str, samples: &[Sample], duration: Duration) -> Result<Tally> {
    let lines: Vec<Line> = samples.iter().map(Line::new).collect();
    let start = Instant::now();
    let copied = std::thread::scope(|scope| {
        let copiers: Vec<_> = (0..CONNECTIONS)
            .map(|seed| {
                let lines = &lines;
                scope.spawn(move || block_on(copy(url, lines, seed, duration)))
            })
            .collect();
        let copied = copiers.into_iter().map(|copier| copier.join().expect("a copier returns its errors"));
        copied.sum::<Result<u64>>()
    });
    Ok(Tally { events: copied?, elapsed: start.elapsed(), in_flight: 0, repeated: 0, latency: None })
}

async fn copy(url: &str, lines: &[Line], seed: u64, duration: Duration) -> Result<u64> {
    let mut connection = PgConnection::connect(url).await.context("connecting to PostgreSQL")?;
    let (ids, mut variation) = (SystemIds::default(), Variation::seeded(seed));
    let statement = format!("COPY events ({COLUMNS}, terms) FROM STDIN");
    let mut copied = 0;
    let mut rows = String::new();
    let start = Instant::now();
    while start.elapsed() < duration {
        rows.clear();
        for line in lines.iter().cycle().take(ROWS) {
            line.write(&mut rows, &ids, &mut variation);
        }
        let mut copy = connection.copy_in_raw(&statement).await.context("starting to copy")?;
        copy.send(rows.as_bytes()).await.context("copying")?;
        copied += copy.finish().await.context("ending a copy")?;
    }
    connection.close().await?;
    Ok(copied)
}

/// A row in the text format of `COPY`, in pieces between which ids, times and the number go.
struct Line {
    tenant: String,
    before_times: String,
    before_terms: String,
    open_terms: String,
}

impl Line {
    fn new(sample: &Sample) -> Self {
        let event = &sample.event;
        Self {
            tenant: event.tenant_id.to_string(),
            before_times: before_times(event),
            before_terms: before_terms(event),
            open_terms: sample.open_terms.clone(),
        }
    }

    fn write(&self, rows: &mut String, ids: &SystemIds, variation: &mut Variation) {
        let Self { tenant, before_times, before_terms, open_terms } = self;
        let now = SystemClock.now();
        let (id, event_id, number) = (ids.uuid_v7(now), variation.event_id(), variation.number());
        let now = now.as_micros();
        _ = writeln!(
            rows,
            "{tenant}\t{id}\t{event_id}\t{before_times}\t{now}\t{now}\t{before_terms}\t{open_terms}{number}"
        );
    }
}

/// The columns of an event between its id and its times, in the text format of `COPY`.
pub(crate) fn before_times(event: &NewEvent) -> String {
    columns(&[
        Some(hexadecimal(&event.content_hash)),
        Some(event.event_type.to_string()),
        Some(event.severity.to_string()),
        Some(event.service.clone()),
        Some(event.endpoint.clone()),
        Some(event.method.clone()),
        event.environment.clone(),
        event.status_code.map(|code| code.to_string()),
        event.duration_ms.map(|millis| millis.to_string()),
        event.user_id.clone(),
        event.correlation_id.clone(),
    ])
}

/// Those between its times and its terms.
pub(crate) fn before_terms(event: &NewEvent) -> String {
    columns(&[
        event.enrichment.device_type.map(|device| device.to_string()),
        event.enrichment.performance.map(|class| class.to_string()),
        Some(event.document.as_str().to_owned()),
        Some("completed".to_owned()),
    ])
}

/// Values in the text format of `COPY`, with a tab between two.
pub(crate) fn columns(values: &[Option<String>]) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n");
    let columns: Vec<String> =
        values.iter().map(|value| value.as_deref().map_or_else(|| "\\N".to_owned(), escape)).collect();
    columns.join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_column_is_escaped() {
        let values = [Some("a\\b\tc\nd".to_owned()), None];
        assert_eq!(columns(&values), "a\\\\b\\tc\\nd\t\\N");
    }
}
