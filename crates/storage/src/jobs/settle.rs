//! What is done under leases.

use pulsestream_domain::{
    Timestamp,
    job::{Lease, LeaseCheck, Settlement},
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};
use serde_json::{Value, json};

use crate::lists::{Column, checks, hex, rows, values};

const LEASE: [(&str, Column); 3] =
    [("of_tenant", Column::Uuid), ("of_job", Column::Uuid), ("of_token", Column::Integer)];

const KEPT: [(&str, Column); 7] = [
    LEASE[0],
    LEASE[1],
    LEASE[2],
    ("outcome", Column::Text),
    ("next_due_at", Column::Integer),
    ("next_run_at", Column::Integer),
    ("why", Column::Text),
];

/// Settles as part of the caller's transaction. See
/// [`JobQueue::settle`](pulsestream_domain::ports::JobQueue::settle).
pub(crate) async fn settle_in(
    db: &impl ConnectionTrait,
    settlements: &[(Lease, Settlement)],
    now: Timestamp,
) -> Result<Vec<LeaseCheck>, DbErr> {
    let (mut completed, mut kept) = (Vec::new(), Vec::new());
    for (lease, settlement) in settlements {
        match kept_row(lease, settlement) {
            Some(row) => kept.push(row),
            None => completed.push(lease_row(lease)),
        }
    }
    let backend = db.get_database_backend();
    let mut done = Vec::new();
    if !completed.is_empty() {
        let text = format!(
            "DELETE FROM jobs
             WHERE (tenant_id, id, token) IN (SELECT of_tenant, of_job, of_token FROM {})
               AND lease_until > $3
             RETURNING tenant_id, id",
            rows(backend, &LEASE)
        );
        done = query(db, text, completed, [now]).await?;
    }
    if !kept.is_empty() {
        let text = format!(
            "UPDATE jobs SET
                 due_at = coalesce(next_due_at, due_at),
                 run_at = coalesce(next_run_at, run_at),
                 attempts = CASE outcome WHEN 'again' THEN 0 WHEN 'release' THEN attempts - 1
                                         ELSE attempts END,
                 error = CASE outcome WHEN 'again' THEN NULL ELSE coalesce(why, error) END,
                 dead_at = CASE outcome WHEN 'bury' THEN CAST($3 AS bigint) END,
                 lease_until = NULL
             FROM {}
             WHERE tenant_id = of_tenant AND id = of_job AND token = of_token AND lease_until > $3
             RETURNING tenant_id, id",
            rows(backend, &KEPT)
        );
        done.extend(query(db, text, kept, [now]).await?);
    }
    checks(settlements.iter().map(|(lease, _)| lease), &done)
}

/// See [`JobQueue::extend`](pulsestream_domain::ports::JobQueue::extend).
pub(super) async fn extend(
    db: &impl ConnectionTrait,
    leases: &[Lease],
    lease_until: Timestamp,
    now: Timestamp,
) -> Result<Vec<LeaseCheck>, DbErr> {
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let backend = db.get_database_backend();
    let text = format!(
        "UPDATE jobs SET lease_until = $4 FROM {}
         WHERE tenant_id = of_tenant AND id = of_job AND token = of_token AND lease_until > $3
         RETURNING tenant_id, id",
        rows(backend, &LEASE)
    );
    let done = query(db, text, leases.iter().map(lease_row).collect(), [now, lease_until]).await?;
    checks(leases.iter(), &done)
}

/// Runs a statement on a list and some instants.
async fn query<const N: usize>(
    db: &impl ConnectionTrait,
    text: String,
    list: Vec<Value>,
    instants: [Timestamp; N],
) -> Result<Vec<QueryResult>, DbErr> {
    let instants = instants.map(|instant| instant.as_micros().into());
    let values = values(list).into_iter().chain(instants);
    db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), text, values)).await
}

fn lease_row(lease: &Lease) -> Value {
    json!({"of_tenant": hex(lease.tenant_id.0), "of_job": hex(lease.id.0), "of_token": lease.token})
}

/// What becomes of a job that stays; nothing for one that goes.
fn kept_row(lease: &Lease, settlement: &Settlement) -> Option<Value> {
    let mut row = lease_row(lease);
    match settlement {
        Settlement::Complete => return None,
        Settlement::Again { due_at } => {
            row["outcome"] = "again".into();
            row["next_due_at"] = due_at.as_micros().into();
            row["next_run_at"] = due_at.as_micros().into();
        }
        Settlement::Retry { run_at, error } => {
            row["outcome"] = "retry".into();
            row["next_run_at"] = run_at.as_micros().into();
            row["why"] = error.as_str().into();
        }
        Settlement::Bury { reason } => {
            row["outcome"] = "bury".into();
            row["why"] = reason.as_str().into();
        }
        Settlement::Release => row["outcome"] = "release".into(),
    }
    Some(row)
}
