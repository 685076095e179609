//! Where deliveries wait, and what came of them is kept.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    Timestamp,
    alerting::{AttemptRecord, Channel, DueDelivery, Recorded},
    identity::Email,
    job::LeasedJob,
    tenant::TenantId,
};

/// What delivering needs of a store.
///
/// A delivery is worked on by a job of the kind [`DELIVER`](crate::alerting::DELIVER) that was made together
/// with it. It is sent at least once: between the sending and the record a worker may be lost, and then it is
/// sent again, under the same id.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Reads everything about the delivery that a job is for, in one snapshot: its id is the job's key. `None`
    /// when there is nothing to send any more, because it is not pending, or because it or its channel is gone.
    ///
    /// # Errors
    /// Any [`StoreError`] but `OutcomeUnknown` and `Unstorable`: reading changes nothing.
    async fn due(&self, job: &LeasedJob, now: Timestamp) -> Result<Option<DueDelivery>, StoreError>;

    /// Lists the tenant's enabled channels, by id.
    ///
    /// # Errors
    /// As for [`DeliveryStore::due`].
    async fn enabled_channels(&self, tenant_id: TenantId) -> Result<Vec<Channel>, StoreError>;

    /// Lists the addresses of the tenant's owners who may log in, the oldest users first; at most
    /// [`MAX_OWNERS_TOLD`](crate::alerting::MAX_OWNERS_TOLD).
    ///
    /// # Errors
    /// As for [`DeliveryStore::due`].
    async fn owners(&self, tenant_id: TenantId) -> Result<Vec<Email>, StoreError>;

    /// Keeps what came of an attempt, all in one transaction: the attempt, where the delivery stands, what it
    /// says about the channel, and the settlement of the job. Only while the lease holds at `now`.
    ///
    /// # Errors
    /// Nothing was stored, except with [`StoreError::OutcomeUnknown`], where everything or nothing was:
    /// recording again then gives [`Recorded::LeaseLost`] if it was.
    async fn record(&self, record: &AttemptRecord, now: Timestamp) -> Result<Recorded, StoreError>;
}
