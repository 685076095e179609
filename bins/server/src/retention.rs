//! Events are kept for as long as their tenant says, and then removed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use pulsestream_domain::{
    job::{JobId, JobKind, LeasedJob, NewJob, SYSTEM},
    ports::{Clock, IdSource, JobQueue as _, StoreError},
    tenant::TenantId,
};
use pulsestream_jobs::{Handler, KindSettings, Verdict};
use pulsestream_storage::Store;
use tokio::time::sleep;

const EXPIRE_EVENTS: JobKind = JobKind::named("expire_events");
/// There is one such job, for all tenants and instances.
const KEY: &str = "all";
const SECS_BETWEEN_RUNS: i64 = 3_600;
const SECS_AFTER_FAILURE: i64 = 60;
const DAY_SECS: i64 = 86_400;
/// Events that one statement removes. SQLite has one writer: an insert waits for no more than this.
const BATCH: u32 = 500;
/// How long one run takes about. What is left then is for the next, which follows at once.
const RUN: Duration = Duration::from_secs(20);

/// Removes events that their tenants do not keep any longer.
pub(crate) struct ExpireEvents {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl ExpireEvents {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// How such jobs are worked on.
    pub(crate) fn settings() -> KindSettings {
        KindSettings { concurrency: 1, time_limit: RUN * 3, ..KindSettings::default() }
    }

    /// Removes what is to be removed, and answers whether something is left that is.
    async fn expire(&self) -> Result<bool, StoreError> {
        let deadline = Instant::now() + RUN;
        for (tenant_id, days) in self.store.retentions().await? {
            let (removed, is_done) = self.expire_of(tenant_id, days, deadline).await?;
            if removed > 0 {
                metrics::counter!("events_expired_total").increment(removed);
                tracing::info!(
                    tenant.id = %tenant_id.0,
                    events = removed,
                    retention_days = days,
                    "removed events that were kept for {days} days"
                );
            }
            if !is_done {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes in batches, and rests after each for as long as it took: what is taken in meanwhile has at least half of
    /// the database's time. Answers how many were removed and whether those were all.
    async fn expire_of(
        &self,
        tenant_id: TenantId,
        days: u32,
        deadline: Instant,
    ) -> Result<(u64, bool), StoreError> {
        let before = self.clock.now().plus_secs(-i64::from(days) * DAY_SECS);
        let mut removed = 0;
        loop {
            let started = Instant::now();
            let batch = self.store.remove_events_before(tenant_id, before, BATCH).await?;
            removed += batch;
            if batch < u64::from(BATCH) {
                return Ok((removed, true));
            }
            if Instant::now() >= deadline {
                return Ok((removed, false));
            }
            sleep(started.elapsed()).await;
        }
    }
}

#[async_trait]
impl Handler for ExpireEvents {
    fn kind(&self) -> JobKind {
        EXPIRE_EVENTS
    }

    /// Never fails, so that it is never given up: what could not be removed now is tried again soon.
    async fn run(&self, _job: &LeasedJob) -> Verdict {
        let wait_secs = match self.expire().await {
            Ok(false) => SECS_BETWEEN_RUNS,
            Ok(true) => 0,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "events past their retention could not be removed"
                );
                SECS_AFTER_FAILURE
            }
        };
        Verdict::Again { due_at: self.clock.now().plus_secs(wait_secs) }
    }
}

/// Has the next run begin now, whether or not there was one before.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn schedule(store: &Store, clock: &dyn Clock, ids: &dyn IdSource) -> Result<(), StoreError> {
    let now = clock.now();
    if store.reschedule(SYSTEM, &EXPIRE_EVENTS, KEY, now).await? {
        return Ok(());
    }
    let job = NewJob::new(SYSTEM, JobId(ids.uuid_v7(now)), EXPIRE_EVENTS, now);
    store.enqueue(&[NewJob { unique_key: Some(KEY.to_owned()), ..job }]).await.map(|_| ())
}
