//! Users.

use pulsestream_domain::{
    Timestamp,
    alerting::MAX_OWNERS_TOLD,
    identity::{AuditAction, AuditHash, Email, Origin, PasswordHash, Role, SessionId, Target, User, UserId},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, SqlErr,
    sea_query::{Expr, LikeExpr},
};

use super::{
    audit::{self, Line, note},
    sessions,
};
use crate::{
    CreateError, Store,
    entity::{
        tenants,
        users::{ActiveModel, Column, Entity, Model},
    },
    error::UnreadableRow,
    row,
};

/// What to change about a user; what is `None` stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserChange {
    /// A new name; `Some(None)` takes it away.
    pub full_name: Option<Option<String>>,
    /// A new role.
    pub role: Option<Role>,
    /// Whether they may log in. `false` ends their sessions.
    pub is_active: Option<bool>,
}

/// Why a user was not changed. Nothing was changed then, unless the store does not know.
#[derive(Debug, thiserror::Error)]
pub enum UpdateUserError {
    /// They are the last active owner: nobody could undo it.
    #[error("the tenant would be left without an owner")]
    LastOwner,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which users.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserQuery {
    /// In the address or the name, whatever its case.
    pub search: Option<String>,
    /// How many to leave out.
    pub skip: u64,
    /// At most so many.
    pub limit: u64,
}

/// Some users, and how many there are in all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserPage {
    /// By address.
    pub users: Vec<User>,
    /// How many match, whatever `skip` and `limit`.
    pub total_count: u64,
}

impl Store {
    /// Keeps a user.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create_user(&self, user: &User, origin: &Origin) -> Result<(), CreateError> {
        self.change(async {
            let transaction = self.begin(user.tenant_id).await?;
            let line = match insert(&transaction, user).await? {
                Ok(line) => line,
                Err(refused) => return Ok(Err(refused)),
            };
            note(&transaction, user.tenant_id, origin, [line]).await?;
            transaction.commit().await.map(Ok)
        })
        .await?
    }

    /// The tenant's user with this id.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn user(&self, tenant_id: TenantId, id: UserId) -> Result<Option<User>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = find(tenant_id, id).one(lookups);
        Ok(self.read(find).await?.map(user).transpose()?)
    }

    /// The tenant's user with this address.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn user_by_email(
        &self,
        tenant_id: TenantId,
        email: &Email,
    ) -> Result<Option<User>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find()
            .filter(Column::TenantId.eq(tenant_id.0))
            .filter(Column::Email.eq(email.as_str()))
            .one(lookups);
        Ok(self.read(find).await?.map(user).transpose()?)
    }

    /// The addresses of a tenant's active owners, the oldest users first; at most [`MAX_OWNERS_TOLD`].
    pub(crate) async fn owners_to_tell(&self, tenant_id: TenantId) -> Result<Vec<Email>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find()
            .filter(Column::TenantId.eq(tenant_id.0))
            .filter(Column::Role.eq(Role::Owner.as_str()))
            .filter(Column::IsActive.eq(true))
            .order_by_asc(Column::Id)
            .limit(MAX_OWNERS_TOLD as u64)
            .all(lookups);
        let owners = self.read(find).await?.into_iter().map(|row| user(row).map(|owner| owner.email));
        Ok(owners.collect::<Result<_, UnreadableRow>>()?)
    }

    /// Users of a tenant, by address.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn users(&self, tenant_id: TenantId, query: &UserQuery) -> Result<UserPage, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let found = Entity::find()
            .filter(Column::TenantId.eq(tenant_id.0))
            .filter(Condition::all().add_option(query.search.as_deref().map(mentions)));
        let page = found.clone().order_by_asc(Column::Email).offset(query.skip).limit(query.limit);
        let (rows, total_count) =
            self.read(async { Ok((page.all(lookups).await?, found.count(lookups).await?)) }).await?;
        Ok(UserPage { users: rows.into_iter().map(user).collect::<Result<_, _>>()?, total_count })
    }

    /// Changes a user and answers with what they are then; `None` when the tenant has no such user.
    ///
    /// # Errors
    /// See [`UpdateUserError`]. Doing it again is harmless.
    pub async fn update_user(
        &self,
        tenant_id: TenantId,
        id: UserId,
        change: &UserChange,
        origin: &Origin,
    ) -> Result<Option<User>, UpdateUserError> {
        let changed = self
            .change(async {
                let transaction = self.begin(tenant_id).await?;
                // Two owners who demote each other at the same time have to see one another.
                let tenant = tenants::Entity::find_by_id(tenant_id.0).lock_exclusive();
                tenant.one(&transaction).await?;
                let Some(before) = find(tenant_id, id).one(&transaction).await? else {
                    return Ok(Ok(None));
                };
                let after = updated(before.clone(), change);
                if is_owner(&before) && !is_owner(&after) && owners(&transaction, tenant_id).await? < 2 {
                    return Ok(Err(UpdateUserError::LastOwner));
                }
                if after != before {
                    write(&transaction, &after).await?;
                    if before.is_active && !after.is_active {
                        sessions::end_all(&transaction, tenant_id, id, None, origin.at).await?;
                    }
                    let line = line(AuditAction::UserUpdated, Some(&before), &after);
                    note(&transaction, tenant_id, origin, [line]).await?;
                }
                transaction.commit().await?;
                Ok(Ok(Some(after)))
            })
            .await??;
        Ok(changed.map(user).transpose().map_err(StoreError::from)?)
    }

    /// Gives a user another password and ends their sessions, but for `keep`. Answers whether there is such a user.
    ///
    /// `must_change` says that somebody else knows the password.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn set_password(
        &self,
        tenant_id: TenantId,
        id: UserId,
        password_hash: &PasswordHash,
        must_change: bool,
        keep: Option<SessionId>,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            let action = AuditAction::PasswordChanged;
            let password = NewPassword { password_hash, must_change, keep };
            let is_there = replace_password(&transaction, tenant_id, id, &password, action, origin).await?;
            transaction.commit().await?;
            Ok(is_there)
        })
        .await
    }
}

