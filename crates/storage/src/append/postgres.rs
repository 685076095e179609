//! Appending to PostgreSQL: one statement per group, which is also the transaction.

use std::{collections::HashSet, sync::Arc, time::Duration};

use pulsestream_domain::{
    event::NewEvent,
    ports::{Appended, StoreError},
    tenant::TenantId,
};
use sea_orm::sqlx::{self, PgConnection, Row as _};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{Key, Lanes, Outcomes, TermVector, Winner, pending_terms::PendingTerms};
use crate::error::{Fault, unchanged};

/// How a group of events is stored on PostgreSQL: an array for each column, and back come the ids of the rows that were
/// made. For measurements beside it; the arrays may change with any release.
// The predicate has to be that of the index, word for word, or there is no such constraint. One row comes back, not one
// for each event: rows cost both ends more than the ids in them. Arrays are unnested where they are selected, not in
// `FROM`, where PostgreSQL would write all rows down first.
pub const INSERT: &str = "
WITH made AS (INSERT INTO events (
    tenant_id, id, external_id, content_hash, event_type, severity, service, endpoint, method, environment,
    status_code, duration_ms, user_id, correlation_id, occurred_at, received_at, device_type, performance,
    document, terms, processing_status)
SELECT
    unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::bytea[]), unnest($5::text[]),
    unnest($6::text[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::text[]),
    unnest($11::smallint[]), unnest($12::double precision[]), unnest($13::text[]), unnest($14::text[]),
    unnest($15::bigint[]), unnest($16::bigint[]), unnest($17::text[]), unnest($18::text[]), unnest($19::text[]),
    unnest($20::tsvector[]), 'completed'
ON CONFLICT (tenant_id, external_id) WHERE external_id IS NOT NULL AND NOT is_deleted DO NOTHING
RETURNING id)
SELECT array_agg(id) FROM made";

/// `LIMIT 1` keeps the planner at one index look-up per key, whatever it thinks of the table's size.
const WINNERS: &str = "
SELECT wanted.place, winner.id, winner.content_hash, winner.received_at
FROM UNNEST($1::uuid[], $2::text[]) WITH ORDINALITY AS wanted (tenant_id, external_id, place)
CROSS JOIN LATERAL (
    SELECT id, content_hash, received_at FROM events
    WHERE tenant_id = wanted.tenant_id AND external_id = wanted.external_id
      AND external_id IS NOT NULL AND NOT is_deleted
    LIMIT 1
) AS winner";

/// How often to insert again what met a row that was deleted before it could be read.
const ROUNDS: usize = 10;
/// How often to repeat a statement that another one was in the way of.
const REPEATS: u32 = 3;

/// Appends to PostgreSQL.
#[derive(Debug)]
pub(crate) struct Postgres {
    lanes: Lanes,
    pending_terms: Arc<PendingTerms>,
    /// For one statement; a little more than the server allows itself.
    deadline: Duration,
}

impl Postgres {
    /// Inserts on one kind of connections, and has terms sorted into the index of words on another.
    pub(crate) fn new(lanes: Lanes, for_terms: Lanes, deadline: Duration) -> Self {
        Self { lanes, pending_terms: Arc::new(PendingTerms::new(for_terms)), deadline }
    }

    pub(crate) fn close(&self) {
        self.lanes.close();
        self.pending_terms.close();
    }

