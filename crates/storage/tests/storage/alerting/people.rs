//! What people do to rules, alerts, channels and silences.

use pulsestream_domain::{
    alerting::{
        ActedAlert, Action, AlertQuery, AlertStats, AlertStatus, Channel, ChannelChange, ChannelCreated,
        DELIVER, DeliveryQuery, DeliveryReason, EVALUATE_RULE, Matcher, RuleChange, RuleCreated, RuleQuery,
        Silence, SilenceId, TimelineKind,
    },
    ports::{AlertStore as _, JobQueue as _},
};
use pulsestream_testing::{builders::log_channel, clock::SequentialIds};
use serde_json::json;
use uuid::Uuid;

use super::{add_rule, alert, delivery, job, open, revision, rule, two_tenants};
use crate::support::{Fresh, NOW, OTHER, TENANT, on_both, origin, origin_at};

on_both!(
    a_tenant_has_only_so_many_rules_and_sees_only_its_own,
    a_change_is_made_only_of_what_was_read,
    deactivating_ends_alerts_and_the_job,
    deleting_a_rule_leaves_its_alerts_on_record,
    an_action_is_kept_once_and_only_on_what_was_read,
    alerts_are_listed_newest_first_and_counted,
    channels_have_names_of_their_own_and_keep_their_secrets,
    a_silence_ends_when_somebody_ends_it,
);

const RULES: RuleQuery = RuleQuery { active_only: false, limit: 10, offset: 0 };
const ALERTS: AlertQuery =
    AlertQuery { statuses: Vec::new(), severities: Vec::new(), rule_id: None, limit: 10, offset: 0 };

fn ids() -> SequentialIds {
    SequentialIds::seeded(7)
}

async fn a_tenant_has_only_so_many_rules_and_sees_only_its_own(fresh: &Fresh) {
    two_tenants(fresh).await;
    let (active, idle) = (rule(TENANT, 1, json!({})), rule(TENANT, 2, json!({"is_active": false})));
    let third = rule(TENANT, 3, json!({}));
    add_rule(fresh, &active).await;
    fresh.store.create_rule(&idle, None, 2, &origin()).await.unwrap();

    assert_eq!(
        fresh.store.create_rule(&third, None, 2, &origin()).await.unwrap(),
        RuleCreated::QuotaExceeded
    );
    assert_eq!(
        fresh.store.create_rule(&rule(OTHER, 3, json!({})), None, 2, &origin()).await.unwrap(),
        RuleCreated::Created
    );

    let all = fresh.store.rules(TENANT, &RULES).await.unwrap();
    assert_eq!((all.items, all.total), (vec![idle, active.clone()], 2));
    let only_active = RuleQuery { active_only: true, ..RULES };
    let expected = std::slice::from_ref(&active);
    assert_eq!(fresh.store.rules(TENANT, &only_active).await.unwrap().items, expected);
    let second = RuleQuery { limit: 1, offset: 1, ..RULES };
    assert_eq!(fresh.store.rules(TENANT, &second).await.unwrap().items, expected);
    assert_eq!(fresh.store.rule(OTHER, active.id).await.unwrap(), None);
}

async fn a_change_is_made_only_of_what_was_read(fresh: &Fresh) {
    two_tenants(fresh).await;
    let mut known = rule(TENANT, 1, json!({}));
    add_rule(fresh, &known).await;
    known.definition.name = "renamed".to_owned();
    let next = job(&known, 50, NOW.plus_secs(60));

    assert_eq!(
        fresh.store.change_rule(&known, Some(&next), &ids(), &origin()).await.unwrap(),
        RuleChange::Changed
    );
    assert_eq!(
        fresh.store.change_rule(&known, Some(&next), &ids(), &origin()).await.unwrap(),
        RuleChange::Moved
    );

    known.revision += 1;
    assert_eq!(fresh.store.rule(TENANT, known.id).await.unwrap(), Some(known.clone()));
    let figures = fresh.store.figures(NOW).await.unwrap();
    assert_eq!((figures[0].due, figures[0].scheduled), (0, 1), "the job was replaced");
    known.tenant_id = OTHER;
    assert_eq!(fresh.store.change_rule(&known, None, &ids(), &origin()).await.unwrap(), RuleChange::Gone);
}

