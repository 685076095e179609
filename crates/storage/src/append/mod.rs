//! The hot path: events in, each stored once.
//!
//! This is the one place that goes past `SeaORM` to prepared statements of its own, because a group of events
//! has to be one statement with one array, or one list of rows, however many they are.
//!
//! Who wins an id is decided by the unique index alone. The insert skips what is there already and names the
//! rows it made; for the rest, a second statement reads who came first.

mod lanes;
mod pending_terms;
mod postgres;
mod sqlite;
mod term_vector;

use std::{collections::HashSet, sync::Arc};

use pulsestream_domain::{
    event::{EventId, NewEvent},
    ports::{Appended, EventStore, Existing, StoreError},
    tenant::TenantId,
};
use uuid::Uuid;

pub(crate) use lanes::Lanes;
pub(crate) use pending_terms::SETTINGS as PENDING_TERMS_SETTINGS;
pub use postgres::INSERT;
pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;
pub use term_vector::TermVector;

use crate::Store;

/// How events are written to this database.
#[derive(Clone, Debug)]
pub(crate) enum Appender {
    Postgres(Arc<Postgres>),
    Sqlite(Sqlite),
}

#[async_trait::async_trait]
impl EventStore for Store {
    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        match &self.appender {
            _ if events.is_empty() => Ok(Vec::new()),
            Appender::Postgres(postgres) => postgres.append(events).await,
            Appender::Sqlite(sqlite) => sqlite.append(events).await,
        }
    }

    async fn existing(
        &self,
        tenant_id: TenantId,
        ids: &[EventId],
    ) -> Result<Vec<Option<Existing>>, StoreError> {
        let keys: Vec<Key<'_>> = ids.iter().map(|id| Key { tenant_id, event_id: id.as_str() }).collect();
        let winners = match &self.appender {
            _ if ids.is_empty() => return Ok(Vec::new()),
            Appender::Postgres(postgres) => postgres.existing(&keys).await?,
            Appender::Sqlite(sqlite) => sqlite.existing(&keys).await?,
        };
        Ok(winners.into_iter().map(|winner| winner.map(|winner| winner.existing)).collect())
    }
}

/// What is unique among the events that are not deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key<'a> {
    tenant_id: TenantId,
    event_id: &'a str,
}

impl<'a> Key<'a> {
    fn of(event: &'a NewEvent) -> Self {
        Self { tenant_id: event.tenant_id, event_id: event.event_id.as_str() }
    }
}

/// The row that holds a key.
#[derive(Clone, Copy, Debug)]
struct Winner {
    id: Uuid,
    existing: Existing,
}

impl Winner {
    /// Reads `id, content_hash, received_at` as the database has them.
    fn read(id: Uuid, content_hash: &[u8], received_at: i64) -> Result<Self, StoreError> {
        let content_hash = content_hash.try_into().map_err(|_| crate::error::UnreadableRow {
            table: "events",
            column: "content_hash",
            row: id.to_string(),
        })?;
        let received_at = pulsestream_domain::Timestamp::from_micros(received_at);
        Ok(Self { id, existing: Existing { content_hash, received_at } })
    }

    /// What became of the event that met this row.
    ///
    /// When the row is the event's own, an earlier try got through whose answer was lost: it is stored.
    fn outcome_for(&self, event: &NewEvent) -> Appended {
        if self.id == event.id { Appended::Stored } else { Appended::Existing(self.existing) }
    }
}

/// What is known so far of each event of one call.
struct Outcomes<'a> {
    events: &'a [NewEvent],
    known: Vec<Option<Appended>>,
}

impl<'a> Outcomes<'a> {
    fn unknown(events: &'a [NewEvent]) -> Self {
        Self { events, known: vec![None; events.len()] }
    }

    /// The places of the events that nothing is known of, in the order of their keys.
    fn open(&self) -> Vec<usize> {
        let mut open: Vec<usize> =
            (0..self.events.len()).filter(|place| self.known[*place].is_none()).collect();
        #[cfg(feature = "sabotage")]
        if pulsestream_sabotage::is_broken("no_sort") {
            return open;
        }
        open.sort_unstable_by_key(|place| Key::of(&self.events[*place]));
        open
    }

    fn set_stored(&mut self, places: &[usize], made: &HashSet<Uuid>) {
        for place in places {
            if made.contains(&self.events[*place].id) {
                self.known[*place] = Some(Appended::Stored);
            }
        }
    }

    fn set_winners(&mut self, places: &[usize], winners: &[Option<Winner>]) {
        for (place, winner) in places.iter().zip(winners) {
            self.known[*place] = winner.map(|winner| winner.outcome_for(&self.events[*place]));
        }
    }

    /// The answer, once everything is known.
    fn complete(&self) -> Option<Vec<Appended>> {
        self.known.iter().copied().collect()
    }
}
