//! What many evaluations ask at once is answered as if each had asked alone.

use std::cell::Cell;

use futures_util::future::join_all;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
    test_runner::{Config, TestRunner},
};
use pulsestream_domain::{
    alerting::{
        Aggregate, AlertStatus, GroupField, Measure, NumberField, ObservationQuery, Observed, RuleState, Span,
    },
    event::NewEvent,
    ports::{AlertStore as _, StoreError},
    search::Filter,
    tenant::TenantId,
};
use pulsestream_storage::{Database, Store};
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use uuid::Uuid;

use super::{add_rule, alert, open, rule, two_tenants};
use crate::{
    both_alike::{owned_by, some_event, some_filter},
    support::{Fresh, NOW, OTHER, TENANT, on_both},
};

on_both!(
    states_are_those_of_each_rule_and_instant,
    a_rule_that_cannot_be_read_keeps_no_other_from_its_state,
    who_asks_nothing_of_a_tenant_learns_nothing_of_it,
);

fn some_measure() -> impl Strategy<Value = Option<Measure>> {
    let field = select(&[NumberField::StatusCode, NumberField::DurationMs][..]);
    let number = (field, select(Aggregate::ALL))
        .prop_map(|(field, aggregate)| Measure::Aggregate { field, aggregate });
    option::of(prop_oneof![
        Just(Measure::Errors),
        some_filter().prop_map(|filter| Measure::Matching(Box::new(filter))),
        number,
    ])
}

prop_compose! {
    fn some_question()(
        filter in prop_oneof![Just(Filter::default()), some_filter()],
        group_by in subsequence(
            vec!["event_type", "severity", "service", "endpoint", "method", "environment", "status_code", "user_id"],
            0..=3,
        ),
        measure in some_measure(),
        (age, length) in (-1_i64..6, 1_i64..4),
        earlier in option::of(1_i64..4),
        max_groups in prop_oneof![1 => 1_usize..4, 2 => Just(1_000)],
    ) -> ObservationQuery {
        let from = NOW.plus_secs(-age * 40);
        ObservationQuery {
            filter,
            group_by: group_by.into_iter().map(|name| name.parse::<GroupField>().unwrap()).collect(),
            measure,
            window: Span { from, to: from.plus_secs(length * 40) },
            earlier: earlier.map(|length| Span { from: from.plus_secs(-length * 40), to: from }),
            max_groups,
        }
    }
}

/// With numbers whose sums are exact, in whatever order they are added.
fn in_quarters(event: NewEvent) -> NewEvent {
    NewEvent { duration_ms: event.duration_ms.map(|number| (number * 4.0).round() / 4.0), ..event }
}

/// Answers how many groups were seen.
async fn compare(store: &Store, tenant_id: TenantId, questions: &[ObservationQuery]) -> usize {
    let together = join_all(questions.iter().map(|question| store.observe(tenant_id, question))).await;
    let together: Vec<Observed> = together.into_iter().map(Result::unwrap).collect();
    for (question, together) in questions.iter().zip(&together) {
        let alone = store.observe(tenant_id, question).await.unwrap();
        assert_eq!(*together, alone, "{:?} {question:?}", store.database());
    }
    together.iter().map(|observed| observed.groups.len()).sum()
}

#[test]
fn windows_look_alike_to_all_who_ask_at_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fresh = runtime.block_on(async { [Fresh::sqlite().await, Fresh::postgres().await] });
    let (case, groups) = (Cell::new(0_u128), Cell::new(0));

    TestRunner::new(Config { cases: 16, ..Config::default() })
        .run(&(vec(some_event(), 0..40), vec(some_question(), 12..32)), |(events, questions)| {
            case.set(case.get() + 1);
            let tenant_id = TenantId(Uuid::from_u128(TENANT.0.as_u128() ^ (case.get() << 64)));
            let events: Vec<NewEvent> = owned_by(tenant_id, events).into_iter().map(in_quarters).collect();
            for fresh in &fresh {
                runtime.block_on(async {
                    fresh.put(&events).await;
                    groups.set(groups.get() + compare(&fresh.store, tenant_id, &questions).await);
                });
            }
            Ok(())
        })
        .unwrap();

    assert!(groups.get() > 500, "only {} groups were seen: this says little", groups.get());
}