async fn deactivating_ends_alerts_and_the_job(fresh: &Fresh) {
    two_tenants(fresh).await;
    let mut known = rule(TENANT, 1, json!({}));
    add_rule(fresh, &known).await;
    fresh.store.create_channel(&log_channel(TENANT, 9), None, 5, &origin()).await.unwrap();
    let (raised, pending) = (alert(&known, 11, AlertStatus::Active), alert(&known, 12, AlertStatus::Pending));
    open(fresh, &known, &[raised.clone(), pending.clone()], &[]).await;
    known.revision = revision(fresh, known.id).await;
    known.definition.is_active = false;

    let changed = fresh.store.change_rule(&known, None, &ids(), &origin_at(NOW.plus_secs(5))).await.unwrap();

    assert_eq!(changed, RuleChange::Changed);
    let ended = fresh.store.alert(TENANT, raised.id).await.unwrap().unwrap();
    assert_eq!((ended.status, ended.resolved_at), (AlertStatus::Resolved, Some(NOW.plus_secs(5))));
    assert_eq!(ended.resolution_note.as_deref(), Some("the rule was deactivated"));
    let kinds: Vec<_> =
        fresh.store.timeline(TENANT, raised.id).await.unwrap().unwrap().iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [TimelineKind::Triggered, TimelineKind::Resolved]);
    assert_eq!(fresh.store.alert(TENANT, pending.id).await.unwrap(), None);
    assert_eq!(fresh.store.timeline(TENANT, pending.id).await.unwrap(), None);
    let query = DeliveryQuery {
        channel_id: None,
        alert_id: Some(raised.id),
        state: None,
        since: None,
        limit: 9,
        offset: 0,
    };
    let told = fresh.store.deliveries(TENANT, &query).await.unwrap();
    assert_eq!((told.total, told.items[0].reason), (1, DeliveryReason::Resolved));
    let kinds: Vec<_> = fresh.store.figures(NOW).await.unwrap().into_iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [DELIVER], "nobody evaluates it any more");
    assert_eq!(fresh.store.active_rules(TENANT).await.unwrap(), []);
}

async fn deleting_a_rule_leaves_its_alerts_on_record(fresh: &Fresh) {
    two_tenants(fresh).await;
    let known = rule(TENANT, 1, json!({}));
    add_rule(fresh, &known).await;
    let raised = alert(&known, 11, AlertStatus::Acknowledged);
    open(fresh, &known, std::slice::from_ref(&raised), &[]).await;
    assert!(!fresh.store.delete_rule(OTHER, known.id, &ids(), &origin()).await.unwrap());

    assert!(fresh.store.delete_rule(TENANT, known.id, &ids(), &origin()).await.unwrap());
    assert!(!fresh.store.delete_rule(TENANT, known.id, &ids(), &origin()).await.unwrap());

    assert_eq!(fresh.store.rule(TENANT, known.id).await.unwrap(), None);
    let ended = fresh.store.alert(TENANT, raised.id).await.unwrap().unwrap();
    assert_eq!(ended.status, AlertStatus::Resolved);
    assert_eq!(fresh.store.timeline(TENANT, raised.id).await.unwrap().unwrap().len(), 2);
    let left = fresh.store.cancel(TENANT, &EVALUATE_RULE, &known.id.to_string()).await.unwrap();
    assert!(!left, "its job is gone");
}

