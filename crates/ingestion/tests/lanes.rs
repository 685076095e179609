//! Which events share a commit: what gathers while another group commits, and what does not wait for it.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop there")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use pulsestream_domain::{
    Timestamp,
    event::{EventId, NewEvent},
    ports::{Appended, EventStore, Existing, StoreError},
    tenant::{Limits, Tenant, TenantId},
};
use pulsestream_ingestion::{Failure, Ingestion, Options, Outcome, Receipt, Settings};
use pulsestream_rate_limit::LocalLimiter;
use pulsestream_testing::{
    builders::{event_json, tenant},
    clock::{FakeClock, SequentialIds},
};
use serde_json::json;
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet, yield_now},
};

/// Commits one group for each permit, and writes down how large it was when it came.
struct GatedStore {
    gate: Semaphore,
    groups: Mutex<Vec<usize>>,
}

#[async_trait]
impl EventStore for GatedStore {
    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        self.groups.lock().unwrap().push(events.len());
        self.gate.acquire().await.unwrap().forget();
        Ok(vec![Appended::Stored; events.len()])
    }

    async fn existing(&self, _: TenantId, ids: &[EventId]) -> Result<Vec<Option<Existing>>, StoreError> {
        Ok(vec![None; ids.len()])
    }
}

struct Service {
    ingestion: Ingestion,
    store: Arc<GatedStore>,
    tenant: Arc<Tenant>,
    requests: JoinSet<Receipt>,
}

impl Service {
    fn start() -> Self {
        let store = Arc::new(GatedStore { gate: Semaphore::new(0), groups: Mutex::default() });
        let ingestion = Ingestion::new(
            Arc::clone(&store) as _,
            Arc::new(LocalLimiter::new()),
            Arc::new(FakeClock::at(Timestamp::from_secs(1_790_000_000))),
            Arc::new(SequentialIds::default()),
            Settings { lanes: 2, ..Settings::default() },
        );
        let limits = Limits { per_minute: 10_000, burst: 10_000 };
        let tenant = Arc::new(Tenant { limits, ..tenant(1) });
        Self { ingestion, store, tenant, requests: JoinSet::new() }
    }

    /// Sends single events, each in a request of its own, and lets everybody run who can.
    async fn send(&mut self, events: usize) {
        for _ in 0..events {
            let (ingestion, tenant) = (self.ingestion.clone(), Arc::clone(&self.tenant));
            let body = Bytes::from(event_json(json!({})).to_string());
            self.requests
                .spawn(async move { ingestion.ingest(tenant, body, Options::default()).await.unwrap() });
        }
        settle().await;
    }

    /// Sends one event in a request that the test looks at itself.
    fn ask(&self, fields: serde_json::Value) -> JoinHandle<Receipt> {
        let (ingestion, tenant) = (self.ingestion.clone(), Arc::clone(&self.tenant));
        let body = Bytes::from(event_json(fields).to_string());
        tokio::spawn(async move { ingestion.ingest(tenant, body, Options::default()).await.unwrap() })
    }

    async fn let_through(&self, groups: usize) {
        self.store.gate.add_permits(groups);
        settle().await;
    }

    /// The sizes of the groups that came to the store so far.
    fn groups(&self) -> Vec<usize> {
        self.store.groups.lock().unwrap().clone()
    }

    async fn finish(mut self) {
        self.store.gate.add_permits(1_000);
        while let Some(receipt) = self.requests.join_next().await {
            assert_eq!(receipt.unwrap().counts().accepted, 1);
        }
    }
}

/// On one thread, a task that yields often enough lets all others come to a stop.
async fn settle() {
    for _ in 0..1_000 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_alone_waits_for_nobody() {
    let mut service = Service::start();
    service.send(1).await;
    assert_eq!(service.groups(), [1]);
    service.finish().await;
}

#[tokio::test(start_paused = true)]
async fn few_events_wait_for_the_group_that_commits_and_then_go_together() {
    let mut service = Service::start();
    service.send(1).await;
    for _ in 0..3 {
        service.send(5).await;
    }
    assert_eq!(service.groups(), [1]);
    service.let_through(1).await;
    assert_eq!(service.groups(), [1, 15]);
    service.finish().await;
}

#[tokio::test(start_paused = true)]
async fn enough_events_commit_beside_the_group_before_them() {
    let mut service = Service::start();
    service.send(1).await;
    service.send(60).await;
    let groups = service.groups();
    assert!(groups.len() == 2 && groups[1] >= 48, "{groups:?}");
    service.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_hangs_holds_up_nobody_else_for_long() {
    let mut service = Service::start();
    service.send(1).await;
    service.send(3).await;
    assert_eq!(service.groups(), [1]);
    tokio::time::advance(Duration::from_millis(25)).await;
    settle().await;
    assert_eq!(service.groups(), [1, 3]);
    service.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_no_lane_takes_up_in_time_is_refused_and_not_stored() {
    let mut service = Service::start();
    // Both lanes hang in a commit; the one that gathers in the meantime has no lane to go to.
    for events in [1, 60] {
        service.send(events).await;
    }
    assert_eq!(service.groups().iter().sum::<usize>(), 61);
    let waiting = service.ask(json!({}));
    settle().await;

    let max_wait = Settings::default().max_wait;
    tokio::time::advance(max_wait - Duration::from_millis(10)).await;
    settle().await;
    assert!(!waiting.is_finished());
    tokio::time::advance(Duration::from_millis(20)).await;
    let refused = waiting.await.unwrap();

    assert_eq!(refused.outcomes[0].outcome, Outcome::Failed(Failure::Overloaded));
    service.let_through(1_000).await;
    assert_eq!(service.groups().iter().sum::<usize>(), 61);
    service.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_lane_has_taken_up_is_told_the_truth_however_long_that_takes() {
    let mut service = Service::start();
    service.send(1).await;
    tokio::time::advance(Duration::from_secs(4)).await;
    settle().await;

    service.let_through(1).await;

    service.finish().await;
}
