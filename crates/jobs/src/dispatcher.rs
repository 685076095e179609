//! The one task that claims, extends and settles; the attempts are tasks of their own.
//!
//! It does one thing at a time with the queue. So a job is never extended and settled at once, and what
//! finishes while the queue is asked is settled together in the next call.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use pulsestream_domain::{
    Timestamp,
    job::{Demand, JobKind, Lease, LeaseCheck, LeasedJob, Settlement},
    ports::{Clock, JobQueue, StoreError},
};
use tokio::{
    sync::oneshot,
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tracing::Instrument as _;

use crate::{
    Drained, Entropy, Handler, KindSettings, Settings,
    attempt::{self, Ended},
    measure::{self, Outcome},
    post::Post,
};

/// How long attempts that were told to stop may take to do so.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Dispatcher {
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    settings: Settings,
    posts: BTreeMap<JobKind, Post>,
    attempts: JoinSet<Ended>,
    running: HashMap<Id, Running>,
    /// Leases of attempts that ended, until the queue has been told. They are not extended.
    unsettled: Vec<Unsettled>,
    /// Whether the last call of the queue went well.
    has_queue: bool,
}

struct Running {
    lease: Lease,
    kind: JobKind,
    attempt: u32,
    started: Instant,
    lease_until: Timestamp,
    /// Set when it was stopped because somebody else may have the job.
    is_lost: bool,
    stop: AbortHandle,
}

struct Unsettled {
    lease: Lease,
    kind: JobKind,
    settlement: Settlement,
}

type Joined = Result<(Id, Ended), JoinError>;

impl Dispatcher {
    pub(crate) fn new(
        queue: Arc<dyn JobQueue>,
        handlers: impl IntoIterator<Item = (Arc<dyn Handler>, KindSettings)>,
        clock: Arc<dyn Clock>,
        entropy: Entropy,
        settings: Settings,
    ) -> Self {
        let mut posts = BTreeMap::new();
        for (handler, kind_settings) in handlers {
            let kind = handler.kind();
            let other = posts.insert(kind.clone(), Post::new(handler, kind_settings));
            assert!(other.is_none(), "two handlers do {kind}");
        }
        Self {
            queue,
            clock,
            entropy,
            settings,
            posts,
            attempts: JoinSet::new(),
            running: HashMap::new(),
            unsettled: Vec::new(),
            has_queue: true,
        }
    }

    /// Works until it is told to drain, and by when.
    pub(crate) async fn run(mut self, mut drain: oneshot::Receiver<Instant>) -> Drained {
        let queue = Arc::clone(&self.queue);
        let mut look = every(self.settings.poll_interval, Duration::ZERO);
        let mut extend = every(self.settings.lease / 3, self.settings.lease / 3);
        let mut count = every(self.settings.count_interval, Duration::ZERO);
        let deadline = loop {
            tokio::select! {
                Some(joined) = self.attempts.join_next_with_id() => self.note_all(joined),
                () = queue.enqueued() => self.get_hungry(),
                _ = look.tick() => self.get_hungry(),
                _ = extend.tick() => self.extend().await,
                _ = count.tick() => self.count().await,
                told = &mut drain => match told {
                    Ok(deadline) => break deadline,
                    // The handle is gone, and this task about to be aborted with it.
                    Err(_) => break Instant::now(),
                },
            }
            self.settle().await;
            self.claim().await;
        };
        self.drain(deadline).await
    }

    async fn drain(mut self, deadline: Instant) -> Drained {
        let held = self.running.len() + self.unsettled.len();
        let mut retry = every(self.settings.poll_interval, self.settings.poll_interval);
        let mut extend = every(self.settings.lease / 3, self.settings.lease / 3);
        self.settle().await;
        while !(self.running.is_empty() && self.unsettled.is_empty()) {
            tokio::select! {
                Some(joined) = self.attempts.join_next_with_id() => self.note_all(joined),
                _ = retry.tick() => {}
                _ = extend.tick() => self.extend().await,
                () = sleep_until(deadline) => break,
            }
            self.settle().await;
        }
        self.attempts.abort_all();
        let stopping = async {
            while let Some(joined) = self.attempts.join_next_with_id().await {
                self.note(joined);
            }
        };
        // One that does not stop keeps a thread busy, and may settle nothing: its job is given back as well.
        _ = timeout(STOP_PATIENCE, stopping).await;
        for id in self.running.keys().copied().collect::<Vec<_>>() {
            self.end(id, Ended::Stopped);
        }
        let is_release = |unsettled: &&Unsettled| unsettled.settlement == Settlement::Release;
        let released = self.unsettled.iter().filter(is_release).count();
        self.settle().await;
        let abandoned = self.unsettled.len();
        let released = released - self.unsettled.iter().filter(is_release).count();
        Drained { finished: held - released - abandoned, released, abandoned }
    }

