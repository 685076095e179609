//! The list of terms that wait for PostgreSQL's index of words, and who sorts them in.
//!
//! An index of words is dear to change a term at a time, so PostgreSQL keeps a list of those that came in and sorts them
//! in together. It leaves that to the insert that finds the list full, which then takes 10 to 20 ms longer, with
//! everybody who waits for it. Here a connection of its own does so before the list is full.
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

/// How many bytes of terms, as an event has them, are worth it: some 500 usual events, half a MiB of the list. Twice or
/// eight times as many cost the same for each event, and every search reads the list.
const WORTH: usize = 128 * 1024;
/// How long to leave it to the inserts after it failed.
const PAUSE: Duration = Duration::from_secs(60);
/// Without the index there is no list.
const SORT_IN: &str = "
SELECT gin_clean_pending_list(words) FROM to_regclass('events_all_terms') AS words WHERE words IS NOT NULL";

/// Has the terms sorted in that were added since the last time, once they are worth it.
#[derive(Debug)]
pub(super) struct PendingTerms {
    lanes: Lanes,
    bytes: AtomicUsize,
    is_at_it: AtomicBool,
}

impl PendingTerms {
    /// On a connection of these, which has to be one that may take as long as an insert.
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
        sqlx::query(SORT_IN).execute(&mut *lane).await?;
        self.lanes.give_back(lane);
        Ok(())
    }
}
