//! Admits, stores and judges one group of events.
//!
//! A group is what several requests of several tenants want stored at the same moment. It costs one call to
//! the limiter and one to the store, however many events it has. Each request gets its own answer: a group
//! is a way of saving, never something a client can notice.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use pulsestream_domain::{
    Timestamp,
    event::{EventId, FieldError, NewEvent, Reason},
    ports::{Appended, Clock, EventStore, Existing, StoreError},
    tenant::{DuplicatePolicy, Tenant, TenantId},
};
use pulsestream_rate_limit::{Demand, Grant, Limiter, Refund, Usage};

use crate::{Failure, Outcome};

/// One request's valid events.
pub(crate) struct Submission {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) events: Vec<NewEvent>,
}

/// The answer to a submission: as many outcomes as it had events.
pub(crate) struct Settled {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) usage: Usage,
}

/// What became of a group.
pub(crate) struct Committed {
    /// In the order of the submissions.
    pub(crate) settled: Vec<Settled>,
    /// Only to be dropped, which takes a while, once everybody has been answered.
    _events: Vec<NewEvent>,
}

pub(crate) struct Committer {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) limiter: Arc<dyn Limiter>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Committer {
    /// Takes a group through all steps.
    pub(crate) async fn commit(&self, submissions: Vec<Submission>) -> Committed {
        let mut group = Group::new(submissions);
        let demands: Vec<Demand> = group.parties.iter().map(Party::demand).collect();
        let grants = self.limiter.reserve(&demands, self.clock.now()).await;
        #[cfg(feature = "sabotage")]
        pulsestream_sabotage::step("admitted");
        for (party, grant) in grants.into_iter().enumerate() {
            self.admit(&mut group, party, grant).await;
        }
        let events = self.store(&mut group).await;
        let usages = self.give_back(&mut group).await;
        #[cfg(feature = "sabotage")]
        pulsestream_sabotage::step("settled");
        Committed { settled: group.settle(&usages), _events: events }
    }

    /// Decides which of a tenant's events go to the store.
    ///
    /// When all fit, all go. When not, those that are stored already are sorted out first: they cost nothing,
    /// so they must not use up room, and at the limit they are still answered as what they are.
    async fn admit(&self, group: &mut Group, party: usize, grant: Grant) {
        let leaders = group.parties[party].leaders.clone();
        let mut fresh = leaders;
        if (grant.granted as usize) < fresh.len() {
            let tenant_id = group.parties[party].tenant.id;
            let ids: Vec<EventId> = fresh.iter().map(|&slot| group.event_id(slot).clone()).collect();
            match self.store.existing(tenant_id, &ids).await {
                Ok(found) => {
                    for (&slot, existing) in fresh.iter().zip(&found) {
                        if let Some(existing) = existing {
                            group.fates[slot] = Fate::Existing(*existing);
                        }
                    }
                    fresh.retain(|&slot| matches!(group.fates[slot], Fate::Waiting));
                }
                Err(error) => {
                    report(&error, ids.len());
                    for slot in fresh.drain(..) {
                        group.fates[slot] = Fate::Failed(Failure::from(&error));
                    }
                }
            }
        }
        let admitted = fresh.len().min(grant.granted as usize);
        for &slot in &fresh[..admitted] {
            group.admit(slot, grant.at);
        }
        for &slot in &fresh[admitted..] {
            group.fates[slot] = Fate::Throttled;
        }
        group.parties[party].grant = Some(grant);
    }

