//! One event at a time.

use pulsestream_domain::{
    event::{EventId, ProcessingStatus, StoredEvent},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use crate::{
    Store,
    entity::events::{Column, Entity},
    row,
};

impl Store {
    /// The tenant's event with this id, unless it is deleted.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn event(&self, tenant_id: TenantId, id: &EventId) -> Result<Option<StoredEvent>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find().filter(is(tenant_id, id)).one(lookups);
        Ok(self.read(find).await?.map(row::event).transpose()?)
    }

    /// Deletes an event: no read finds it any more, and its id is free. Answers whether there was one.
    ///
    /// # Errors
    /// When the store does not answer. Doing it again is harmless, but would also delete an event that has
    /// taken the id since.
    pub async fn delete_event(&self, tenant_id: TenantId, id: &EventId) -> Result<bool, StoreError> {
        let changes = &self.connections.changes.of(tenant_id);
        let delete = Entity::update_many()
            .col_expr(Column::IsDeleted, Expr::value(true))
            .filter(is(tenant_id, id))
            .exec(changes);
        Ok(self.change(delete).await?.rows_affected > 0)
    }

    /// Queues an event for processing again. Answers whether there was one.
    ///
    /// # Errors
    /// When the store does not answer. Doing it again is harmless.
    pub async fn retry_event(&self, tenant_id: TenantId, id: &EventId) -> Result<bool, StoreError> {
        let changes = &self.connections.changes.of(tenant_id);
        let retry = Entity::update_many()
            .col_expr(Column::ProcessingStatus, Expr::value(ProcessingStatus::Pending.as_str()))
            .filter(is(tenant_id, id))
            .exec(changes);
        Ok(self.change(retry).await?.rows_affected > 0)
    }
}

/// The key of the index that makes events unique, with its predicate.
fn is(tenant_id: TenantId, id: &EventId) -> Condition {
    Condition::all()
        .add(Column::TenantId.eq(tenant_id.0))
        .add(Column::ExternalId.eq(id.as_str()))
        .add(Expr::cust("external_id IS NOT NULL"))
        .add(Expr::cust("NOT is_deleted"))
}