    fn get_hungry(&mut self) {
        self.posts.values_mut().for_each(|post| post.is_hungry = true);
    }

    /// Takes jobs for as long as there is room for them and the queue has enough to fill it.
    async fn claim(&mut self) {
        loop {
            let demands: Vec<Demand> =
                self.posts.iter().filter_map(|(kind, post)| post.demand(kind)).collect();
            if demands.is_empty() {
                return;
            }
            let now = self.clock.now();
            let lease_until = attempt::later(now, self.settings.lease);
            let claimed = self.queue.claim(&demands, lease_until, now).await;
            let Some(jobs) = self.answered(claimed) else {
                self.posts.values_mut().for_each(|post| post.is_hungry = false);
                return;
            };
            for Demand { kind, room, .. } in &demands {
                let got = jobs.iter().filter(|job| job.kind == *kind).count();
                let post = self.posts.get_mut(kind).expect("what is demanded has a post");
                post.is_hungry = got >= *room as usize;
            }
            for job in jobs {
                self.begin(job, lease_until);
            }
        }
    }

    fn begin(&mut self, job: LeasedJob, lease_until: Timestamp) {
        let (lease, kind, attempt) = (job.lease, job.kind.clone(), job.attempt);
        let post = self.posts.get_mut(&kind).expect("only jobs that were demanded are handed out");
        post.hold(lease.tenant_id);
        measure::claimed(&kind);
        if let Some(settlement) = attempt::exhausted(attempt, &post.settings) {
            self.unsettled.push(Unsettled { lease, kind, settlement });
            return;
        }
        let (handler, time_limit) = (Arc::clone(&post.handler), post.settings.time_limit);
        let span = tracing::info_span!(
            "job", job.kind = %kind, job.id = %lease.id.0, job.attempt = attempt, tenant.id = %lease.tenant_id
        );
        let work = async move {
            match timeout(time_limit, handler.run(&job)).await {
                Ok(verdict) => Ended::Judged(verdict),
                Err(_) => Ended::OutOfTime,
            }
        };
        let stop = self.attempts.spawn(work.instrument(span));
        let started = Instant::now();
        let running = Running { lease, kind, attempt, started, lease_until, is_lost: false, stop };
        self.running.insert(running.stop.id(), running);
    }

    /// Notes one attempt that ended, and all that have ended with it.
    fn note_all(&mut self, first: Joined) {
        self.note(first);
        while let Some(joined) = self.attempts.try_join_next_with_id() {
            self.note(joined);
        }
    }

    fn note(&mut self, joined: Joined) {
        match joined {
            Ok((id, ended)) => self.end(id, ended),
            Err(error) if error.is_panic() => self.end(error.id(), Ended::Panicked),
            Err(error) => self.end(error.id(), Ended::Stopped),
        }
    }

    fn end(&mut self, id: Id, ended: Ended) {
        let Running { lease, kind, attempt, started, is_lost, .. } =
            self.running.remove(&id).expect("each attempt ends once");
        let post = self.posts.get_mut(&kind).expect("what runs has a post");
        measure::ran(&kind, started.elapsed());
        if is_lost {
            post.let_go(lease.tenant_id);
            measure::ended(&kind, Outcome::LeaseLost);
            return;
        }
        let (now, entropy) = (self.clock.now(), (self.entropy)());
        match attempt::settlement(ended, attempt, &post.settings, now, entropy) {
            Some(settlement) => self.unsettled.push(Unsettled { lease, kind, settlement }),
            None => {
                post.let_go(lease.tenant_id);
                measure::ended(&kind, Outcome::SettledByHandler);
            }
        }
    }

