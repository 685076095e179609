//! Appending to SQLite: one transaction per group, on the one connection that writes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use pulsestream_domain::{
    event::NewEvent,
    ports::{Appended, StoreError},
    search::TextIndex,
};
use sea_orm::sqlx::{
    self, AssertSqlSafe, Row as _, Sqlite as SqliteDatabase, SqliteConnection, SqlitePool, Transaction,
    query::Query, sqlite::SqliteArguments,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Key, Outcomes, Winner};
use crate::error::{Fault, unchanged};

/// How many rows a statement takes. Few sizes, so that each is prepared once and kept; the largest stays well
/// below the 32,766 values that SQLite binds.
const CHUNKS: [usize; 3] = [64, 8, 1];

const COLUMNS: &str = "tenant_id, id, external_id, content_hash, event_type, severity, service, endpoint, \
    method, environment, status_code, duration_ms, user_id, correlation_id, occurred_at, received_at, \
    device_type, performance, document, processing_status";
const COLUMN_COUNT: usize = 20;

type Arguments = Query<'static, SqliteDatabase, SqliteArguments>;

/// Appends to SQLite.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    deadline: Duration,
    statements: Arc<[Statements; CHUNKS.len()]>,
}

/// The statements for one number of rows.
#[derive(Debug)]
struct Statements {
    rows: usize,
    insert: String,
    insert_terms: String,
    select_winners: String,
}

impl Statements {
    fn of(rows: usize, text_index: TextIndex) -> Self {
        let values = |columns: usize| {
            let row = format!("({})", vec!["?"; columns].join(", "));
            vec![row; rows].join(", ")
        };
        let terms = match text_index {
            TextIndex::Words => "event_terms",
            TextIndex::None => "unindexed_terms",
        };
        Self {
            rows,
            // The predicate has to be that of the index, word for word, or there is no such constraint.
            insert: format!(
                "INSERT INTO events ({COLUMNS}) VALUES {}
                 ON CONFLICT (tenant_id, external_id) WHERE external_id IS NOT NULL AND NOT is_deleted
                 DO NOTHING RETURNING id, row_number",
                values(COLUMN_COUNT)
            ),
            insert_terms: format!("INSERT INTO {terms} (rowid, terms) VALUES {}", values(2)),
            select_winners: format!(
                "WITH wanted (place, tenant_id, external_id) AS (VALUES {})
                 SELECT wanted.place, winner.id, winner.content_hash, winner.received_at
                 FROM wanted CROSS JOIN events AS winner
                   ON winner.tenant_id = wanted.tenant_id AND winner.external_id = wanted.external_id
                  AND winner.external_id IS NOT NULL AND NOT winner.is_deleted",
                values(3)
            ),
        }
    }
}

impl Sqlite {
    pub(crate) fn new(
        writer: SqlitePool,
        readers: SqlitePool,
        deadline: Duration,
        text_index: TextIndex,
    ) -> Self {
        let statements = CHUNKS.map(|rows| Statements::of(rows, text_index));
        Self { writer, readers, deadline, statements: Arc::new(statements) }
    }

