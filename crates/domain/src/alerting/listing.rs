//! What of all that is kept one asks to see.

use super::{AlertId, AlertSeverity, AlertStatus, ChannelId, DeliveryState, RuleId};
use crate::Timestamp;

/// A part of a list, and how long the whole list is.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed<T> {
    /// Those that were asked for, in the order of the list.
    pub items: Vec<T>,
    /// How many there are in all, wherever the part begins.
    pub total: u64,
}

/// Which rules of a tenant: by when they were made, the newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleQuery {
    /// Only those that are evaluated.
    pub active_only: bool,
    /// At most so many.
    pub limit: u32,
    /// How many to leave out at the start.
    pub offset: u64,
}

/// Which alerts of a tenant: by when they began, the newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlertQuery {
    /// Only those that stand at one of these; any, when empty.
    pub statuses: Vec<AlertStatus>,
    /// Only those with one of these severities; any, when empty.
    pub severities: Vec<AlertSeverity>,
    /// Only those of this rule.
    pub rule_id: Option<RuleId>,
    /// At most so many.
    pub limit: u32,
    /// How many to leave out at the start.
    pub offset: u64,
}

/// Which deliveries of a tenant: by when they were decided, the newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryQuery {
    /// Only those to this channel.
    pub channel_id: Option<ChannelId>,
    /// Only those that tell of this alert.
    pub alert_id: Option<AlertId>,
    /// Only those that stand here.
    pub state: Option<DeliveryState>,
    /// Only those decided at this instant or later.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
    /// How many to leave out at the start.
    pub offset: u64,
}

/// How many rules and alerts a tenant has. Alerts that are pending have not been raised and do not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AlertStats {
    /// Every alert that was raised.
    pub total_alerts: u64,
    /// Those that stand at [`AlertStatus::Active`].
    pub active_alerts: u64,
    /// Those that are over.
    pub resolved_alerts: u64,
    /// Every rule.
    pub total_rules: u64,
    /// Those that are evaluated.
    pub active_rules: u64,
}
