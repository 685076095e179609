//! Where jobs wait, and who works on them.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    Timestamp,
    job::{
        DeadJob, DeadJobs, Demand, Enqueued, JobId, JobKind, Lease, LeaseCheck, LeasedJob, NewJob,
        QueueFigures, Replayed, Settlement,
    },
    tenant::TenantId,
};

/// Where jobs wait, and who works on them.
///
/// Every job that was enqueued ends completed, cancelled or dead, whatever crashes. At any moment at most one
/// lease of a job counts: the one with its latest token, until its time is over. All that is done under a
/// lease is conditional on that, in the same transaction.
///
/// Instants come from those who call. A clock that runs ahead takes over leases too early, and one that is
/// late settles too late; the token keeps both harmless.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Takes in jobs, all in one transaction, and says of each whether it is new. In the order given.
    ///
    /// # Errors
    /// Nothing was enqueued, except with [`StoreError::OutcomeUnknown`]. The same call again is harmless:
    /// what is there already stays as it is.
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError>;

    /// Leases jobs whose time has come until `lease_until`, at most [`Demand::room`] of each kind.
    ///
    /// Jobs whose leases are over go first, then those of higher [`Priority`](crate::job::Priority), then those
    /// that wait longest. Tenants that are not in [`Demand::sated`] go before all who are. Each lease counts as
    /// an attempt. No two calls get the same job, however many run at once; the answer has no order.
    ///
    /// # Errors
    /// With [`StoreError::OutcomeUnknown`], jobs may have been leased that nobody works on: they are free
    /// again after `lease_until`.
    async fn claim(
        &self,
        demands: &[Demand],
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LeasedJob>, StoreError>;

    /// Moves the end of leases that still hold to `lease_until`. In the order given.
    ///
    /// # Errors
    /// Nothing was moved, except with [`StoreError::OutcomeUnknown`].
    async fn extend(
        &self,
        leases: &[Lease],
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LeaseCheck>, StoreError>;

    /// Says what becomes of jobs whose leases still hold; the others stay untouched. One transaction for
    /// all of them, in the order given. No job may come twice.
    ///
    /// # Errors
    /// Nothing was settled, except with [`StoreError::OutcomeUnknown`]: asking again then finds the leases
    /// of what was settled lost.
    async fn settle(
        &self,
        settlements: &[(Lease, Settlement)],
        now: Timestamp,
    ) -> Result<Vec<LeaseCheck>, StoreError>;

    /// Moves the live job with this key to another time, as if it were enqueued now for `due_at`. A lease on
    /// it is lost. Answers whether there is such a job.
    ///
    /// # Errors
    /// Doing it again is harmless.
    async fn reschedule(
        &self,
        tenant_id: TenantId,
        kind: &JobKind,
        unique_key: &str,
        due_at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Removes the live job with this key. A lease on it is lost. Answers whether there was one.
    ///
    /// # Errors
    /// Doing it again is harmless.
    async fn cancel(&self, tenant_id: TenantId, kind: &JobKind, unique_key: &str)
    -> Result<bool, StoreError>;

    /// Lists a tenant's dead jobs, the latest first.
    ///
    /// # Errors
    /// When the queue does not answer.
    async fn dead(&self, tenant_id: TenantId, which: &DeadJobs) -> Result<Vec<DeadJob>, StoreError>;

    /// Gives a dead job all its attempts again, from `now` on. It keeps its `due_at`.
    ///
    /// # Errors
    /// Doing it again is harmless.
    async fn replay(&self, tenant_id: TenantId, id: JobId, now: Timestamp) -> Result<Replayed, StoreError>;

    /// Removes a tenant's jobs that died before `before`, and answers how many they were.
    ///
    /// # Errors
    /// Doing it again is harmless.
    async fn purge_dead(&self, tenant_id: TenantId, before: Timestamp) -> Result<u64, StoreError>;

    /// Counts what waits, by kind. Kinds without a job are left out; the order is that of their names.
    ///
    /// # Errors
    /// When the queue does not answer.
    async fn figures(&self, now: Timestamp) -> Result<Vec<QueueFigures>, StoreError>;

    /// Ends when this process has enqueued something since the last call ended, which spares those who claim
    /// the wait for their next look. It may end without reason, and knows nothing of other processes. With
    /// several waiting, one of them is told.
    async fn enqueued(&self);
}
