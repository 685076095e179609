//! Jobs that were given up.

use super::{JobId, JobKind, Reason};
use crate::Timestamp;

/// A job that was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadJob {
    /// Which job.
    pub id: JobId,
    /// Who could not do it.
    pub kind: JobKind,
    /// See [`NewJob::payload`](super::NewJob::payload).
    pub payload: String,
    /// See [`NewJob::unique_key`](super::NewJob::unique_key).
    pub unique_key: Option<String>,
    /// The moment it stood for.
    pub due_at: Timestamp,
    /// How many attempts it had.
    pub attempts: u32,
    /// When it was given up.
    pub dead_at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// Which of a tenant's dead jobs to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadJobs {
    /// Only those of this kind.
    pub kind: Option<JobKind>,
    /// Only those that come after this one in the list: the `dead_at` and `id` of the last one seen.
    pub after: Option<(Timestamp, JobId)>,
    /// At most this many.
    pub limit: u32,
}

/// What became of a dead job that was to be tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replayed {
    /// It waits again.
    Queued,
    /// A live job has its key by now, and does its work; it stays dead.
    Superseded,
    /// There is no such dead job.
    NoSuchJob,
}