async fn an_action_is_kept_once_and_only_on_what_was_read(fresh: &Fresh) {
    two_tenants(fresh).await;
    let known = rule(TENANT, 1, json!({}));
    add_rule(fresh, &known).await;
    let raised = alert(&known, 11, AlertStatus::Active);
    open(fresh, &known, std::slice::from_ref(&raised), &[]).await;
    let mut after = raised.clone();
    let entry = after.act(Action::Acknowledge, "ann", Some("mine"), NOW).unwrap().unwrap();
    let told = delivery(&known, 21, 9, &[&after]);
    let mut acted = ActedAlert {
        alert: after.clone(),
        was: AlertStatus::Active,
        rule_revision: revision(fresh, known.id).await,
        entry: entry.clone(),
        deliveries: vec![told.clone()],
        now: NOW,
    };

    assert!(fresh.store.apply_action(&acted).await.unwrap());
    assert!(!fresh.store.apply_action(&acted).await.unwrap(), "the rule has another revision");
    acted.rule_revision += 1;
    assert!(!fresh.store.apply_action(&acted).await.unwrap(), "the alert stands elsewhere");
    acted.alert.tenant_id = OTHER;
    assert!(!fresh.store.apply_action(&acted).await.unwrap(), "it is another tenant's");

    assert_eq!(fresh.store.alert(TENANT, raised.id).await.unwrap(), Some(after));
    assert_eq!(fresh.store.alert(OTHER, raised.id).await.unwrap(), None);
    assert_eq!(fresh.store.timeline(TENANT, raised.id).await.unwrap().unwrap()[1..], [entry]);
    assert_eq!(fresh.store.timeline(OTHER, raised.id).await.unwrap(), None);
    assert_eq!(revision(fresh, known.id).await, acted.rule_revision, "what was refused left no trace");
    assert_eq!(fresh.store.delivery(TENANT, told.id).await.unwrap(), Some((told, Vec::new())));
}

async fn alerts_are_listed_newest_first_and_counted(fresh: &Fresh) {
    two_tenants(fresh).await;
    let (known, low) = (rule(TENANT, 1, json!({})), rule(TENANT, 2, json!({"severity": "low"})));
    for rule in [&known, &low] {
        add_rule(fresh, rule).await;
    }
    let (one, two) = (alert(&known, 11, AlertStatus::Active), alert(&known, 12, AlertStatus::Resolved));
    let (three, four) = (alert(&low, 13, AlertStatus::Pending), alert(&low, 14, AlertStatus::Suppressed));
    open(fresh, &known, &[one.clone(), two.clone()], &[]).await;
    open(fresh, &low, &[three.clone(), four.clone()], &[]).await;
    let listed = async |query: AlertQuery| {
        let listed = fresh.store.alerts(TENANT, &query).await.unwrap();
        (listed.items.iter().map(|alert| alert.id).collect::<Vec<_>>(), listed.total)
    };

    assert_eq!(listed(ALERTS).await, (vec![four.id, three.id, two.id, one.id], 4));
    assert_eq!(listed(AlertQuery { limit: 1, offset: 2, ..ALERTS }).await, (vec![two.id], 4));
    let statuses = vec![AlertStatus::Active, AlertStatus::Pending];
    assert_eq!(listed(AlertQuery { statuses, ..ALERTS }).await, (vec![three.id, one.id], 2));
    let severities = vec![low.definition.severity];
    assert_eq!(listed(AlertQuery { severities, ..ALERTS }).await, (vec![four.id, three.id], 2));
    assert_eq!(listed(AlertQuery { rule_id: Some(known.id), ..ALERTS }).await, (vec![two.id, one.id], 2));
    let expected =
        AlertStats { total_alerts: 3, active_alerts: 1, resolved_alerts: 1, total_rules: 2, active_rules: 2 };
    assert_eq!(fresh.store.alert_stats(TENANT).await.unwrap(), expected);
    assert_eq!(fresh.store.alert_stats(OTHER).await.unwrap(), AlertStats::default());
    assert_eq!(fresh.store.alerts(OTHER, &ALERTS).await.unwrap().items, []);
}

