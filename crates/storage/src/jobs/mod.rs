//! The queue of jobs.
//!
//! Everything that is conditional on a lease says so in its own statement (`token`, `lease_until`), so that
//! no reading before it can be out of date. Lists of any length are bound as one JSON text: one statement,
//! prepared once, on either database.
//!
//! Other modules enqueue and settle in transactions of their own with [`insert_in`], [`settle_in`],
//! [`reschedule_in`] and [`cancel_in`]: an effect, the job that follows from it and the completion of the job
//! that caused it are then one commit. Who enqueued that way calls [`Store::jobs_were_enqueued`] after it.

mod across_tenants;
mod dead;
mod insert;
mod keyed;
mod read;
mod settle;

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    job::{
        DeadJob, DeadJobs, Demand, Enqueued, JobId, JobKind, Lease, LeaseCheck, LeasedJob, NewJob,
        QueueFigures, Replayed, Settlement,
    },
    ports::{JobQueue, StoreError},
    tenant::TenantId,
};

pub(crate) use insert::insert_in;
pub(crate) use keyed::{cancel_in, reschedule_in};
pub(crate) use settle::settle_in;

use crate::Store;

impl Store {
    /// Wakes those of this process who claim jobs. Call it after the commit: before it, there is nothing to
    /// claim.
    pub(crate) fn jobs_were_enqueued(&self) {
        self.jobs_enqueued.notify_one();
    }
}

#[async_trait]
impl JobQueue for Store {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        let enqueued = self.change(insert_in(self.connections.changes.across_tenants(), jobs)).await?;
        if enqueued.contains(&Enqueued::New) {
            self.jobs_were_enqueued();
        }
        Ok(enqueued)
    }

    async fn claim(
        &self,
        demands: &[Demand],
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LeasedJob>, StoreError> {
        self.claim_jobs(demands, lease_until, now).await
    }

    async fn extend(
        &self,
        leases: &[Lease],
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LeaseCheck>, StoreError> {
        self.change(settle::extend(self.connections.changes.across_tenants(), leases, lease_until, now)).await
    }

    async fn settle(
        &self,
        settlements: &[(Lease, Settlement)],
        now: Timestamp,
    ) -> Result<Vec<LeaseCheck>, StoreError> {
        let is_complete = |(_, settlement): &&(Lease, Settlement)| *settlement == Settlement::Complete;
        let completed = settlements.iter().filter(is_complete).count();
        self.change(async {
            // All of them one statement: then that is the transaction.
            if completed == 0 || completed == settlements.len() {
                return settle_in(self.connections.changes.across_tenants(), settlements, now).await;
            }
            let transaction = self.begin_across_tenants().await?;
            let checks = settle_in(&transaction, settlements, now).await?;
            transaction.commit().await?;
            Ok(checks)
        })
        .await
    }

    async fn reschedule(
        &self,
        tenant_id: TenantId,
        kind: &JobKind,
        unique_key: &str,
        due_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let changes = &self.connections.changes.of(tenant_id);
        let found = self.change(reschedule_in(changes, tenant_id, kind, unique_key, due_at)).await?;
        if found {
            self.jobs_were_enqueued();
        }
        Ok(found)
    }

    async fn cancel(
        &self,
        tenant_id: TenantId,
        kind: &JobKind,
        unique_key: &str,
    ) -> Result<bool, StoreError> {
        let changes = &self.connections.changes.of(tenant_id);
        self.change(cancel_in(changes, tenant_id, kind, unique_key)).await
    }

    async fn dead(&self, tenant_id: TenantId, which: &DeadJobs) -> Result<Vec<DeadJob>, StoreError> {
        self.dead_jobs(tenant_id, which).await
    }

    async fn replay(&self, tenant_id: TenantId, id: JobId, now: Timestamp) -> Result<Replayed, StoreError> {
        let changes = &self.connections.changes.of(tenant_id);
        let replayed = self.change(dead::replay(changes, tenant_id, id, now)).await?;
        if replayed == Replayed::Queued {
            self.jobs_were_enqueued();
        }
        Ok(replayed)
    }

    async fn purge_dead(&self, tenant_id: TenantId, before: Timestamp) -> Result<u64, StoreError> {
        let changes = &self.connections.changes.of(tenant_id);
        self.change(dead::purge(changes, tenant_id, before)).await
    }

    async fn figures(&self, now: Timestamp) -> Result<Vec<QueueFigures>, StoreError> {
        self.job_figures(now).await
    }

    async fn enqueued(&self) {
        self.jobs_enqueued.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::job::SYSTEM;
    use pulsestream_testing::shared;
    use uuid::Uuid;

    use super::*;
    use crate::Settings;

    const KIND: JobKind = JobKind::named("test");
    const NOW: Timestamp = Timestamp::from_secs(1_795_343_430);

    async fn claim(store: &Store) -> Vec<LeasedJob> {
        let demand = Demand { kind: KIND, room: 9, sated: vec![] };
        store.claim(&[demand], NOW.plus_secs(30), NOW).await.unwrap()
    }

    /// What is done in a transaction is done when that is committed, and not before.
    async fn jobs_come_and_go_with_the_transaction_they_are_part_of(settings: &Settings) {
        let store = Store::connect(settings).await.unwrap();
        store.migrate().await.unwrap();
        let job = NewJob::new(SYSTEM, JobId(Uuid::from_u128(1)), KIND, NOW);

        let transaction = store.begin_across_tenants().await.unwrap();
        assert_eq!(insert_in(&transaction, std::slice::from_ref(&job)).await.unwrap(), [Enqueued::New]);
        transaction.rollback().await.unwrap();
        assert_eq!(claim(&store).await, []);

        let transaction = store.begin_across_tenants().await.unwrap();
        insert_in(&transaction, &[job]).await.unwrap();
        transaction.commit().await.unwrap();
        let leased = claim(&store).await;
        let done = [(leased[0].lease, Settlement::Complete)];

        let transaction = store.begin_across_tenants().await.unwrap();
        assert_eq!(settle_in(&transaction, &done, NOW).await.unwrap(), [LeaseCheck::Held]);
        transaction.rollback().await.unwrap();
        let transaction = store.begin_across_tenants().await.unwrap();
        assert_eq!(settle_in(&transaction, &done, NOW).await.unwrap(), [LeaseCheck::Held], "it was undone");
        transaction.commit().await.unwrap();
        assert_eq!(store.settle(&done, NOW).await.unwrap(), [LeaseCheck::Lost]);
        store.close().await;
    }

    #[tokio::test]
    async fn jobs_are_part_of_a_transaction_on_sqlite() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("store.db").display());
        jobs_come_and_go_with_the_transaction_they_are_part_of(&Settings::new(url)).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn jobs_are_part_of_a_transaction_on_postgres() {
        let database = shared::databases().unwrap().fresh().unwrap();
        jobs_come_and_go_with_the_transaction_they_are_part_of(&Settings::new(database.url())).await;
    }
}
