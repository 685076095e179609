//! Histograms, facets and figures are what counting by hand gives.

use std::collections::BTreeMap;

use pulsestream_domain::{
    Timestamp,
    event::{NewEvent, Severity},
    search::{Bucket, Facet, FacetField, Interval, Percentiles},
    tenant::{DuplicatePolicy, Limits, Tenant, TenantId},
};
use pulsestream_storage::Stats;

use crate::support::{Fresh, NOW, OTHER, TENANT, at, event, id, on_both, origin, query};

on_both!(
    a_histogram_is_what_counting_by_hand_gives,
    facets_are_what_counting_by_hand_gives,
    stats_count_by_when_events_were_taken_in,
    a_tenant_without_events_has_zeros,
    figures_across_tenants_add_up,
);

/// Events with some of everything, spread over hours, two of them just before and at an hour.
fn mixed() -> Vec<NewEvent> {
    let spread = |n: i64| {
        let occurred_at = NOW.plus_secs(-n * n * 7).plus_micros(n);
        let plain = event(TENANT, &format!("m{n}"));
        NewEvent {
            service: format!("s{}", n % 7),
            severity: Severity::ALL[(n % 4) as usize],
            environment: (n % 3 != 0).then(|| format!("e{}", n % 2)),
            status_code: (n % 5 != 0).then(|| 200 + (n % 4) as u16 * 100),
            duration_ms: (n % 6 != 0).then(|| ((n * 37) % 101) as f64 / 3.0),
            occurred_at,
            ..plain
        }
    };
    let hour = Timestamp::from_secs(NOW.as_secs() / 3_600 * 3_600);
    let edges = [hour, hour.plus_micros(-1)];
    let at_edges = edges
        .into_iter()
        .enumerate()
        .map(|(n, occurred_at)| NewEvent { occurred_at, ..event(TENANT, &format!("edge{n}")) });
    (0..150).map(spread).chain(at_edges).collect()
}

async fn a_histogram_is_what_counting_by_hand_gives(fresh: &Fresh) {
    let events = mixed();
    fresh.put(&events).await;
    fresh.put(&[event(OTHER, "theirs"), event(TENANT, "deleted")]).await;
    fresh.store.delete_event(TENANT, &id("deleted")).await.unwrap();

    for (name, interval) in Interval::ALL {
        for filter in [query(&[]).filter, query(&[("service", "s1"), ("status_code", "5xx")]).filter] {
            let mut by_start = BTreeMap::<i64, Vec<&NewEvent>>::new();
            for event in events.iter().filter(|event| filter.matches(event)) {
                let micros = event.occurred_at.as_micros();
                by_start.entry(micros - micros % interval.micros()).or_default().push(event);
            }
            let expected: Vec<Bucket> =
                by_start.into_iter().map(|(start, events)| bucket(start, &events)).collect();

            let found = fresh.store.histogram(TENANT, &filter, interval).await.unwrap();

            assert_eq!(found, expected, "{name}");
        }
    }
}

fn bucket(start: i64, events: &[&NewEvent]) -> Bucket {
    let mut durations: Vec<f64> = events.iter().filter_map(|event| event.duration_ms).collect();
    durations.sort_by(f64::total_cmp);
    Bucket {
        start: Timestamp::from_micros(start),
        count: events.len() as u64,
        errors: events.iter().filter(|event| event.status_code >= Some(500)).count() as u64,
        durations: Percentiles::of_sorted(&durations),
    }
}