    /// Appends what was admitted. A value that the store can't keep is found by halving, so that it fails
    /// alone: its neighbours may be other tenants' events.
    async fn store(&self, group: &mut Group) -> Vec<NewEvent> {
        // Sorted, because concurrent inserts of the same keys in different orders deadlock.
        #[cfg(feature = "sabotage")]
        let unsorted = pulsestream_sabotage::is_broken("no_sort").then(|| group.admitted.clone());
        group.admitted.sort_by(|(_, a), (_, b)| (a.tenant_id, &a.event_id).cmp(&(b.tenant_id, &b.event_id)));
        #[cfg(feature = "sabotage")]
        if let Some(unsorted) = unsorted {
            group.admitted = unsorted;
        }
        let (slots, events): (Vec<usize>, Vec<NewEvent>) =
            std::mem::take(&mut group.admitted).into_iter().unzip();
        #[cfg(feature = "sabotage")]
        if pulsestream_sabotage::is_broken("answer_before_commit") {
            slots
                .iter()
                .zip(&events)
                .for_each(|(&slot, event)| group.fates[slot] = Fate::Stored(event.received_at));
            let store = Arc::clone(&self.store);
            tokio::spawn(async move { store.append(&events).await });
            return Vec::new();
        }
        metrics::histogram!("ingest_group_events").record(events.len() as f64);
        let mut ranges: Vec<Range<usize>> =
            (!events.is_empty()).then_some(0..events.len()).into_iter().collect();
        while let Some(range) = ranges.pop() {
            match self.store.append(&events[range.clone()]).await {
                Ok(appended) => {
                    #[cfg(feature = "sabotage")]
                    pulsestream_sabotage::step("appended");
                    for (at, appended) in range.zip(appended) {
                        group.fates[slots[at]] = match appended {
                            Appended::Stored => Fate::Stored(events[at].received_at),
                            Appended::Existing(existing) => Fate::Existing(existing),
                        };
                    }
                }
                Err(StoreError::Unstorable(_)) if range.len() > 1 => {
                    let middle = range.start + range.len() / 2;
                    ranges.push(middle..range.end);
                    ranges.push(range.start..middle);
                }
                #[cfg(feature = "sabotage")]
                Err(_) if pulsestream_sabotage::is_broken("errors_swallowed") => {
                    range.for_each(|at| group.fates[slots[at]] = Fate::Stored(events[at].received_at));
                }
                Err(error) => {
                    report(&error, range.len());
                    let fate = match error {
                        StoreError::Unstorable(_) => Fate::Unstorable,
                        error => Fate::Failed(Failure::from(&error)),
                    };
                    range.for_each(|at| group.fates[slots[at]] = fate);
                }
            }
        }
        events
    }

    /// Returns the room that was granted and not used. What may have been stored keeps its room: the limit
    /// holds even if the answer got lost.
    async fn give_back(&self, group: &mut Group) -> Vec<Usage> {
        let now = self.clock.now();
        let refunds: Vec<Option<Refund>> =
            group.parties.iter().map(|party| party.refund(&group.fates)).collect();
        let due: Vec<Refund> = refunds.iter().flatten().copied().collect();
        if !due.is_empty() {
            self.limiter.give_back(&due, now).await;
        }
        let mut usages = Vec::with_capacity(group.parties.len());
        for (party, refund) in group.parties.iter().zip(refunds) {
            usages.push(match (party.grant, refund) {
                (Some(grant), None) => grant.usage,
                _ => self.limiter.usage(party.tenant.id, party.tenant.limits, now).await,
            });
        }
        usages
    }
}

fn report(error: &StoreError, events: usize) {
    let mut causes = String::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push_str(": ");
        causes.push_str(&cause.to_string());
        next = cause.source();
    }
    match error {
        StoreError::Unstorable(_) => {
            metrics::counter!("validation_gap_total").increment(1);
            tracing::error!(
                event.count = events,
                "validation let a value through that can't be stored{causes}"
            );
        }
        StoreError::Unexpected(_) => tracing::error!(event.count = events, "{error}{causes}"),
        _ => tracing::warn!(event.count = events, "{error}{causes}"),
    }
}

/// The events of several submissions, each with a slot; those with the same tenant and id share a leader.
struct Group {
    parties: Vec<Party>,
    slots: Vec<Slot>,
    /// By slot; only a leader has a fate of its own.
    fates: Vec<Fate>,
    /// Leaders that were admitted, with their slots.
    admitted: Vec<(usize, NewEvent)>,
    /// By submission: whose it is, and its slots.
    submissions: Vec<(usize, Range<usize>)>,
}

/// One tenant in a group.
struct Party {
    tenant: Arc<Tenant>,
    leaders: Vec<usize>,
    grant: Option<Grant>,
}

struct Slot {
    content_hash: [u8; 16],
    /// The first slot of the group with the same tenant and id: itself, mostly.
    leader: usize,
    /// The event, until it is admitted.
    event: Option<NewEvent>,
}

#[derive(Clone, Copy)]
enum Fate {
    Waiting,
    Stored(Timestamp),
    Existing(Existing),
    Throttled,
    Unstorable,
    Failed(Failure),
}

impl Party {
    fn demand(&self) -> Demand {
        let count = u32::try_from(self.leaders.len()).unwrap_or(u32::MAX);
        Demand { tenant_id: self.tenant.id, limits: self.tenant.limits, count }
    }

