//! Sessions and their refresh tokens.

use pulsestream_domain::{
    Timestamp,
    identity::{AuditAction, Origin, PasswordHash, Session, SessionId, Target, TokenDigest, User, UserId},
    ports::StoreError,
    tenant::{Tenant, TenantId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _,
    QueryFilter as _, sea_query::Expr,
};

use super::{
    audit::{Line, note},
    users,
};
use crate::{
    Store,
    entity::{
        refresh_tokens,
        sessions::{ActiveModel, Column, Entity, Model},
        tenants,
    },
};

/// What became of a refresh token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refreshed {
    /// It was good. The next one is in its place.
    Next {
        /// The session that goes on.
        session: Session,
        /// Whose it is.
        user: Box<User>,
    },
    /// It was used before: the session was ended.
    Reused,
    /// There is none, it is too old, or its session is over.
    Refused,
}

impl Store {
    /// Begins a session with its first refresh token, and notes the login. `rehashed` takes the place of the hash
    /// of the same password.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin_session(
        &self,
        session: &Session,
        token: &TokenDigest,
        rehashed: Option<&PasswordHash>,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let Session { tenant_id, user_id, .. } = *session;
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            let row = ActiveModel {
                tenant_id: Set(tenant_id.0),
                id: Set(session.id.0),
                user_id: Set(user_id.0),
                token_life_secs: Set(session.token_life_secs),
                created_at: Set(session.created_at.as_micros()),
                expires_at: Set(session.expires_at.as_micros()),
                ended_at: Set(session.ended_at.map(Timestamp::as_micros)),
            };
            Entity::insert(row).exec_without_returning(&transaction).await?;
            insert_token(&transaction, session, token, session.created_at).await?;
            users::logged_in(&transaction, tenant_id, user_id, rehashed, session.created_at).await?;
            let line = Line::of(AuditAction::LoginSucceeded, Target::Session(session.id));
            note(&transaction, tenant_id, origin, [line]).await?;
            transaction.commit().await
        })
        .await
    }

    /// A session with its user and tenant as they are now, whatever state they are in.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn session(
        &self,
        tenant_id: TenantId,
        id: SessionId,
    ) -> Result<Option<(Session, User, Tenant)>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let found = self
            .read(async {
                let Some(session) = Entity::find_by_id((tenant_id.0, id.0)).one(lookups).await? else {
                    return Ok(None);
                };
                let user = users::find(tenant_id, UserId(session.user_id)).one(lookups).await?;
                let tenant = tenants::Entity::find_by_id(tenant_id.0).one(lookups).await?;
                Ok(user.zip(tenant).map(|(user, tenant)| (session, user, tenant)))
            })
            .await?;
        let Some((row, user, tenant)) = found else { return Ok(None) };
        Ok(Some((session(&row), users::user(user)?, crate::tenants::tenant(tenant)?)))
    }

    /// Takes a refresh token and puts the next one in its place. One that was used before ends its session, for
    /// whoever used it first may not be its owner.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn refresh_session(
        &self,
        tenant_id: TenantId,
        presented: &TokenDigest,
        next: &TokenDigest,
        origin: &Origin,
    ) -> Result<Refreshed, StoreError> {
        let now = origin.at;
        let refreshed = self
            .change(async {
                let transaction = self.begin(tenant_id).await?;
                let used = use_token(&transaction, tenant_id, presented, now).await?;
                let key = (tenant_id.0, presented.0.to_vec());
                let Some(token) = refresh_tokens::Entity::find_by_id(key).one(&transaction).await? else {
                    return Ok(None);
                };
                let id = SessionId(token.session_id);
                let Some(row) = Entity::find_by_id((tenant_id.0, id.0)).one(&transaction).await? else {
                    return Ok(None);
                };
                let session = session(&row);
                if !session.is_live(now) {
                    return Ok(None);
                }
                if !used {
                    if token.used_at.is_some() {
                        end(&transaction, tenant_id, id, now).await?;
                        let line = Line::of(AuditAction::TokenReused, Target::Session(id));
                        note(&transaction, tenant_id, origin, [line]).await?;
                        transaction.commit().await?;
                        return Ok(Some(None));
                    }
                    return Ok(None);
                }
                let user = users::find(tenant_id, session.user_id).one(&transaction).await?;
                let Some(user) = user.filter(|user| user.is_active) else { return Ok(None) };
                insert_token(&transaction, &session, next, now).await?;
                transaction.commit().await?;
                Ok(Some(Some((session, user))))
            })
            .await?;
        Ok(match refreshed {
            None => Refreshed::Refused,
            Some(None) => Refreshed::Reused,
            Some(Some((session, user))) => Refreshed::Next { session, user: Box::new(users::user(user)?) },
        })
    }

    /// The session that a refresh token belongs to, whatever state both are in.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn session_of_token(
        &self,
        tenant_id: TenantId,
        token: &TokenDigest,
    ) -> Result<Option<Session>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = async {
            let key = (tenant_id.0, token.0.to_vec());
            let Some(token) = refresh_tokens::Entity::find_by_id(key).one(lookups).await? else {
                return Ok(None);
            };
            Entity::find_by_id((tenant_id.0, token.session_id)).one(lookups).await
        };
        Ok(self.read(find).await?.map(|row| session(&row)))
    }

    /// Ends a session. Answers whether it was still going on.
    ///
    /// # Errors
    /// When the store does not answer. Doing it again is harmless.
    pub async fn end_session(
        &self,
        tenant_id: TenantId,
        id: SessionId,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            let was_live = end(&transaction, tenant_id, id, origin.at).await?;
            if was_live {
                let line = Line::of(AuditAction::SessionEnded, Target::Session(id));
                note(&transaction, tenant_id, origin, [line]).await?;
            }
            transaction.commit().await?;
            Ok(was_live)
        })
        .await
    }
}

