//! Rules, alerts, and who is told.

mod contract;
mod delivering;
mod observing;
mod observing_alike;
mod people;
mod together;

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Alert, AlertId, AlertStatus, Delivery, DeliveryId, DeliveryReason, DeliveryState, EVALUATE_RULE,
        Evaluation, Facts, Labels, Notified, Rule, RuleId, TimelineEntry, TimelineKind, Transition,
    },
    job::{JobId, NewJob},
    tenant::TenantId,
};
use pulsestream_testing::builders;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    support::{Fresh, NOW, OTHER, TENANT, origin},
    tenants::tenant,
};

async fn two_tenants(fresh: &Fresh) {
    fresh.store.create_tenant(&tenant(TENANT, "one"), None, &origin()).await.unwrap();
    fresh.store.create_tenant(&tenant(OTHER, "two"), None, &origin()).await.unwrap();
}

fn rule(tenant_id: TenantId, number: u128, members: Value) -> Rule {
    builders::rule(tenant_id, number, members)
}

fn job(rule: &Rule, number: u128, due_at: Timestamp) -> NewJob {
    NewJob {
        unique_key: Some(rule.id.to_string()),
        ..NewJob::new(rule.tenant_id, JobId(Uuid::from_u128(number)), EVALUATE_RULE, due_at)
    }
}

async fn add_rule(fresh: &Fresh, rule: &Rule) {
    fresh
        .store
        .create_rule(rule, Some(&job(rule, rule.id.0.as_u128(), NOW)), 1_000, &origin())
        .await
        .unwrap();
}

async fn revision(fresh: &Fresh, id: RuleId) -> i64 {
    fresh.store.rule(TENANT, id).await.unwrap().unwrap().revision
}

fn alert(rule: &Rule, number: u128, status: AlertStatus) -> Alert {
    let labels = Labels([("service".to_owned(), format!("s{number}"))].into());
    let is_raised = status != AlertStatus::Pending;
    Alert {
        tenant_id: rule.tenant_id,
        id: AlertId(Uuid::from_u128(number)),
        rule_id: rule.id,
        rule_name: rule.definition.name.clone(),
        fingerprint: labels.fingerprint(rule.id),
        labels,
        title: "too many".to_owned(),
        message: String::new(),
        severity: rule.definition.severity,
        status,
        value: Some(0.1 + 0.2),
        trigger_data: json!({"n": 1}).as_object().unwrap().clone(),
        started_at: NOW.plus_secs(number as i64),
        triggered_at: is_raised.then_some(NOW),
        clear_since: None,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        resolution_note: None,
        is_silenced: false,
        notified: is_raised.then_some(Notified { at: NOW, severity: rule.definition.severity }),
        changed_at: NOW,
    }
}

fn delivery(rule: &Rule, number: u128, channel: u128, alerts: &[&Alert]) -> Delivery {
    Delivery {
        tenant_id: rule.tenant_id,
        id: DeliveryId(Uuid::from_u128(number)),
        channel_id: builders::log_channel(rule.tenant_id, channel).id,
        reason: DeliveryReason::Firing,
        facts: Facts::of(rule, alerts),
        state: DeliveryState::Pending,
        attempts: 0,
        created_at: NOW.plus_secs(number as i64),
        next_attempt_at: Some(NOW),
    }
}

/// Stores alerts, each with an entry, and deliveries, as an evaluation would.
async fn open(fresh: &Fresh, rule: &Rule, opened: &[Alert], deliveries: &[Delivery]) {
    use pulsestream_domain::{alerting::Committed, ports::AlertStore as _};
    let entries = opened.iter().map(|alert| TimelineEntry::of(alert, NOW, TimelineKind::Triggered));
    let evaluation = Evaluation {
        tenant_id: rule.tenant_id,
        rule_id: rule.id,
        revision: fresh.store.rule(rule.tenant_id, rule.id).await.unwrap().unwrap().revision,
        at: NOW,
        transition: Transition {
            opened: opened.to_vec(),
            timeline: entries.collect(),
            deliveries: deliveries.to_vec(),
            ..Transition::default()
        },
        settlement: None,
    };
    assert_eq!(fresh.store.commit(&evaluation, NOW).await.unwrap(), Committed::Committed);
}
