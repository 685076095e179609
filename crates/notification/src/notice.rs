//! What there is to say.

use std::collections::BTreeMap;

use pulsestream_domain::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// Everything that one evaluation of one rule has to say through one channel.
///
/// Plain text throughout: nothing in it is markup, a template or a header, whatever it looks like. What is
/// too long is cut on the way into a body; counts are kept.
#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    /// Stays the same over all attempts: `webhook-id`, and the `Message-ID` of mail. Receivers tell by it
    /// that they have a notice already.
    pub id: Uuid,
    /// Whether it is real.
    pub kind: NoticeKind,
    /// When what it tells happened. Not the time of an attempt.
    pub occurred_at: Timestamp,
    /// The name of the channel.
    pub receiver: String,
    /// The rule that was evaluated.
    pub rule: Rule,
    /// What the rule groups by, and the values of this group.
    pub group_labels: BTreeMap<String, String>,
    /// The alerts, the most important first: those at the end are left out first.
    pub alerts: Vec<Alert>,
    /// How many more there are.
    pub omitted_alerts: u64,
    /// Where a person can look at it.
    pub url: Option<String>,
}

/// Whether a notice is real.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoticeKind {
    /// Alerts started, go on, or ended.
    Alert,
    /// Somebody wants to see whether a channel works. Nothing is wrong.
    Test,
}

/// The rule behind a notice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The window it looks at, as the rule has it: `5m`.
    pub window: String,
}

/// One alert.
#[derive(Clone, PartialEq, Debug)]
pub struct Alert {
    /// Its id.
    pub id: Uuid,
    /// What it is recognised by, among the alerts of its rule.
    pub fingerprint: String,
    /// Whether it goes on.
    pub status: Status,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, in one line.
    pub title: String,
    /// What happened.
    pub message: String,
    /// What identifies it.
    pub labels: BTreeMap<String, String>,
    /// What else is known.
    pub annotations: BTreeMap<String, String>,
    /// When it started.
    pub starts_at: Timestamp,
    /// When it ended, if it has.
    pub ends_at: Option<Timestamp>,
    /// How many events were in the window.
    pub event_count: u64,
    /// Some of them.
    pub samples: Vec<Value>,
    /// Where a person can look at it.
    pub url: Option<String>,
}

/// Whether something goes on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It goes on.
    Firing,
    /// It is over.
    Resolved,
}

/// How bad something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Low,
    /// To be looked at.
    Medium,
    /// To be looked at today.
    High,
    /// To be looked at now.
    Critical,
}

impl Notice {
    /// Firing while any of its alerts is.
    pub fn status(&self) -> Status {
        let is_firing = self.alerts.iter().any(|alert| alert.status == Status::Firing);
        if is_firing { Status::Firing } else { Status::Resolved }
    }

    /// How many alerts there are, told or not.
    pub fn alert_count(&self) -> u64 {
        self.omitted_alerts.saturating_add(self.alerts.len() as u64)
    }
}

impl Status {
    /// `firing` or `resolved`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

impl Severity {
    /// `low`, `medium`, `high` or `critical`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}
