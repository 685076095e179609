//! The list of terms that wait for PostgreSQL's index of words, and who sorts them in.
//!
//! An index of words is dear to change a term at a time, so PostgreSQL keeps a list of those that came in and sorts them
//! in together. It leaves that to the insert that finds the list full, which then takes 10 to 20 ms longer, with
//! everybody who waits for it. Here a connection of its own does so before the list is full.
//!
//! It does so by an insert too, in a transaction that is rolled back: a list is full for who says so
//! (`gin_pending_list_limit`), and such an insert sorts in what is there when it begins. `gin_clean_pending_list` goes on until nothing
//! is left, and never ends beside others that insert: with 50 tenants a single event cost PostgreSQL 64 µs instead of 36, and
//! 10 KB of log instead of 4, since terms that come a few at a time are dear. What is left behind is a dead row for
//! each time, as of any insert that failed.
//!
//! Nothing depends on it but time: searches look into the list as well, and an insert that finds it full sorts it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sea_orm::sqlx;

use super::Lanes;
use crate::error::Fault;

/// How many bytes of terms, as an event has them, are worth it: some 2,000 usual events, 1 MiB of the list, which every
/// search for words reads. Half as many cost PostgreSQL more, as they share fewer terms. Inserts find it full at 4 MiB, unless PostgreSQL is told otherwise.
const WORTH: usize = 512 * 1024;
/// When the list is full for who sorts it in: as early as PostgreSQL allows.
pub(crate) const SETTINGS: [(&str, &str); 2] = [("gin_pending_list_limit", "64kB"), ("work_mem", "64MB")];
/// How long to leave it to the inserts after it failed.
const PAUSE: Duration = Duration::from_secs(60);
const SORT_IN: &str = "
BEGIN;
INSERT INTO events (tenant_id, id, content_hash, event_type, severity, service, endpoint, method, occurred_at,
    received_at, document, terms, processing_status)
VALUES ('00000000-0000-0000-0000-000000000000', gen_random_uuid(), '', '', '', '', '', '', 0, 0, '{}', '', 'completed');
ROLLBACK";

/// Has the terms sorted in that were added since the last time, once they are worth it.
#[derive(Debug)]
pub(super) struct PendingTerms {
    lanes: Lanes,
    bytes: AtomicUsize,
    is_at_it: AtomicBool,
}

impl PendingTerms {
    /// On a connection of these, which have to have [`SETTINGS`].
    pub(super) fn new(lanes: Lanes) -> Self {
        Self { lanes, bytes: AtomicUsize::new(0), is_at_it: AtomicBool::new(false) }
    }

    /// Counts terms that were stored, and has what waits sorted in if that is due. Waits for nothing.
    pub(super) fn add(self: &Arc<Self>, bytes: usize) {
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting < WORTH || self.is_at_it.swap(true, Ordering::Relaxed) {
            return;
        }
        self.bytes.store(0, Ordering::Relaxed);
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let first = this.sort_in().await;
            // A connection that lay idle may be gone; the next one is new.
            let is_lost = first.as_ref().is_err_and(|error| Fault::of(error) == Fault::ConnectionLost);
            if let Err(error) = if is_lost { this.sort_in().await } else { first } {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "terms were not sorted into the index of words: inserts do it, and take longer"
                );
                tokio::time::sleep(PAUSE).await;
            }
            this.is_at_it.store(false, Ordering::Relaxed);
        });
    }

    pub(super) fn close(&self) {
        self.lanes.close();
    }

    async fn sort_in(&self) -> Result<(), sqlx::Error> {
        let mut lane = match self.lanes.take().await {
            Ok(lane) => lane,
            // The store was closed.
            Err(sqlx::Error::PoolClosed) => return Ok(()),
            Err(error) => return Err(error),
        };
        sqlx::raw_sql(SORT_IN).execute(&mut *lane).await?;
        self.lanes.give_back(lane);
        Ok(())
    }
}