/// Marks a token as used, if it is good. Of several at the same time, one succeeds.
async fn use_token(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    token: &TokenDigest,
    now: Timestamp,
) -> Result<bool, DbErr> {
    use refresh_tokens::{Column, Entity};
    let used = Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(now.as_micros()))
        .filter(Column::TenantId.eq(tenant_id.0))
        .filter(Column::Digest.eq(token.0.to_vec()))
        .filter(Column::UsedAt.is_null())
        .filter(Column::ExpiresAt.gt(now.as_micros()))
        .exec(db)
        .await?;
    Ok(used.rows_affected > 0)
}

async fn insert_token(
    db: &impl ConnectionTrait,
    session: &Session,
    token: &TokenDigest,
    now: Timestamp,
) -> Result<(), DbErr> {
    let row = refresh_tokens::ActiveModel {
        tenant_id: Set(session.tenant_id.0),
        digest: Set(token.0.to_vec()),
        session_id: Set(session.id.0),
        expires_at: Set(session.token_expires_at(now).as_micros()),
        used_at: Set(None),
    };
    refresh_tokens::Entity::insert(row).exec_without_returning(db).await.map(|_| ())
}

async fn end(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    id: SessionId,
    at: Timestamp,
) -> Result<bool, DbErr> {
    end_where(db, tenant_id, Condition::all().add(Column::Id.eq(id.0)), at).await
}

/// Ends the sessions of a user, but for one.
pub(super) async fn end_all(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    user_id: UserId,
    keep: Option<SessionId>,
    at: Timestamp,
) -> Result<(), DbErr> {
    let others =
        Condition::all().add(Column::UserId.eq(user_id.0)).add_option(keep.map(|keep| Column::Id.ne(keep.0)));
    end_where(db, tenant_id, others, at).await.map(|_| ())
}

async fn end_where(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    which: Condition,
    at: Timestamp,
) -> Result<bool, DbErr> {
    let ended = Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(at.as_micros()))
        .filter(Column::TenantId.eq(tenant_id.0))
        .filter(which)
        .filter(Column::EndedAt.is_null())
        .exec(db)
        .await?;
    Ok(ended.rows_affected > 0)
}

fn session(row: &Model) -> Session {
    Session {
        id: SessionId(row.id),
        tenant_id: TenantId(row.tenant_id),
        user_id: UserId(row.user_id),
        token_life_secs: row.token_life_secs,
        created_at: Timestamp::from_micros(row.created_at),
        expires_at: Timestamp::from_micros(row.expires_at),
        ended_at: row.ended_at.map(Timestamp::from_micros),
    }
}
