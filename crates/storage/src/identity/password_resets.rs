//! Tokens that reset a password, once.

use pulsestream_domain::{
    Timestamp,
    identity::{AuditAction, Origin, PasswordHash, Target, TokenDigest, UserId},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, sea_query::Expr,
};

use super::{
    audit::{Line, note},
    users::{NewPassword, replace_password},
};
use crate::{
    Store,
    entity::password_resets::{ActiveModel, Column, Entity},
};

impl Store {
    /// Keeps a token that resets a user's password. Those before it are good for nothing any more.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn create_password_reset(
        &self,
        tenant_id: TenantId,
        user_id: UserId,
        token: &TokenDigest,
        expires_at: Timestamp,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            Entity::delete_many()
                .filter(Column::TenantId.eq(tenant_id.0))
                .filter(Column::UserId.eq(user_id.0))
                .exec(&transaction)
                .await?;
            let row = ActiveModel {
                tenant_id: Set(tenant_id.0),
                digest: Set(token.0.to_vec()),
                user_id: Set(user_id.0),
                expires_at: Set(expires_at.as_micros()),
                used_at: Set(None),
            };
            Entity::insert(row).exec_without_returning(&transaction).await?;
            let line = Line::of(AuditAction::PasswordResetRequested, Target::User(user_id));
            note(&transaction, tenant_id, origin, [line]).await?;
            transaction.commit().await
        })
        .await
    }

    /// Whose password the token would reset, if it is good now.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn password_reset(
        &self,
        tenant_id: TenantId,
        token: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find().filter(good(tenant_id, token, now)).one(lookups);
        Ok(self.read(find).await?.map(|row| UserId(row.user_id)))
    }

    /// Resets a password with a token, and ends all sessions of the user. Answers whether the token was good; of
    /// several calls with the same one, one gets that answer.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn reset_password(
        &self,
        tenant_id: TenantId,
        token: &TokenDigest,
        password_hash: &PasswordHash,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            let good = good(tenant_id, token, origin.at);
            let Some(row) = Entity::find().filter(good.clone()).one(&transaction).await? else {
                return Ok(false);
            };
            let used = Entity::update_many()
                .col_expr(Column::UsedAt, Expr::value(origin.at.as_micros()))
                .filter(good)
                .exec(&transaction)
                .await?;
            if used.rows_affected == 0 {
                return Ok(false);
            }
            let password = NewPassword { password_hash, must_change: false, keep: None };
            let (action, user_id) = (AuditAction::PasswordReset, UserId(row.user_id));
            replace_password(&transaction, tenant_id, user_id, &password, action, origin).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }
}

fn good(tenant_id: TenantId, token: &TokenDigest, now: Timestamp) -> Condition {
    Condition::all()
        .add(Column::TenantId.eq(tenant_id.0))
        .add(Column::Digest.eq(token.0.to_vec()))
        .add(Column::UsedAt.is_null())
        .add(Column::ExpiresAt.gt(now.as_micros()))
}
