//! What happened to an alert, and when.

use super::{Alert, AlertId};
use crate::{Timestamp, event::names::names, tenant::TenantId};

names! {
    /// What happened.
    TimelineKind {
        /// The condition began to hold; not an alert yet.
        Pending = "pending",
        /// The alert was raised.
        Triggered = "triggered",
        /// The rule became more severe; it counts as not acknowledged.
        Worsened = "worsened",
        /// The condition does not hold; the alert goes on until `keep_firing_for` has passed.
        Clearing = "clearing",
        /// The condition holds again before that.
        Returned = "returned",
        /// A notice was put on its way.
        Notified = "notified",
        /// A silence keeps notices back from now on.
        Silenced = "silenced",
        /// No silence does any more.
        Unsilenced = "unsilenced",
        /// Somebody took it on.
        Acknowledged = "acknowledged",
        /// Somebody stopped its notices.
        Suppressed = "suppressed",
        /// Somebody made it active again.
        Reactivated = "reactivated",
        /// It is over.
        Resolved = "resolved",
    }
}

/// One line of an alert's history. They are only ever added. Two may have the same time; they are kept in
/// the order they were given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimelineEntry {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Of which alert.
    pub alert_id: AlertId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: TimelineKind,
    /// Who, when a person did it.
    pub by: Option<String>,
    /// In words.
    pub note: Option<String>,
}

impl TimelineEntry {
    /// An entry of what happened by itself.
    pub fn of(alert: &Alert, at: Timestamp, kind: TimelineKind) -> Self {
        Self { tenant_id: alert.tenant_id, alert_id: alert.id, at, kind, by: None, note: None }
    }
}