    /// Tells the queue about everything that ended. What it could not be told stays for the next time.
    async fn settle(&mut self) {
        if self.unsettled.is_empty() {
            return;
        }
        let list: Vec<(Lease, Settlement)> =
            self.unsettled.iter().map(|unsettled| (unsettled.lease, unsettled.settlement.clone())).collect();
        let settled = self.queue.settle(&list, self.clock.now()).await;
        let Some(checks) = self.answered(settled) else { return };
        for (Unsettled { lease, kind, settlement }, check) in self.unsettled.drain(..).zip(checks) {
            self.posts.get_mut(&kind).expect("what ran has a post").let_go(lease.tenant_id);
            let (job, tenant_id) = (lease.id.0, lease.tenant_id);
            match (check, &settlement) {
                (LeaseCheck::Lost, _) => {
                    tracing::warn!(job.kind = %kind, job.id = %job, tenant.id = %tenant_id,
                        "the verdict on a job came after its lease");
                    measure::ended(&kind, Outcome::LeaseLost);
                    continue;
                }
                (LeaseCheck::Held, Settlement::Bury { reason }) => {
                    tracing::warn!(job.kind = %kind, job.id = %job, tenant.id = %tenant_id, error = %reason,
                        "a job was given up");
                }
                (LeaseCheck::Held, Settlement::Retry { error, .. }) => {
                    tracing::debug!(job.kind = %kind, job.id = %job, tenant.id = %tenant_id, error = %error,
                        "an attempt failed");
                }
                _ => {}
            }
            measure::ended(&kind, Outcome::of(&settlement));
        }
    }

    /// Extends the leases of what runs, and stops what has lost its own.
    async fn extend(&mut self) {
        let (ids, leases): (Vec<Id>, Vec<Lease>) = self
            .running
            .iter()
            .filter(|(_, running)| !running.is_lost)
            .map(|(id, running)| (*id, running.lease))
            .unzip();
        if leases.is_empty() {
            return;
        }
        let now = self.clock.now();
        let until = attempt::later(now, self.settings.lease);
        let extended = self.queue.extend(&leases, until, now).await;
        let checks = self.answered(extended);
        let now = self.clock.now();
        for (at, id) in ids.iter().enumerate() {
            let running = self.running.get_mut(id).expect("what runs is noted only by this task");
            match checks.as_ref().map(|checks| checks[at]) {
                Some(LeaseCheck::Held) => running.lease_until = until,
                // Nobody has said so, but by now others may have it.
                None if running.lease_until > now => {}
                Some(LeaseCheck::Lost) | None => {
                    tracing::warn!(job.kind = %running.kind, job.id = %running.lease.id.0,
                        tenant.id = %running.lease.tenant_id, "the lease of a job was lost");
                    running.is_lost = true;
                    running.stop.abort();
                }
            }
        }
    }

    async fn count(&mut self) {
        let now = self.clock.now();
        let figures = self.queue.figures(now).await;
        if let Some(figures) = self.answered(figures) {
            measure::queue(self.posts.keys(), &figures, now);
        }
    }

    /// What the queue answered. The log says when it stops to answer and when it is back, not every time.
    fn answered<T>(&mut self, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(answer) => {
                if !std::mem::replace(&mut self.has_queue, true) {
                    tracing::info!("the queue of jobs answers again");
                }
                Some(answer)
            }
            Err(error) => {
                if std::mem::replace(&mut self.has_queue, false) {
                    let cause = chain(&error);
                    match error {
                        StoreError::Unexpected(_) | StoreError::Unstorable(_) => {
                            tracing::error!(cause, "the queue of jobs does not work");
                        }
                        _ => tracing::warn!(cause, "the queue of jobs does not answer"),
                    }
                }
                None
            }
        }
    }
}

/// Ticks that never pile up: what was missed while the queue was slow is not made up for.
fn every(period: Duration, first: Duration) -> tokio::time::Interval {
    let period = period.max(Duration::from_millis(1));
    let mut ticks = interval_at(Instant::now() + first, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