    /// See [`EventStore::append`](pulsestream_domain::ports::EventStore::append).
    ///
    /// There is one writer, so a row that is met can't go away before it is read.
    pub(super) async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        let work = async {
            let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(unchanged)?;
            #[cfg(feature = "sabotage")]
            pulsestream_sabotage::step("before_insert");
            let answer = self.write(&mut transaction, events).await?;
            #[cfg(feature = "sabotage")]
            pulsestream_sabotage::step("before_commit");
            commit(transaction).await?;
            #[cfg(feature = "sabotage")]
            pulsestream_sabotage::step("after_commit");
            Ok(answer)
        };
        // The writer goes on with what it was told, so a late answer may still become a commit.
        timeout(self.deadline, work)
            .await
            .unwrap_or_else(|silence| Err(StoreError::OutcomeUnknown(silence.into())))
    }

    /// Looks up who holds each key, in the order asked.
    pub(super) async fn existing(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Winner>>, StoreError> {
        let work = async {
            let mut reader = self.readers.acquire().await.map_err(unchanged)?;
            self.select_winners(&mut reader, keys).await
        };
        timeout(self.deadline, work)
            .await
            .unwrap_or_else(|silence| Err(StoreError::Unavailable(silence.into())))
    }

    async fn write(
        &self,
        connection: &mut SqliteConnection,
        events: &[NewEvent],
    ) -> Result<Vec<Appended>, StoreError> {
        let made = self.insert(connection, events).await.map_err(unchanged)?;
        let new: Vec<(i64, &NewEvent)> =
            events.iter().filter_map(|event| Some((*made.get(&event.id)?, event))).collect();
        self.insert_terms(connection, &new).await.map_err(unchanged)?;

        let mut outcomes = Outcomes::unknown(events);
        outcomes.set_stored(&outcomes.open(), &made.into_keys().collect());
        let places = outcomes.open();
        let keys: Vec<Key<'_>> = places.iter().map(|place| Key::of(&events[*place])).collect();
        outcomes.set_winners(&places, &self.select_winners(connection, &keys).await?);
        outcomes.complete().ok_or_else(|| {
            StoreError::Unexpected("a row was neither inserted nor in the way of the insert".into())
        })
    }

    /// Inserts what is new and answers with the ids and numbers of the rows that were made.
    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        events: &[NewEvent],
    ) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
        let mut made = HashMap::with_capacity(events.len());
        for (statements, chunk) in self.chunks(events) {
            let query = sqlx::query(AssertSqlSafe(statements.insert.as_str()));
            for row in chunk.iter().fold(query, bind).fetch_all(&mut *connection).await? {
                made.insert(row.try_get(0)?, row.try_get(1)?);
            }
        }
        Ok(made)
    }

    async fn insert_terms(
        &self,
        connection: &mut SqliteConnection,
        new: &[(i64, &NewEvent)],
    ) -> Result<(), sqlx::Error> {
        for (statements, chunk) in self.chunks(new) {
            let query = sqlx::query(AssertSqlSafe(statements.insert_terms.as_str()));
            let bind = |query: Arguments, (row_number, event): &(i64, &NewEvent)| {
                query.bind(*row_number).bind(event.terms.as_str().to_owned())
            };
            chunk.iter().fold(query, bind).execute(&mut *connection).await?;
        }
        Ok(())
    }

    async fn select_winners(
        &self,
        connection: &mut SqliteConnection,
        keys: &[Key<'_>],
    ) -> Result<Vec<Option<Winner>>, StoreError> {
        let places: Vec<(usize, &Key<'_>)> = keys.iter().enumerate().collect();
        let mut winners = vec![None; keys.len()];
        for (statements, chunk) in self.chunks(&places) {
            let query = sqlx::query(AssertSqlSafe(statements.select_winners.as_str()));
            let bind = |query: Arguments, (place, key): &(usize, &Key<'_>)| {
                query.bind(*place as i64).bind(key.tenant_id.0).bind(key.event_id.to_owned())
            };
            let found = chunk.iter().fold(query, bind).fetch_all(&mut *connection).await;
            for row in found.map_err(unchanged)? {
                let place: i64 = row.try_get(0).map_err(unchanged)?;
                let id = row.try_get(1).map_err(unchanged)?;
                let content_hash: Vec<u8> = row.try_get(2).map_err(unchanged)?;
                let received_at = row.try_get(3).map_err(unchanged)?;
                winners[place as usize] = Some(Winner::read(id, &content_hash, received_at)?);
            }
        }
        Ok(winners)
    }

    /// Splits a list into the sizes there are statements for.
    fn chunks<'a, T>(&self, mut rest: &'a [T]) -> impl Iterator<Item = (&Statements, &'a [T])> {
        std::iter::from_fn(move || {
            let statements = self.statements.iter().find(|statements| statements.rows <= rest.len())?;
            let (chunk, behind) = rest.split_at(statements.rows);
            rest = behind;
            Some((statements, chunk))
        })
    }
}

async fn commit(transaction: Transaction<'_, SqliteDatabase>) -> Result<(), StoreError> {
    transaction.commit().await.map_err(|error| match Fault::of(&error) {
        // A write that failed half way: what is in the file shows when it is read again.
        Fault::ConnectionLost | Fault::Unexpected => StoreError::OutcomeUnknown(error.into()),
        fault => fault.with(error),
    })
}

fn bind(query: Arguments, event: &NewEvent) -> Arguments {
    query
        .bind(event.tenant_id.0)
        .bind(event.id)
        .bind(event.event_id.as_str().to_owned())
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
        .bind(event.occurred_at.as_micros())
        .bind(event.received_at.as_micros())
        .bind(event.enrichment.device_type.map(|device| device.as_str()))
        .bind(event.enrichment.performance.map(|performance| performance.as_str()))
        .bind(event.document.as_str().to_owned())
        .bind("completed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_bind_what_they_name() {
        assert_eq!(COLUMNS.split(',').count(), COLUMN_COUNT);
        assert!(CHUNKS.is_sorted_by(|a, b| a > b) && CHUNKS.ends_with(&[1]));
        assert!(CHUNKS[0] * COLUMN_COUNT <= 32_766);
        assert_eq!(Statements::of(8, TextIndex::Words).insert.matches('?').count(), 8 * COLUMN_COUNT);
    }
}
