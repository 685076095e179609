//! Tenants.

use pulsestream_domain::{
    Timestamp,
    api_key::StoredKey,
    identity::{AuditAction, Origin, Target, TenantProfile, User},
    ports::StoreError,
    tenant::{DuplicatePolicy, Limits, Slug, Tenant, TenantId},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, SqlErr,
};

use crate::{
    Store,
    entity::tenants::{ActiveModel, Column, Entity, Model},
    error::UnreadableRow,
    identity::{
        audit::{self, Line, note},
        tenant_profile, users,
    },
    keys, row,
};

/// Why a tenant, a user or a key was not made. Nothing was made then, unless the store does not know.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Another tenant has this slug.
    #[error("another tenant has this slug")]
    SlugTaken,
    /// There is a tenant with this id: whatever allows one to be made was used before.
    #[error("there is a tenant with this id")]
    TenantIdTaken,
    /// Another user of the tenant has this address.
    #[error("another user of the tenant has this address")]
    EmailTaken,
    /// There is a key with this id: the same key was adopted before.
    #[error("there is a key with this id")]
    KeyTaken,
    /// The tenant it is for does not exist.
    #[error("there is no such tenant")]
    NoSuchTenant,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to change about a tenant; what is `None` stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TenantChange {
    /// A new name, 1–255 characters.
    pub name: Option<String>,
    /// New limits.
    pub limits: Option<Limits>,
    /// A new answer to resent ids with other content.
    pub duplicate_policy: Option<DuplicatePolicy>,
    /// A new profile, in place of the whole one before.
    pub profile: Option<TenantProfile>,
}

/// A tenant with what it begins with.
#[derive(Clone, Copy, Debug)]
pub struct NewTenant<'a> {
    /// The tenant.
    pub tenant: &'a Tenant,
    /// Whom to write to, and its terms.
    pub profile: &'a TenantProfile,
    /// A key of it, if it gets one.
    pub first_key: Option<&'a StoredKey>,
    /// A user of it, if it gets one.
    pub owner: Option<&'a User>,
}

impl Store {
    /// Makes a tenant, and its first key with it: there are both or neither.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create_tenant(
        &self,
        tenant: &Tenant,
        first_key: Option<&StoredKey>,
        origin: &Origin,
    ) -> Result<(), CreateError> {
        let profile = &TenantProfile::default();
        self.register_tenant(&NewTenant { tenant, profile, first_key, owner: None }, origin).await
    }

    /// Makes a tenant with all it begins with: there is everything or nothing.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn register_tenant(&self, new: &NewTenant<'_>, origin: &Origin) -> Result<(), CreateError> {
        self.change(async {
            let transaction = self.begin(new.tenant.id).await?;
            let lines = match insert_all(&transaction, new).await? {
                Ok(lines) => lines,
                Err(refused) => return Ok(Err(refused)),
            };
            note(&transaction, new.tenant.id, origin, lines).await?;
            transaction.commit().await.map(Ok)
        })
        .await?
    }

    /// Every tenant, by slug.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let find = Entity::find().order_by_asc(Column::Slug).all(self.connections.lookups.across_tenants());
        let rows = self.read(find).await?;
        Ok(rows.into_iter().map(tenant).collect::<Result<_, _>>()?)
    }

    /// The tenant with this id.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        let lookups = &self.connections.lookups.of(id);
        let find = Entity::find_by_id(id.0).one(lookups);
        Ok(self.read(find).await?.map(tenant).transpose()?)
    }

    /// The tenant with this slug.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn tenant_by_slug(&self, slug: &Slug) -> Result<Option<Tenant>, StoreError> {
        let find = Entity::find()
            .filter(Column::Slug.eq(slug.as_str()))
            .one(self.connections.lookups.across_tenants());
        Ok(self.read(find).await?.map(tenant).transpose()?)
    }

    /// Changes a tenant and answers with what it is then; `None` when there is no such tenant.
    ///
    /// # Errors
    /// When the store does not answer. Doing it again is harmless.
    pub async fn update_tenant(
        &self,
        id: TenantId,
        change: &TenantChange,
        origin: &Origin,
    ) -> Result<Option<Tenant>, StoreError> {
        if *change == TenantChange::default() {
            return self.tenant(id).await;
        }
        let changed = self
            .change(async {
                let transaction = self.begin(id).await?;
                let before = Entity::find_by_id(id.0).lock_exclusive().one(&transaction).await?;
                let Some(before) = before else { return Ok(None) };
                Entity::update_many()
                    .set(columns(change))
                    .filter(Column::Id.eq(id.0))
                    .exec(&transaction)
                    .await?;
                let after = Entity::find_by_id(id.0).one(&transaction).await?;
                if let Some(after) = after.as_ref().filter(|after| **after != before) {
                    let line = line(AuditAction::TenantUpdated, Some(&before), after);
                    note(&transaction, id, origin, [line]).await?;
                }
                transaction.commit().await?;
                Ok(after)
            })
            .await?;
        Ok(changed.map(tenant).transpose()?)
    }
}

