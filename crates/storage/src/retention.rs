//! Events that were kept long enough.

use pulsestream_domain::{Timestamp, ports::StoreError, tenant::TenantId};
use sea_orm::ConnectionTrait as _;

use crate::{Store, stats::first_id_at};

/// Row ids start with the time an event was taken in, so the oldest are the first of the primary key: the bound is
/// looked up there, and what lies before it is one range.
const REMOVE: &str = "
DELETE FROM events WHERE tenant_id = $1 AND id < coalesce(
    (SELECT id FROM events WHERE tenant_id = $1 AND id < $2 ORDER BY id LIMIT 1 OFFSET $3), $2)";

impl Store {
    /// Removes events of a tenant that were taken in before an instant, to the millisecond: the oldest first, at most
    /// `limit` of them, those that were deleted too. Answers how many; fewer than `limit` means that none are left.
    ///
    /// Their ids are free then: an event that is sent again is a new one.
    ///
    /// # Errors
    /// When the store does not answer. Doing it again is harmless.
    pub async fn remove_events_before(
        &self,
        tenant_id: TenantId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let values = [tenant_id.0.into(), first_id_at(before).into(), i64::from(limit).into()];
        let remove = self.sql(REMOVE, values);
        let changes = self.connections.changes.of(tenant_id);
        Ok(self.change(changes.execute_raw(remove)).await?.rows_affected())
    }
}