    /// See [`EventStore::append`](pulsestream_domain::ports::EventStore::append).
    ///
    /// The rows go in the order of their keys: two groups that share keys in different orders would wait for
    /// each other, and the server would kill one.
    pub(super) async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        let mut outcomes = Outcomes::unknown(events);
        #[cfg(feature = "sabotage")]
        if pulsestream_sabotage::is_broken("check_then_insert") {
            let places = outcomes.open();
            let keys: Vec<Key<'_>> = places.iter().map(|place| Key::of(&events[*place])).collect();
            let winners = self.existing(&keys).await?;
            outcomes.set_winners(&places, &winners);
            if let Some(answer) = outcomes.complete() {
                return Ok(answer);
            }
        }
        for round in 0..ROUNDS {
            let places = outcomes.open();
            let rows: Vec<&NewEvent> = places.iter().map(|place| &events[*place]).collect();
            let made = self.insert(&rows).await.map_err(|error| match round {
                0 => error,
                _ => unknown(error),
            })?;
            outcomes.set_stored(&places, &made);
            if let Some(answer) = outcomes.complete() {
                return Ok(answer);
            }
            let places = outcomes.open();
            let keys: Vec<Key<'_>> = places.iter().map(|place| Key::of(&events[*place])).collect();
            // The insert is committed: from here on no error may say that nothing was stored.
            let winners = self.existing(&keys).await.map_err(unknown)?;
            outcomes.set_winners(&places, &winners);
            if let Some(answer) = outcomes.complete() {
                return Ok(answer);
            }
        }
        Err(StoreError::OutcomeUnknown("the event with this id kept being deleted and made again".into()))
    }

    /// Looks up who holds each key, in the order asked.
    pub(super) async fn existing(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Winner>>, StoreError> {
        let mut is_second_try = false;
        loop {
            let mut lane = self.lanes.take().await.map_err(unchanged)?;
            match timeout(self.deadline, select_winners(&mut lane, keys)).await {
                Ok(Ok(winners)) => {
                    self.lanes.give_back(lane);
                    return winners.into_iter().map(Option::transpose).collect();
                }
                Ok(Err(error)) if Fault::of(&error) == Fault::ConnectionLost && !is_second_try => {
                    self.lanes.forget_idle();
                    is_second_try = true;
                }
                Ok(Err(error)) => return Err(unchanged(error)),
                Err(silence) => return Err(StoreError::Unavailable(silence.into())),
            }
        }
    }

    /// Inserts what is new and answers with the ids of the rows that were made.
    ///
    /// The statement may be sent again, because its rows are unique: a row of an earlier try that got through
    /// is met as its own winner. So what was in the way is tried again, and a connection that breaks is
    /// replaced once. Once a try may have got through, no error says that nothing was stored.
    async fn insert(&self, rows: &[&NewEvent]) -> Result<HashSet<Uuid>, StoreError> {
        let started = Instant::now();
        let mut repeats = 0;
        let mut may_be_stored = false;
        loop {
            let failed = |error: sqlx::Error| {
                if may_be_stored { StoreError::OutcomeUnknown(error.into()) } else { unchanged(error) }
            };
            let mut lane = self.lanes.take().await.map_err(failed)?;
            #[cfg(feature = "sabotage")]
            pulsestream_sabotage::step("before_insert");
            let error = match timeout(self.deadline, insert_once(&mut lane, rows)).await {
                Ok(Ok(made)) => {
                    #[cfg(feature = "sabotage")]
                    pulsestream_sabotage::step("after_commit");
                    self.lanes.give_back(lane);
                    self.pending_terms.add(rows.iter().map(|row| row.terms.as_str().len()).sum());
                    return Ok(made);
                }
                Ok(Err(error)) => error,
                Err(silence) => return Err(StoreError::OutcomeUnknown(silence.into())),
            };
            match Fault::of(&error) {
                // A wait for a lock may have used up most of the time that the caller was promised.
                Fault::Conflict if repeats < REPEATS && started.elapsed() < self.deadline / 2 => {
                    self.lanes.give_back(lane);
                    repeats += 1;
                    sleep(pause(rows, repeats)).await;
                }
                Fault::ConnectionLost if may_be_stored => return Err(failed(error)),
                Fault::ConnectionLost => {
                    self.lanes.forget_idle();
                    may_be_stored = true;
                }
                _ => {
                    let answer = failed(error);
                    self.lanes.give_back(lane);
                    return Err(answer);
                }
            }
        }
    }
}

