//! What happened to alerts, in order.

use std::collections::HashMap;

use pulsestream_domain::{
    alerting::{AlertId, TimelineEntry},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::{
    ROWS_AT_ONCE,
    rows::{entry, entry_row},
};
use crate::{
    Store,
    entity::alert_timeline::{Column, Entity},
};

impl Store {
    /// What happened to an alert, oldest first; `None` when the tenant has no such alert.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn timeline(
        &self,
        tenant_id: TenantId,
        alert_id: AlertId,
    ) -> Result<Option<Vec<TimelineEntry>>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find()
            .filter(Column::TenantId.eq(tenant_id.0))
            .filter(Column::AlertId.eq(alert_id.0))
            .order_by_asc(Column::Number)
            .all(lookups);
        let rows = self.read(find).await?;
        if rows.is_empty() && self.alert(tenant_id, alert_id).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(rows.into_iter().map(entry).collect::<Result<_, _>>()?))
    }
}

/// Adds entries behind those that are there. Whoever calls it has the rule's row, or two could be given the
/// same number.
pub(super) async fn add(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    entries: &[TimelineEntry],
) -> Result<(), DbErr> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut alerts: Vec<Uuid> = entries.iter().map(|entry| entry.alert_id.0).collect();
    alerts.sort_unstable();
    alerts.dedup();
    let mut last: HashMap<Uuid, i32> = HashMap::new();
    for alerts in alerts.chunks(ROWS_AT_ONCE) {
        let numbers = Entity::find()
            .select_only()
            .column(Column::AlertId)
            .column_as(Column::Number.max(), "number")
            .filter(Column::TenantId.eq(tenant_id.0))
            .filter(Column::AlertId.is_in(alerts.iter().copied()))
            .group_by(Column::AlertId)
            .into_tuple::<(Uuid, i32)>()
            .all(db)
            .await?;
        last.extend(numbers);
    }
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let last = last.entry(entry.alert_id.0).or_default();
            *last += 1;
            entry_row(entry, *last)
        })
        .collect();
    for rows in rows.chunks(ROWS_AT_ONCE) {
        Entity::insert_many(rows.iter().cloned()).exec_without_returning(db).await?;
    }
    Ok(())
}
