//! The alerts that are raised are those of a plain model: none missed, none extra, none twice.
//!
//! Timelines of events are made up, with late, repeated and out-of-order ones and with groups that come and
//! go. A rule is evaluated over each, by workers that are killed between any two steps, cut off in the middle of
//! one, or meet another worker on the same job. What is in the store at the end is compared with what a model
//! says, which was written for this test alone and shares no code with the evaluation.
//!
//! All of it is played in memory, where many cases cost little, and on both databases, where what has to hold is
//! the databases' own doing. `PROPTEST_CASES` asks for another number of cases.

mod cases;
mod gate;
mod ground;
mod in_memory;
mod model;
#[path = "../stores/mod.rs"]
mod stores;
mod tally;
mod world;

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use cases::{Case, DELAY, Fate, case};
use gate::Gate;
use ground::Ground;
use model::Look;
use proptest::{prelude::*, test_runner::TestRunner};
use pulsestream_alerting::{Evaluator, Settings};
use pulsestream_domain::alerting::{AlertStatus, DeliveryReason};
use stores::Database;
use tally::Tally;
use tokio::runtime::Runtime;
use world::World;

/// Plays a case and compares.
async fn check<G: Ground>(ground: &Arc<G>, tenant: u128, case: &Case) -> Result<Tally, TestCaseError> {
    let world = World::play(ground, tenant, case).await;
    let expected = model::alerts(case, &world.looks(), DELAY);
    let mut found: Vec<model::Outcome> = world.outcomes().await;
    found.sort();
    prop_assert_eq!(found, expected);
    world.check_that_everything_was_said_once().await?;
    Ok(world.tally)
}

/// Replays a case and compares.
async fn check_backtest<G: Ground>(
    ground: &Arc<G>,
    tenant: u128,
    case: &Case,
) -> Result<usize, TestCaseError> {
    let world = World::of_the_past(ground, tenant, case).await;
    let looks: Vec<Look> =
        (0..case.ticks as i64).map(|n| Look { tick: n * case.rule.interval, now: i64::MAX }).collect();
    let mut expected = model::alerts(case, &looks, 0);
    expected.retain(|alert| alert.triggered.is_some());
    let mut found = world.backtest(case).await;
    found.sort();
    prop_assert_eq!(&found, &expected);
    Ok(found.len())
}

/// So many cases, unless the environment asks for others.
fn runner(cases: u32) -> TestRunner {
    let usual = ProptestConfig::default();
    let is_asked_for = usual.cases != 256;
    TestRunner::new(ProptestConfig { cases: if is_asked_for { usual.cases } else { cases }, ..usual })
}

/// Each case belongs to a tenant of its own.
struct Tenants(Cell<u128>);

impl Tenants {
    const fn new() -> Self {
        Self(Cell::new(0))
    }

    fn next(&self) -> u128 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}

/// Makes each function a test on either database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test]
            fn $name() {
                super::$name(crate::stores::Database::sqlite());
            })*
        }
        mod on_postgres {
            $(#[test]
            fn $name() {
                super::$name(crate::stores::Database::postgres());
            })*
        }
    };
}

on_both!(
    the_alerts_are_those_of_the_model,
    a_backtest_says_what_the_model_says,
    a_worker_that_dies_at_any_step_loses_and_doubles_nothing,
    whoever_asks_while_a_tick_is_done_there_is_one_alert,
);

fn the_alerts_are_those_of_the_model(open: impl Future<Output = Database>) {
    let runtime = Runtime::new().expect("a test can have a runtime");
    let ground = Arc::new(runtime.block_on(open));
    let (tenants, sum) = (Tenants::new(), RefCell::new(Tally::default()));
    let played = runner(60).run(&case(), |case| {
        *sum.borrow_mut() += runtime.block_on(check(&ground, tenants.next(), &case))?;
        Ok(())
    });
    played.unwrap_or_else(|error| panic!("{error}"));
    let sum = sum.into_inner();
    println!("{sum}; none missed, none extra");
    for (number, what) in [(sum.alerts, "alerts"), (sum.deaths, "deaths"), (sum.races, "races")] {
        assert!(number >= sum.timelines / 5, "too few {what}: {sum}");
    }
    // Who never waited that often was not cut off: only the least is certain. The next test has one for each wait.
    assert!(sum.cuts > 0, "nobody was cut off: {sum}");
}

