//! API keys.

use pulsestream_domain::{
    Timestamp,
    api_key::{KeyDigest, KeyId, Scope, StoredKey},
    ports::StoreError,
    tenant::{Tenant, TenantId},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    SqlErr,
    sea_query::{Expr, ExprTrait as _},
};

use crate::{
    CreateError, Store,
    entity::{
        api_keys::{ActiveModel, Column, Entity, Model},
        tenants,
    },
    error::UnreadableRow,
    row,
};

impl Store {
    /// Keeps a key.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create_key(&self, key: &StoredKey) -> Result<(), CreateError> {
        self.change(insert(&self.connections.changes, key)).await?
    }

    /// Every key of a tenant, revoked ones too, oldest first.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn keys(&self, tenant_id: TenantId) -> Result<Vec<StoredKey>, StoreError> {
        let find = Entity::find()
            .filter(Column::TenantId.eq(tenant_id.0))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .all(&self.connections.lookups);
        Ok(self.read(find).await?.into_iter().map(key).collect::<Result<_, _>>()?)
    }

    /// Revokes a key from `at` on; one that was revoked before stays revoked since then. Answers whether the
    /// tenant has such a key.
    ///
    /// # Errors
    /// When the store does not answer. Doing it again is harmless.
    pub async fn revoke_key(
        &self,
        tenant_id: TenantId,
        id: &KeyId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let revoke = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::col(Column::RevokedAt).if_null(at.as_micros()))
            .filter(is(tenant_id, id))
            .exec(&self.connections.changes);
        Ok(self.change(revoke).await?.rows_affected > 0)
    }

    /// Keeps a new key and lets the old one expire at `old_expires_at`, unless it does so earlier anyway:
    /// both or neither. Answers whether the tenant has such an old key that is not revoked.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn rotate_key(
        &self,
        tenant_id: TenantId,
        old: &KeyId,
        new: &StoredKey,
        old_expires_at: Timestamp,
    ) -> Result<bool, CreateError> {
        let end = old_expires_at.as_micros();
        let earlier =
            Expr::case(Expr::col(Column::ExpiresAt).lt(end), Expr::col(Column::ExpiresAt)).finally(end);
        self.change(async {
            let transaction = self.begin().await?;
            let updated = Entity::update_many()
                .col_expr(Column::ExpiresAt, earlier.into())
                .filter(is(tenant_id, old))
                .filter(Column::RevokedAt.is_null())
                .exec(&transaction)
                .await?;
            if updated.rows_affected == 0 {
                return Ok(Ok(false));
            }
            if let Err(refused) = insert(&transaction, new).await? {
                return Ok(Err(refused));
            }
            transaction.commit().await?;
            Ok(Ok(true))
        })
        .await?
    }

    /// A key and its tenant, before it is known whose key it is. Whether the key still holds good is for
    /// [`StoredKey::admits`] to say.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn key_with_tenant(&self, id: &KeyId) -> Result<Option<(StoredKey, Tenant)>, StoreError> {
        let find = Entity::find()
            .filter(Column::Id.eq(id.as_str()))
            .find_also_related(tenants::Entity)
            .one(&self.connections.lookups);
        let Some((found, Some(owner))) = self.read(find).await? else { return Ok(None) };
        Ok(Some((key(found)?, crate::tenants::tenant(owner)?)))
    }

    /// Notes that a key was used, to the minute. Writes only when the minute is a new one.
    ///
    /// # Errors
    /// When the store does not answer. Nothing depends on it.
    pub async fn touch_key(&self, id: &KeyId, now: Timestamp) -> Result<(), StoreError> {
        let minute = Timestamp::from_secs(now.as_secs() - now.as_secs().rem_euclid(60)).as_micros();
        let is_new = Condition::any().add(Column::LastUsedAt.is_null()).add(Column::LastUsedAt.lt(minute));
        let touch = Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(minute))
            .filter(Column::Id.eq(id.as_str()))
            .filter(is_new)
            .exec(&self.connections.changes);
        self.change(touch).await.map(|_| ())
    }
}

fn is(tenant_id: TenantId, id: &KeyId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant_id.0)).add(Column::Id.eq(id.as_str()))
}

pub(crate) async fn insert(
    db: &impl ConnectionTrait,
    key: &StoredKey,
) -> Result<Result<(), CreateError>, DbErr> {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let row = ActiveModel {
        tenant_id: Set(key.tenant_id.0),
        id: Set(key.id.to_string()),
        name: Set(key.name.clone()),
        digest: Set(key.digest.0.to_vec()),
        last_four: Set(key.last_four.clone()),
        scopes: Set(scopes.join(" ")),
        created_at: Set(key.created_at.as_micros()),
        expires_at: Set(key.expires_at.map(Timestamp::as_micros)),
        revoked_at: Set(key.revoked_at.map(Timestamp::as_micros)),
        last_used_at: Set(key.last_used_at.map(Timestamp::as_micros)),
    };
    match Entity::insert(row).exec_without_returning(db).await {
        Ok(_) => Ok(Ok(())),
        Err(error) => match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Ok(Err(CreateError::KeyTaken)),
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Ok(Err(CreateError::NoSuchTenant)),
            _ => Err(error),
        },
    }
}

fn key(row: Model) -> Result<StoredKey, UnreadableRow> {
    let unreadable = |column| UnreadableRow { table: "api_keys", column, row: row.id.clone() };
    let scopes: Option<Vec<Scope>> = row.scopes.split_whitespace().map(row::parsed).collect();
    Ok(StoredKey {
        tenant_id: TenantId(row.tenant_id),
        digest: KeyDigest(row.digest.as_slice().try_into().map_err(|_| unreadable("digest"))?),
        scopes: scopes.ok_or_else(|| unreadable("scopes"))?,
        id: KeyId::from_stored(row.id.clone()),
        name: row.name,
        last_four: row.last_four,
        created_at: Timestamp::from_micros(row.created_at),
        expires_at: row.expires_at.map(Timestamp::from_micros),
        revoked_at: row.revoked_at.map(Timestamp::from_micros),
        last_used_at: row.last_used_at.map(Timestamp::from_micros),
    })
}
