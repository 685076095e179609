//! A store that a worker dies at, or waits at.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Committed, Evaluation, Example, ExampleQuery, ObservationQuery, Observed, Portion, RuleId, RuleState,
        SeriesQuery,
    },
    job::{LeaseCheck, LeasedJob, Settlement},
    ports::{AlertStore, Clock as _, StoreError},
    tenant::TenantId,
};
use pulsestream_testing::clock::FakeClock;

use crate::ground::Ground;

/// The ticks that were done, and up to when events had arrived that their windows were looked at with.
pub(crate) type Done = Arc<Mutex<Vec<(Timestamp, Timestamp)>>>;

/// Where a worker's calls pass through, each with a step before and one behind. At each step the worker waits
/// to be polled once more, unless it is free to run, and dies if it has to.
pub(crate) struct Gate<G> {
    pub(crate) ground: Arc<G>,
    pub(crate) store: Arc<dyn AlertStore>,
    pub(crate) clock: Arc<FakeClock>,
    /// Up to when events have arrived.
    pub(crate) arrived: Arc<AtomicI64>,
    pub(crate) done: Done,
    pub(crate) dies_at: u32,
    pub(crate) is_free: bool,
    pub(crate) steps: AtomicU32,
    pub(crate) waits: AtomicBool,
    pub(crate) observed_with: AtomicI64,
    pub(crate) lost: AtomicBool,
}

impl<G: Ground> Gate<G> {
    pub(crate) fn over(
        ground: &Arc<G>,
        clock: &Arc<FakeClock>,
        arrived: &Arc<AtomicI64>,
        done: &Done,
    ) -> Self {
        Self {
            ground: Arc::clone(ground),
            store: Arc::clone(ground).store(),
            clock: Arc::clone(clock),
            arrived: Arc::clone(arrived),
            done: Arc::clone(done),
            dies_at: u32::MAX,
            is_free: false,
            steps: AtomicU32::new(0),
            waits: AtomicBool::new(false),
            observed_with: AtomicI64::new(0),
            lost: AtomicBool::new(false),
        }
    }

    async fn step(&self) -> Result<(), StoreError> {
        let mut has_waited = self.is_free;
        poll_fn(|_| {
            if std::mem::replace(&mut has_waited, true) {
                return Poll::Ready(());
            }
            self.waits.store(true, Ordering::Relaxed);
            Poll::Pending
        })
        .await;
        if self.steps.fetch_add(1, Ordering::Relaxed) == self.dies_at {
            return Err(StoreError::Unavailable("the worker was killed".into()));
        }
        Ok(())
    }

    /// Whether a commit came too late.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes down that a tick was done, by the worker that passed here.
    pub(crate) fn note(&self, tick: Timestamp) {
        let arrived = Timestamp::from_micros(self.observed_with.load(Ordering::Relaxed));
        self.done.lock().expect("nobody panics with it").push((tick, arrived));
    }

    pub(crate) async fn settle(
        &self,
        job: &LeasedJob,
        settlement: &Settlement,
    ) -> Result<LeaseCheck, StoreError> {
        self.step().await?;
        let check = self.ground.settle(job.lease, settlement, self.clock.now()).await;
        if check == LeaseCheck::Held {
            self.note(job.due_at);
        }
        self.step().await?;
        Ok(check)
    }

    /// Lets a worker go on to its next step; its end, if that was the last.
    pub(crate) async fn turn<F: Future + ?Sized>(&self, mut worker: Pin<&mut F>) -> Option<F::Output> {
        poll_fn(|context| match worker.as_mut().poll(context) {
            Poll::Ready(end) => Poll::Ready(Some(end)),
            Poll::Pending if self.waits.swap(false, Ordering::Relaxed) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Lets a worker go on to its end.
    pub(crate) async fn finish<F: Future + ?Sized>(&self, mut worker: Pin<&mut F>) -> F::Output {
        loop {
            if let Some(end) = self.turn(worker.as_mut()).await {
                return end;
            }
        }
    }
}

#[async_trait]
impl<G: Ground> AlertStore for Gate<G> {
    async fn load(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        at: Timestamp,
    ) -> Result<Option<RuleState>, StoreError> {
        self.step().await?;
        let state = self.store.load(tenant_id, rule_id, at).await;
        self.step().await?;
        state
    }

    async fn active_rules(&self, tenant_id: TenantId) -> Result<Vec<RuleId>, StoreError> {
        self.store.active_rules(tenant_id).await
    }

    async fn observe(&self, tenant_id: TenantId, query: &ObservationQuery) -> Result<Observed, StoreError> {
        self.step().await?;
        self.observed_with.store(self.arrived.load(Ordering::Relaxed), Ordering::Relaxed);
        let observed = self.store.observe(tenant_id, query).await;
        self.step().await?;
        observed
    }

    async fn examples(&self, tenant_id: TenantId, query: &ExampleQuery) -> Result<Vec<Example>, StoreError> {
        self.step().await?;
        self.store.examples(tenant_id, query).await
    }

    async fn series(&self, tenant_id: TenantId, query: &SeriesQuery) -> Result<Vec<Portion>, StoreError> {
        self.store.series(tenant_id, query).await
    }

    async fn commit(&self, evaluation: &Evaluation, now: Timestamp) -> Result<Committed, StoreError> {
        self.step().await?;
        let committed = self.store.commit(evaluation, now).await?;
        match committed {
            Committed::Committed => self.note(evaluation.at),
            Committed::LeaseLost => self.lost.store(true, Ordering::Relaxed),
            Committed::Changed => {}
        }
        self.step().await?;
        Ok(committed)
    }
}

/// What comes of something that does not wait: nothing in memory does.
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(end) => end,
        Poll::Pending => panic!("a list does not wait"),
    }
}
