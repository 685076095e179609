//! How work is done.

use std::time::Duration;

use crate::Backoff;

/// How all kinds are worked on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How long a worker that says nothing keeps a job; extended every third of it while the work goes on. The
    /// jobs of a process that is gone are taken up by others after this long at most, plus the poll interval.
    pub lease: Duration,
    /// How long to wait between two looks for jobs that came due, or that other processes enqueued. What this
    /// process enqueues is seen at once.
    pub poll_interval: Duration,
    /// How long to wait between two counts of the queue, for the metrics.
    pub count_interval: Duration,
}

impl Default for Settings {
    /// A lease of 30 seconds; a look every second, a count every 15.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            count_interval: Duration::from_secs(15),
        }
    }
}

/// How the jobs of one kind are worked on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KindSettings {
    /// How many are run at a time in this process; at least 1. While several tenants have jobs waiting, none of
    /// them gets more than half of it.
    pub concurrency: u32,
    /// After how many failed attempts a job is given up; at least 1. An attempt whose worker was lost is a
    /// failed one.
    pub max_attempts: u32,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// How long one attempt may take; longer is a failed one.
    pub time_limit: Duration,
}

impl Default for KindSettings {
    /// 4 at a time, 10 attempts of a minute at most, and the usual [`Backoff`].
    fn default() -> Self {
        Self {
            concurrency: 4,
            max_attempts: 10,
            backoff: Backoff::default(),
            time_limit: Duration::from_secs(60),
        }
    }
}