/// A password that takes the place of another.
pub(super) struct NewPassword<'a> {
    pub(super) password_hash: &'a PasswordHash,
    pub(super) must_change: bool,
    /// The session that goes on.
    pub(super) keep: Option<SessionId>,
}

/// Writes a password, ends sessions, notes it. Answers whether there is such a user.
pub(super) async fn replace_password(
    transaction: &DatabaseTransaction,
    tenant_id: TenantId,
    id: UserId,
    password: &NewPassword<'_>,
    action: AuditAction,
    origin: &Origin,
) -> Result<bool, DbErr> {
    let Some(before) = find(tenant_id, id).one(transaction).await? else { return Ok(false) };
    let after = Model {
        password_hash: password.password_hash.0.clone(),
        must_change_password: password.must_change,
        ..before.clone()
    };
    write(transaction, &after).await?;
    sessions::end_all(transaction, tenant_id, id, password.keep, origin.at).await?;
    note(transaction, tenant_id, origin, [line(action, Some(&before), &after)]).await?;
    Ok(true)
}

pub(super) fn find(tenant_id: TenantId, id: UserId) -> sea_orm::Select<Entity> {
    Entity::find_by_id((tenant_id.0, id.0))
}

/// A user's row without what a login changes.
fn hash(row: &Model) -> AuditHash {
    audit::hash(row, &["last_login_at"])
}

fn line(action: AuditAction, before: Option<&Model>, after: &Model) -> Line {
    let target = Target::User(UserId(after.id));
    Line { action, target, before: before.map(hash), after: Some(hash(after)) }
}

fn is_owner(row: &Model) -> bool {
    row.is_active && row.role == Role::Owner.as_str()
}

async fn owners(db: &impl ConnectionTrait, tenant_id: TenantId) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::TenantId.eq(tenant_id.0))
        .filter(Column::Role.eq(Role::Owner.as_str()))
        .filter(Column::IsActive.eq(true))
        .count(db)
        .await
}

