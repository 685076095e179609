//! Where a case is played.

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use pulsestream_alerting::{Episode, Evaluator, Settings, backtest};
use pulsestream_domain::{
    Timestamp,
    alerting::{Alert, AlertStatus, FiringStatus, Rule, RuleId, TimelineKind},
    event::NewEvent,
    job::{LeaseCheck, LeasedJob, Settlement},
    ports::{Clock as _, EventStore as _, IdSource as _},
    tenant::TenantId,
};
use pulsestream_jobs::Verdict;
use pulsestream_testing::{
    builders::{event, log_channel, rule},
    clock::{FakeClock, SequentialIds},
    memory::MemoryAlerts,
};
use serde_json::json;

use crate::{
    cases::{Case, DELAY, EventCase, Fate},
    gate::{Done, Gate, poll_once},
    model::{Look, Outcome},
};

const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(5));
/// A multiple of every interval.
const START: i64 = 1_790_000_040 / 60 * 60;
const LEASE_SECS: i64 = 30;

pub(crate) struct World {
    pub(crate) store: Arc<MemoryAlerts>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) ids: Arc<SequentialIds>,
    rule: Rule,
    /// What has still to arrive, with when it does.
    coming: Vec<(i64, NewEvent)>,
    pub(crate) done: Done,
    pub(crate) deaths: u32,
    pub(crate) lost: u32,
}

/// How a worker ended.
enum End {
    Done,
    Lost,
    Died,
}

async fn work(gate: &Gate, evaluator: &Evaluator, job: &LeasedJob) -> End {
    let settlement = match evaluator.tick(job).await {
        Ok(Verdict::SettledAlready) => return if gate.has_lost() { End::Lost } else { End::Done },
        Ok(Verdict::Again { due_at }) => Settlement::Again { due_at },
        Ok(verdict) => panic!("the rule is always there, and nobody else changes it: {verdict:?}"),
        Err(_) => return End::Died,
    };
    match gate.settle(job, &settlement).await {
        Ok(LeaseCheck::Held) => End::Done,
        Ok(LeaseCheck::Lost) => End::Lost,
        Err(_) => End::Died,
    }
}

fn finish(mut worker: Pin<&mut dyn Future<Output = End>>) -> End {
    loop {
        if let Some(end) = poll_once(worker.as_mut()) {
            return end;
        }
    }
}

impl World {
    fn new(rule: Rule) -> Self {
        let store = Arc::new(MemoryAlerts::default());
        store.put_rule(&rule, Timestamp::from_secs(START));
        store.put_channel(&log_channel(TENANT, 1));
        Self {
            store,
            clock: Arc::new(FakeClock::at(Timestamp::from_secs(START))),
            ids: Arc::default(),
            rule,
            coming: Vec::new(),
            done: Done::default(),
            deaths: 0,
            lost: 0,
        }
    }

    /// A rule that fires on any event, one event, and a tick that is due.
    pub(crate) fn of_one_event() -> Self {
        let mut world = Self::new(rule(TENANT, 7, json!({"condition": {"type": "match"}})));
        world.expect(0, &EventCase { happens: -30, arrives: -30, service: 0, metrics: None, sent: 1 });
        world.deliver();
        world
    }

    pub(crate) fn play(case: &Case) -> Self {
        let mut world = Self::new(rule(TENANT, 7, case.rule.to_json()));
        for (number, event) in case.events.iter().enumerate() {
            world.expect(number, event);
        }
        let last = Timestamp::from_secs(START).plus_secs((case.ticks as i64 - 1) * case.rule.interval);
        let mut fates = case.fates.iter().cycle();
        let mut attempts = 0;
        while let Some(due) = world.store.due_at(world.rule.id).filter(|due| *due <= last) {
            // Fates that kill for ever would.
            attempts += 1;
            let fate = if attempts > 3 * (case.ticks + 1) {
                &Fate::Late { secs: 0 }
            } else {
                fates.next().expect("it is endless")
            };
            let late_by = if let Fate::Late { secs } = fate { *secs } else { 0 };
            world.clock.set(world.clock.now().max(due.plus_secs(late_by)));
            world.deliver();
            world.attempt(*fate);
        }
        world
    }

