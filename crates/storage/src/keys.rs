//! API keys.

use pulsestream_domain::{
    Timestamp,
    api_key::{KeyDigest, KeyId, Restrictions, Scope, StoredKey},
    identity::{AuditAction, Origin, Target},
    ports::StoreError,
    tenant::{Tenant, TenantId},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, SqlErr,
    sea_query::{Expr, ExprTrait as _},
};

use crate::{
    CreateError, Store,
    entity::{
        api_keys::{ActiveModel, Column, Entity, Model},
        tenants,
    },
    error::UnreadableRow,
    identity::audit::{self, Line, note},
    row,
};

impl Store {
    /// Keeps a key.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create_key(&self, key: &StoredKey, origin: &Origin) -> Result<(), CreateError> {
        self.change(async {
            let transaction = self.begin(key.tenant_id).await?;
            let line = match insert(&transaction, key).await? {
                Ok(line) => line,
                Err(refused) => return Ok(Err(refused)),
            };
            note(&transaction, key.tenant_id, origin, [line]).await?;
            transaction.commit().await.map(Ok)
        })
        .await?
    }

    /// Every key of a tenant, revoked ones too, oldest first.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn keys(&self, tenant_id: TenantId) -> Result<Vec<StoredKey>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find()
            .filter(Column::TenantId.eq(tenant_id.0))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .all(lookups);
        Ok(self.read(find).await?.into_iter().map(key).collect::<Result<_, _>>()?)
    }

    /// The tenant's key with this id.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn key(&self, tenant_id: TenantId, id: &KeyId) -> Result<Option<StoredKey>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find().filter(is(tenant_id, id)).one(lookups);
        Ok(self.read(find).await?.map(key).transpose()?)
    }

    /// Revokes a key from now on; one that was revoked before stays revoked since then. Answers whether the tenant
    /// has such a key.
    ///
    /// # Errors
    /// When the store does not answer. Doing it again is harmless.
    pub async fn revoke_key(
        &self,
        tenant_id: TenantId,
        id: &KeyId,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            let Some(before) = Entity::find().filter(is(tenant_id, id)).one(&transaction).await? else {
                return Ok(false);
            };
            if before.revoked_at.is_none() {
                let after = Model { revoked_at: Some(origin.at.as_micros()), ..before.clone() };
                Entity::update_many()
                    .col_expr(Column::RevokedAt, Expr::col(Column::RevokedAt).if_null(origin.at.as_micros()))
                    .filter(is(tenant_id, id))
                    .exec(&transaction)
                    .await?;
                let line = line(AuditAction::KeyRevoked, Some(&before), &after);
                note(&transaction, tenant_id, origin, [line]).await?;
            }
            transaction.commit().await?;
            Ok(true)
        })
        .await
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
        origin: &Origin,
    ) -> Result<bool, CreateError> {
        let end = old_expires_at.as_micros();
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            let live = is(tenant_id, old).add(Column::RevokedAt.is_null());
            let before = Entity::find().filter(live.clone()).lock_exclusive().one(&transaction).await?;
            let Some(before) = before else { return Ok(Ok(false)) };
            let earlier = before.expires_at.map_or(end, |at| Ord::min(at, end));
            Entity::update_many()
                .col_expr(Column::ExpiresAt, Expr::value(earlier))
                .filter(live)
                .exec(&transaction)
                .await?;
            let created = match insert(&transaction, new).await? {
                Ok(line) => line,
                Err(refused) => return Ok(Err(refused)),
            };
            let after = Model { expires_at: Some(earlier), ..before.clone() };
            let rotated = line(AuditAction::KeyRotated, Some(&before), &after);
            note(&transaction, tenant_id, origin, [rotated, created]).await?;
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
            .one(self.connections.lookups.across_tenants());
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
            .exec(self.connections.changes.across_tenants());
        self.change(touch).await.map(|_| ())
    }
}

fn is(tenant_id: TenantId, id: &KeyId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant_id.0)).add(Column::Id.eq(id.as_str()))
}

/// A key's row without what its use changes.
fn line(action: AuditAction, before: Option<&Model>, after: &Model) -> Line {
    let hash = |row: &Model| audit::hash(row, &["last_used_at"]);
    let target = Target::Key(KeyId::from_stored(after.id.clone()));
    Line { action, target, before: before.map(hash), after: Some(hash(after)) }
}

/// Inserts a key and answers with what there is to note.
pub(crate) async fn insert(
    db: &impl ConnectionTrait,
    key: &StoredKey,
) -> Result<Result<Line, CreateError>, DbErr> {
    let row = new_row(key);
    match Entity::insert(row.clone()).exec_without_returning(db).await {
        Ok(_) => {
            let row = Model::try_from(row)?;
            Ok(Ok(line(AuditAction::KeyCreated, None, &row)))
        }
        Err(error) => match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Ok(Err(CreateError::KeyTaken)),
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Ok(Err(CreateError::NoSuchTenant)),
            _ => Err(error),
        },
    }
}

fn new_row(key: &StoredKey) -> ActiveModel {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let Restrictions { services, event_types, networks, requires_signature } = &key.restrictions;
    ActiveModel {
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
        allowed_services: Set(row::list(services)),
        allowed_event_types: Set(row::list(event_types)),
        allowed_ips: Set(row::list(networks)),
        requires_signature: Set(*requires_signature),
        created_by: Set(key.created_by.as_ref().map(ToString::to_string)),
    }
}

fn key(row: Model) -> Result<StoredKey, UnreadableRow> {
    let unreadable = |column| UnreadableRow { table: "api_keys", column, row: row.id.clone() };
    let scopes: Option<Vec<Scope>> = row.scopes.split_whitespace().map(row::parsed).collect();
    Ok(StoredKey {
        tenant_id: TenantId(row.tenant_id),
        digest: KeyDigest(row.digest.as_slice().try_into().map_err(|_| unreadable("digest"))?),
        scopes: scopes.ok_or_else(|| unreadable("scopes"))?,
        restrictions: Restrictions {
            services: row::parsed_list(&row.allowed_services)
                .ok_or_else(|| unreadable("allowed_services"))?,
            event_types: row::parsed_list(&row.allowed_event_types)
                .ok_or_else(|| unreadable("allowed_event_types"))?,
            networks: row::parsed_list(&row.allowed_ips).ok_or_else(|| unreadable("allowed_ips"))?,
            requires_signature: row.requires_signature,
        },
        created_by: match row.created_by.as_deref() {
            None => None,
            Some(text) => Some(row::parsed(text).ok_or_else(|| unreadable("created_by"))?),
        },
        id: KeyId::from_stored(row.id.clone()),
        name: row.name,
        last_four: row.last_four,
        created_at: Timestamp::from_micros(row.created_at),
        expires_at: row.expires_at.map(Timestamp::from_micros),
        revoked_at: row.revoked_at.map(Timestamp::from_micros),
        last_used_at: row.last_used_at.map(Timestamp::from_micros),
    })
}
