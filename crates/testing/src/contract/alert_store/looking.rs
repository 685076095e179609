//! What is seen of events: groups, measures, examples, steps.

use pulsestream_domain::{
    alerting::{
        Aggregate, ExampleQuery, Figures, GroupObservation, Labels, Measure, NumberField, ObservationQuery,
        Observed, SeriesQuery, Span,
    },
    event::NewEvent,
    search::{Filter, Parameters, parse_filter},
    tenant::TenantId,
};
use serde_json::json;
use uuid::Uuid;

use super::{AlertFixture, at, labels};
use crate::builders::event;

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

pub(super) async fn events_are_looked_at_by_group_and_window(
    fixture: &dyn AlertFixture,
    one: TenantId,
    two: TenantId,
) {
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

pub(super) async fn every_measure_is_measured(fixture: &dyn AlertFixture, tenant_id: TenantId) {
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

pub(super) async fn the_largest_groups_are_told_of(fixture: &dyn AlertFixture, tenant_id: TenantId) {
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

pub(super) async fn examples_are_the_newest(fixture: &dyn AlertFixture, tenant_id: TenantId) {
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

pub(super) async fn steps_add_up(fixture: &dyn AlertFixture, tenant_id: TenantId) {
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
