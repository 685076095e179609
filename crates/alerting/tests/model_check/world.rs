//! Where a case is played.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use proptest::prelude::*;
use pulsestream_alerting::{Episode, Evaluator, Settings, backtest};
use pulsestream_domain::{
    Timestamp,
    alerting::{Alert, AlertStatus, FiringStatus, Rule, TimelineKind},
    event::NewEvent,
    job::{LeaseCheck, LeasedJob, Settlement},
    ports::{Clock as _, IdSource as _},
};
use pulsestream_jobs::Verdict;
use pulsestream_testing::{
    builders::{event, log_channel, rule},
    clock::{FakeClock, SequentialIds},
};
use serde_json::{Value, json};

use crate::{
    cases::{Case, DELAY, EventCase, Fate},
    gate::{Done, Gate},
    ground::Ground,
    model::{Look, Outcome},
    tally::Tally,
};

/// A multiple of every interval.
const START: i64 = 1_790_000_040 / 60 * 60;
const LEASE_SECS: i64 = 30;

pub(crate) struct World<G> {
    pub(crate) ground: Arc<G>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) ids: Arc<SequentialIds>,
    pub(crate) rule: Rule,
    /// What has still to arrive, with when it does.
    coming: Vec<(i64, NewEvent)>,
    arrived: Arc<AtomicI64>,
    done: Done,
    /// What befell the workers.
    pub(crate) tally: Tally,
}

/// How a worker ended.
enum End {
    Done,
    Lost,
    Died,
}