async fn facets_are_what_counting_by_hand_gives(fresh: &Fresh) {
    let events = mixed();
    fresh.put(&events).await;
    fresh.put(&[event(OTHER, "theirs")]).await;
    let filter = query(&[("severity", "info")]).filter;

    for (name, field) in FacetField::ALL {
        let value = |event: &NewEvent| match field {
            FacetField::EventType => Some(event.event_type.to_string()),
            FacetField::Severity => Some(event.severity.to_string()),
            FacetField::Service => Some(event.service.clone()),
            FacetField::Endpoint => Some(event.endpoint.clone()),
            FacetField::Method => Some(event.method.clone()),
            FacetField::Environment => event.environment.clone(),
            FacetField::StatusCode => event.status_code.map(|code| code.to_string()),
            FacetField::UserId => event.user_id.clone(),
        };
        let mut counts = BTreeMap::<String, u64>::new();
        for event in events.iter().filter(|event| filter.matches(event)) {
            if let Some(value) = value(event) {
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut expected: Vec<Facet> =
            counts.into_iter().map(|(value, count)| Facet { value, count }).collect();
        expected.sort_by_key(|facet| std::cmp::Reverse(facet.count));
        expected.truncate(5);

        assert_eq!(fresh.store.facets(TENANT, &filter, field, 5).await.unwrap(), expected, "{name}");
    }
}

async fn stats_count_by_when_events_were_taken_in(fresh: &Fresh) {
    let ages = [0, 29, 31, 59 * 30, 60 * 31, 3_600 * 5, 3_600 * 11, 86_399, 86_401, 86_400 * 30];
    let codes =
        [Some(500), Some(200), None, Some(599), Some(404), Some(499), None, None, Some(500), Some(503)];
    let events: Vec<NewEvent> = ages
        .into_iter()
        .zip(codes)
        .enumerate()
        .map(|(n, (age, status_code))| {
            let taken_in = at(NOW.plus_secs(-age), event(TENANT, &format!("e{n}")));
            // When it happened does not matter.
            NewEvent { status_code, occurred_at: Timestamp::EPOCH, ..taken_in }
        })
        .collect();
    fresh.put(&events).await;
    fresh.put(&[event(OTHER, "theirs")]).await;
    fresh.store.retry_event(TENANT, &id("e3")).await.unwrap();

    let expected = Stats {
        total_events: 10,
        events_today: 6,
        events_this_hour: 4,
        events_this_minute: 2,
        last_event_at: Some(NOW),
        pending_events: 1,
        error_rate: 0.4,
    };
    assert_eq!(fresh.store.stats(TENANT, NOW).await.unwrap(), expected);
}

async fn a_tenant_without_events_has_zeros(fresh: &Fresh) {
    assert_eq!(fresh.store.stats(TENANT, NOW).await.unwrap(), Stats::default());
    assert_eq!(fresh.store.histogram(TENANT, &query(&[]).filter, Interval::Hour).await.unwrap(), []);
    assert_eq!(fresh.store.last_received_at().await.unwrap(), None);
    assert_eq!(fresh.store.errors_last_hour(NOW).await.unwrap(), 0);
}

async fn figures_across_tenants_add_up(fresh: &Fresh) {
    for tenant in [TENANT, OTHER, TenantId(uuid::Uuid::from_u128(9))] {
        let tenant = Tenant {
            id: tenant,
            name: "Name".to_owned(),
            slug: format!("t-{}", tenant.0.simple()).parse().unwrap(),
            limits: Limits::default(),
            duplicate_policy: DuplicatePolicy::Strict,
            created_at: NOW,
        };
        fresh.store.create_tenant(&tenant, None, &origin()).await.unwrap();
    }
    let failed =
        |event: NewEvent, age: i64| NewEvent { status_code: Some(503), ..at(NOW.plus_secs(-age), event) };
    fresh
        .put(&[
            failed(event(TENANT, "a"), 10),
            failed(event(TENANT, "b"), 3_599),
            failed(event(TENANT, "c"), 3_601),
            failed(event(OTHER, "d"), 5),
            at(NOW.plus_secs(-1), event(OTHER, "e")),
        ])
        .await;

    assert_eq!(fresh.store.errors_last_hour(NOW).await.unwrap(), 3);
    assert_eq!(fresh.store.last_received_at().await.unwrap(), Some(NOW.plus_secs(-1)));
    assert_eq!(fresh.store.pending_events().await.unwrap(), 0);
}
