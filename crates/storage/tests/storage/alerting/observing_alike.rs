//! Both databases see in windows and steps what a list in memory that is filtered, grouped and counted has.

use std::{cell::Cell, collections::BTreeMap};

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
    test_runner::{Config, TestRunner},
};
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Aggregate, Figures, GroupField, Measure, NumberField, ObservationQuery, Observed, SeriesQuery, Span,
    },
    event::{Document, NewEvent},
    ports::{AlertStore as _, EventStore as _},
    search::Filter,
    tenant::TenantId,
};
use pulsestream_testing::memory::MemoryAlerts;
use serde_json::json;
use uuid::Uuid;

use crate::{
    both_alike::{owned_by, some_event, some_filter},
    support::{Fresh, NOW, TENANT},
};

/// Windows begin and end at its multiples, at which events happen, and just before and after which.
const STEP_SECS: i64 = 40;
const FIELDS: [&str; 10] = [
    "event_type",
    "severity",
    "service",
    "endpoint",
    "method",
    "environment",
    "status_code",
    "user_id",
    "tags.k",
    "tags.é",
];

prop_compose! {
    fn some_sample()(
        event in some_event(),
        off in select(vec![-1_i64, 0, 0, 1, 17_000_000]),
        // Of eighths, sums and means are exact.
        duration_ms in option::weighted(0.8, (0..64_u8).prop_map(|eighths| f64::from(eighths) / 8.0)),
        tags in option::weighted(0.8, (select(vec!["k", "é"]), select(vec!["v", "V", ""]))),
    ) -> NewEvent {
        let tags: BTreeMap<_, _> = tags.into_iter().collect();
        NewEvent {
            occurred_at: event.occurred_at.plus_micros(off),
            duration_ms,
            document: Document::from_stored(json!({"title": "t", "context": {"tags": tags}}).to_string()),
            ..event
        }
    }
}

/// Half of the time of everything: rules have their own times.
fn some_timeless_filter() -> impl Strategy<Value = Filter> {
    let timeless = some_filter().prop_map(|filter| Filter { start_time: None, end_time: None, ..filter });
    prop_oneof![Just(Filter::default()), timeless]
}

fn some_groups() -> impl Strategy<Value = Vec<GroupField>> {
    let named = |names: Vec<&str>| -> Vec<GroupField> {
        names.into_iter().map(|name| name.parse().unwrap()).collect()
    };
    subsequence(FIELDS.to_vec(), 0..=3).prop_shuffle().prop_map(named)
}

fn some_measure(aggregates: &'static [Aggregate]) -> impl Strategy<Value = Option<Measure>> {
    let number = (select(vec![NumberField::StatusCode, NumberField::DurationMs]), select(aggregates));
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(Measure::Errors)),
        1 => some_timeless_filter().prop_map(|filter| Some(Measure::Matching(Box::new(filter)))),
        4 => number.prop_map(|(field, aggregate)| Some(Measure::Aggregate { field, aggregate })),
    ]
}

const OF_WINDOWS: [Aggregate; 6] = [
    Aggregate::Average,
    Aggregate::Minimum,
    Aggregate::Maximum,
    Aggregate::P50,
    Aggregate::P95,
    Aggregate::P99,
];
const OF_STEPS: [Aggregate; 3] = [Aggregate::Average, Aggregate::Minimum, Aggregate::Maximum];

fn ago(steps: i64) -> Timestamp {
    NOW.plus_secs(-steps * STEP_SECS)
}

prop_compose! {
    fn some_observation()(
        filter in some_timeless_filter(),
        group_by in some_groups(),
        measure in some_measure(&OF_WINDOWS),
        (to, length, before) in (0..4_i64, 1..4_i64, option::of(1..4_i64)),
        max_groups in prop_oneof![Just(100_usize), 1..6_usize],
    ) -> ObservationQuery {
        let window = Span { from: ago(to + length), to: ago(to) };
        let earlier = before.map(|before| Span { from: ago(to + length + before), to: window.from });
        ObservationQuery { filter, group_by, measure, window, earlier, max_groups }
    }
}

prop_compose! {
    fn some_series()(
        filter in some_timeless_filter(),
        group_by in some_groups(),
        measure in some_measure(&OF_STEPS),
        (from, step_secs, steps) in (0..7_i64, select(vec![1_u32, 20, 40, 60]), 1..12_u32),
        max_groups in prop_oneof![Just(100_usize), 1..6_usize],
    ) -> SeriesQuery {
        SeriesQuery { filter, group_by, measure, from: ago(from), step_secs, steps, max_groups }
    }
}

/// Where events are counted, none and 0 are the same.
fn plain(mut observed: Observed, measure: Option<&Measure>) -> Observed {
    if matches!(measure, Some(Measure::Errors | Measure::Matching(_))) {
        let counted = |figures: &mut Figures| figures.measured = Some(figures.measured.unwrap_or(0.0));
        for group in &mut observed.groups {
            counted(&mut group.window);
            counted(&mut group.earlier);
        }
    }
    observed
}

#[test]
fn both_databases_see_what_a_list_in_memory_has() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (sqlite, postgres) = runtime.block_on(async { (Fresh::sqlite().await, Fresh::postgres().await) });
    let stores = [&sqlite.store, &postgres.store];
    let (case, asked, groups, portions) = (Cell::new(0_u128), Cell::new(0), Cell::new(0), Cell::new(0));
    let add = |to: &Cell<usize>, number: usize| to.set(to.get() + number);
    let samples = vec(some_sample(), 0..40);
    let questions = (vec(some_observation(), 1..8), vec(some_series(), 1..6));

    TestRunner::new(Config { cases: 64, ..Config::default() })
        .run(&(samples, questions), |(samples, (observations, all_series))| {
            case.set(case.get() + 1);
            // Its last digits stay, as the terms of the samples have them.
            let tenant_id = TenantId(Uuid::from_u128(TENANT.0.as_u128() ^ ((1 << 40 | case.get()) << 64)));
            let events = owned_by(tenant_id, samples);
            let list = MemoryAlerts::default();
            runtime.block_on(async {
                list.events().append(&events).await.unwrap();
                for store in stores {
                    store.append(&events).await.unwrap();
                }
                for query in &observations {
                    let expected =
                        plain(list.observe(tenant_id, query).await.unwrap(), query.measure.as_ref());
                    for store in stores {
                        let found = store.observe(tenant_id, query).await.unwrap();
                        let found = plain(found, query.measure.as_ref());
                        prop_assert_eq!(&found, &expected, "{:?} {:?}", store.database(), query);
                    }
                    add(&groups, expected.groups.iter().filter(|group| group.window.count > 0).count());
                }
                for query in &all_series {
                    let expected = list.series(tenant_id, query).await.unwrap();
                    for store in stores {
                        let found = store.series(tenant_id, query).await.unwrap();
                        prop_assert_eq!(&found, &expected, "{:?} {:?}", store.database(), query);
                    }
                    add(&portions, expected.len());
                }
                add(&asked, observations.len() + all_series.len());
                Ok(())
            })
        })
        .unwrap();

    println!("{} questions: {} groups, {} portions, as in memory", asked.get(), groups.get(), portions.get());
    assert!(groups.get() > 200 && portions.get() > 200, "that says little");
}
