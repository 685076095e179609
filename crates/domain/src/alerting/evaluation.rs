//! What an evaluation reads, and what it commits.

use std::collections::BTreeMap;

use super::{Alert, AlertId, Channel, Delivery, Fingerprint, Labels, Rule, RuleId, Silence, TimelineEntry};
use crate::{
    Timestamp,
    job::{JobKind, Lease, Settlement},
    tenant::TenantId,
};

/// Evaluating one rule at one tick. The key of the job is the rule's id; it has no payload.
pub const EVALUATE_RULE: JobKind = JobKind::named("evaluate_rule");

/// Everything that decides what an observation means, as of one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleState {
    /// The rule.
    pub rule: Rule,
    /// Its alerts that are not resolved.
    pub open: Vec<Alert>,
    /// When it raised alerts within the hour before the evaluation, and later than it; in any order.
    pub triggered_last_hour: Vec<Timestamp>,
    /// When each group's last alert was raised, where that is within the rule's cooldown before the evaluation,
    /// or later than it.
    pub last_triggered: BTreeMap<Fingerprint, Timestamp>,
    /// All channels of the tenant.
    pub channels: Vec<Channel>,
    /// The silences of the tenant that have not ended.
    pub silences: Vec<Silence>,
}

/// What an evaluation wants to change.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Transition {
    /// New alerts.
    pub opened: Vec<Alert>,
    /// Alerts that were there and are different now, whole.
    pub changed: Vec<Alert>,
    /// Alerts that were pending and came to nothing: they are deleted, with their timelines.
    pub discarded: Vec<AlertId>,
    /// New entries, in order.
    pub timeline: Vec<TimelineEntry>,
    /// New deliveries; each gets a job that is due at its `next_attempt_at`.
    pub deliveries: Vec<Delivery>,
    /// The alerts among the opened and changed ones that were raised now.
    pub triggered: Vec<AlertId>,
    /// Groups that should have been raised and were not. Nothing is stored of them.
    pub held_back: Vec<(Labels, HeldBack)>,
}

/// Why no alert was raised though the condition holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HeldBack {
    /// The last alert of the group was raised less than the rule's cooldown ago.
    Cooldown,
    /// The rule has raised all the alerts it may in an hour.
    HourlyLimit,
}

impl Transition {
    /// Whether nothing is to be stored.
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty()
            && self.changed.is_empty()
            && self.discarded.is_empty()
            && self.timeline.is_empty()
            && self.deliveries.is_empty()
    }
}

/// One evaluation that changes something.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluation {
    /// Whose.
    pub tenant_id: TenantId,
    /// Of which rule.
    pub rule_id: RuleId,
    /// The rule's revision when the evaluation began.
    pub revision: i64,
    /// The instant it stands for.
    pub at: Timestamp,
    /// What to change.
    pub transition: Transition,
    /// The job it was done for, and what becomes of it; none when somebody asked for it.
    pub settlement: Option<(Lease, Settlement)>,
}

/// What became of an evaluation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Committed {
    /// Everything was stored.
    Committed,
    /// Nothing was stored: the job belongs to somebody else now.
    LeaseLost,
    /// Nothing was stored: the rule or one of its alerts was changed meanwhile, or deleted. The job is as it was.
    Changed,
}