async fn channels_have_names_of_their_own_and_keep_their_secrets(fresh: &Fresh) {
    two_tenants(fresh).await;
    let first = log_channel(TENANT, 1);
    let same_name = Channel { name: first.name.clone(), ..log_channel(TENANT, 2) };
    let create = async |channel: &Channel, limit| {
        fresh.store.create_channel(channel, Some("sealed"), limit, &origin()).await.unwrap()
    };
    assert_eq!(create(&first, 2).await, ChannelCreated::Created);
    assert_eq!(create(&same_name, 2).await, ChannelCreated::NameTaken);
    assert_eq!(create(&log_channel(OTHER, 1), 2).await, ChannelCreated::Created);
    assert_eq!(create(&log_channel(TENANT, 2), 2).await, ChannelCreated::Created);
    assert_eq!(create(&log_channel(TENANT, 3), 2).await, ChannelCreated::QuotaExceeded);

    let disabled =
        Channel { enabled: false, disabled_reason: Some("gone".to_owned()), disabled_at: Some(NOW), ..first };
    let change = async |channel: &Channel, sealed| {
        fresh.store.change_channel(channel, sealed, &origin()).await.unwrap()
    };
    assert_eq!(change(&disabled, None).await, ChannelChange::Changed);
    assert_eq!(fresh.store.channel(TENANT, disabled.id).await.unwrap(), Some(disabled.clone()));
    let sealed = async |tenant_id| fresh.store.sealed_secrets(tenant_id, disabled.id).await.unwrap();
    assert_eq!(sealed(TENANT).await.as_deref(), Some("sealed"), "what is not given stays");
    assert_eq!(change(&disabled, Some("other")).await, ChannelChange::Changed);
    assert_eq!(sealed(TENANT).await.as_deref(), Some("other"));
    assert_eq!(sealed(OTHER).await.as_deref(), Some("sealed"), "that is another tenant's");
    assert_eq!(change(&same_name, None).await, ChannelChange::NameTaken);
    assert_eq!(change(&log_channel(TENANT, 4), None).await, ChannelChange::Gone);
    assert_eq!(fresh.store.channels(TENANT).await.unwrap(), [disabled, log_channel(TENANT, 2)]);

    let second = log_channel(TENANT, 2).id;
    assert!(!fresh.store.delete_channel(OTHER, second, &origin()).await.unwrap());
    assert!(fresh.store.delete_channel(TENANT, second, &origin()).await.unwrap());
    assert_eq!(fresh.store.channel(TENANT, second).await.unwrap(), None);
}

async fn a_silence_ends_when_somebody_ends_it(fresh: &Fresh) {
    two_tenants(fresh).await;
    let silence = Silence {
        tenant_id: TENANT,
        id: SilenceId(Uuid::from_u128(1)),
        matchers: vec![Matcher { name: "service".to_owned(), value: "a*".to_owned(), is_equal: true }],
        starts_at: NOW,
        ends_at: NOW.plus_secs(100),
        created_by: "ann".to_owned(),
        comment: None,
        created_at: NOW,
    };
    fresh.store.create_silence(&silence, &origin()).await.unwrap();
    assert!(!fresh.store.end_silence(OTHER, silence.id, &origin()).await.unwrap());
    assert_eq!(fresh.store.silence(OTHER, silence.id).await.unwrap(), None);
    assert_eq!(fresh.store.silences(OTHER, 10, 0).await.unwrap().total, 0);

    assert!(fresh.store.end_silence(TENANT, silence.id, &origin_at(NOW.plus_secs(10))).await.unwrap());
    assert!(fresh.store.end_silence(TENANT, silence.id, &origin_at(NOW.plus_secs(20))).await.unwrap());

    let ended = Silence { ends_at: NOW.plus_secs(10), ..silence };
    assert_eq!(fresh.store.silence(TENANT, ended.id).await.unwrap(), Some(ended.clone()));
    assert_eq!(fresh.store.silences(TENANT, 10, 0).await.unwrap().items, [ended]);
}
