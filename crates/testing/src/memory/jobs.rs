//! A queue without a database.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    job::{
        DeadJob, DeadJobs, Demand, Enqueued, JobId, JobKind, Lease, LeaseCheck, LeasedJob, NewJob,
        QueueFigures, Reason, Replayed, Settlement,
    },
    ports::{JobQueue, StoreError},
    tenant::TenantId,
};
use tokio::sync::Notify;

use super::lock;

/// Keeps jobs in a map, and does everything the plain way.
///
/// It can be told to fail, once per order, so that a test sees what its caller does about it.
#[derive(Default)]
pub struct MemoryQueue {
    jobs: Mutex<Jobs>,
    failures: Mutex<Vec<StoreError>>,
    enqueued: Notify,
}

type Jobs = BTreeMap<(TenantId, JobId), Job>;

#[derive(Clone)]
struct Job {
    new: NewJob,
    due_at: Timestamp,
    run_at: Timestamp,
    attempts: u32,
    token: i64,
    lease_until: Option<Timestamp>,
    dead: Option<(Timestamp, Reason)>,
}

impl MemoryQueue {
    /// Makes the next call fail like this, without doing anything. Orders queue up.
    pub fn fail_next(&self, error: StoreError) {
        lock(&self.failures).insert(0, error);
    }

    /// How many jobs there are that are not dead.
    pub fn live(&self) -> usize {
        lock(&self.jobs).values().filter(|job| job.is_live()).count()
    }

    /// Takes in jobs as part of somebody else's transaction.
    pub(super) fn put(&self, jobs: &[NewJob]) -> Vec<Enqueued> {
        let mut kept = lock(&self.jobs);
        let enqueue = |job: &NewJob| {
            let key = (job.tenant_id, job.id);
            let has_key = |other: &Job| {
                job.unique_key.as_deref().is_some_and(|key| other.has_key(job.tenant_id, &job.kind, key))
            };
            if kept.contains_key(&key) || kept.values().any(has_key) {
                return Enqueued::Existing;
            }
            let (due_at, run_at) = (job.due_at, job.due_at);
            let new = job.clone();
            kept.insert(
                key,
                Job { new, due_at, run_at, attempts: 0, token: 0, lease_until: None, dead: None },
            );
            Enqueued::New
        };
        let enqueued = jobs.iter().map(enqueue).collect();
        self.enqueued.notify_one();
        enqueued
    }

    /// Settles a job as part of somebody else's transaction.
    pub(super) fn settle_one(&self, lease: &Lease, settlement: &Settlement, now: Timestamp) -> LeaseCheck {
        settle(&mut lock(&self.jobs), lease, settlement, now)
    }

    fn fail(&self) -> Result<(), StoreError> {
        lock(&self.failures).pop().map_or(Ok(()), Err)
    }
}

impl Job {
    fn is_live(&self) -> bool {
        self.dead.is_none()
    }

    /// When it can be claimed.
    fn ready_at(&self) -> Timestamp {
        self.lease_until.unwrap_or(self.run_at)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.is_live() && self.ready_at() <= now
    }

    fn has_key(&self, tenant_id: TenantId, kind: &JobKind, unique_key: &str) -> bool {
        let is_same = self.new.tenant_id == tenant_id && self.new.kind == *kind;
        self.is_live() && is_same && self.new.unique_key.as_deref() == Some(unique_key)
    }

    fn is_held_by(&self, lease: &Lease, now: Timestamp) -> bool {
        self.token == lease.token && self.lease_until.is_some_and(|until| until > now)
    }
}