    fn refund(&self, fates: &[Fate]) -> Option<Refund> {
        let grant = self.grant?;
        let used =
            |&&slot: &&usize| matches!(fates[slot], Fate::Stored(_) | Fate::Failed(Failure::OutcomeUnknown));
        let used = self.leaders.iter().filter(used).count();
        let count = grant.granted.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        (count > 0).then_some(Refund { tenant_id: self.tenant.id, count, at: grant.at })
    }
}

impl Group {
    fn new(submissions: Vec<Submission>) -> Self {
        let size = submissions.iter().map(|submission| submission.events.len()).sum();
        let mut group = Self {
            parties: Vec::new(),
            slots: Vec::with_capacity(size),
            fates: vec![Fate::Waiting; size],
            admitted: Vec::with_capacity(size),
            submissions: Vec::with_capacity(submissions.len()),
        };
        let mut parties: HashMap<TenantId, usize> = HashMap::new();
        let mut leaders: HashMap<(usize, EventId), usize> = HashMap::with_capacity(size);
        for Submission { tenant, events } in submissions {
            let party = *parties.entry(tenant.id).or_insert_with(|| {
                group.parties.push(Party { tenant, leaders: Vec::new(), grant: None });
                group.parties.len() - 1
            });
            let start = group.slots.len();
            for event in events {
                let slot = group.slots.len();
                let leader = *leaders.entry((party, event.event_id.clone())).or_insert(slot);
                if leader == slot {
                    group.parties[party].leaders.push(slot);
                }
                let content_hash = event.content_hash;
                group.slots.push(Slot { content_hash, leader, event: (leader == slot).then_some(event) });
            }
            group.submissions.push((party, start..group.slots.len()));
        }
        group
    }

    fn event_id(&self, slot: usize) -> &EventId {
        &self.slots[slot].event.as_ref().expect("asked only for leaders that were not admitted yet").event_id
    }

    fn admit(&mut self, slot: usize, at: Timestamp) {
        if let Some(mut event) = self.slots[slot].event.take() {
            event.received_at = at;
            self.admitted.push((slot, event));
        }
    }

    fn settle(&self, usages: &[Usage]) -> Vec<Settled> {
        let settle = |(party, slots): &(usize, Range<usize>)| {
            let usage = usages[*party];
            let policy = self.parties[*party].tenant.duplicate_policy;
            let outcomes = slots.clone().map(|slot| self.outcome(slot, policy, &usage)).collect();
            Settled { outcomes, usage }
        };
        self.submissions.iter().map(settle).collect()
    }

    fn outcome(&self, slot: usize, policy: DuplicatePolicy, usage: &Usage) -> Outcome {
        let Slot { content_hash, leader, .. } = self.slots[slot];
        match self.fates[leader] {
            Fate::Stored(ingested_at) if leader == slot => Outcome::Accepted { ingested_at },
            // A later event of the group with the same id is judged against the one that was stored.
            Fate::Stored(received_at) => judge(
                policy,
                content_hash,
                Existing { content_hash: self.slots[leader].content_hash, received_at },
            ),
            Fate::Existing(existing) => judge(policy, content_hash, existing),
            Fate::Throttled => {
                Outcome::Throttled { retry_after_seconds: u64::from(usage.retry_after_seconds.max(1)) }
            }
            Fate::Unstorable => Outcome::Rejected(vec![FieldError::new("", Reason::NotStorable)]),
            #[cfg(feature = "sabotage")]
            Fate::Failed(Failure::OutcomeUnknown)
                if pulsestream_sabotage::is_broken("unknown_as_rejected") =>
            {
                Outcome::Rejected(vec![FieldError::new("", Reason::NotStorable)])
            }
            Fate::Failed(failure) => Outcome::Failed(failure),
            Fate::Waiting => Outcome::Failed(Failure::Unexpected),
        }
    }
}

/// First write wins; the policy only decides what the later one is told.
pub(crate) fn judge(policy: DuplicatePolicy, content_hash: [u8; 16], existing: Existing) -> Outcome {
    let ingested_at = existing.received_at;
    #[cfg(feature = "sabotage")]
    if pulsestream_sabotage::is_broken("duplicate_refused") {
        return Outcome::Conflict { ingested_at };
    }
    match policy {
        DuplicatePolicy::Lenient => Outcome::Duplicate { ingested_at },
        DuplicatePolicy::Strict if existing.content_hash == content_hash => {
            Outcome::Duplicate { ingested_at }
        }
        DuplicatePolicy::Strict | DuplicatePolicy::Reject => Outcome::Conflict { ingested_at },
    }
}
