//! What every [`AlertStore`] has to do, as assertions.

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Aggregate, Alert, AlertId, AlertStatus, Channel, Committed, Delivery, DeliveryId, DeliveryReason,
        DeliveryState, Evaluation, ExampleQuery, Facts, Figures, GroupObservation, Labels, Matcher, Measure,
        Notified, NumberField, ObservationQuery, Observed, Rule, RuleId, SeriesQuery, Silence, SilenceId,
        Span, TimelineEntry, TimelineKind, Transition,
    },
    event::{EventId, NewEvent},
    job::{LeasedJob, Settlement},
    ports::{AlertStore, EventStore as _},
    search::{Filter, Parameters, parse_filter},
    tenant::TenantId,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    builders::{event, log_channel, rule, tenant},
    memory::MemoryAlerts,
};

/// A store under test, with what the port itself has no verbs for.
#[async_trait]
pub trait AlertFixture: Send + Sync {
    /// The store.
    fn store(&self) -> &dyn AlertStore;
    /// Stores events, of which it has none with these ids.
    async fn add_events(&self, events: &[NewEvent]);
    /// Deletes an event.
    async fn delete_event(&self, tenant_id: TenantId, event_id: &EventId);
    /// Stores a new rule as it is, and the job of its evaluation, due at `first_tick`.
    async fn add_rule(&self, rule: &Rule, first_tick: Timestamp);
    /// Stores a new channel.
    async fn add_channel(&self, channel: &Channel);
    /// Stores a new silence.
    async fn add_silence(&self, silence: &Silence);
    /// A rule as it stands.
    async fn rule(&self, tenant_id: TenantId, rule_id: RuleId) -> Option<Rule>;
    /// Every alert of a rule, by id.
    async fn alerts(&self, tenant_id: TenantId, rule_id: RuleId) -> Vec<Alert>;
    /// The history of an alert, in order.
    async fn timeline(&self, tenant_id: TenantId, alert_id: AlertId) -> Vec<TimelineEntry>;
    /// Every delivery of a tenant, by id.
    async fn deliveries(&self, tenant_id: TenantId) -> Vec<Delivery>;
    /// Leases the job of a rule's evaluation, if its time has come and it is free.
    async fn lease(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Option<LeasedJob>;
}

/// The contract of [`AlertStore`]. The store has to be empty for the tenants 911 and 912, and has to know those
/// two if it insists on knowing tenants.
///
/// # Panics
/// When the store breaks the contract.
pub async fn alert_store(fixture: &dyn AlertFixture) {
    let (one, two) = (tenant(911).id, tenant(912).id);
    events_are_looked_at_by_group_and_window(fixture, one, two).await;
    every_measure_is_measured(fixture, one).await;
    the_largest_groups_are_told_of(fixture, one).await;
    examples_are_the_newest(fixture, one).await;
    steps_add_up(fixture, one).await;
    a_state_is_all_that_counts(fixture, one, two).await;
    an_evaluation_is_stored_whole_or_not_at_all(fixture, one).await;
}

const START: Timestamp = Timestamp::from_secs(1_790_000_000);

const fn at(secs: i64) -> Timestamp {
    START.plus_secs(secs)
}

fn sample(
    tenant_id: TenantId,
    number: u128,
    secs: i64,
    service: &str,
    status: u16,
    duration: Option<f64>,
) -> NewEvent {
    let mut members = json!({
        "event_id": format!("alerts-{number}"),
        "source": {"service": service, "endpoint": "/", "method": "GET", "environment": "production"},
        "context": {"tags": {"region": if number.is_multiple_of(2) { "eu" } else { "us" }, "shard": service}},
        "timestamp": at(secs).to_string(),
    });
    if let Some(duration) = duration {
        members["metrics"] = json!({"status_code": status, "response_time_ms": duration});
    }
    event(tenant_id, Uuid::from_u128(number << 64 | 0x7000_8000_0000_0000_0000), at(1_000), members)
}

fn samples(tenant_id: TenantId) -> Vec<NewEvent> {
    vec![
        sample(tenant_id, 1, -1, "a", 200, Some(10.0)),
        sample(tenant_id, 2, 0, "a", 200, Some(20.0)),
        sample(tenant_id, 3, 10, "a", 404, Some(30.0)),
        sample(tenant_id, 4, 20, "a", 500, Some(40.5)),
        sample(tenant_id, 5, 20, "b", 399, Some(50.0)),
        sample(tenant_id, 6, 30, "b", 0, None),
        sample(tenant_id, 7, 60, "b", 503, Some(70.0)),
        sample(tenant_id, 8, -60, "gone", 200, Some(80.0)),
        sample(tenant_id, 9, -61, "older", 200, Some(90.0)),
        sample(tenant_id, 10, 40, "deleted", 500, Some(95.0)),
    ]
}

const WINDOW: Span = Span { from: at(0), to: at(60) };

fn query(group_by: &[&str], measure: Option<Measure>) -> ObservationQuery {
    ObservationQuery {
        filter: Filter::default(),
        group_by: group_by.iter().map(|name| name.parse().expect("a group field")).collect(),
        measure,
        window: WINDOW,
        earlier: None,
        max_groups: 100,
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn filter(pairs: &[(&str, &str)]) -> Filter {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse_filter(Parameters::new(pairs)).expect("a valid filter")
}

async fn observed(fixture: &dyn AlertFixture, tenant_id: TenantId, query: &ObservationQuery) -> Observed {
    fixture.store().observe(tenant_id, query).await.expect("the store works")
}

fn counts(observed: &Observed) -> Vec<(Labels, u64, u64)> {
    let counts = |group: &GroupObservation| (group.labels.clone(), group.window.count, group.earlier.count);
    observed.groups.iter().map(counts).collect()
}

async fn events_are_looked_at_by_group_and_window(fixture: &dyn AlertFixture, one: TenantId, two: TenantId) {
    let nothing = observed(fixture, one, &query(&[], None)).await;
    assert_eq!(nothing.groups.len(), 1, "without groups there is always one");
    assert_eq!(
        nothing.groups[0],
        GroupObservation {
            labels: Labels::default(),
            window: Figures::default(),
            earlier: Figures::default(),
        }
    );
    assert_eq!(observed(fixture, one, &query(&["service"], None)).await.groups, []);

    fixture.add_events(&samples(one)).await;
    fixture.add_events(&[sample(two, 11, 5, "other", 500, Some(1.0))]).await;
    fixture.delete_event(one, &"alerts-10".parse().expect("an id")).await;

    let all = observed(fixture, one, &query(&[], None)).await;
    assert_eq!(counts(&all), [(labels(&[]), 5, 0)], "the end is not part of a window, the start is");
    assert_eq!(all.groups[0].window.latest, Some(at(30)));

    let mut grouped = query(&["service"], None);
    grouped.earlier = Some(Span { from: at(-60), to: at(0) });
    let (a, b, gone) =
        (labels(&[("service", "a")]), labels(&[("service", "b")]), labels(&[("service", "gone")]));
    let expected = [(a, 3, 1), (b, 2, 0), (gone, 0, 1)];
    assert_eq!(
        counts(&observed(fixture, one, &grouped).await),
        expected,
        "a group of before is told of, too"
    );

    let mut both = query(&["tags.region", "status_code"], None);
    both.filter = filter(&[("service", "b")]);
    let expected = [
        (labels(&[("status_code", ""), ("tags.region", "eu")]), 1, 0),
        (labels(&[("status_code", "399"), ("tags.region", "us")]), 1, 0),
    ];
    assert_eq!(
        counts(&observed(fixture, one, &both).await),
        expected,
        "what an event lacks is the empty value"
    );

    let absent = counts(&observed(fixture, one, &query(&["tags.no\"such'tag", "user_id"], None)).await);
    assert_eq!(absent, [(labels(&[("tags.no\"such'tag", ""), ("user_id", "")]), 5, 0)]);
}

async fn every_measure_is_measured(fixture: &dyn AlertFixture, tenant_id: TenantId) {
    let number = |field, aggregate| Some(Measure::Aggregate { field, aggregate });
    let duration = |aggregate| number(NumberField::DurationMs, aggregate);
    for (measure, of_a, of_b) in [
        (None, None, None),
        (Some(Measure::Errors), Some(2.0), Some(0.0)),
        (Some(Measure::Matching(Box::new(filter(&[("status_code", "5xx")])))), Some(1.0), Some(0.0)),
        (duration(Aggregate::Average), Some(90.5 / 3.0), Some(50.0)),
        (duration(Aggregate::Minimum), Some(20.0), Some(50.0)),
        (duration(Aggregate::Maximum), Some(40.5), Some(50.0)),
        (duration(Aggregate::P50), Some(30.0), Some(50.0)),
        (duration(Aggregate::P95), Some(40.5), Some(50.0)),
        (duration(Aggregate::P99), Some(40.5), Some(50.0)),
        (number(NumberField::StatusCode, Aggregate::Average), Some(368.0), Some(399.0)),
        (number(NumberField::StatusCode, Aggregate::P50), Some(404.0), Some(399.0)),
    ] {
        let mut asked = query(&["service"], measure.clone());
        asked.earlier = Some(Span { from: at(-60), to: at(0) });
        let found = observed(fixture, tenant_id, &asked).await;
        let measured: Vec<Option<f64>> = found.groups.iter().map(|group| group.window.measured).collect();
        let is_count = matches!(measure, Some(Measure::Errors | Measure::Matching(_)));
        let same = |found: Option<f64>, expected: Option<f64>| match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
            (None, Some(zero)) => is_count && zero == 0.0,
            (found, None) => found.is_none(),
        };
        assert!(same(measured[0], of_a) && same(measured[1], of_b), "{measure:?}: {measured:?}");
        assert!(measured[2].is_none_or(|zero| is_count && zero == 0.0), "{measure:?} of nothing");
    }
    let mut before = query(&[], duration(Aggregate::Maximum));
    before.earlier = Some(Span { from: at(-60), to: at(0) });
    assert_eq!(observed(fixture, tenant_id, &before).await.groups[0].earlier.measured, Some(80.0));
}

async fn the_largest_groups_are_told_of(fixture: &dyn AlertFixture, tenant_id: TenantId) {
    let mut asked = query(&["service"], None);
    asked.earlier = Some(Span { from: at(-100), to: at(0) });
    assert!(!observed(fixture, tenant_id, &asked).await.is_truncated);
    asked.max_groups = 3;
    let found = observed(fixture, tenant_id, &asked).await;
    let names: Vec<String> = found.groups.iter().map(|group| group.labels.to_string()).collect();
    assert_eq!(names, ["service=a", "service=b", "service=gone"]);
    assert!(found.is_truncated);
    asked.max_groups = 4;
    assert!(!observed(fixture, tenant_id, &asked).await.is_truncated);
}

async fn examples_are_the_newest(fixture: &dyn AlertFixture, tenant_id: TenantId) {
    let mut asked = ExampleQuery {
        filter: Filter::default(),
        group_by: vec![
            "service".parse().expect("a group field"),
            "tags.shard".parse().expect("a group field"),
        ],
        labels: labels(&[("service", "a"), ("tags.shard", "a")]),
        window: WINDOW,
        limit: 2,
    };
    let found = fixture.store().examples(tenant_id, &asked).await.expect("the store works");
    let ids: Vec<&str> = found.iter().map(|example| example.event_id.as_str()).collect();
    assert_eq!(ids, ["alerts-4", "alerts-3"]);
    assert_eq!((found[0].service.as_str(), found[0].occurred_at), ("a", at(20)));
    asked.labels = labels(&[("service", "a"), ("tags.shard", "")]);
    assert_eq!(fixture.store().examples(tenant_id, &asked).await.expect("the store works"), []);
    (asked.group_by, asked.labels, asked.limit) = (Vec::new(), Labels::default(), 5);
    let all = fixture.store().examples(tenant_id, &asked).await.expect("the store works");
    let ids: Vec<&str> = all.iter().map(|example| example.event_id.as_str()).collect();
    assert_eq!(ids, ["alerts-6", "alerts-5", "alerts-4", "alerts-3", "alerts-2"]);
}

async fn steps_add_up(fixture: &dyn AlertFixture, tenant_id: TenantId) {
    let mut asked = SeriesQuery {
        filter: Filter::default(),
        group_by: vec!["service".parse().expect("a group field")],
        measure: Some(Measure::Aggregate { field: NumberField::DurationMs, aggregate: Aggregate::Average }),
        from: at(-60),
        step_secs: 20,
        steps: 6,
        max_groups: 10,
    };
    let found = fixture.store().series(tenant_id, &asked).await.expect("the store works");
    let told: Vec<_> = found
        .iter()
        .map(|step| (step.step, step.labels.to_string(), step.count, step.measured_count, step.sum))
        .collect();
    assert_eq!(
        told,
        [
            (0, "service=gone".to_owned(), 1, 1, 80.0),
            (2, "service=a".to_owned(), 1, 1, 10.0),
            (3, "service=a".to_owned(), 2, 2, 50.0),
            (4, "service=a".to_owned(), 1, 1, 40.5),
            (4, "service=b".to_owned(), 2, 1, 50.0),
        ]
    );
    let third = &found[2];
    assert_eq!((third.minimum, third.maximum, third.latest), (20.0, 30.0, at(10)));
    (asked.measure, asked.max_groups) = (Some(Measure::Errors), 1);
    let found = fixture.store().series(tenant_id, &asked).await.expect("the store works");
    let told: Vec<_> = found.iter().map(|step| (step.step, step.count, step.measured_count)).collect();
    assert_eq!(told, [(2, 1, 0), (3, 2, 1), (4, 1, 1)], "only the largest group, in every step");
}

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

async fn a_state_is_all_that_counts(fixture: &dyn AlertFixture, one: TenantId, two: TenantId) {
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

async fn an_evaluation_is_stored_whole_or_not_at_all(fixture: &dyn AlertFixture, tenant_id: TenantId) {
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

#[async_trait]
impl AlertFixture for MemoryAlerts {
    fn store(&self) -> &dyn AlertStore {
        self
    }

    async fn add_events(&self, events: &[NewEvent]) {
        self.events().append(events).await.expect("a list takes anything");
    }

    async fn delete_event(&self, tenant_id: TenantId, event_id: &EventId) {
        self.events().delete(tenant_id, event_id);
    }

    async fn add_rule(&self, rule: &Rule, first_tick: Timestamp) {
        self.put_rule(rule, first_tick);
    }

    async fn add_channel(&self, channel: &Channel) {
        self.put_channel(channel);
    }

    async fn add_silence(&self, silence: &Silence) {
        self.put_silence(silence);
    }

    async fn rule(&self, tenant_id: TenantId, rule_id: RuleId) -> Option<Rule> {
        Self::rule(self, tenant_id, rule_id)
    }

    async fn alerts(&self, _: TenantId, rule_id: RuleId) -> Vec<Alert> {
        Self::alerts(self, rule_id)
    }

    async fn timeline(&self, _: TenantId, alert_id: AlertId) -> Vec<TimelineEntry> {
        Self::timeline(self, alert_id)
    }

    async fn deliveries(&self, tenant_id: TenantId) -> Vec<Delivery> {
        let mut deliveries = Self::deliveries(self);
        deliveries.retain(|delivery| delivery.tenant_id == tenant_id);
        deliveries
    }

    async fn lease(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Option<LeasedJob> {
        self.claim(tenant_id, rule_id, now, lease_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_store_keeps_the_contract() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(alert_store(&MemoryAlerts::default()));
    }
}