async fn work<G: Ground>(gate: &Gate<G>, evaluator: &Evaluator, job: &LeasedJob) -> End {
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

impl<G: Ground> World<G> {
    /// With this rule of the tenant with this number, which nobody else has.
    async fn new(ground: &Arc<G>, tenant: u128, members: Value) -> Self {
        let tenant_id = ground.add_tenant(tenant).await;
        let rule = rule(tenant_id, 7, members);
        ground.add_rule(&rule, &log_channel(tenant_id, 1), Timestamp::from_secs(START)).await;
        Self {
            ground: Arc::clone(ground),
            clock: Arc::new(FakeClock::at(Timestamp::from_secs(START))),
            ids: Arc::default(),
            rule,
            coming: Vec::new(),
            arrived: Arc::default(),
            done: Done::default(),
            tally: Tally::default(),
        }
    }

    /// A rule that fires on any event, one event, and a tick that is due.
    pub(crate) async fn of_one_event(ground: &Arc<G>, tenant: u128) -> Self {
        let mut world = Self::new(ground, tenant, json!({"condition": {"type": "match"}})).await;
        world.expect(0, &EventCase { happens: -30, arrives: -30, service: 0, metrics: None, sent: 1 });
        world.deliver().await;
        world
    }

    pub(crate) async fn play(ground: &Arc<G>, tenant: u128, case: &Case) -> Self {
        let mut world = Self::new(ground, tenant, case.rule.to_json()).await;
        for (number, event) in case.events.iter().enumerate() {
            world.expect(number, event);
        }
        let mut fates = case.fates.iter().cycle();
        let mut attempts = 0;
        while world.ticks() < case.ticks {
            // Fates that kill for ever would.
            attempts += 1;
            let fate = if attempts > 3 * (case.ticks + 1) {
                &Fate::Late { secs: 0 }
            } else {
                fates.next().expect("it is endless")
            };
            let late_by = if let Fate::Late { secs } = fate { *secs } else { 0 };
            let due = Timestamp::from_secs(START + world.ticks() as i64 * case.rule.interval);
            world.clock.set(world.clock.now().max(due.plus_secs(late_by)));
            world.deliver().await;
            world.attempt(*fate).await;
        }
        world.tally.timelines = 1;
        world.tally.events = case.events.len();
        world.tally.sent = case.events.iter().map(|event| event.sent).sum();
        world.tally.ticks = world.ticks();
        world.tally.alerts = world.alerts().await.iter().filter(|one| one.triggered_at.is_some()).count();
        world
    }

    /// A rule, and everything that ever happened.
    pub(crate) async fn of_the_past(ground: &Arc<G>, tenant: u128, case: &Case) -> Self {
        let mut world = Self::new(ground, tenant, case.rule.to_json()).await;
        for (number, event) in case.events.iter().enumerate() {
            world.expect(number, event);
        }
        world.clock.advance(Duration::from_secs(10_000));
        world.deliver().await;
        world
    }

    /// What the rule would have done at each tick.
    pub(crate) async fn backtest(&self, case: &Case) -> Vec<Outcome> {
        let from = Timestamp::from_secs(START);
        let to = from.plus_secs(case.ticks as i64 * case.rule.interval);
        let store = Arc::clone(&self.ground).store();
        let replay = backtest(&*store, self.rule.tenant_id, &self.rule.definition, from, to, &*self.ids);
        let found = replay.await.expect("the store works");
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
        let tenant_id = self.rule.tenant_id;
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
            self.coming.push((arrives, event(tenant_id, id, now, members.clone())));
        }
    }

    /// Lets everything arrive that has had the time.
    async fn deliver(&mut self) {
        let now = self.clock.now();
        let arrived: Vec<NewEvent> = self
            .coming
            .extract_if(.., |(arrives, _)| *arrives <= now.as_secs())
            .map(|(_, event)| event)
            .collect();
        let mut seen = BTreeSet::new();
        let (first, again): (Vec<_>, Vec<_>) =
            arrived.into_iter().partition(|event| seen.insert(event.event_id.clone()));
        if !first.is_empty() {
            self.ground.append(&first).await;
        }
        for event in again {
            self.ground.append(&[event]).await;
        }
        self.arrived.store(now.as_micros(), Ordering::Relaxed);
    }

    pub(crate) async fn claim(&self) -> Option<LeasedJob> {
        let now = self.clock.now();
        self.ground.claim(&self.rule, now, now.plus_secs(LEASE_SECS)).await
    }

    pub(crate) fn gate(&self) -> Gate<G> {
        Gate::over(&self.ground, &self.clock, &self.arrived, &self.done)
    }

    /// A gate to the store as the other process has it, that does not wait.
    pub(crate) fn other_gate(&self) -> Gate<G> {
        Gate { store: Arc::clone(&self.ground).other_store(), is_free: true, ..self.gate() }
    }

    fn evaluator(&self, gate: &Arc<Gate<G>>) -> Evaluator {
        let settings = Settings { ingest_delay_secs: DELAY as u32 };
        let clock = Arc::clone(&gate.clock);
        Evaluator::new(Arc::clone(gate) as _, clock as _, Arc::clone(&self.ids) as _, settings)
    }

    async fn attempt(&mut self, fate: Fate) {
        let Some(job) = self.claim().await else {
            // Somebody died with it.
            self.pass_lease();
            return self.deliver().await;
        };
        let gate = Arc::new(match fate {
            Fate::Dies { step } => Gate { dies_at: step, ..self.gate() },
            Fate::Cut { .. } => Gate { is_free: true, ..self.gate() },
            // Its clock stands still: to itself, it is in time.
            Fate::Races => {
                let clock = Arc::new(FakeClock::at(self.clock.now()));
                Gate { is_free: true, clock, ..self.gate() }
            }
            Fate::Late { .. } | Fate::Meets { .. } => self.gate(),
        });
        let evaluator = self.evaluator(&gate);
        let mut worker = Box::pin(work(&gate, &evaluator, &job));
        let end = match fate {
            Fate::Meets { before, order } => self.meet(&gate, worker.as_mut(), before, order).await,
            Fate::Races => self.race(worker.as_mut()).await,
            Fate::Cut { waits } => {
                if let Some(end) = poll_times(worker.as_mut(), waits).await {
                    end
                } else {
                    drop(worker);
                    return self.find_out(&gate, &job).await;
                }
            }
            Fate::Late { .. } | Fate::Dies { .. } => gate.finish(worker.as_mut()).await,
        };
        self.count(&end);
    }

    /// Lets a worker begin, another one take over its job, and both take turns.
    async fn meet(
        &mut self,
        gate: &Gate<G>,
        mut first: Pin<&mut dyn Future<Output = End>>,
        before: u32,
        order: u16,
    ) -> End {
        for _ in 0..before {
            if let Some(end) = gate.turn(first.as_mut()).await {
                return end;
            }
        }
        self.pass_lease();
        self.deliver().await;
        let Some(job) = self.claim().await else { return gate.finish(first).await };
        let other_gate = Arc::new(Gate { is_free: false, ..self.other_gate() });
        let evaluator = self.evaluator(&other_gate);
        let mut second = pin!(work(&other_gate, &evaluator, &job));
        let (mut first_end, mut second_end) = (None, None);
        for turn in 0.. {
            if first_end.is_some() && second_end.is_some() {
                break;
            }
            let is_first = order.rotate_right(turn) & 1 == 1;
            if (is_first || second_end.is_some()) && first_end.is_none() {
                first_end = gate.turn(first.as_mut()).await;
            } else if second_end.is_none() {
                second_end = other_gate.turn(second.as_mut()).await;
            }
        }
        self.count(&second_end.expect("the loop ended"));
        first_end.expect("the loop ended")
    }

    /// Lets a worker and one that takes over its job run as fast as they can.
    async fn race(&mut self, first: Pin<&mut dyn Future<Output = End>>) -> End {
        self.tally.races += 1;
        // No event arrives meanwhile: which of them has seen it nobody could tell.
        self.pass_lease();
        let gate = Arc::new(self.other_gate());
        let evaluator = self.evaluator(&gate);
        let second = async {
            match self.claim().await {
                Some(job) => work(&gate, &evaluator, &job).await,
                None => End::Lost,
            }
        };
        let (first, second) = tokio::join!(first, second);
        self.count(&second);
        first
    }

    /// Takes over from a worker that was cut off, to see whether it had done its job, which it may have without
    /// having heard of it.
    async fn find_out(&mut self, gate: &Gate<G>, job: &LeasedJob) {
        self.tally.cuts += 1;
        self.pass_lease();
        // Whichever tick it is, one is due.
        let next = job.due_at.plus_secs(i64::from(self.rule.definition.evaluation_interval));
        self.clock.set(self.clock.now().max(next));
        self.deliver().await;
        let found = loop {
            if let Some(job) = self.claim().await {
                break job;
            }
            // The database is still at what it was asked for.
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        if found.due_at > job.due_at {
            gate.note(job.due_at);
        }
        let released = self.ground.settle(found.lease, &Settlement::Release, self.clock.now()).await;
        assert_eq!(released, LeaseCheck::Held);
    }

    fn pass_lease(&self) {
        self.clock.advance(Duration::from_secs(LEASE_SECS as u64 + 1));
    }

    fn count(&mut self, end: &End) {
        match end {
            End::Done => {}
            End::Lost => self.tally.lost += 1,
            End::Died => self.tally.deaths += 1,
        }
    }

    fn ticks(&self) -> usize {
        self.done.lock().expect("nobody panics with it").len()
    }

    /// Which ticks were done, and with what had arrived when, in seconds since the start.
    pub(crate) fn looks(&self) -> Vec<Look> {
        let secs = |at: &Timestamp| at.as_secs() - START;
        let done = self.done.lock().expect("nobody panics with it");
        let mut looks: Vec<Look> =
            done.iter().map(|(tick, arrived)| Look { tick: secs(tick), now: secs(arrived) }).collect();
        // Of two that race, one may write down later what it did before.
        looks.sort();
        looks
    }

    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        self.ground.alerts(&self.rule).await
    }

    pub(crate) async fn outcomes(&self) -> Vec<Outcome> {
        let secs = |at: Timestamp| at.as_secs() - START;
        let outcome = |alert: Alert| Outcome {
            group: alert.labels.0.get("service").cloned().unwrap_or_default(),
            started: secs(alert.started_at),
            triggered: alert.triggered_at.map(secs),
            resolved: alert.resolved_at.map(secs),
        };
        self.alerts().await.into_iter().map(outcome).collect()
    }

    /// Each alert was said once to fire, and once to be over if it is, and so it is written in its history.
    pub(crate) async fn check_that_everything_was_said_once(&self) -> Result<(), TestCaseError> {
        let mut said: BTreeMap<_, Vec<FiringStatus>> = BTreeMap::new();
        let mut deliveries = self.ground.deliveries(self.rule.tenant_id).await;
        deliveries.sort_by_key(|delivery| delivery.id);
        for alert in deliveries.iter().flat_map(|delivery| &delivery.facts.alerts) {
            said.entry(alert.alert_id).or_default().push(alert.status);
        }
        for alert in self.alerts().await {
            let expected: &[FiringStatus] = match alert.status {
                AlertStatus::Pending => &[],
                AlertStatus::Resolved => &[FiringStatus::Firing, FiringStatus::Resolved],
                _ => &[FiringStatus::Firing],
            };
            prop_assert_eq!(said.remove(&alert.id).unwrap_or_default(), expected);
            let history = self.ground.timeline(&alert).await;
            let times = |kind| history.iter().filter(|entry| entry.kind == kind).count();
            prop_assert_eq!(times(TimelineKind::Triggered), usize::from(alert.triggered_at.is_some()));
            prop_assert_eq!(times(TimelineKind::Resolved), usize::from(alert.resolved_at.is_some()));
        }
        prop_assert!(said.is_empty(), "nothing was said of alerts that are not there");
        Ok(())
    }
}

/// Lets something wait so many times; its end, if it came by then.
async fn poll_times<F: Future + ?Sized>(mut future: Pin<&mut F>, mut times: u32) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(end) => Poll::Ready(Some(end)),
        Poll::Pending if times == 0 => Poll::Ready(None),
        Poll::Pending => {
            times -= 1;
            Poll::Pending
        }
    })
    .await
}
