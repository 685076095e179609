//! Who does the work, and what they say about it.

use std::time::Duration;

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    job::{JobKind, LeasedJob, Reason},
};

/// Does the jobs of one kind.
///
/// A job may be run more than once: its worker can be lost after the work and before the verdict. So either
/// doing it twice is as good as once, or its effect and its settlement are one transaction
/// ([`Verdict::SettledAlready`]).
#[async_trait]
pub trait Handler: Send + Sync {
    /// The kind it does.
    fn kind(&self) -> JobKind;

    /// Makes one attempt.
    ///
    /// It is dropped at any `await` when the lease is lost, when it takes longer than
    /// [`KindSettings::time_limit`](crate::KindSettings::time_limit), or when the time to shut down is over. A panic is a failed attempt.
    async fn run(&self, job: &LeasedJob) -> Verdict;
}

/// What a handler says about its attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The job is done.
    Done,
    /// Nothing is left to say: a transaction of the handler has settled the job, or found its lease lost and
    /// changed nothing. If that is not so, the job is tried again when its lease is over.
    SettledAlready,
    /// Done for its moment; it stands for another one next.
    Again {
        /// The next moment. One in the past is worked on at once, so that none is left out.
        due_at: Timestamp,
    },
    /// The attempt failed. The job is tried again, or given up after its last attempt.
    Retry {
        /// How long to wait at least; `None` leaves it to the backoff of the kind.
        after: Option<Duration>,
        /// What went wrong. Kept, and shown to whoever may see the job: no secrets.
        error: Reason,
    },
    /// The job can't be done, however often it is tried.
    Bury {
        /// Why. Kept, and shown to whoever may see the job: no secrets.
        reason: Reason,
    },
}

impl Verdict {
    /// A failed attempt that leaves it to the backoff when to try again.
    pub fn retry(error: impl Into<Reason>) -> Self {
        Self::Retry { after: None, error: error.into() }
    }

    /// A job that can't be done.
    pub fn bury(reason: impl Into<Reason>) -> Self {
        Self::Bury { reason: reason.into() }
    }
}