async fn states_are_those_of_each_rule_and_instant(fresh: &Fresh) {
    two_tenants(fresh).await;
    let rules = [
        rule(TENANT, 1, json!({})),
        rule(TENANT, 2, json!({"cooldown_minutes": 120})),
        rule(TENANT, 3, json!({})),
    ];
    for rule in &rules {
        add_rule(fresh, rule).await;
    }
    open(
        fresh,
        &rules[0],
        &[alert(&rules[0], 1, AlertStatus::Active), alert(&rules[0], 2, AlertStatus::Pending)],
        &[],
    )
    .await;
    open(fresh, &rules[1], &[alert(&rules[1], 3, AlertStatus::Resolved)], &[]).await;
    // The same rule at several instants, too; the last one there is not.
    let asked = [(1, 0), (2, 0), (1, 60), (3, 0), (2, 3_600), (2, 7_199), (2, 7_200), (1, 0), (4, 0)];
    let rule_id = |number: u128| rule(TENANT, number, json!({})).id;
    let load = |(number, secs): (u128, i64)| fresh.store.load(TENANT, rule_id(number), NOW.plus_secs(secs));

    let together = join_all(asked.map(load)).await;

    let mut open_alerts = 0;
    for (question, together) in asked.into_iter().zip(together) {
        let (together, alone) = (together.unwrap().map(sorted), load(question).await.unwrap().map(sorted));
        assert_eq!(together, alone, "{question:?}");
        open_alerts += together.map_or(0, |state| state.open.len());
    }
    assert_eq!(open_alerts, 6, "two for each time the first rule was asked for");
}

/// Alerts have no order.
fn sorted(mut state: RuleState) -> RuleState {
    state.open.sort_by_key(|alert| alert.id);
    state
}

async fn a_rule_that_cannot_be_read_keeps_no_other_from_its_state(fresh: &Fresh) {
    two_tenants(fresh).await;
    let rules = [1, 2, 3].map(|number| rule(TENANT, number, json!({"name": format!("Rule {number}")})));
    for rule in &rules {
        add_rule(fresh, rule).await;
    }
    let raw = sea_orm::Database::connect(&fresh.settings.url).await.unwrap();
    if fresh.store.database() == Database::Postgres {
        raw.execute_unprepared("ALTER TABLE rules NO FORCE ROW LEVEL SECURITY").await.unwrap();
    }
    let damage = "UPDATE rules SET definition = '{}' WHERE definition LIKE '%Rule 2%'";
    assert_eq!(raw.execute_unprepared(damage).await.unwrap().rows_affected(), 1);

    let states = join_all(rules.iter().map(|rule| fresh.store.load(TENANT, rule.id, NOW))).await;

    assert!(matches!(states[0], Ok(Some(_))) && matches!(states[2], Ok(Some(_))));
    assert!(matches!(states[1], Err(StoreError::Unexpected(_))), "{:?}", states[1]);
}

async fn who_asks_nothing_of_a_tenant_learns_nothing_of_it(fresh: &Fresh) {
    two_tenants(fresh).await;
    let mine = rule(TENANT, 1, json!({}));
    add_rule(fresh, &mine).await;
    let asked = [TENANT, OTHER, TENANT, OTHER].map(|tenant_id| fresh.store.load(tenant_id, mine.id, NOW));
    let found: Vec<bool> = join_all(asked).await.into_iter().map(|state| state.unwrap().is_some()).collect();
    assert_eq!(found, [true, false, true, false]);
}
