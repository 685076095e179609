//! What people change, and what became of it.

use super::{Alert, AlertStatus, Delivery, TimelineEntry};
use crate::Timestamp;

/// What became of a rule that was to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleCreated {
    /// It is there.
    Created,
    /// It is not: the tenant has all the rules it may have.
    QuotaExceeded,
}

/// What became of a rule that was to be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleChange {
    /// It is as asked for.
    Changed,
    /// Nothing was changed: it, or one of its alerts, was changed by somebody else since it was read. Read it
    /// again.
    Moved,
    /// There is no such rule.
    Gone,
}

/// What became of a channel that was to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelCreated {
    /// It is there.
    Created,
    /// It is not: another channel of the tenant has its name.
    NameTaken,
    /// It is not: the tenant has all the channels it may have.
    QuotaExceeded,
}

/// What became of a channel that was to be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelChange {
    /// It is as asked for.
    Changed,
    /// Nothing was changed: another channel of the tenant has its name.
    NameTaken,
    /// There is no such channel.
    Gone,
}

/// An alert after [`Alert::act`], with all that has to be kept with it.
#[derive(Clone, PartialEq, Debug)]
pub struct ActedAlert {
    /// The alert as it is now.
    pub alert: Alert,
    /// Where it stood before.
    pub was: AlertStatus,
    /// The [`revision`](super::Rule::revision) of its rule, read before the alert was.
    pub rule_revision: i64,
    /// What [`Alert::act`] gave.
    pub entry: TimelineEntry,
    /// What there is to say because of it; each gets a job that is due at its `next_attempt_at`.
    pub deliveries: Vec<Delivery>,
    /// When it is done.
    pub now: Timestamp,
}
