//! What each event is answered.

use pulsestream_domain::{
    Timestamp,
    event::{EventId, FieldError},
    ports::StoreError,
};
use pulsestream_rate_limit::Usage;

/// The answer to one request: one outcome per event offered, in the same order.
#[derive(Clone, PartialEq, Debug)]
pub struct Receipt {
    /// The client's name for the batch, as given.
    pub batch_id: Option<String>,
    /// As many as there were events.
    pub outcomes: Vec<EventOutcome>,
    /// When the request was taken in.
    pub ingested_at: Timestamp,
    /// Where the tenant stands with its limit, after this request.
    pub usage: Usage,
    /// Whether nothing was stored or counted on purpose.
    pub dry_run: bool,
}

/// One event's id, as far as it is known, and what became of it.
#[derive(Clone, PartialEq, Debug)]
pub struct EventOutcome {
    /// The client's id, or the one the event was given; `None` when it could not be read.
    pub event_id: Option<EventId>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one event. Exactly one of these, always.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// Stored, durable, and found by searches from now on.
    Accepted {
        /// When it was taken in.
        ingested_at: Timestamp,
    },
    /// It was stored before.
    Duplicate {
        /// When it was taken in first.
        ingested_at: Timestamp,
    },
    /// Its id belongs to a stored event with other content, which was left alone.
    Conflict {
        /// When the stored one was taken in.
        ingested_at: Timestamp,
    },
    /// It breaks rules. It was not stored, and sending it again unchanged is pointless.
    Rejected(Vec<FieldError>),
    /// The tenant is over its limit. It was not stored; later it may be.
    Throttled {
        /// Whole seconds, at least 1, until an event may fit.
        retry_after_seconds: u64,
    },
    /// The store did not answer for it. Send it again with the same id.
    Failed(Failure),
}

/// Why the store did not answer for an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// It can't be reached. Not stored.
    Unavailable,
    /// Others are in its way. Not stored.
    Busy,
    /// It has no room left. Not stored.
    Full,
    /// The connection broke while committing. Stored or not: sending it again tells.
    OutcomeUnknown,
    /// Too much is waiting already. Not stored.
    Overloaded,
    /// Something that should not happen. The log says what.
    Unexpected,
}

impl Failure {
    /// Every failure.
    pub const ALL: [Self; 6] =
        [Self::Unavailable, Self::Busy, Self::Full, Self::OutcomeUnknown, Self::Overloaded, Self::Unexpected];

    /// The stable code on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "store_unavailable",
            Self::Busy => "busy",
            Self::Full => "store_full",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Overloaded => "overloaded",
            Self::Unexpected => "internal",
        }
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::Busy(_) | StoreError::TimedOut(_) => Self::Busy,
            StoreError::Full(_) => Self::Full,
            StoreError::OutcomeUnknown(_) => Self::OutcomeUnknown,
            StoreError::Unstorable(_) | StoreError::Unexpected(_) => Self::Unexpected,
        }
    }
}

/// How many events had which outcome. They add up to the number offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// New and stored.
    pub accepted: usize,
    /// Stored before.
    pub duplicate: usize,
    /// Against the rules, or in conflict with a stored event.
    pub rejected: usize,
    /// Over the limit.
    pub throttled: usize,
    /// Not answered by the store.
    pub failed: usize,
}

impl Receipt {
    /// Counts the outcomes.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for item in &self.outcomes {
            match item.outcome {
                Outcome::Accepted { .. } => counts.accepted += 1,
                Outcome::Duplicate { .. } => counts.duplicate += 1,
                Outcome::Conflict { .. } | Outcome::Rejected(_) => counts.rejected += 1,
                Outcome::Throttled { .. } => counts.throttled += 1,
                Outcome::Failed(_) => counts.failed += 1,
            }
        }
        counts
    }
}
