//! The service itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use pulsestream_domain::{
    Timestamp,
    api_key::Restrictions,
    event::{self, Defaults, EventId, NewEvent, Refused},
    ports::{Clock, EventStore, IdSource},
    tenant::Tenant,
};
use pulsestream_rate_limit::{Limiter, Usage};
use serde::Serialize;
use tokio::{
    sync::{RwLock, oneshot},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use crate::{
    EventOutcome, Failure, IdempotencyKey, Outcome, Receipt, Unreadable,
    body::{self, Format, Offered},
    committer::{Committer, Settled, Submission, judge},
    lanes::{self, Claim, GroupSize, Queue, Waiting},
    large_bodies::LargeBodies,
    rate::Rate,
};

/// Bodies from this size on are for [`LargeBodies`], in bytes after decompression.
pub const LARGE_BODY_BYTES: usize = 256 * 1024;

/// How the service is sized. The defaults suit two cores and more.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many groups may be committed at the same time; at least 1.
    pub lanes: usize,
    /// How many events a group may have.
    pub group_events: usize,
    /// How many bytes of stored text a group may have. A larger single request still goes alone.
    pub group_bytes: usize,
    /// How many requests may wait for a group. The next one is refused at once.
    pub queue_requests: usize,
    /// How long a request may wait for a group. One that no lane has taken up by then is refused: its events are not
    /// stored, whatever happens later.
    pub max_wait: Duration,
    /// From how many events on a request is a group of its own. (Gathering such batches was measured to cost
    /// more than it saves.)
    pub direct_events: usize,
    /// How many requests may be groups of their own at the same time.
    pub direct_requests: usize,
    /// How many events a batch may have.
    pub max_batch_events: usize,
    /// How many bodies of 256 KiB and more may be decompressed or parsed at the same time; at least 1. The others wait. Half of the
    /// cores by default: the other half is for whoever sends less.
    pub large_bodies: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lanes: 2,
            group_events: 500,
            group_bytes: 8 * 1024 * 1024,
            queue_requests: 4_096,
            max_wait: Duration::from_millis(400),
            direct_events: 50,
            direct_requests: 256,
            max_batch_events: 1_000,
            large_bodies: thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
        }
    }
}

/// What a request says about itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the events stand in the body.
    pub format: Format,
    /// Gives events without an id a stable one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Whether to answer without storing or counting.
    pub dry_run: bool,
    /// What narrows down which events are taken. Others are rejected, each by itself.
    pub restrictions: Option<Arc<Restrictions>>,
}

/// How the service is doing. Measured, every figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vitals {
    /// Requests that wait for a group.
    pub queue_depth: usize,
    /// Events stored in the last 60 seconds by this process.
    pub stored_last_minute: u64,
    /// When this process stored one last.
    pub last_stored_at: Option<Timestamp>,
    /// Lanes there should be.
    pub lanes: usize,
    /// Lanes there are.
    pub lanes_alive: usize,
}

/// Takes events in. Clones share everything.
#[derive(Clone)]
pub struct Ingestion {
    shared: Arc<Shared>,
}

struct Shared {
    committer: Arc<Committer>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    settings: Settings,
    /// Gone once the service drains.
    queue: RwLock<Option<Queue>>,
    direct: AtomicUsize,
    large_bodies: Arc<LargeBodies>,
    lanes_alive: Arc<AtomicUsize>,
    tasks: TaskTracker,
    stored: Rate,
}