    /// A rule, and everything that ever happened.
    pub(crate) fn of_the_past(case: &Case) -> Self {
        let mut world = Self::new(rule(TENANT, 7, case.rule.to_json()));
        for (number, event) in case.events.iter().enumerate() {
            world.expect(number, event);
        }
        world.clock.advance(Duration::from_secs(10_000));
        world.deliver();
        world
    }

    /// What the rule would have done at each tick.
    pub(crate) fn backtest(&self, case: &Case) -> Vec<Outcome> {
        let from = Timestamp::from_secs(START);
        let to = from.plus_secs(case.ticks as i64 * case.rule.interval);
        let replay = pin!(backtest(&*self.store, TENANT, &self.rule.definition, from, to, &*self.ids));
        let found = poll_once(replay).expect("a list does not wait").expect("a list does not fail");
        assert_eq!((i64::from(found.step_secs), found.ticks as usize), (case.rule.interval, case.ticks));
        let secs = |at: Timestamp| at.as_secs() - START;
        let outcome = |episode: Episode| Outcome {
            group: episode.labels.0.get("service").cloned().unwrap_or_default(),
            started: secs(episode.started_at),
            triggered: Some(secs(episode.triggered_at)),
            resolved: episode.resolved_at.map(secs),
        };
        found.episodes.into_iter().map(outcome).collect()
    }

    fn expect(&mut self, number: usize, case: &EventCase) {
        let happened = Timestamp::from_secs(START + case.happens);
        let mut members = json!({
            "event_id": format!("e{number}"),
            "timestamp": happened.to_string(),
            "source": {"service": format!("s{}", case.service), "endpoint": "/", "method": "GET"},
        });
        if let Some((status, duration)) = case.metrics {
            members["metrics"] = json!({"status_code": status, "response_time_ms": duration});
        }
        for again in 0..case.sent {
            let arrives = START + case.arrives + 20 * again as i64;
            let id = self.ids.uuid_v7(Timestamp::from_secs(arrives));
            let now = Timestamp::from_secs(START + 10_000);
            self.coming.push((arrives, event(TENANT, id, now, members.clone())));
        }
    }

    /// Lets everything arrive that has had the time.
    fn deliver(&mut self) {
        let now = self.clock.now().as_secs();
        let arrived: Vec<NewEvent> =
            self.coming.extract_if(.., |(arrives, _)| *arrives <= now).map(|(_, event)| event).collect();
        for event in arrived {
            let mut append = self.store.events().append(std::slice::from_ref(&event));
            poll_once(append.as_mut()).expect("a list does not wait").expect("a list takes anything");
        }
    }

    pub(crate) fn claim(&self) -> Option<LeasedJob> {
        let now = self.clock.now();
        self.store.claim(TENANT, self.rule.id, now, now.plus_secs(LEASE_SECS))
    }

    fn evaluator(&self, gate: &Arc<Gate>) -> Evaluator {
        let settings = Settings { ingest_delay_secs: DELAY as u32 };
        Evaluator::new(
            Arc::clone(gate) as _,
            Arc::clone(&self.clock) as _,
            Arc::clone(&self.ids) as _,
            settings,
        )
    }

    fn attempt(&mut self, fate: Fate) {
        let Some(job) = self.claim() else {
            // Somebody died with it.
            self.pass_lease();
            return;
        };
        let gate = match fate {
            Fate::Dies { step } => Gate::deadly(&self.store, &self.clock, &self.done, step),
            _ => Gate::over(&self.store, &self.clock, &self.done),
        };
        let evaluator = self.evaluator(&gate);
        let mut worker = pin!(work(&gate, &evaluator, &job));
        let end = match fate {
            Fate::Meets { before, order } => self.meet(worker, before, order),
            _ => finish(worker.as_mut()),
        };
        self.count(&end);
    }

