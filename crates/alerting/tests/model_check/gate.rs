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
use pulsestream_testing::{clock::FakeClock, memory::MemoryAlerts};

/// The ticks that were done, in order, and when their windows were looked at.
pub(crate) type Done = Arc<Mutex<Vec<(Timestamp, Timestamp)>>>;

/// Where a worker's calls pass through, each with a step before and one behind. At each step the worker waits
/// to be polled once more, and dies if it has to.
pub(crate) struct Gate {
    store: Arc<MemoryAlerts>,
    clock: Arc<FakeClock>,
    steps: AtomicU32,
    dies_at: u32,
    observed_at: AtomicI64,
    lost: AtomicBool,
    done: Done,
}

impl Gate {
    pub(crate) fn over(store: &Arc<MemoryAlerts>, clock: &Arc<FakeClock>, done: &Done) -> Arc<Self> {
        Self::deadly(store, clock, done, u32::MAX)
    }

    /// A gate at whose step with this number the worker dies; 0 is the first.
    pub(crate) fn deadly(
        store: &Arc<MemoryAlerts>,
        clock: &Arc<FakeClock>,
        done: &Done,
        dies_at: u32,
    ) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            steps: AtomicU32::new(0),
            dies_at,
            observed_at: AtomicI64::new(0),
            lost: AtomicBool::new(false),
            done: Arc::clone(done),
        })
    }

    async fn step(&self) -> Result<(), StoreError> {
        let mut has_waited = false;
        poll_fn(|_| if std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending })
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

    fn note(&self, tick: Timestamp) {
        let observed_at = Timestamp::from_micros(self.observed_at.load(Ordering::Relaxed));
        self.done.lock().expect("nobody panics with it").push((tick, observed_at));
    }

    pub(crate) async fn settle(
        &self,
        job: &LeasedJob,
        settlement: &Settlement,
    ) -> Result<LeaseCheck, StoreError> {
        self.step().await?;
        let check = self.store.settle(job.lease, settlement, self.clock.now());
        if check == LeaseCheck::Held {
            self.note(job.due_at);
        }
        self.step().await?;
        Ok(check)
    }
}

#[async_trait]
impl AlertStore for Gate {
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
        self.observed_at.store(self.clock.now().as_micros(), Ordering::Relaxed);
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

/// Lets a worker go on to its next step; its end, if that was the last.
pub(crate) fn poll_once<F: Future + ?Sized>(worker: Pin<&mut F>) -> Option<F::Output> {
    match worker.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(end) => Some(end),
        Poll::Pending => None,
    }
}
