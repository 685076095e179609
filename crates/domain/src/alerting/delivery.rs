//! What is sent to a channel, and what came of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Alert, AlertId, AlertSeverity, ChannelId, DeliveryId, Labels, Rule, RuleId};
use crate::{Timestamp, event::names::names, tenant::TenantId};

/// The most alerts one delivery tells of; of the others it tells the number.
pub const MAX_ALERTS_PER_DELIVERY: usize = 50;

/// The most owners that are told of a disabled channel.
pub const MAX_OWNERS_TOLD: usize = 20;

names! {
    /// Why something is sent.
    DeliveryReason {
        /// An alert was raised, maybe beside others that are over.
        Firing = "firing",
        /// An alert became more severe.
        Worsened = "worsened",
        /// Nobody has taken an alert on for the rule's `repeat_interval`.
        Repeat = "repeat",
        /// Alerts are over, and there is nothing else to say.
        Resolved = "resolved",
        /// Another channel of the tenant was disabled by the service.
        ChannelDisabled = "channel_disabled",
        /// The channel was disabled by the service. Goes to the tenant's owners by mail, and not to the channel.
        OwnersTold = "owners_told",
        /// Somebody tries the channel.
        Test = "test",
    }
}

names! {
    /// Where a delivery stands.
    DeliveryState {
        /// It will be tried, or tried again.
        Pending = "pending",
        /// The receiver has it.
        Delivered = "delivered",
        /// It was given up.
        Failed = "failed",
    }
}

names! {
    /// How one attempt ended.
    AttemptOutcome {
        /// The receiver has it.
        Delivered = "delivered",
        /// Not now; it is tried again.
        Retry = "retry",
        /// The receiver will never take it.
        Failed = "failed",
        /// The receiver is gone; the channel is disabled.
        Gone = "gone",
        /// The destination may not be reached from here; nothing was sent.
        BlockedAddress = "blocked_address",
    }
}

names! {
    /// Whether an alert fires or is over.
    FiringStatus {
        /// It fires.
        Firing = "firing",
        /// It is over.
        Resolved = "resolved",
    }
}

/// One thing to say to one channel.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The same in each attempt.
    pub id: DeliveryId,
    /// Where it goes.
    pub channel_id: ChannelId,
    /// Why.
    pub reason: DeliveryReason,
    /// What is said, as it was when it was decided to be said.
    pub facts: Facts,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When it is tried next; none when it will not be.
    pub next_attempt_at: Option<Timestamp>,
}

/// What a delivery says. Kept as JSON text.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The rule; none when it is about a channel: one that is tried, or was disabled.
    pub rule_id: Option<RuleId>,
    /// Its name, or that of the channel.
    pub rule_name: String,
    /// Its description.
    pub rule_description: Option<String>,
    /// Its severity.
    pub severity: AlertSeverity,
    /// Its window, `5m`.
    pub time_window: String,
    /// Each alert; at most [`MAX_ALERTS_PER_DELIVERY`].
    pub alerts: Vec<Firing>,
    /// How many more there are.
    pub truncated_alerts: u32,
}

/// What a delivery says of one alert.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Firing {
    /// Which.
    pub alert_id: AlertId,
    /// Whether it fires or is over.
    pub status: FiringStatus,
    /// See [`Alert::title`].
    pub title: String,
    /// See [`Alert::message`].
    pub message: String,
    /// See [`Alert::severity`].
    pub severity: AlertSeverity,
    /// See [`Alert::labels`].
    pub labels: Labels,
    /// See [`Alert::fingerprint`], as text.
    pub fingerprint: String,
    /// See [`Alert::value`].
    pub value: Option<f64>,
    /// See [`Alert::trigger_data`].
    pub trigger_data: Map<String, Value>,
    /// When it was raised.
    pub starts_at: Timestamp,
    /// When it was over.
    pub ends_at: Option<Timestamp>,
}

impl Firing {
    /// What there is to say of an alert now.
    pub fn of(alert: &Alert) -> Self {
        let status = if alert.resolved_at.is_some() { FiringStatus::Resolved } else { FiringStatus::Firing };
        Self {
            alert_id: alert.id,
            status,
            title: alert.title.clone(),
            message: alert.message.clone(),
            severity: alert.severity,
            labels: alert.labels.clone(),
            fingerprint: alert.fingerprint.to_string(),
            value: alert.value,
            trigger_data: alert.trigger_data.clone(),
            starts_at: alert.triggered_at.unwrap_or(alert.started_at),
            ends_at: alert.resolved_at,
        }
    }
}

impl Facts {
    /// What there is to say of a rule's alerts now.
    pub fn of(rule: &Rule, alerts: &[&Alert]) -> Self {
        let truncated = alerts.len().saturating_sub(MAX_ALERTS_PER_DELIVERY);
        let definition = &rule.definition;
        Self {
            rule_id: Some(rule.id),
            rule_name: definition.name.clone(),
            rule_description: definition.description.clone(),
            severity: definition.severity,
            time_window: definition.time_window.to_string(),
            alerts: alerts.iter().take(MAX_ALERTS_PER_DELIVERY).map(|alert| Firing::of(alert)).collect(),
            truncated_alerts: u32::try_from(truncated).unwrap_or(u32::MAX),
        }
    }
}

/// One try to deliver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What was tried to deliver.
    pub delivery_id: DeliveryId,
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The HTTP or SMTP status, when there was an answer.
    pub status: Option<u16>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// The beginning of the answer; at most 1 KiB, without control characters.
    pub excerpt: Option<String>,
}