    /// Lets a worker begin, another one take over its job, and both take turns.
    fn meet(&mut self, mut first: Pin<&mut dyn Future<Output = End>>, before: u32, order: u16) -> End {
        for _ in 0..before {
            if let Some(end) = poll_once(first.as_mut()) {
                return end;
            }
        }
        self.pass_lease();
        let Some(job) = self.claim() else { return finish(first) };
        let gate = Gate::over(&self.store, &self.clock, &self.done);
        let evaluator = self.evaluator(&gate);
        let mut second = pin!(work(&gate, &evaluator, &job));
        let (mut first_end, mut second_end) = (None, None);
        for turn in 0.. {
            if first_end.is_some() && second_end.is_some() {
                break;
            }
            let is_first = order.rotate_right(turn) & 1 == 1;
            if (is_first || second_end.is_some()) && first_end.is_none() {
                first_end = poll_once(first.as_mut());
            } else if second_end.is_none() {
                second_end = poll_once(second.as_mut());
            }
        }
        self.count(&second_end.expect("the loop ended"));
        first_end.expect("the loop ended")
    }

    fn pass_lease(&mut self) {
        self.clock.advance(Duration::from_secs(LEASE_SECS as u64 + 1));
        self.deliver();
    }

    fn count(&mut self, end: &End) {
        match end {
            End::Done => {}
            End::Lost => self.lost += 1,
            End::Died => self.deaths += 1,
        }
    }

    pub(crate) fn tenant_id(&self) -> TenantId {
        TENANT
    }

    pub(crate) fn rule_id(&self) -> RuleId {
        self.rule.id
    }

    /// Which ticks were done, and when, in seconds since the start.
    pub(crate) fn looks(&self) -> Vec<Look> {
        let secs = |at: &Timestamp| at.as_secs() - START;
        self.done
            .lock()
            .expect("nobody panics with it")
            .iter()
            .map(|(tick, now)| Look { tick: secs(tick), now: secs(now) })
            .collect()
    }

    fn alerts(&self) -> Vec<Alert> {
        self.store.alerts(self.rule.id)
    }

    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let secs = |at: Timestamp| at.as_secs() - START;
        let outcome = |alert: Alert| Outcome {
            group: alert.labels.0.get("service").cloned().unwrap_or_default(),
            started: secs(alert.started_at),
            triggered: alert.triggered_at.map(secs),
            resolved: alert.resolved_at.map(secs),
        };
        self.alerts().into_iter().map(outcome).collect()
    }

    /// Each alert was said once to fire, and once to be over if it is, and so it is written in its history.
    pub(crate) fn check_that_everything_was_said_once(&self) -> Result<(), TestCaseError> {
        let mut said: BTreeMap<_, Vec<FiringStatus>> = BTreeMap::new();
        for alert in self.store.deliveries().iter().flat_map(|delivery| &delivery.facts.alerts) {
            said.entry(alert.alert_id).or_default().push(alert.status);
        }
        for alert in self.alerts() {
            let expected: &[FiringStatus] = match alert.status {
                AlertStatus::Pending => &[],
                AlertStatus::Resolved => &[FiringStatus::Firing, FiringStatus::Resolved],
                _ => &[FiringStatus::Firing],
            };
            prop_assert_eq!(said.remove(&alert.id).unwrap_or_default(), expected);
            let history = self.store.timeline(alert.id);
            let times = |kind| history.iter().filter(|entry| entry.kind == kind).count();
            prop_assert_eq!(times(TimelineKind::Triggered), usize::from(alert.triggered_at.is_some()));
            prop_assert_eq!(times(TimelineKind::Resolved), usize::from(alert.resolved_at.is_some()));
        }
        prop_assert!(said.is_empty(), "nothing was said of alerts that are not there");
        Ok(())
    }
}
