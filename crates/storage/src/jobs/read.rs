//! From rows to jobs.

use pulsestream_domain::{
    Timestamp,
    job::{DeadJob, JobId, Lease, LeasedJob, Reason},
    tenant::TenantId,
};

use crate::{entity::jobs::Model, error::UnreadableRow, row};

pub(super) fn leased(job: Model) -> Result<LeasedJob, UnreadableRow> {
    let unreadable = unreadable(&job);
    Ok(LeasedJob {
        lease: Lease { tenant_id: TenantId(job.tenant_id), id: JobId(job.id), token: job.token },
        kind: row::parsed(&job.kind).ok_or_else(|| unreadable("kind"))?,
        payload: job.payload,
        unique_key: job.unique_key,
        due_at: Timestamp::from_micros(job.due_at),
        attempt: job.attempts.try_into().map_err(|_| unreadable("attempts"))?,
    })
}

pub(super) fn dead(job: Model) -> Result<DeadJob, UnreadableRow> {
    let unreadable = unreadable(&job);
    Ok(DeadJob {
        id: JobId(job.id),
        kind: row::parsed(&job.kind).ok_or_else(|| unreadable("kind"))?,
        payload: job.payload,
        unique_key: job.unique_key,
        due_at: Timestamp::from_micros(job.due_at),
        attempts: job.attempts.try_into().map_err(|_| unreadable("attempts"))?,
        dead_at: Timestamp::from_micros(job.dead_at.ok_or_else(|| unreadable("dead_at"))?),
        reason: Reason::new(&job.error.ok_or_else(|| unreadable("error"))?),
    })
}

fn unreadable(job: &Model) -> impl Fn(&'static str) -> UnreadableRow + use<> {
    let row = format!("tenant_id {}, id {}", job.tenant_id, job.id);
    move |column| UnreadableRow { table: "jobs", column, row: row.clone() }
}
