//! Live jobs by their key.

use pulsestream_domain::{Timestamp, job::JobKind, tenant::TenantId};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, ExprTrait as _, QueryFilter as _,
    sea_query::Expr,
};

use crate::entity::jobs::{Column, Entity};

/// Moves a job as part of the caller's transaction. See
/// [`JobQueue::reschedule`](pulsestream_domain::ports::JobQueue::reschedule).
pub(crate) async fn reschedule_in(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    kind: &JobKind,
    unique_key: &str,
    due_at: Timestamp,
) -> Result<bool, DbErr> {
    let moved = Entity::update_many()
        .filter(live(tenant_id, kind, unique_key))
        .col_expr(Column::DueAt, Expr::value(due_at.as_micros()))
        .col_expr(Column::RunAt, Expr::value(due_at.as_micros()))
        .col_expr(Column::Attempts, Expr::value(0))
        .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(Column::Error, Expr::value(None::<String>))
        // Whoever works on it now works on what it was.
        .col_expr(Column::Token, Expr::col(Column::Token).add(1))
        .exec(db)
        .await?;
    Ok(moved.rows_affected > 0)
}

/// Removes a job as part of the caller's transaction. See
/// [`JobQueue::cancel`](pulsestream_domain::ports::JobQueue::cancel).
pub(crate) async fn cancel_in(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    kind: &JobKind,
    unique_key: &str,
) -> Result<bool, DbErr> {
    let removed = Entity::delete_many().filter(live(tenant_id, kind, unique_key)).exec(db).await?;
    Ok(removed.rows_affected > 0)
}

fn live(tenant_id: TenantId, kind: &JobKind, unique_key: &str) -> Condition {
    Condition::all()
        .add(Column::TenantId.eq(tenant_id.0))
        .add(Column::Kind.eq(kind.as_str()))
        .add(Column::UniqueKey.eq(unique_key))
        .add(Column::DeadAt.is_null())
}
