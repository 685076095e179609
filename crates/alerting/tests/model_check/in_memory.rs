//! In memory, where many cases cost little, and who goes first is the test's to say.

use std::{pin::pin, sync::Arc, time::Duration};

use pulsestream_domain::{
    alerting::{Action, AlertStatus, DeliveryReason},
    job::LeasedJob,
    ports::Clock as _,
};

use pulsestream_testing::memory::MemoryAlerts;

use crate::{
    cases::{Case, Fate, case},
    check, check_backtest,
    gate::at_once,
    runner,
    tally::Tally,
    world::World,
    world_evaluator,
};

fn lists() -> Arc<MemoryAlerts> {
    Arc::default()
}

#[test]
fn the_alerts_are_those_of_the_model() {
    let sum = std::cell::RefCell::new(Tally::default());
    let played = runner(600).run(&case(), |case| {
        *sum.borrow_mut() += at_once(check(&lists(), 5, &case))?;
        Ok(())
    });
    played.unwrap_or_else(|error| panic!("{error}"));
    println!("{}; none missed, none extra", sum.into_inner());
}

#[test]
fn a_backtest_says_what_the_model_says() {
    let played = runner(600).run(&case(), |case| at_once(check_backtest(&lists(), 5, &case)).map(drop));
    played.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_worker_that_dies_at_any_step_of_any_tick_loses_and_doubles_nothing() {
    let mut deaths = 0;
    for tick in 0..8 {
        for step in 0..14 {
            let case = Case::of_a_burst().with_fate(tick, Fate::Dies { step });
            let checked = at_once(check(&lists(), 5, &case));
            deaths += checked.unwrap_or_else(|error| panic!("tick {tick}, step {step}: {error}")).deaths;
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
                let checked = at_once(check(&lists(), 5, &case));
                lost +=
                    checked.unwrap_or_else(|error| panic!("tick {tick}, {before}, {order:x}: {error}")).lost;
            }
        }
    }
    assert!(lost >= 8, "workers did lose their jobs: {lost}");
}

#[test]
fn a_tick_and_somebody_who_asks_raise_one_alert_between_them() {
    for order in 0..1_u32 << 10 {
        let world = at_once(World::of_one_event(&lists(), 5));
        let gates = [Arc::new(world.gate()), Arc::new(world.gate())];
        let evaluators = gates.each_ref().map(|gate| world_evaluator(&world, gate));
        let job = at_once(world.claim()).expect("it is due");
        let mut tick = pin!(evaluators[0].tick(&job));
        let mut asked = pin!(evaluators[1].evaluate_now(world.rule.tenant_id, world.rule.id));
        let (mut ticked, mut answered) = (None, None);
        for turn in 0.. {
            if ticked.is_some() && answered.is_some() {
                break;
            }
            let is_tick = order.checked_shr(turn).map_or(turn % 2, |rest| rest & 1) == 1;
            if is_tick && ticked.is_none() {
                ticked = at_once(gates[0].turn(tick.as_mut()));
            } else if !is_tick && answered.is_none() {
                answered = at_once(gates[1].turn(asked.as_mut()));
            }
        }
        ticked.expect("it ended").expect("nobody was killed");
        let answer = answered.expect("it ended").expect("nobody was killed").expect("there is a rule");
        assert_eq!(answer.raised.len(), 1, "order {order:b}: who asks hears of it, whoever raised it");
        let alerts = world.ground.alerts(world.rule.id);
        assert_eq!(alerts.len(), 1, "order {order:b}");
        assert_eq!(alerts[0].status, AlertStatus::Active);
        let said = world.ground.deliveries();
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
        let world = at_once(World::of_one_event(&lists(), 5));
        let gate = Arc::new(world.gate());
        let evaluator = world_evaluator(&world, &gate);
        let run = |job: &LeasedJob, pause: u32, meanwhile: &dyn Fn()| {
            let mut worker = pin!(evaluator.tick(job));
            let mut turns = 0;
            while turns < pause && at_once(gate.turn(worker.as_mut())).is_none() {
                turns += 1;
            }
            meanwhile();
            while turns == pause && at_once(gate.turn(worker.as_mut())).is_none() {}
        };
        run(&at_once(world.claim()).expect("it is due"), u32::MAX, &|| ());
        let raised = world.ground.alerts(world.rule.id).pop().expect("it was raised");

        // By then the window is empty, and the alert begins to clear.
        world.clock.advance(Duration::from_secs(600));
        let mut rule = world.ground.rule(world.rule.tenant_id, world.rule.id).expect("it is there");
        rule.definition.keep_firing_for_secs = 3_600;
        world.ground.put_rule(&rule, world.clock.now());
        let job = LeasedJob {
            due_at: world.clock.now().plus_secs(60),
            ..at_once(world.claim()).expect("it is due")
        };
        let acknowledge = || {
            world.ground.change_alert(raised.id, |alert| {
                alert.act(Action::Acknowledge, "ann", None, world.clock.now()).expect("it fits");
            });
        };
        run(&job, step, &acknowledge);
        let alert = world.ground.alerts(world.rule.id).pop().expect("it is there");
        assert_eq!(alert.acknowledged_by.as_deref(), Some("ann"), "step {step}");
        assert_eq!(
            (alert.status, alert.clear_since),
            (AlertStatus::Acknowledged, Some(job.due_at)),
            "step {step}"
        );
    }
}
