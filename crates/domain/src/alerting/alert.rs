//! One alert, and what people may do to it.

use serde_json::{Map, Value};

use super::{AlertId, AlertSeverity, AlertStatus, Fingerprint, Labels, RuleId, TimelineEntry, TimelineKind};
use crate::{Timestamp, event::names::names, tenant::TenantId};

/// A rule that fires, or is about to, for one group. At most one per rule and fingerprint is unresolved.
#[derive(Clone, PartialEq, Debug)]
pub struct Alert {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Never changes.
    pub id: AlertId,
    /// The rule it belongs to.
    pub rule_id: RuleId,
    /// The rule's name when the alert began.
    pub rule_name: String,
    /// What it is about, as an identity.
    pub fingerprint: Fingerprint,
    /// What it is about.
    pub labels: Labels,
    /// One line, at most 255 characters.
    pub title: String,
    /// At most 4 KiB.
    pub message: String,
    /// The rule's severity, as of the last evaluation that looked.
    pub severity: AlertSeverity,
    /// Where it stands.
    pub status: AlertStatus,
    /// What the condition measured when it was raised (when it began, while it is pending).
    pub value: Option<f64>,
    /// What else was seen then.
    pub trigger_data: Map<String, Value>,
    /// The first evaluation that found the condition to hold.
    pub started_at: Timestamp,
    /// When it was raised; none while it is pending.
    pub triggered_at: Option<Timestamp>,
    /// Since when the condition has not held any more, while the rule's `keep_firing_for` runs.
    pub clear_since: Option<Timestamp>,
    /// When somebody took it on, and who.
    pub acknowledged_at: Option<Timestamp>,
    /// See `acknowledged_at`.
    pub acknowledged_by: Option<String>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// Who resolved it: `system` when the condition did not hold any more.
    pub resolved_by: Option<String>,
    /// Why.
    pub resolution_note: Option<String>,
    /// Whether a silence keeps its notices back.
    pub is_silenced: bool,
    /// What its receivers were last told.
    pub notified: Option<Notified>,
    /// When anything of it last changed. An evaluation of an earlier instant leaves it alone.
    pub changed_at: Timestamp,
}

/// The last notice that an alert fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notified {
    /// When it was put on its way.
    pub at: Timestamp,
    /// How bad it said it was.
    pub severity: AlertSeverity,
}

names! {
    /// What a person may do to an alert.
    Action {
        /// Take it on.
        Acknowledge = "acknowledge",
        /// Stop its notices.
        Suppress = "suppress",
        /// Make it active again.
        Reactivate = "reactivate",
        /// End it. If the condition still holds, it begins anew after the rule's cooldown.
        Resolve = "resolve",
    }
}

/// The action does not fit an alert that stands where this one does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not possible while the alert is {status}")]
pub struct WrongStatus {
    /// Where it stands.
    pub status: AlertStatus,
}

impl Alert {
    /// Does what a person asks for. `None` when that was done already, which changes nothing.
    ///
    /// A store keeps the alert and the entry in one transaction, in which it also increments the
    /// [`revision`](super::Rule::revision) of the rule.
    ///
    /// # Errors
    /// [`WrongStatus`] when nothing but an alert that stands elsewhere can take the action.
    pub fn act(
        &mut self,
        action: Action,
        by: &str,
        note: Option<&str>,
        at: Timestamp,
    ) -> Result<Option<TimelineEntry>, WrongStatus> {
        use AlertStatus::{Acknowledged, Active, Pending, Resolved, Suppressed};
        let (to, kind) = match (action, self.status) {
            (Action::Acknowledge, Acknowledged)
            | (Action::Suppress, Suppressed)
            | (Action::Reactivate, Active)
            | (Action::Resolve, Resolved) => return Ok(None),
            (Action::Acknowledge, Active | Suppressed) => (Acknowledged, TimelineKind::Acknowledged),
            (Action::Suppress, Active | Acknowledged) => (Suppressed, TimelineKind::Suppressed),
            (Action::Reactivate, Acknowledged | Suppressed) => (Active, TimelineKind::Reactivated),
            (Action::Resolve, Pending | Active | Acknowledged | Suppressed) => {
                (Resolved, TimelineKind::Resolved)
            }
            (_, status) => return Err(WrongStatus { status }),
        };
        self.status = to;
        self.changed_at = at;
        (self.acknowledged_at, self.acknowledged_by) = match to {
            Acknowledged => (Some(at), Some(by.to_owned())),
            Resolved => (self.acknowledged_at, self.acknowledged_by.take()),
            _ => (None, None),
        };
        if to == Resolved {
            self.resolved_at = Some(at);
            self.resolved_by = Some(by.to_owned());
            self.resolution_note = note.map(str::to_owned);
        }
        let entry = TimelineEntry::of(self, at, kind);
        Ok(Some(TimelineEntry { by: Some(by.to_owned()), note: note.map(str::to_owned), ..entry }))
    }
}