/// Inserts everything and answers with what there is to note, the tenant first.
async fn insert_all(
    db: &impl ConnectionTrait,
    new: &NewTenant<'_>,
) -> Result<Result<Vec<Line>, CreateError>, DbErr> {
    let mut lines = Vec::with_capacity(3);
    match insert(db, new.tenant, new.profile).await? {
        Ok(line) => lines.push(line),
        Err(refused) => return Ok(Err(refused)),
    }
    if let Some(key) = new.first_key {
        match keys::insert(db, key).await? {
            Ok(line) => lines.push(line),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    if let Some(owner) = new.owner {
        match users::insert(db, owner).await? {
            Ok(line) => lines.push(line),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    Ok(Ok(lines))
}

async fn insert(
    db: &impl ConnectionTrait,
    tenant: &Tenant,
    profile: &TenantProfile,
) -> Result<Result<Line, CreateError>, DbErr> {
    let row = ActiveModel {
        id: Set(tenant.id.0),
        name: Set(tenant.name.clone()),
        slug: Set(tenant.slug.to_string()),
        rate_limit_per_minute: Set(i64::from(tenant.limits.per_minute)),
        rate_limit_burst: Set(i64::from(tenant.limits.burst)),
        duplicate_policy: Set(tenant.duplicate_policy.as_str().to_owned()),
        created_at: Set(tenant.created_at.as_micros()),
        ..tenant_profile::columns(profile)
    };
    match Entity::insert(row.clone()).exec_without_returning(db).await {
        Ok(_) => {
            let row = Model::try_from(row)?;
            Ok(Ok(line(AuditAction::TenantCreated, None, &row)))
        }
        Err(error) => match error.sql_err() {
            // Both databases name what is taken: the index there, the column here.
            Some(SqlErr::UniqueConstraintViolation(text)) if text.contains("slug") => {
                Ok(Err(CreateError::SlugTaken))
            }
            Some(SqlErr::UniqueConstraintViolation(_)) => Ok(Err(CreateError::TenantIdTaken)),
            _ => Err(error),
        },
    }
}

fn line(action: AuditAction, before: Option<&Model>, after: &Model) -> Line {
    let hash = |row: &Model| audit::hash(row, &[]);
    let target = Target::Tenant(TenantId(after.id));
    Line { action, target, before: before.map(hash), after: Some(hash(after)) }
}

fn columns(change: &TenantChange) -> ActiveModel {
    let limit = |of: fn(&Limits) -> u32| change.limits.as_ref().map_or(NotSet, |l| Set(i64::from(of(l))));
    ActiveModel {
        name: change.name.clone().map_or(NotSet, Set),
        rate_limit_per_minute: limit(|limits| limits.per_minute),
        rate_limit_burst: limit(|limits| limits.burst),
        duplicate_policy: change.duplicate_policy.map_or(NotSet, |policy| Set(policy.as_str().to_owned())),
        ..change.profile.as_ref().map(tenant_profile::columns).unwrap_or_default()
    }
}

/// Reads a tenant.
pub(crate) fn tenant(row: Model) -> Result<Tenant, UnreadableRow> {
    let unreadable = |column| UnreadableRow { table: "tenants", column, row: row.id.to_string() };
    let limits = Limits {
        per_minute: row.rate_limit_per_minute.try_into().map_err(|_| unreadable("rate_limit_per_minute"))?,
        burst: row.rate_limit_burst.try_into().map_err(|_| unreadable("rate_limit_burst"))?,
    };
    Ok(Tenant {
        id: TenantId(row.id),
        slug: row::parsed(&row.slug).ok_or_else(|| unreadable("slug"))?,
        duplicate_policy: row::parsed(&row.duplicate_policy).ok_or_else(|| unreadable("duplicate_policy"))?,
        name: row.name,
        limits,
        created_at: Timestamp::from_micros(row.created_at),
    })
}
