//! From rows of rules, alerts and their history to values, and back.

use pulsestream_domain::{
    Timestamp,
    alerting::{Alert, AlertId, Definition, Fingerprint, Labels, Notified, Rule, RuleId, TimelineEntry},
    tenant::TenantId,
};
use sea_orm::ActiveValue::{NotSet, Set};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    entity::{alert_timeline, alerts, rules},
    error::UnreadableRow,
    row,
};

/// Names a row that can't be read by its key.
pub(super) fn unreadable(
    table: &'static str,
    tenant_id: Uuid,
    id: Uuid,
) -> impl Fn(&'static str) -> UnreadableRow {
    move |column| UnreadableRow { table, column, row: format!("tenant_id {tenant_id}, id {id}") }
}

pub(super) fn instant(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

pub(super) fn micros(instant: Option<Timestamp>) -> Option<i64> {
    instant.map(Timestamp::as_micros)
}

pub(super) fn rule(row: rules::Model) -> Result<Rule, UnreadableRow> {
    let unreadable = unreadable("rules", row.tenant_id, row.id);
    let definition = RawValue::from_string(row.definition).map_err(|_| unreadable("definition"))?;
    Ok(Rule {
        tenant_id: TenantId(row.tenant_id),
        id: RuleId(row.id),
        revision: row.revision,
        definition: Definition::parse(&definition).map_err(|_| unreadable("definition"))?,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        last_triggered_at: instant(row.last_triggered_at),
        total_triggers: row.total_triggers,
    })
}

pub(super) fn rule_row(rule: &Rule) -> rules::ActiveModel {
    rules::ActiveModel {
        tenant_id: Set(rule.tenant_id.0),
        id: Set(rule.id.0),
        revision: Set(rule.revision),
        created_at: Set(rule.created_at.as_micros()),
        last_triggered_at: Set(micros(rule.last_triggered_at)),
        total_triggers: Set(rule.total_triggers),
        ..defined(rule)
    }
}

/// The columns that a change of its definition changes.
pub(super) fn defined(rule: &Rule) -> rules::ActiveModel {
    rules::ActiveModel {
        definition: Set(rule.definition.to_json().to_string()),
        is_active: Set(rule.definition.is_active),
        updated_at: Set(rule.updated_at.as_micros()),
        ..rules::ActiveModel::default()
    }
}

pub(super) fn alert(row: alerts::Model) -> Result<Alert, UnreadableRow> {
    let unreadable = unreadable("alerts", row.tenant_id, row.id);
    let notified = match (row.notified_at, row.notified_severity.as_deref()) {
        (Some(at), Some(severity)) => Some(Notified {
            at: Timestamp::from_micros(at),
            severity: row::parsed(severity).ok_or_else(|| unreadable("notified_severity"))?,
        }),
        _ => None,
    };
    let labels: Labels = serde_json::from_str(&row.labels).map_err(|_| unreadable("labels"))?;
    Ok(Alert {
        tenant_id: TenantId(row.tenant_id),
        id: AlertId(row.id),
        rule_id: RuleId(row.rule_id),
        rule_name: row.rule_name,
        fingerprint: Fingerprint(row.fingerprint.try_into().map_err(|_| unreadable("fingerprint"))?),
        labels,
        title: row.title,
        message: row.message,
        severity: row::parsed(&row.severity).ok_or_else(|| unreadable("severity"))?,
        status: row::parsed(&row.status).ok_or_else(|| unreadable("status"))?,
        value: row.value,
        trigger_data: serde_json::from_str(&row.trigger_data).map_err(|_| unreadable("trigger_data"))?,
        started_at: Timestamp::from_micros(row.started_at),
        triggered_at: instant(row.triggered_at),
        clear_since: instant(row.clear_since),
        acknowledged_at: instant(row.acknowledged_at),
        acknowledged_by: row.acknowledged_by,
        resolved_at: instant(row.resolved_at),
        resolved_by: row.resolved_by,
        resolution_note: row.resolution_note,
        is_silenced: row.is_silenced,
        notified,
        changed_at: Timestamp::from_micros(row.changed_at),
    })
}

pub(super) fn alert_row(alert: &Alert) -> alerts::ActiveModel {
    alerts::ActiveModel {
        tenant_id: Set(alert.tenant_id.0),
        id: Set(alert.id.0),
        rule_id: Set(alert.rule_id.0),
        rule_name: Set(alert.rule_name.clone()),
        fingerprint: Set(alert.fingerprint.0.to_vec()),
        labels: Set(labels_text(&alert.labels)),
        title: Set(alert.title.clone()),
        message: Set(alert.message.clone()),
        severity: Set(alert.severity.as_str().to_owned()),
        status: Set(alert.status.as_str().to_owned()),
        value: Set(alert.value),
        trigger_data: Set(serde_json::Value::Object(alert.trigger_data.clone()).to_string()),
        started_at: Set(alert.started_at.as_micros()),
        triggered_at: Set(micros(alert.triggered_at)),
        clear_since: Set(micros(alert.clear_since)),
        acknowledged_at: Set(micros(alert.acknowledged_at)),
        acknowledged_by: Set(alert.acknowledged_by.clone()),
        resolved_at: Set(micros(alert.resolved_at)),
        resolved_by: Set(alert.resolved_by.clone()),
        resolution_note: Set(alert.resolution_note.clone()),
        is_silenced: Set(alert.is_silenced),
        notified_at: Set(alert.notified.map(|notified| notified.at.as_micros())),
        notified_severity: Set(alert.notified.map(|notified| notified.severity.as_str().to_owned())),
        changed_at: Set(alert.changed_at.as_micros()),
    }
}

/// The columns of an alert that is there already.
pub(super) fn changed(alert: &Alert) -> alerts::ActiveModel {
    alerts::ActiveModel { tenant_id: NotSet, id: NotSet, rule_id: NotSet, ..alert_row(alert) }
}

fn labels_text(labels: &Labels) -> String {
    serde_json::to_string(labels).expect("a map of texts serializes")
}

pub(super) fn entry(row: alert_timeline::Model) -> Result<TimelineEntry, UnreadableRow> {
    let unreadable = unreadable("alert_timeline", row.tenant_id, row.alert_id);
    Ok(TimelineEntry {
        tenant_id: TenantId(row.tenant_id),
        alert_id: AlertId(row.alert_id),
        at: Timestamp::from_micros(row.at),
        kind: row::parsed(&row.kind).ok_or_else(|| unreadable("kind"))?,
        by: row.by,
        note: row.note,
    })
}

pub(super) fn entry_row(entry: &TimelineEntry, number: i32) -> alert_timeline::ActiveModel {
    alert_timeline::ActiveModel {
        tenant_id: Set(entry.tenant_id.0),
        alert_id: Set(entry.alert_id.0),
        number: Set(number),
        at: Set(entry.at.as_micros()),
        kind: Set(entry.kind.as_str().to_owned()),
        by: Set(entry.by.clone()),
        note: Set(entry.note.clone()),
    }
}
