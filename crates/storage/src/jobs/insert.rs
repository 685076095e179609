//! Taking jobs in.

use std::collections::HashSet;

use pulsestream_domain::job::{Enqueued, NewJob};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use serde_json::json;

use crate::lists::{Column, hex, key, rows, values};

const COLUMNS: [(&str, Column); 7] = [
    ("tenant_id", Column::Uuid),
    ("id", Column::Uuid),
    ("kind", Column::Text),
    ("unique_key", Column::Text),
    ("payload", Column::Text),
    ("priority", Column::Integer),
    ("due_at", Column::Integer),
];

/// Takes in jobs as part of the caller's transaction. See
/// [`JobQueue::enqueue`](pulsestream_domain::ports::JobQueue::enqueue).
pub(crate) async fn insert_in(db: &impl ConnectionTrait, jobs: &[NewJob]) -> Result<Vec<Enqueued>, DbErr> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    // In the order of the unique index: two transactions that share keys in different orders would wait for
    // each other.
    let mut sorted: Vec<&NewJob> = jobs.iter().collect();
    sorted.sort_by_key(|job| (job.tenant_id, &job.kind, &job.unique_key));
    let list: Vec<_> = sorted.into_iter().map(row).collect();
    let backend = db.get_database_backend();
    // SQLite takes an `ON` after a `FROM` for a join, unless there is a `WHERE` between them.
    let text = format!(
        "INSERT INTO jobs
             (tenant_id, id, kind, unique_key, payload, priority, due_at, run_at, attempts, token)
         SELECT tenant_id, id, kind, unique_key, payload, priority, due_at, due_at, 0, 0
         FROM {} WHERE true
         ON CONFLICT DO NOTHING RETURNING tenant_id, id",
        rows(backend, &COLUMNS)
    );
    let made = db.query_all_raw(Statement::from_sql_and_values(backend, text, values(list))).await?;
    let mut made: HashSet<_> = made.iter().map(key).collect::<Result<_, _>>()?;
    let outcome = |job: &NewJob| match made.remove(&(job.tenant_id, job.id)) {
        true => Enqueued::New,
        false => Enqueued::Existing,
    };
    Ok(jobs.iter().map(outcome).collect())
}

fn row(job: &NewJob) -> serde_json::Value {
    json!({
        "tenant_id": hex(job.tenant_id.0),
        "id": hex(job.id.0),
        "kind": job.kind.as_str(),
        "unique_key": job.unique_key,
        "payload": job.payload,
        "priority": job.priority.as_number(),
        "due_at": job.due_at.as_micros(),
    })
}