#[async_trait]
impl JobQueue for MemoryQueue {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        self.fail()?;
        Ok(self.put(jobs))
    }

    async fn claim(
        &self,
        demands: &[Demand],
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LeasedJob>, StoreError> {
        self.fail()?;
        let mut jobs = lock(&self.jobs);
        let mut claimed = Vec::new();
        for demand in demands {
            let mut due: Vec<&mut Job> =
                jobs.values_mut().filter(|job| job.new.kind == demand.kind && job.is_due(now)).collect();
            due.sort_by_key(|job| {
                (demand.sated.contains(&job.new.tenant_id), job.new.priority, job.ready_at())
            });
            for job in due.into_iter().take(demand.room as usize) {
                job.token += 1;
                job.attempts += 1;
                job.lease_until = Some(lease_until);
                claimed.push(LeasedJob {
                    lease: Lease { tenant_id: job.new.tenant_id, id: job.new.id, token: job.token },
                    kind: job.new.kind.clone(),
                    payload: job.new.payload.clone(),
                    unique_key: job.new.unique_key.clone(),
                    due_at: job.due_at,
                    attempt: job.attempts,
                });
            }
        }
        Ok(claimed)
    }

    async fn extend(
        &self,
        leases: &[Lease],
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LeaseCheck>, StoreError> {
        self.fail()?;
        let mut jobs = lock(&self.jobs);
        let extend = |lease: &Lease| match held(&mut jobs, lease, now) {
            Some(job) => {
                job.lease_until = Some(lease_until);
                LeaseCheck::Held
            }
            None => LeaseCheck::Lost,
        };
        Ok(leases.iter().map(extend).collect())
    }

    async fn settle(
        &self,
        settlements: &[(Lease, Settlement)],
        now: Timestamp,
    ) -> Result<Vec<LeaseCheck>, StoreError> {
        self.fail()?;
        let mut jobs = lock(&self.jobs);
        Ok(settlements.iter().map(|(lease, settlement)| settle(&mut jobs, lease, settlement, now)).collect())
    }

    async fn reschedule(
        &self,
        tenant_id: TenantId,
        kind: &JobKind,
        unique_key: &str,
        due_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.fail()?;
        let mut jobs = lock(&self.jobs);
        let Some(job) = jobs.values_mut().find(|job| job.has_key(tenant_id, kind, unique_key)) else {
            return Ok(false);
        };
        (job.due_at, job.run_at, job.attempts, job.lease_until) = (due_at, due_at, 0, None);
        job.token += 1;
        self.enqueued.notify_one();
        Ok(true)
    }

    async fn cancel(
        &self,
        tenant_id: TenantId,
        kind: &JobKind,
        unique_key: &str,
    ) -> Result<bool, StoreError> {
        self.fail()?;
        let mut jobs = lock(&self.jobs);
        let before = jobs.len();
        jobs.retain(|_, job| !job.has_key(tenant_id, kind, unique_key));
        Ok(jobs.len() < before)
    }

    async fn dead(&self, tenant_id: TenantId, which: &DeadJobs) -> Result<Vec<DeadJob>, StoreError> {
        self.fail()?;
        let of_tenant = lock(&self.jobs)
            .values()
            .filter(|job| job.new.tenant_id == tenant_id)
            .cloned()
            .collect::<Vec<_>>();
        let mut dead: Vec<DeadJob> = of_tenant.into_iter().filter_map(dead_job).collect();
        dead.retain(|job| which.kind.as_ref().is_none_or(|kind| job.kind == *kind));
        dead.sort_by_key(|job| std::cmp::Reverse((job.dead_at, job.id)));
        dead.retain(|job| which.after.is_none_or(|after| (job.dead_at, job.id) < after));
        dead.truncate(which.limit as usize);
        Ok(dead)
    }

    async fn replay(&self, tenant_id: TenantId, id: JobId, now: Timestamp) -> Result<Replayed, StoreError> {
        self.fail()?;
        let mut jobs = lock(&self.jobs);
        let Some(job) = jobs.get(&(tenant_id, id)).filter(|job| !job.is_live()).cloned() else {
            return Ok(Replayed::NoSuchJob);
        };
        if let Some(key) = &job.new.unique_key
            && jobs.values().any(|other| other.has_key(tenant_id, &job.new.kind, key))
        {
            return Ok(Replayed::Superseded);
        }
        jobs.insert((tenant_id, id), Job { dead: None, run_at: now, attempts: 0, ..job });
        self.enqueued.notify_one();
        Ok(Replayed::Queued)
    }

    async fn purge_dead(&self, tenant_id: TenantId, before: Timestamp) -> Result<u64, StoreError> {
        self.fail()?;
        let mut jobs = lock(&self.jobs);
        let count = jobs.len();
        jobs.retain(|(owner, _), job| {
            *owner != tenant_id || job.dead.as_ref().is_none_or(|(dead_at, _)| *dead_at >= before)
        });
        Ok((count - jobs.len()) as u64)
    }

    async fn figures(&self, now: Timestamp) -> Result<Vec<QueueFigures>, StoreError> {
        self.fail()?;
        let jobs = lock(&self.jobs);
        let mut by_kind: BTreeMap<&JobKind, QueueFigures> = BTreeMap::new();
        for job in jobs.values() {
            let kind = job.new.kind.clone();
            let none = QueueFigures { kind, due: 0, scheduled: 0, leased: 0, dead: 0, oldest_due: None };
            let figures = by_kind.entry(&job.new.kind).or_insert(none);
            if !job.is_live() {
                figures.dead += 1;
            } else if job.is_due(now) {
                figures.due += 1;
                figures.oldest_due =
                    Some(figures.oldest_due.map_or(job.run_at, |oldest| oldest.min(job.run_at)));
            } else if job.lease_until.is_some() {
                figures.leased += 1;
            } else {
                figures.scheduled += 1;
            }
        }
        Ok(by_kind.into_values().collect())
    }

    async fn enqueued(&self) {
        self.enqueued.notified().await;
    }
}

fn held<'a>(jobs: &'a mut Jobs, lease: &Lease, now: Timestamp) -> Option<&'a mut Job> {
    jobs.get_mut(&(lease.tenant_id, lease.id)).filter(|job| job.is_held_by(lease, now))
}

fn settle(jobs: &mut Jobs, lease: &Lease, settlement: &Settlement, now: Timestamp) -> LeaseCheck {
    let Some(job) = held(jobs, lease, now) else { return LeaseCheck::Lost };
    job.lease_until = None;
    match settlement {
        Settlement::Complete => drop(jobs.remove(&(lease.tenant_id, lease.id))),
        Settlement::Again { due_at } => (job.due_at, job.run_at, job.attempts) = (*due_at, *due_at, 0),
        Settlement::Retry { run_at, .. } => job.run_at = *run_at,
        Settlement::Bury { reason } => job.dead = Some((now, reason.clone())),
        Settlement::Release => job.attempts -= 1,
    }
    LeaseCheck::Held
}

fn dead_job(job: Job) -> Option<DeadJob> {
    let (dead_at, reason) = job.dead?;
    Some(DeadJob {
        id: job.new.id,
        kind: job.new.kind,
        payload: job.new.payload,
        unique_key: job.new.unique_key,
        due_at: job.due_at,
        attempts: job.attempts,
        dead_at,
        reason,
    })
}
