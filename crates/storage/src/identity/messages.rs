//! Signed requests that were seen.

use pulsestream_domain::{Timestamp, api_key::KeyId, ports::StoreError, tenant::TenantId};
use sea_orm::{ActiveValue::Set, EntityTrait as _, sea_query::OnConflict};

use crate::{
    Store,
    entity::seen_messages::{ActiveModel, Column, Entity},
};

impl Store {
    /// Remembers the id of a signed request until `expires_at`. Answers whether it is the first with this id; of
    /// several at the same time, on any instance, one gets that answer.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn remember_message(
        &self,
        tenant_id: TenantId,
        key_id: &KeyId,
        message_id: &str,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let changes = &self.connections.changes.of(tenant_id);
        let row = ActiveModel {
            tenant_id: Set(tenant_id.0),
            key_id: Set(key_id.to_string()),
            message_id: Set(message_id.to_owned()),
            expires_at: Set(expires_at.as_micros()),
        };
        let key = [Column::TenantId, Column::KeyId, Column::MessageId];
        let key = OnConflict::columns(key).do_nothing().to_owned();
        let insert = Entity::insert(row).on_conflict(key);
        Ok(self.change(insert.exec_without_returning(changes)).await? > 0)
    }
}
