//! Secrets that all instances on one database share.

use pulsestream_domain::{ports::StoreError, search::CursorKey};
use sea_orm::{ActiveValue::Set, EntityTrait as _, sea_query::OnConflict};

use crate::{
    Store,
    entity::secrets::{ActiveModel, Column, Entity},
    error::UnreadableRow,
};

const CURSOR_KEY: &str = "cursor_key";

impl Store {
    /// The key that cursors are sealed with. The first call on a database makes it out of `entropy`; every
    /// later one, of any instance, gets the same and leaves its own `entropy` unused.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn cursor_key(&self, entropy: [u8; 32]) -> Result<CursorKey, StoreError> {
        let secret = ActiveModel { name: Set(CURSOR_KEY.to_owned()), value: Set(entropy.to_vec()) };
        let changes = self.connections.changes.across_tenants();
        let stored = self
            .change(async {
                Entity::insert(secret)
                    .on_conflict(OnConflict::column(Column::Name).do_nothing().to_owned())
                    .exec_without_returning(changes)
                    .await?;
                Entity::find_by_id(CURSOR_KEY.to_owned()).one(changes).await
            })
            .await?;
        let unreadable = || UnreadableRow { table: "secrets", column: "value", row: CURSOR_KEY.to_owned() };
        let value = stored.ok_or_else(unreadable)?.value;
        Ok(CursorKey(value.try_into().map_err(|_| unreadable())?))
    }
}