impl Ingestion {
    /// Starts the service on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime, when its timer is not enabled, or when there can be no more threads.
    pub fn new(
        store: Arc<dyn EventStore>,
        limiter: Arc<dyn Limiter>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        settings: Settings,
    ) -> Self {
        let committer = Arc::new(Committer { store, limiter, clock: Arc::clone(&clock) });
        let tasks = TaskTracker::new();
        let size = GroupSize { events: settings.group_events, bytes: settings.group_bytes };
        let requests = settings.queue_requests.max(1);
        let (queue, lanes_alive) = lanes::start(settings.lanes.max(1), size, requests, &committer, &tasks);
        let large_bodies =
            LargeBodies::start(settings.large_bodies.max(1)).expect("a process that begins can have threads");
        let shared = Shared {
            committer,
            clock,
            ids,
            large_bodies: Arc::new(large_bodies),
            settings,
            queue: RwLock::new(Some(queue)),
            direct: AtomicUsize::new(0),
            lanes_alive,
            tasks,
            stored: Rate::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes in the events of a body that is decompressed already.
    ///
    /// Dropping the future does not undo anything: what was handed to the store is finished.
    ///
    /// # Errors
    /// [`Unreadable`] when no event could be made out in it. Anything else that goes wrong is the
    /// [`Outcome`] of the events it happened to.
    pub async fn ingest(
        &self,
        tenant: Arc<Tenant>,
        body: Bytes,
        options: Options,
    ) -> Result<Receipt, Unreadable> {
        let now = self.shared.clock.now();
        let parsed = if body.len() < LARGE_BODY_BYTES {
            self.parse(&tenant, &body, &options, now)?
        } else {
            let (service, tenant, options) = (self.clone(), Arc::clone(&tenant), options.clone());
            let parse = move || service.parse(&tenant, &body, &options, now);
            self.shared.large_bodies.run(parse).await?
        };
        Ok(self.receipt(tenant, parsed, options.dry_run, now).await)
    }

    /// Takes in values, each of which serializes to one event.
    ///
    /// # Errors
    /// When a value does not serialize; nothing was stored then.
    pub async fn ingest_events<E: Serialize>(
        &self,
        tenant: &Arc<Tenant>,
        events: &[E],
    ) -> Result<Receipt, serde_json::Error> {
        let now = self.shared.clock.now();
        let raw: Vec<_> = events.iter().map(serde_json::value::to_raw_value).collect::<Result<_, _>>()?;
        let offered = Offered { batch_id: None, events: raw.iter().map(|event| Ok(&**event)).collect() };
        let parsed = self.validate(tenant, offered, &Options::default(), now);
        Ok(self.receipt(Arc::clone(tenant), parsed, false, now).await)
    }

    /// Where large bodies are parsed, for those who have to decompress them before.
    pub fn large_bodies(&self) -> Arc<LargeBodies> {
        Arc::clone(&self.shared.large_bodies)
    }

    /// Where a tenant stands with its limit.
    pub async fn usage(&self, tenant: &Tenant) -> Usage {
        let now = self.shared.clock.now();
        self.shared.committer.limiter.usage(tenant.id, tenant.limits, now).await
    }

    /// How the service is doing.
    pub fn vitals(&self) -> Vitals {
        let shared = &self.shared;
        let queue = shared.queue.try_read().ok();
        let queue_depth = queue.and_then(|queue| queue.as_ref().map(Queue::depth)).unwrap_or(0);
        Vitals {
            queue_depth,
            stored_last_minute: shared.stored.last_minute(shared.clock.now()),
            last_stored_at: shared.stored.last_at(),
            lanes: shared.settings.lanes.max(1),
            lanes_alive: shared.lanes_alive.load(Ordering::Relaxed),
        }
    }

    /// Refuses what comes from now on and waits until everything before is answered.
    pub async fn drain(&self) {
        self.shared.queue.write().await.take();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    fn parse(
        &self,
        tenant: &Tenant,
        body: &[u8],
        options: &Options,
        now: Timestamp,
    ) -> Result<Parsed, Unreadable> {
        let offered = body::split(body, options.format, self.shared.settings.max_batch_events)?;
        Ok(self.validate(tenant, offered, options, now))
    }

    fn validate(&self, tenant: &Tenant, offered: Offered<'_>, options: &Options, now: Timestamp) -> Parsed {
        let Options { idempotency_key: key, restrictions, .. } = options;
        let mut parsed = Parsed {
            batch_id: offered.batch_id,
            outcomes: Vec::with_capacity(offered.events.len()),
            valid: Vec::with_capacity(offered.events.len()),
        };
        for (index, raw) in offered.events.into_iter().enumerate() {
            let defaults = Defaults {
                tenant_id: tenant.id,
                id: self.shared.ids.uuid_v7(now),
                event_id: key.as_ref().map(|key| EventId::derived(tenant.id, key.as_str(), index)),
                now,
            };
            let event = raw.and_then(|raw| event::parse(raw, defaults));
            parsed.outcomes.push(match event.and_then(|event| within(event, restrictions.as_deref())) {
                Ok(event) => {
                    let event_id = Some(event.event_id.clone());
                    parsed.valid.push((index, event));
                    // Replaced by what the store says.
                    EventOutcome { event_id, outcome: Outcome::Failed(Failure::Unexpected) }
                }
                Err(refused) => {
                    EventOutcome { event_id: refused.event_id, outcome: Outcome::Rejected(refused.errors) }
                }
            });
        }
        parsed
    }

    async fn receipt(&self, tenant: Arc<Tenant>, parsed: Parsed, dry_run: bool, now: Timestamp) -> Receipt {
        let Parsed { batch_id, mut outcomes, valid } = parsed;
        let (places, events): (Vec<usize>, Vec<NewEvent>) = valid.into_iter().unzip();
        let settled = match (events.is_empty(), dry_run) {
            (true, _) => Ok(Settled { outcomes: Vec::new(), usage: self.usage(&tenant).await }),
            (false, true) => Ok(self.rehearse(&tenant, &events).await),
            (false, false) => self.submit(Submission { tenant: Arc::clone(&tenant), events }).await,
        };
        let usage = match settled {
            Ok(settled) => {
                for (place, outcome) in places.into_iter().zip(settled.outcomes) {
                    outcomes[place].outcome = outcome;
                }
                settled.usage
            }
            Err(failure) => {
                places.into_iter().for_each(|place| outcomes[place].outcome = Outcome::Failed(failure));
                self.usage(&tenant).await
            }
        };
        let receipt = Receipt { batch_id, outcomes, ingested_at: now, usage, dry_run };
        if !dry_run {
            self.count(&receipt, now);
        }
        receipt
    }

    /// Hands valid events to a lane, or commits them as a group of their own.
    async fn submit(&self, submission: Submission) -> Result<Settled, Failure> {
        #[cfg(feature = "sabotage")]
        pulsestream_sabotage::step("validated");
        let (reply, mut settled) = oneshot::channel();
        if submission.events.len() < self.shared.settings.direct_events {
            let claim = Claim::default();
            {
                let queue = self.shared.queue.read().await;
                let queue = queue.as_ref().ok_or(Failure::Overloaded)?;
                let waiting = Waiting { submission, reply, claim: claim.clone() };
                queue.put(waiting).map_err(|_| Failure::Overloaded)?;
            }
            match timeout(self.shared.settings.max_wait, &mut settled).await {
                Ok(settled) => return settled.map_err(|_| Failure::OutcomeUnknown),
                Err(_) if claim.take() => return Err(Failure::Overloaded),
                // A lane has it, and will tell.
                Err(_) => {}
            }
        } else {
            self.commit_directly(submission, reply).await?;
        }
        // A lane answers everything it takes; if it is gone, so is the knowledge of what it had done.
        settled.await.map_err(|_| Failure::OutcomeUnknown)
    }

    /// In a task of its own, so that a client that goes away can't stop it half way.
    async fn commit_directly(
        &self,
        submission: Submission,
        reply: oneshot::Sender<Settled>,
    ) -> Result<(), Failure> {
        if self.shared.queue.read().await.is_none() {
            return Err(Failure::Overloaded);
        }
        let place = DirectPlace::take(&self.shared).ok_or(Failure::Overloaded)?;
        self.shared.tasks.spawn(async move {
            #[cfg(feature = "sabotage")]
            pulsestream_sabotage::step("group_taken");
            let mut committed = place.0.committer.commit(vec![submission]).await;
            if let Some(settled) = committed.settled.pop() {
                drop(reply.send(settled));
            }
        });
        Ok(())
    }

    /// Says what would become of valid events, without storing or counting.
    async fn rehearse(&self, tenant: &Tenant, events: &[NewEvent]) -> Settled {
        let ids: Vec<EventId> = events.iter().map(|event| event.event_id.clone()).collect();
        let usage = self.usage(tenant).await;
        let found = match self.shared.committer.store.existing(tenant.id, &ids).await {
            Ok(found) => found,
            Err(error) => {
                let outcome = Outcome::Failed(Failure::from(&error));
                return Settled { outcomes: vec![outcome; events.len()], usage };
            }
        };
        let mut first: std::collections::HashMap<&EventId, &NewEvent> = std::collections::HashMap::new();
        let mut outcomes = Vec::with_capacity(events.len());
        for (event, existing) in events.iter().zip(found) {
            let earlier = first.get(&event.event_id).map(|earlier| pulsestream_domain::ports::Existing {
                content_hash: earlier.content_hash,
                received_at: earlier.received_at,
            });
            outcomes.push(match existing.or(earlier) {
                Some(existing) => judge(tenant.duplicate_policy, event.content_hash, existing),
                None => Outcome::Accepted { ingested_at: event.received_at },
            });
            first.entry(&event.event_id).or_insert(event);
        }
        Settled { outcomes, usage }
    }

    fn count(&self, receipt: &Receipt, now: Timestamp) {
        let counts = receipt.counts();
        if counts.accepted > 0 {
            self.shared.stored.add(counts.accepted as u64, now);
        }
        macro_rules! count {
            ($($field:ident as $outcome:literal),*) => {$(
                if counts.$field > 0 {
                    metrics::counter!("ingest_events_total", "outcome" => $outcome)
                        .increment(counts.$field as u64);
                }
            )*};
        }
        // Literals, so that the keys are constants and nothing is allocated to find a counter.
        count!(
            accepted as "accepted",
            duplicate as "duplicate",
            rejected as "rejected",
            throttled as "throttled",
            failed as "failed"
        );
    }
}

/// The events of a body: an outcome for each, and those that are still to be stored with their places.
struct Parsed {
    batch_id: Option<String>,
    outcomes: Vec<EventOutcome>,
    valid: Vec<(usize, NewEvent)>,
}

/// One of the places for requests that are groups of their own; free again when dropped.
struct DirectPlace(Arc<Shared>);

impl DirectPlace {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let taken = shared.direct.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(shared));
        (taken < shared.settings.direct_requests).then_some(place)
    }
}

impl Drop for DirectPlace {
    fn drop(&mut self) {
        self.0.direct.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The event, if the sender may send it.
fn within(event: NewEvent, restrictions: Option<&Restrictions>) -> Result<NewEvent, Refused> {
    let errors = restrictions.map(|restrictions| restrictions.refuse_event(&event)).unwrap_or_default();
    if errors.is_empty() { Ok(event) } else { Err(Refused { event_id: Some(event.event_id), errors }) }
}
