//! The right to work on a job, and how it ends.

use super::{JobId, JobKind, Reason};
use crate::{Timestamp, tenant::TenantId};

/// What somebody could work on now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demand {
    /// Jobs of this kind. No two demands of one call have the same.
    pub kind: JobKind,
    /// At most this many.
    pub room: u32,
    /// Tenants that have their share already: their jobs are taken only when no others wait.
    pub sated: Vec<TenantId>,
}

/// The right to work on one job: for a while, and until somebody else gets a newer one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Lease {
    /// Whose the job is.
    pub tenant_id: TenantId,
    /// Which job.
    pub id: JobId,
    /// The fence: it grows with each lease of the job, so that a late holder is known by its old one.
    pub token: i64,
}

/// A job to be worked on now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeasedJob {
    /// The right to do so.
    pub lease: Lease,
    /// Who can do it.
    pub kind: JobKind,
    /// See [`NewJob::payload`](super::NewJob::payload).
    pub payload: String,
    /// See [`NewJob::unique_key`](super::NewJob::unique_key).
    pub unique_key: Option<String>,
    /// The moment it stands for.
    pub due_at: Timestamp,
    /// Which attempt this is for that moment, from 1 on. Attempts of workers that were lost count.
    pub attempt: u32,
}

/// Whether a lease still held when it was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaseCheck {
    /// It held, and what was asked is done.
    Held,
    /// Its time was over, somebody else has the job, or there is no such job any more. Nothing was done.
    Lost,
}

/// What becomes of a leased job. Each ends the lease.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settlement {
    /// It is done, and gone.
    Complete,
    /// It is done for its moment, and waits for the next one, with all its attempts.
    Again {
        /// The next moment it stands for.
        due_at: Timestamp,
    },
    /// The attempt failed; it waits for the next one.
    Retry {
        /// When that may start.
        run_at: Timestamp,
        /// Why it failed.
        error: Reason,
    },
    /// It is given up: dead until it is replayed or purged.
    Bury {
        /// Why.
        reason: Reason,
    },
    /// Nobody got to it: it waits as before, and the attempt does not count.
    Release,
}
