//! An alert as clients see it.

use std::collections::BTreeMap;

use pulsestream_domain::{
    Timestamp,
    alerting::{Alert, AlertId, AlertSeverity, AlertStatus, RuleId, TimelineEntry, TimelineKind},
    tenant::TenantId,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An alert: a rule that fires, or fired, for one group.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert)]
pub(super) struct AlertJson<'a> {
    #[schema(value_type = String, format = Uuid)]
    id: AlertId,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
    #[schema(value_type = String, format = Uuid)]
    rule_id: RuleId,
    /// When the alert began.
    rule_name: &'a str,
    /// The same for all alerts of a rule and group.
    fingerprint: String,
    /// The group, by the names in the rule's `group_by`.
    labels: &'a BTreeMap<String, String>,
    title: &'a str,
    message: &'a str,
    #[schema(value_type = String, example = "high")]
    severity: AlertSeverity,
    #[schema(value_type = String, example = "active")]
    status: AlertStatus,
    /// What the condition measured when the alert was raised.
    value: Option<f64>,
    /// What else was seen then.
    #[schema(value_type = Object)]
    trigger_data: &'a Map<String, Value>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// Null while it is pending.
    #[schema(value_type = Option<String>, format = DateTime)]
    triggered_at: Option<Timestamp>,
    /// Since when the condition has not held any more, while `keep_firing_for` runs.
    #[schema(value_type = Option<String>, format = DateTime)]
    clear_since: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    acknowledged_at: Option<Timestamp>,
    acknowledged_by: Option<&'a str>,
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
    /// `system` when the condition did not hold any more.
    resolved_by: Option<&'a str>,
    resolution_note: Option<&'a str>,
    /// Whether a silence keeps its notices back.
    is_silenced: bool,
    /// When its receivers were last told that it fires.
    #[schema(value_type = Option<String>, format = DateTime)]
    notified_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl<'a> AlertJson<'a> {
    pub(super) fn of(alert: &'a Alert) -> Self {
        Self {
            id: alert.id,
            tenant_id: alert.tenant_id,
            rule_id: alert.rule_id,
            rule_name: &alert.rule_name,
            fingerprint: alert.fingerprint.to_string(),
            labels: &alert.labels.0,
            title: &alert.title,
            message: &alert.message,
            severity: alert.severity,
            status: alert.status,
            value: alert.value,
            trigger_data: &alert.trigger_data,
            started_at: alert.started_at,
            triggered_at: alert.triggered_at,
            clear_since: alert.clear_since,
            acknowledged_at: alert.acknowledged_at,
            acknowledged_by: alert.acknowledged_by.as_deref(),
            resolved_at: alert.resolved_at,
            resolved_by: alert.resolved_by.as_deref(),
            resolution_note: alert.resolution_note.as_deref(),
            is_silenced: alert.is_silenced,
            notified_at: alert.notified.map(|notified| notified.at),
            updated_at: alert.changed_at,
        }
    }
}

/// One line of an alert's history.
#[derive(Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub(super) struct EntryJson<'a> {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = String, example = "triggered")]
    kind: TimelineKind,
    /// Who did it, when a person did.
    by: Option<&'a str>,
    note: Option<&'a str>,
}

impl<'a> EntryJson<'a> {
    pub(super) fn of(entry: &'a TimelineEntry) -> Self {
        Self { at: entry.at, kind: entry.kind, by: entry.by.as_deref(), note: entry.note.as_deref() }
    }
}
