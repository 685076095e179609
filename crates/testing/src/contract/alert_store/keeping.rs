//! What is kept of rules and alerts: a rule's state, and an evaluation as a whole.

use pulsestream_domain::{
    alerting::{
        Alert, AlertId, AlertStatus, Committed, Delivery, DeliveryId, DeliveryReason, DeliveryState,
        Evaluation, Facts, Matcher, Notified, Rule, Silence, SilenceId, TimelineEntry, TimelineKind,
        Transition,
    },
    job::{LeasedJob, Settlement},
    tenant::TenantId,
};
use serde_json::json;
use uuid::Uuid;

use super::{AlertFixture, at, labels};
use crate::builders::{log_channel, rule};

fn alert(rule: &Rule, number: u128, group: &str, status: AlertStatus, secs: i64) -> Alert {
    let labels = labels(&[("service", group)]);
    Alert {
        tenant_id: rule.tenant_id,
        id: AlertId(Uuid::from_u128(number)),
        rule_id: rule.id,
        rule_name: rule.definition.name.clone(),
        fingerprint: labels.fingerprint(rule.id),
        labels,
        title: "Ünï ☃".to_owned(),
        message: "two\nlines".to_owned(),
        severity: rule.definition.severity,
        status,
        value: Some(0.1),
        trigger_data: json!({"n": 1, "deep": {"list": [1.5, null, "x"]}})
            .as_object()
            .expect("an object")
            .clone(),
        started_at: at(secs),
        triggered_at: (status != AlertStatus::Pending).then(|| at(secs)),
        clear_since: None,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: (status == AlertStatus::Resolved).then(|| at(secs + 1)),
        resolved_by: None,
        resolution_note: None,
        is_silenced: false,
        notified: None,
        changed_at: at(secs),
    }
}

fn evaluation(rule: &Rule, revision: i64, transition: Transition) -> Evaluation {
    let settlement = None;
    Evaluation { tenant_id: rule.tenant_id, rule_id: rule.id, revision, at: at(0), transition, settlement }
}

async fn revision(fixture: &dyn AlertFixture, rule: &Rule) -> i64 {
    fixture.rule(rule.tenant_id, rule.id).await.expect("the rule is there").revision
}

async fn commit(fixture: &dyn AlertFixture, evaluation: &Evaluation, secs: i64) -> Committed {
    fixture.store().commit(evaluation, at(secs)).await.expect("the store works")
}

pub(super) async fn a_state_is_all_that_counts(fixture: &dyn AlertFixture, one: TenantId, two: TenantId) {
    let store = fixture.store();
    let known = rule(one, 9_001, json!({"group_by": ["service"], "cooldown_minutes": 10, "for": "1m"}));
    let other = rule(one, 9_002, json!({"is_active": false}));
    assert_eq!(store.load(one, known.id, at(0)).await.expect("the store works"), None);
    fixture.add_rule(&known, at(0)).await;
    fixture.add_rule(&other, at(0)).await;
    fixture.add_channel(&log_channel(one, 9_101)).await;
    fixture.add_channel(&log_channel(two, 9_102)).await;
    let silence = |number, tenant_id, ends| Silence {
        tenant_id,
        id: SilenceId(Uuid::from_u128(number)),
        matchers: vec![Matcher { name: "service".to_owned(), value: "*".to_owned(), is_equal: false }],
        starts_at: at(-1_000),
        ends_at: at(ends),
        created_by: "ann".to_owned(),
        comment: Some("why".to_owned()),
        created_at: at(-1_000),
    };
    fixture.add_silence(&silence(9_201, one, 1)).await;
    fixture.add_silence(&silence(9_202, one, 0)).await;
    fixture.add_silence(&silence(9_203, two, 1)).await;
    assert_eq!(store.load(two, known.id, at(0)).await.expect("the store works"), None, "of another tenant");
    assert_eq!(store.active_rules(one).await.expect("the store works"), [known.id]);
    assert_eq!(store.active_rules(two).await.expect("the store works"), []);

    let opened = vec![
        alert(&known, 1, "pending", AlertStatus::Pending, -10),
        alert(&known, 2, "active", AlertStatus::Active, -3_599),
        alert(&known, 3, "recent", AlertStatus::Resolved, -599),
        alert(&known, 4, "old", AlertStatus::Resolved, -3_600),
        alert(&known, 5, "older", AlertStatus::Resolved, -4_000),
        alert(&known, 6, "recent", AlertStatus::Resolved, -30),
        alert(&known, 7, "cooled", AlertStatus::Resolved, -600),
    ];
    let transition = Transition { opened: opened.clone(), ..Transition::default() };
    let stored = evaluation(&known, revision(fixture, &known).await, transition);
    assert_eq!(commit(fixture, &stored, 0).await, Committed::Committed);

    let state = store.load(one, known.id, at(0)).await.expect("the store works").expect("it is there");
    assert_eq!(state.rule.definition, known.definition);
    let mut open = state.open.clone();
    open.sort_by_key(|alert| alert.id);
    assert_eq!(open, opened[..2]);
    let mut triggered = state.triggered_last_hour.clone();
    triggered.sort();
    assert_eq!(triggered, [at(-3_599), at(-600), at(-599), at(-30)]);
    assert_eq!(state.last_triggered, [(opened[5].fingerprint, at(-30))].into());
    assert_eq!(state.channels, [log_channel(one, 9_101)]);
    assert_eq!(state.silences, [silence(9_201, one, 1)]);
}

