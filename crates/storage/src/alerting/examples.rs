//! Some events of one group.

use pulsestream_domain::{
    Timestamp,
    alerting::{Example, ExampleQuery},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, ExprTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::{groups::Groups, rows::unreadable};
use crate::{
    Store,
    entity::events::{Column, Entity},
    error::UnreadableRow,
    row, search,
};

impl Store {
    /// See [`AlertStore::examples`](pulsestream_domain::ports::AlertStore::examples).
    pub(super) async fn examples_of_group(
        &self,
        tenant_id: TenantId,
        query: &ExampleQuery,
    ) -> Result<Vec<Example>, StoreError> {
        let mut find = Entity::find()
            .select_only()
            .columns([Column::Id, Column::ExternalId, Column::EventType, Column::Service, Column::OccurredAt])
            .filter(search::condition(self, tenant_id, &query.filter))
            .filter(Column::OccurredAt.gte(query.window.from.as_micros()))
            .filter(Column::OccurredAt.lt(query.window.to.as_micros()))
            .order_by_desc(Column::OccurredAt)
            .order_by_desc(Column::Id)
            .limit(u64::from(query.limit));
        for (name, value) in Groups::new(self, &query.group_by).values() {
            find = find.filter(value.eq(query.labels.0.get(name).map_or("", String::as_str)));
        }
        let rows = self.query(find.into_tuple::<Row>().all(&self.connections.queries)).await?;
        Ok(rows.into_iter().map(|row| example(tenant_id, row)).collect::<Result<_, _>>()?)
    }
}

type Row = (Uuid, Option<String>, String, String, i64);

fn example(
    tenant_id: TenantId,
    (id, external_id, event_type, service, occurred_at): Row,
) -> Result<Example, UnreadableRow> {
    let unreadable = unreadable("events", tenant_id.0, id);
    let event_id = external_id.as_deref().and_then(row::parsed);
    Ok(Example {
        event_id: event_id.ok_or_else(|| unreadable("external_id"))?,
        event_type: row::parsed(&event_type).ok_or_else(|| unreadable("event_type"))?,
        service,
        occurred_at: Timestamp::from_micros(occurred_at),
    })
}
