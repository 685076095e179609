//! Forgets, for all tenants, what is of no use any more.

use pulsestream_domain::{Timestamp, ports::StoreError};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use crate::{
    Store,
    entity::{password_resets, seen_messages, sessions},
};

impl Store {
    /// Removes sessions, with their tokens, tokens that reset passwords, and ids of signed requests, all of which
    /// expired before `now`. Answers how many. The book keeps what it says about them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn forget_expired_credentials(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (now, db) = (now.as_micros(), self.connections.changes.across_tenants());
        self.change(async {
            let sessions = sessions::Entity::delete_many().filter(sessions::Column::ExpiresAt.lt(now));
            let resets =
                password_resets::Entity::delete_many().filter(password_resets::Column::ExpiresAt.lt(now));
            let messages =
                seen_messages::Entity::delete_many().filter(seen_messages::Column::ExpiresAt.lt(now));
            let removed = [sessions.exec(db).await?, resets.exec(db).await?, messages.exec(db).await?];
            Ok(removed.iter().map(|result| result.rows_affected).sum())
        })
        .await
    }
}
