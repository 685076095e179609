//! When nobody is told.

use pulsestream_domain::{
    Timestamp,
    alerting::{Listed, Silence, SilenceDraft, SilenceId},
    identity::{AuditAction, Origin, Target},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::Expr,
};

use super::rows::unreadable;
use crate::{
    Store,
    entity::silences::{ActiveModel, Column, Entity, Model},
    error::UnreadableRow,
    identity::audit::{self, Line, note},
};

impl Store {
    /// Keeps a new silence.
    ///
    /// # Errors
    /// Nothing was stored, except with [`StoreError::OutcomeUnknown`].
    pub async fn create_silence(&self, silence: &Silence, origin: &Origin) -> Result<(), StoreError> {
        let row = ActiveModel {
            tenant_id: Set(silence.tenant_id.0),
            id: Set(silence.id.0),
            matchers: Set(SilenceDraft::matchers_json(&silence.matchers).to_string()),
            starts_at: Set(silence.starts_at.as_micros()),
            ends_at: Set(silence.ends_at.as_micros()),
            created_by: Set(silence.created_by.clone()),
            comment: Set(silence.comment.clone()),
            created_at: Set(silence.created_at.as_micros()),
        };
        self.change(async {
            let transaction = self.begin(silence.tenant_id).await?;
            Entity::insert(row.clone()).exec_without_returning(&transaction).await?;
            let made = line(AuditAction::SilenceCreated, None, &Model::try_from(row)?);
            note(&transaction, silence.tenant_id, origin, [made]).await?;
            transaction.commit().await
        })
        .await
    }

    /// The tenant's silences, those that are over too: by when they end, the last one first.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn silences(
        &self,
        tenant_id: TenantId,
        limit: u32,
        offset: u64,
    ) -> Result<Listed<Silence>, StoreError> {
        let find = Entity::find().filter(Column::TenantId.eq(tenant_id.0));
        let queries = &self.connections.lists.of(tenant_id);
        let (total, rows) = self
            .query(async {
                let total = find.clone().count(queries).await?;
                let rows = find
                    .order_by_desc(Column::EndsAt)
                    .order_by_desc(Column::Id)
                    .limit(u64::from(limit))
                    .offset(offset)
                    .all(queries)
                    .await?;
                Ok((total, rows))
            })
            .await?;
        Ok(Listed { items: rows.into_iter().map(silence).collect::<Result<_, _>>()?, total })
    }

    /// The tenant's silence with this id.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn silence(&self, tenant_id: TenantId, id: SilenceId) -> Result<Option<Silence>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find().filter(is(tenant_id, id)).one(lookups);
        Ok(self.read(find).await?.map(silence).transpose()?)
    }

    /// Ends a silence now; one that is over stays over since then. Answers whether the tenant has such a silence.
    ///
    /// # Errors
    /// Doing it again is harmless.
    pub async fn end_silence(
        &self,
        tenant_id: TenantId,
        id: SilenceId,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let now = origin.at.as_micros();
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            let find = Entity::find().filter(is(tenant_id, id)).lock_exclusive();
            let Some(before) = find.one(&transaction).await? else { return Ok(false) };
            if before.ends_at > now {
                Entity::update_many()
                    .col_expr(Column::EndsAt, Expr::value(now))
                    .filter(is(tenant_id, id))
                    .exec(&transaction)
                    .await?;
                let after = Model { ends_at: now, ..before.clone() };
                let ended = line(AuditAction::SilenceEnded, Some(&before), &after);
                note(&transaction, tenant_id, origin, [ended]).await?;
            }
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }
}

/// The tenant's silences that have not ended at this instant, by id.
pub(super) async fn not_ended(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    at: Timestamp,
) -> Result<Vec<Silence>, DbErr> {
    let rows = Entity::find()
        .filter(Column::TenantId.eq(tenant_id.0))
        .filter(Column::EndsAt.gt(at.as_micros()))
        .order_by_asc(Column::Id)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(silence).collect::<Result<_, _>>()?)
}

fn is(tenant_id: TenantId, id: SilenceId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant_id.0)).add(Column::Id.eq(id.0))
}

fn line(action: AuditAction, before: Option<&Model>, after: &Model) -> Line {
    let hash = |row: &Model| audit::hash(row, &[]);
    let target = Target::Silence(SilenceId(after.id));
    Line { action, target, before: before.map(hash), after: Some(hash(after)) }
}

fn silence(row: Model) -> Result<Silence, UnreadableRow> {
    let unreadable = unreadable("silences", row.tenant_id, row.id);
    let list = serde_json::from_str(&row.matchers).map_err(|_| unreadable("matchers"))?;
    Ok(Silence {
        tenant_id: TenantId(row.tenant_id),
        id: SilenceId(row.id),
        matchers: SilenceDraft::stored_matchers(list).map_err(|_| unreadable("matchers"))?,
        starts_at: Timestamp::from_micros(row.starts_at),
        ends_at: Timestamp::from_micros(row.ends_at),
        created_by: row.created_by,
        comment: row.comment,
        created_at: Timestamp::from_micros(row.created_at),
    })
}