fn updated(mut row: Model, change: &UserChange) -> Model {
    if let Some(name) = &change.full_name {
        row.folded_name = folded(name.as_deref());
        row.full_name.clone_from(name);
    }
    if let Some(role) = change.role {
        row.role = role.as_str().to_owned();
    }
    row.is_active = change.is_active.unwrap_or(row.is_active);
    row
}

async fn write(db: &impl ConnectionTrait, row: &Model) -> Result<(), DbErr> {
    let columns = ActiveModel {
        full_name: Set(row.full_name.clone()),
        folded_name: Set(row.folded_name.clone()),
        role: Set(row.role.clone()),
        password_hash: Set(row.password_hash.clone()),
        must_change_password: Set(row.must_change_password),
        is_active: Set(row.is_active),
        ..Default::default()
    };
    let is = Condition::all().add(Column::TenantId.eq(row.tenant_id)).add(Column::Id.eq(row.id));
    Entity::update_many().set(columns).filter(is).exec(db).await.map(|_| ())
}

/// Whether the address or the name has this in it. Both columns are in lower case.
fn mentions(text: &str) -> Condition {
    let text = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let like = || LikeExpr::new(format!("%{text}%")).escape('\\');
    Condition::any().add(Column::Email.like(like())).add(Column::FoldedName.like(like()))
}

fn folded(name: Option<&str>) -> String {
    name.map(str::to_lowercase).unwrap_or_default()
}

/// Inserts a user and answers with what there is to note.
pub(crate) async fn insert(
    db: &impl ConnectionTrait,
    user: &User,
) -> Result<Result<Line, CreateError>, DbErr> {
    let row = Model {
        tenant_id: user.tenant_id.0,
        id: user.id.0,
        email: user.email.to_string(),
        folded_name: folded(user.full_name.as_deref()),
        full_name: user.full_name.clone(),
        role: user.role.as_str().to_owned(),
        password_hash: user.password_hash.0.clone(),
        must_change_password: user.must_change_password,
        is_active: user.is_active,
        created_at: user.created_at.as_micros(),
        last_login_at: user.last_login_at.map(Timestamp::as_micros),
    };
    let line = line(AuditAction::UserCreated, None, &row);
    match Entity::insert(row.into_active_model().reset_all()).exec_without_returning(db).await {
        Ok(_) => Ok(Ok(line)),
        Err(error) => match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Ok(Err(CreateError::EmailTaken)),
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Ok(Err(CreateError::NoSuchTenant)),
            _ => Err(error),
        },
    }
}

/// Notes a login on the user's row, with a newer hash of the same password if there is one.
pub(super) async fn logged_in(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    id: UserId,
    rehashed: Option<&PasswordHash>,
    at: Timestamp,
) -> Result<(), DbErr> {
    let mut update = Entity::update_many().col_expr(Column::LastLoginAt, Expr::value(at.as_micros()));
    if let Some(PasswordHash(hash)) = rehashed {
        update = update.col_expr(Column::PasswordHash, Expr::value(hash.as_str()));
    }
    let is = Condition::all().add(Column::TenantId.eq(tenant_id.0)).add(Column::Id.eq(id.0));
    update.filter(is).exec(db).await.map(|_| ())
}

/// Reads a user.
pub(super) fn user(row: Model) -> Result<User, UnreadableRow> {
    let unreadable = |column| UnreadableRow { table: "users", column, row: row.id.to_string() };
    Ok(User {
        email: row::parsed(&row.email).ok_or_else(|| unreadable("email"))?,
        role: row::parsed(&row.role).ok_or_else(|| unreadable("role"))?,
        id: UserId(row.id),
        tenant_id: TenantId(row.tenant_id),
        full_name: row.full_name,
        password_hash: PasswordHash(row.password_hash),
        must_change_password: row.must_change_password,
        is_active: row.is_active,
        created_at: Timestamp::from_micros(row.created_at),
        last_login_at: row.last_login_at.map(Timestamp::from_micros),
    })
}