/// The same cause, without the claim that nothing was stored.
fn unknown(error: StoreError) -> StoreError {
    match error {
        error @ StoreError::OutcomeUnknown(_) => error,
        other => StoreError::OutcomeUnknown(other.into()),
    }
}

/// Ten to a hundred milliseconds. It differs from group to group because their ids do, so that two that met
/// do not meet again.
fn pause(rows: &[&NewEvent], repeats: u32) -> Duration {
    let seed = rows.first().map_or(0, |row| row.id.as_u128() as u64) ^ u64::from(repeats);
    Duration::from_millis(10 + seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 91)
}

async fn insert_once(
    connection: &mut PgConnection,
    rows: &[&NewEvent],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    macro_rules! column {
        (|$row:ident| $value:expr) => {
            rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    #[cfg(not(feature = "sabotage"))]
    let statement = INSERT;
    #[cfg(feature = "sabotage")]
    let statement = sabotaged_insert();
    let made: Option<Vec<Uuid>> = sqlx::query_scalar(statement)
        .bind(column!(|row| row.tenant_id.0))
        .bind(column!(|row| row.id))
        .bind(column!(|row| row.event_id.as_str()))
        .bind(column!(|row| &row.content_hash[..]))
        .bind(column!(|row| row.event_type.as_str()))
        .bind(column!(|row| row.severity.as_str()))
        .bind(column!(|row| row.service.as_str()))
        .bind(column!(|row| row.endpoint.as_str()))
        .bind(column!(|row| row.method.as_str()))
        .bind(column!(|row| row.environment.as_deref()))
        .bind(column!(|row| row.status_code.map(u16::cast_signed)))
        .bind(column!(|row| row.duration_ms))
        .bind(column!(|row| row.user_id.as_deref()))
        .bind(column!(|row| row.correlation_id.as_deref()))
        .bind(column!(|row| row.occurred_at.as_micros()))
        .bind(column!(|row| row.received_at.as_micros()))
        .bind(column!(|row| row.enrichment.device_type.map(|device| device.as_str())))
        .bind(column!(|row| row.enrichment.performance.map(|performance| performance.as_str())))
        .bind(column!(|row| row.document.as_str()))
        .bind(column!(|row| TermVector::of(row.terms.as_str())))
        // All of it: the answer to the commit comes behind the row.
        .fetch_all(connection)
        .await?
        .pop()
        .flatten();
    Ok(made.into_iter().flatten().collect())
}

/// The insert as a mutant would have it.
#[cfg(feature = "sabotage")]
fn sabotaged_insert() -> sqlx::AssertSqlSafe<String> {
    let insert = INSERT.to_owned();
    sqlx::AssertSqlSafe(if pulsestream_sabotage::is_broken("check_then_insert") {
        let target = "ON CONFLICT (tenant_id, external_id) WHERE external_id IS NOT NULL AND NOT is_deleted DO NOTHING";
        insert.replace(target, "")
    } else if pulsestream_sabotage::is_broken("last_write_wins") {
        insert.replace(
            "DO NOTHING",
            "DO UPDATE SET document = EXCLUDED.document, content_hash = EXCLUDED.content_hash",
        )
    } else {
        insert
    })
}

type Winners = Vec<Option<Result<Winner, StoreError>>>;

async fn select_winners(connection: &mut PgConnection, keys: &[Key<'_>]) -> Result<Winners, sqlx::Error> {
    let tenants: Vec<Uuid> = keys.iter().map(|Key { tenant_id: TenantId(id), .. }| *id).collect();
    let event_ids: Vec<&str> = keys.iter().map(|key| key.event_id).collect();
    let found = sqlx::query(WINNERS).bind(tenants).bind(event_ids).fetch_all(connection).await?;
    let mut winners: Winners = keys.iter().map(|_| None).collect();
    for row in found {
        let place = row.try_get::<i64, _>(0)? as usize - 1;
        winners[place] = Some(Winner::read(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
    }
    Ok(winners)
}
