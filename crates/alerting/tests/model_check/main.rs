//! The alerts that are raised are those of a plain model: none missed, none extra, none twice.
//!
//! Timelines of events are made up, with late, repeated and out-of-order ones and with groups that come and
//! go. A rule is evaluated over each, by workers that are killed between any two steps or meet another
//! worker on the same job. What is in the store at the end is compared with what a model says, which was
//! written for this test alone and shares no code with the evaluation.

mod cases;
mod gate;
mod model;
mod world;

use std::{pin::pin, sync::Arc, time::Duration};

use cases::{Case, DELAY, Fate, case};
use gate::{Gate, poll_once};
use model::Look;
use proptest::prelude::*;
use pulsestream_alerting::{Evaluator, Settings};
use pulsestream_domain::{
    alerting::{Action, AlertStatus, DeliveryReason},
    job::LeasedJob,
    ports::Clock as _,
};
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_alerts_are_those_of_the_model(case in case()) {
        check(&case)?;
    }

    #[test]
    fn a_backtest_says_what_the_model_says(case in case()) {
        let world = World::of_the_past(&case);
        let looks: Vec<Look> =
            (0..case.ticks as i64).map(|n| Look { tick: n * case.rule.interval, now: i64::MAX }).collect();
        let mut expected = model::alerts(&case, &looks, 0);
        expected.retain(|alert| alert.triggered.is_some());
        let mut found = world.backtest(&case);
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

/// Plays a case and compares.
fn check(case: &Case) -> Result<(), TestCaseError> {
    let world = World::play(case);
    let expected = model::alerts(case, &world.looks(), DELAY);
    let mut found: Vec<model::Outcome> = world.outcomes();
    found.sort();
    prop_assert_eq!(found, expected);
    world.check_that_everything_was_said_once()?;
    Ok(())
}

#[test]
fn a_worker_that_dies_at_any_step_of_any_tick_loses_and_doubles_nothing() {
    let mut deaths = 0;
    for tick in 0..8 {
        for step in 0..14 {
            let case = Case::of_a_burst().with_fate(tick, Fate::Dies { step });
            check(&case).unwrap_or_else(|error| panic!("tick {tick}, step {step}: {error}"));
            deaths += World::play(&case).deaths;
        }
    }
    // A tick has 6 steps when nothing changes, and more when something does.
    assert!(deaths >= 8 * 6, "workers did die: {deaths}");
}

#[test]
fn two_workers_on_one_job_lose_and_double_nothing() {
    let mut lost = 0;
    for tick in 0..8 {
        for before in 0..10 {
            for order in [0_u16, 0xffff, 0x5555, 0x3333] {
                let case = Case::of_a_burst().with_fate(tick, Fate::Meets { before, order });
                check(&case).unwrap_or_else(|error| panic!("tick {tick}, {before}, {order:x}: {error}"));
                lost += World::play(&case).lost;
            }
        }
    }
    assert!(lost >= 8, "workers did lose their jobs: {lost}");
}

#[test]
fn a_tick_and_somebody_who_asks_raise_one_alert_between_them() {
    for order in 0..1_u32 << 10 {
        let world = World::of_one_event();
        let gates = [
            Gate::over(&world.store, &world.clock, &world.done),
            Gate::over(&world.store, &world.clock, &world.done),
        ];
        let evaluators = gates.each_ref().map(|gate| {
            Evaluator::new(
                gate.clone(),
                Arc::clone(&world.clock) as _,
                Arc::clone(&world.ids) as _,
                Settings::default(),
            )
        });
        let job = world.claim().expect("it is due");
        let mut tick = pin!(evaluators[0].tick(&job));
        let mut asked = pin!(evaluators[1].evaluate_now(world.tenant_id(), world.rule_id()));
        let (mut ticked, mut answered) = (None, None);
        for turn in 0.. {
            if ticked.is_some() && answered.is_some() {
                break;
            }
            let is_tick = order.checked_shr(turn).map_or(turn % 2, |rest| rest & 1) == 1;
            if is_tick && ticked.is_none() {
                ticked = poll_once(tick.as_mut());
            } else if !is_tick && answered.is_none() {
                answered = poll_once(asked.as_mut());
            }
        }
        ticked.expect("it ended").expect("nobody was killed");
        let answer = answered.expect("it ended").expect("nobody was killed").expect("there is a rule");
        assert_eq!(answer.raised.len(), 1, "order {order:b}: who asks hears of it, whoever raised it");
        let alerts = world.store.alerts(world.rule_id());
        assert_eq!(alerts.len(), 1, "order {order:b}");
        assert_eq!(alerts[0].status, AlertStatus::Active);
        let said = world.store.deliveries();
        assert_eq!(
            said.iter().map(|one| one.reason).collect::<Vec<_>>(),
            [DeliveryReason::Firing],
            "order {order:b}"
        );
    }
}

#[test]
fn what_a_person_does_in_the_middle_of_an_evaluation_is_not_lost() {
    for step in 0..20 {
        let world = World::of_one_event();
        let gate = Gate::over(&world.store, &world.clock, &world.done);
        let evaluator = Evaluator::new(
            gate.clone(),
            Arc::clone(&world.clock) as _,
            Arc::clone(&world.ids) as _,
            Settings::default(),
        );
        let run = |job: &LeasedJob, pause: u32, meanwhile: &dyn Fn()| {
            let mut worker = pin!(evaluator.tick(job));
            let mut turns = 0;
            while turns < pause && poll_once(worker.as_mut()).is_none() {
                turns += 1;
            }
            meanwhile();
            while turns == pause && poll_once(worker.as_mut()).is_none() {}
        };
        run(&world.claim().expect("it is due"), u32::MAX, &|| ());
        let raised = world.store.alerts(world.rule_id()).pop().expect("it was raised");

        // By then the window is empty, and the alert begins to clear.
        world.clock.advance(Duration::from_secs(600));
        let mut rule = world.store.rule(world.tenant_id(), world.rule_id()).expect("it is there");
        rule.definition.keep_firing_for_secs = 3_600;
        world.store.put_rule(&rule, world.clock.now());
        let job = LeasedJob { due_at: world.clock.now().plus_secs(60), ..world.claim().expect("it is due") };
        let acknowledge = || {
            world.store.change_alert(raised.id, |alert| {
                alert.act(Action::Acknowledge, "ann", None, world.clock.now()).expect("it fits");
            });
        };
        run(&job, step, &acknowledge);
        let alert = world.store.alerts(world.rule_id()).pop().expect("it is there");
        assert_eq!(alert.acknowledged_by.as_deref(), Some("ann"), "step {step}");
        assert_eq!(
            (alert.status, alert.clear_since),
            (AlertStatus::Acknowledged, Some(job.due_at)),
            "step {step}"
        );
    }
}