pub(super) async fn an_evaluation_is_stored_whole_or_not_at_all(
    fixture: &dyn AlertFixture,
    tenant_id: TenantId,
) {
    let known = rule(tenant_id, 9_011, json!({"group_by": ["service"]}));
    let channel = log_channel(tenant_id, 9_111);
    fixture.add_rule(&known, at(0)).await;
    fixture.add_channel(&channel).await;
    let first = alert(&known, 11, "first", AlertStatus::Active, 0);
    let pending = alert(&known, 12, "pending", AlertStatus::Pending, 0);
    let delivery = Delivery {
        tenant_id,
        id: DeliveryId(Uuid::from_u128(11)),
        channel_id: channel.id,
        reason: DeliveryReason::Firing,
        facts: Facts::of(&known, &[&first]),
        state: DeliveryState::Pending,
        attempts: 0,
        created_at: at(0),
        next_attempt_at: Some(at(0)),
    };
    let entry = |alert: &Alert, kind| TimelineEntry {
        note: Some("n".to_owned()),
        ..TimelineEntry::of(alert, at(0), kind)
    };
    let opening = Transition {
        opened: vec![first.clone(), pending.clone()],
        timeline: vec![
            entry(&first, TimelineKind::Triggered),
            entry(&first, TimelineKind::Notified),
            entry(&pending, TimelineKind::Pending),
        ],
        deliveries: vec![delivery.clone()],
        triggered: vec![first.id],
        ..Transition::default()
    };
    let start = revision(fixture, &known).await;
    assert_eq!(fixture.lease(tenant_id, known.id, at(-1), at(60)).await, None, "it is not due yet");
    let lost = fixture.lease(tenant_id, known.id, at(0), at(30)).await.expect("it is due");
    assert_eq!((lost.due_at, lost.unique_key.as_deref()), (at(0), Some(known.id.to_string().as_str())));
    assert_eq!(fixture.lease(tenant_id, known.id, at(29), at(60)).await, None, "somebody has it");
    let held = fixture.lease(tenant_id, known.id, at(30), at(90)).await.expect("the lease is over");
    let next = Settlement::Again { due_at: at(60) };
    let with = |job: &LeasedJob, revision| Evaluation {
        settlement: Some((job.lease, next.clone())),
        ..evaluation(&known, revision, opening.clone())
    };

    assert_eq!(commit(fixture, &with(&lost, start), 31).await, Committed::LeaseLost);
    assert_eq!(commit(fixture, &with(&held, start), 90).await, Committed::LeaseLost, "its time is over");
    assert_eq!(commit(fixture, &with(&held, start + 1), 31).await, Committed::Changed);
    assert_eq!(fixture.alerts(tenant_id, known.id).await, [], "nothing of it was stored");
    assert_eq!(fixture.deliveries(tenant_id).await, []);
    assert_eq!(revision(fixture, &known).await, start);

    assert_eq!(commit(fixture, &with(&held, start), 31).await, Committed::Committed);
    assert_eq!(fixture.alerts(tenant_id, known.id).await, [first.clone(), pending.clone()]);
    assert_eq!(fixture.timeline(tenant_id, first.id).await, opening.timeline[..2]);
    assert_eq!(fixture.deliveries(tenant_id).await, [delivery]);
    let now = fixture.rule(tenant_id, known.id).await.expect("it is there");
    assert_eq!((now.revision, now.last_triggered_at, now.total_triggers), (start + 1, Some(at(0)), 1));
    assert_eq!(commit(fixture, &with(&held, start + 1), 31).await, Committed::LeaseLost, "it was settled");
    let again = fixture.lease(tenant_id, known.id, at(60), at(90)).await.expect("the next tick is due");
    assert_eq!(again.due_at, at(60));

    let twice = Transition {
        opened: vec![alert(&known, 13, "first", AlertStatus::Active, 0)],
        ..Transition::default()
    };
    assert_eq!(
        commit(fixture, &evaluation(&known, start + 1, twice), 31).await,
        Committed::Changed,
        "one is open"
    );

    let mut resolved = first.clone();
    resolved.status = AlertStatus::Resolved;
    resolved.resolved_at = Some(at(60));
    resolved.resolved_by = Some("system".to_owned());
    resolved.resolution_note = Some("note".to_owned());
    resolved.acknowledged_at = Some(at(30));
    resolved.acknowledged_by = Some("ann".to_owned());
    resolved.clear_since = Some(at(59));
    resolved.is_silenced = true;
    resolved.notified = Some(Notified { at: at(0), severity: first.severity });
    resolved.changed_at = at(60);
    let ending = Transition {
        changed: vec![resolved.clone()],
        discarded: vec![pending.id],
        timeline: vec![entry(&resolved, TimelineKind::Resolved)],
        ..Transition::default()
    };
    assert_eq!(commit(fixture, &evaluation(&known, start + 1, ending), 31).await, Committed::Committed);
    assert_eq!(fixture.alerts(tenant_id, known.id).await, [resolved]);
    assert_eq!(fixture.timeline(tenant_id, pending.id).await, []);
    assert_eq!(fixture.timeline(tenant_id, first.id).await.len(), 3);
    let next = alert(&known, 14, "first", AlertStatus::Active, 0);
    let reopening = Transition { opened: vec![next], ..Transition::default() };
    assert_eq!(commit(fixture, &evaluation(&known, start + 2, reopening), 31).await, Committed::Committed);

    let idle = rule(tenant_id, 9_012, json!({"is_active": false}));
    fixture.add_rule(&idle, at(0)).await;
    let nothing = evaluation(&idle, revision(fixture, &idle).await, Transition::default());
    assert_eq!(commit(fixture, &nothing, 31).await, Committed::Changed, "it is not active");
    let unknown = rule(tenant_id, 9_013, json!({}));
    assert_eq!(
        commit(fixture, &evaluation(&unknown, 0, Transition::default()), 31).await,
        Committed::Changed
    );
}
