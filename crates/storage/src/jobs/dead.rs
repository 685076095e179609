//! Jobs that were given up.

use pulsestream_domain::{
    Timestamp,
    job::{DeadJob, DeadJobs, JobId, Replayed},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, SqlErr, sea_query::Expr,
};

use super::read;
use crate::{
    Store,
    entity::jobs::{Column, Entity},
};

impl Store {
    /// See [`JobQueue::dead`](pulsestream_domain::ports::JobQueue::dead).
    pub(super) async fn dead_jobs(
        &self,
        tenant_id: TenantId,
        which: &DeadJobs,
    ) -> Result<Vec<DeadJob>, StoreError> {
        let lists = &self.connections.lists.of(tenant_id);
        let mut find = Entity::find()
            .filter(Column::TenantId.eq(tenant_id.0))
            .filter(Column::DeadAt.is_not_null())
            .order_by_desc(Column::DeadAt)
            .order_by_desc(Column::Id)
            .limit(u64::from(which.limit));
        if let Some(kind) = &which.kind {
            find = find.filter(Column::Kind.eq(kind.as_str()));
        }
        if let Some((dead_at, JobId(id))) = which.after {
            let same_instant =
                Condition::all().add(Column::DeadAt.eq(dead_at.as_micros())).add(Column::Id.lt(id));
            let after = Condition::any().add(Column::DeadAt.lt(dead_at.as_micros())).add(same_instant);
            find = find.filter(after);
        }
        let rows = self.read(find.all(lists)).await?;
        Ok(rows.into_iter().map(read::dead).collect::<Result<_, _>>()?)
    }
}

/// See [`JobQueue::replay`](pulsestream_domain::ports::JobQueue::replay).
pub(super) async fn replay(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    JobId(id): JobId,
    now: Timestamp,
) -> Result<Replayed, DbErr> {
    let replayed = Entity::update_many()
        .filter(Column::TenantId.eq(tenant_id.0))
        .filter(Column::Id.eq(id))
        .filter(Column::DeadAt.is_not_null())
        .col_expr(Column::DeadAt, Expr::value(None::<i64>))
        .col_expr(Column::RunAt, Expr::value(now.as_micros()))
        .col_expr(Column::Attempts, Expr::value(0))
        .exec(db)
        .await;
    match replayed {
        Ok(replayed) if replayed.rows_affected == 0 => Ok(Replayed::NoSuchJob),
        Ok(_) => Ok(Replayed::Queued),
        Err(error) => match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Ok(Replayed::Superseded),
            _ => Err(error),
        },
    }
}

/// See [`JobQueue::purge_dead`](pulsestream_domain::ports::JobQueue::purge_dead).
pub(super) async fn purge(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    before: Timestamp,
) -> Result<u64, DbErr> {
    let purged = Entity::delete_many()
        .filter(Column::TenantId.eq(tenant_id.0))
        .filter(Column::DeadAt.lt(before.as_micros()))
        .exec(db)
        .await?;
    Ok(purged.rows_affected)
}