fn a_backtest_says_what_the_model_says(open: impl Future<Output = Database>) {
    let runtime = Runtime::new().expect("a test can have a runtime");
    let ground = Arc::new(runtime.block_on(open));
    let (tenants, alerts) = (Tenants::new(), Cell::new(0));
    let played = runner(60).run(&case(), |case| {
        alerts.set(alerts.get() + runtime.block_on(check_backtest(&ground, tenants.next(), &case))?);
        Ok(())
    });
    played.unwrap_or_else(|error| panic!("{error}"));
    println!("{} backtests, {} alerts", tenants.0.get(), alerts.get());
    assert!(alerts.get() > 10);
}

fn a_worker_that_dies_at_any_step_loses_and_doubles_nothing(open: impl Future<Output = Database>) {
    let runtime = Runtime::new().expect("a test can have a runtime");
    let ground = Arc::new(runtime.block_on(open));
    let (tenants, mut sum) = (Tenants::new(), Tally::default());
    // Ticks that raise, that change nothing, and that resolve.
    for tick in [1, 2, 4, 5] {
        for step in 0..14 {
            for fate in [Fate::Dies { step }, Fate::Cut { waits: step }] {
                let case = Case::of_a_burst().with_fate(tick, fate);
                let checked = runtime.block_on(check(&ground, tenants.next(), &case));
                sum += checked.unwrap_or_else(|error| panic!("tick {tick}, {fate:?}: {error}"));
            }
        }
    }
    println!("{sum}; none missed, none extra");
    assert!(sum.deaths >= 4 * 6 && sum.cuts >= 4 * 2, "workers did die: {sum}");
}

fn whoever_asks_while_a_tick_is_done_there_is_one_alert(open: impl Future<Output = Database>) {
    const ROUNDS: u128 = 40;
    let runtime = Runtime::new().expect("a test can have a runtime");
    let ground = Arc::new(runtime.block_on(open));
    for round in 1..=ROUNDS {
        runtime.block_on(async {
            let world = World::of_one_event(&ground, round).await;
            let gates = [Gate { is_free: true, ..world.gate() }, world.other_gate(), world.other_gate()];
            let evaluators = gates.map(|gate| world_evaluator(&world, &Arc::new(gate)));
            let job = world.claim().await.expect("it is due");
            let (tenant_id, rule_id) = (world.rule.tenant_id, world.rule.id);
            let (ticked, one, other) = tokio::join!(
                evaluators[0].tick(&job),
                evaluators[1].evaluate_now(tenant_id, rule_id),
                evaluators[2].evaluate_now(tenant_id, rule_id),
            );
            ticked.expect("the database works");
            for asked in [one, other] {
                let raised = asked.expect("the database works").expect("there is a rule").raised;
                assert_eq!(raised.len(), 1, "who asks hears of it, whoever raised it");
            }
            let alerts = world.alerts().await;
            assert_eq!(alerts.iter().map(|alert| alert.status).collect::<Vec<_>>(), [AlertStatus::Active]);
            let said = ground.deliveries(tenant_id).await;
            let reasons: Vec<_> = said.iter().map(|delivery| delivery.reason).collect();
            assert_eq!(reasons, [DeliveryReason::Firing]);
        });
    }
    println!("{ROUNDS} rounds of a tick and two who ask, {ROUNDS} alerts");
}

fn world_evaluator<G: Ground>(world: &World<G>, gate: &Arc<Gate<G>>) -> Evaluator {
    let (clock, ids) = (Arc::clone(&world.clock), Arc::clone(&world.ids));
    Evaluator::new(Arc::clone(gate) as _, clock as _, ids as _, Settings::default())
}
