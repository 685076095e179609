//! The work around an evaluation.

use std::sync::Arc;

use async_trait::async_trait;
use pulsestream_alerting::{Evaluator, Settings, backtest, job_settings, new_job, next_tick};
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Action, AlertStatus, Committed, Definition, Evaluation, Example, ExampleQuery, ObservationQuery,
        Observed, Portion, Rule, RuleId, RuleState, SeriesQuery,
    },
    job::{JobId, LeasedJob, Settlement},
    ports::{AlertStore, EventStore as _, IdSource as _, StoreError},
    tenant::TenantId,
};
use pulsestream_jobs::{Handler as _, Verdict};
use pulsestream_testing::{
    builders::{event, log_channel, rule},
    clock::{FakeClock, SequentialIds},
    memory::MemoryAlerts,
};
use serde_json::{Value, json};
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(3));
const NOW: Timestamp = Timestamp::from_secs(1_790_000_040);

struct Scene {
    store: Arc<MemoryAlerts>,
    clock: Arc<FakeClock>,
    ids: Arc<SequentialIds>,
    evaluator: Evaluator,
}

impl Scene {
    fn new() -> Self {
        let store = Arc::new(MemoryAlerts::default());
        let clock = Arc::new(FakeClock::at(NOW));
        let ids = Arc::new(SequentialIds::default());
        let evaluator =
            Evaluator::new(store.clone(), clock.clone(), ids.clone(), Settings { ingest_delay_secs: 10 });
        store.put_channel(&log_channel(TENANT, 1));
        Self { store, clock, ids, evaluator }
    }

    fn with_rule(&self, number: u128, members: Value) -> Rule {
        let rule = rule(TENANT, number, members);
        self.store.put_rule(&rule, NOW);
        rule
    }

    async fn happens(&self, secs: i64, service: &str) {
        let id = self.ids.uuid_v7(NOW);
        let members = json!({
            "timestamp": NOW.plus_secs(secs).to_string(),
            "source": {"service": service, "endpoint": "/", "method": "GET"},
        });
        self.store
            .events()
            .append(&[event(TENANT, id, NOW.plus_secs(1_000), members)])
            .await
            .expect("it works");
    }

    fn claim(&self, rule: &Rule) -> LeasedJob {
        self.store.claim(TENANT, rule.id, NOW, NOW.plus_secs(60)).expect("it is due")
    }
}

#[tokio::test]
async fn a_tick_looks_at_the_window_before_it_less_the_delay() {
    for (secs, is_seen) in [(-311, false), (-310, true), (-11, true), (-10, false)] {
        let scene = Scene::new();
        let rule = scene.with_rule(1, json!({"condition": {"type": "match"}}));
        scene.happens(secs, "pay").await;
        let worked = scene.evaluator.tick(&scene.claim(&rule)).await.expect("the store works");
        assert_eq!(worked == Verdict::SettledAlready, is_seen, "{secs}");
        assert_eq!(scene.store.alerts(rule.id).len(), usize::from(is_seen), "{secs}");
    }
}

#[tokio::test]
async fn a_quiet_tick_is_left_to_be_settled_for_the_next_one() {
    let scene = Scene::new();
    let rule = scene.with_rule(1, json!({"condition": {"type": "match"}, "evaluation_interval": 90}));
    let worked = scene.evaluator.tick(&scene.claim(&rule)).await.expect("the store works");
    // Ticks are multiples of the interval, whenever the last one was.
    let next = next_tick(&rule.definition, NOW);
    assert_eq!((next.as_secs() % 90, next > NOW, next <= NOW.plus_secs(90)), (0, true, true));
    assert_eq!(worked, Verdict::Again { due_at: next });
    let job = new_job(&rule, JobId(Uuid::nil()), NOW);
    assert_eq!((job.unique_key, job.due_at), (Some(rule.id.to_string()), next));
}

#[tokio::test]
async fn the_job_of_a_rule_that_is_not_there_or_not_active_ends() {
    let scene = Scene::new();
    let idle = scene.with_rule(1, json!({"is_active": false}));
    assert_eq!(scene.evaluator.tick(&scene.claim(&idle)).await.expect("it works"), Verdict::Done);
    let deleted = scene.with_rule(2, json!({}));
    let job = scene.claim(&deleted);
    scene.store.delete_rule(TENANT, deleted.id);
    assert_eq!(scene.evaluator.tick(&job).await.expect("it works"), Verdict::Done);
    let odd = LeasedJob { unique_key: None, ..job };
    let worked = scene.evaluator.tick(&odd).await.expect("it works");
    assert!(matches!(worked, Verdict::Bury { .. }));
}

#[tokio::test]
async fn an_alert_is_raised_with_examples_in_what_is_kept_and_said() {
    let scene = Scene::new();
    let rule = scene.with_rule(1, json!({"condition": {"type": "match"}, "group_by": ["service"]}));
    for secs in [-100, -90, -80, -70, -60, -50] {
        scene.happens(secs, "pay").await;
    }
    scene.happens(-40, "shop").await;
    assert_eq!(scene.evaluator.tick(&scene.claim(&rule)).await.expect("it works"), Verdict::SettledAlready);
    let alerts = scene.store.alerts(rule.id);
    let sample = |at: usize| alerts[at].trigger_data["events_sample"].as_array().map(Vec::len);
    assert_eq!((sample(0), sample(1)), (Some(5), Some(1)));
    let said = scene.store.deliveries();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].facts.alerts[0].trigger_data, alerts[0].trigger_data);
    let newest = &alerts[0].trigger_data["events_sample"][0];
    assert_eq!(
        (&newest["timestamp"], &newest["source"]),
        (&json!(NOW.plus_secs(-50).to_string()), &json!("pay"))
    );
}

#[tokio::test]
async fn who_asks_sees_what_was_just_written_and_does_not_raise_it_again() {
    let scene = Scene::new();
    let rule = scene.with_rule(1, json!({"condition": {"type": "match"}}));
    let ask =
        async || scene.evaluator.evaluate_now(TENANT, rule.id).await.expect("it works").expect("it is there");
    assert_eq!((ask().await.triggered, ask().await.raised), (vec![], vec![]));
    scene.happens(0, "pay").await;
    let first = ask().await;
    assert_eq!((first.triggered.len(), first.raised.len()), (1, 1));
    let again = ask().await;
    assert_eq!((again.triggered.len(), again.raised.len()), (0, 1));
    assert_eq!(again.raised[0].id, first.triggered[0].id);

    scene.store.change_alert(first.triggered[0].id, |alert| {
        alert.act(Action::Resolve, "ann", None, NOW).expect("it fits");
    });
    let cooled = ask().await;
    assert_eq!((cooled.raised.len(), cooled.held_back.len()), (0, 1), "within its cooldown");
    scene.clock.set(NOW.plus_secs(299));
    assert_eq!(ask().await.raised.len(), 0);
    scene.happens(300, "pay").await;
    scene.clock.set(NOW.plus_secs(300));
    assert_eq!(ask().await.triggered.len(), 1);
}

#[tokio::test]
async fn all_active_rules_of_the_tenant_are_evaluated_when_asked() {
    let scene = Scene::new();
    scene.with_rule(1, json!({"condition": {"type": "match"}}));
    scene.with_rule(2, json!({"condition": {"type": "match"}, "is_active": false}));
    scene.with_rule(3, json!({"condition": {"type": "count", "min_count": 2}}));
    scene.happens(-1, "pay").await;
    let evaluated = scene.evaluator.evaluate_all(TENANT).await.expect("it works");
    let raised: Vec<usize> = evaluated.iter().map(|one| one.raised.len()).collect();
    assert_eq!(raised, [1, 0]);
    assert_eq!(scene.evaluator.evaluate_all(TenantId(Uuid::nil())).await.expect("it works"), []);
}

#[tokio::test]
async fn ticks_that_were_missed_are_caught_up_one_by_one() {
    let scene = Scene::new();
    let rule = scene
        .with_rule(1, json!({"condition": {"type": "match"}, "time_window": "1m", "cooldown_minutes": 0}));
    scene.happens(-30, "pay").await;
    scene.happens(150, "pay").await;
    scene.clock.set(NOW.plus_secs(3_600));
    for _ in 0..=5 {
        let now = NOW.plus_secs(3_600);
        let job = scene.store.claim(TENANT, rule.id, now, now.plus_secs(60)).expect("it is due");
        if let Verdict::Again { due_at } = scene.evaluator.tick(&job).await.expect("it works") {
            scene.store.settle(job.lease, &Settlement::Again { due_at }, now);
        }
    }
    let alerts = scene.store.alerts(rule.id);
    let times: Vec<_> = alerts.iter().map(|alert| (alert.triggered_at, alert.resolved_at)).collect();
    let at = |secs| Some(NOW.plus_secs(secs));
    assert_eq!(times, [(at(0), at(60)), (at(180), at(240))]);
    assert!(alerts.iter().all(|alert| alert.status == AlertStatus::Resolved));
}

#[tokio::test]
async fn a_backtest_over_a_long_time_looks_less_often() {
    let scene = Scene::new();
    let definition =
        rule(TENANT, 1, json!({"condition": {"type": "match"}, "evaluation_interval": 1})).definition;
    scene.happens(-1_000_000, "pay").await;
    let look = async |definition: &Definition, days: i64| {
        let from = NOW.plus_secs(-days * 86_400);
        backtest(&*scene.store, TENANT, definition, from, NOW, &*scene.ids).await.expect("it works")
    };
    let found = look(&definition, 30).await;
    assert_eq!((found.step_secs, found.ticks), (300, 8_640));
    assert_eq!((found.alerts, found.episodes.len()), (1, 1));
    assert_eq!(found.episodes[0].value_range, Some((1.0, 1.0)));
    let p95 = json!({"condition": {"type": "percentile", "percentile": "p95"}, "threshold_value": 1});
    let found = look(&rule(TENANT, 1, p95).definition, 30).await;
    assert!(found.ticks <= 200, "each is a question of its own: {found:?}");
    assert!(backtest(&*scene.store, TENANT, &definition, NOW, NOW, &*scene.ids).await.is_err());
}

/// A store that fails to commit like this.
struct Failing(Arc<MemoryAlerts>, fn() -> StoreError);

#[async_trait]
impl AlertStore for Failing {
    async fn load(
        &self,
        tenant: TenantId,
        rule: RuleId,
        at: Timestamp,
    ) -> Result<Option<RuleState>, StoreError> {
        self.0.load(tenant, rule, at).await
    }

    async fn active_rules(&self, tenant: TenantId) -> Result<Vec<RuleId>, StoreError> {
        self.0.active_rules(tenant).await
    }

    async fn observe(&self, tenant: TenantId, query: &ObservationQuery) -> Result<Observed, StoreError> {
        self.0.observe(tenant, query).await
    }

    async fn examples(&self, tenant: TenantId, query: &ExampleQuery) -> Result<Vec<Example>, StoreError> {
        self.0.examples(tenant, query).await
    }

    async fn series(&self, tenant: TenantId, query: &SeriesQuery) -> Result<Vec<Portion>, StoreError> {
        self.0.series(tenant, query).await
    }

    async fn commit(&self, _: &Evaluation, _: Timestamp) -> Result<Committed, StoreError> {
        Err(self.1())
    }
}

#[tokio::test]
async fn a_job_is_tried_again_and_never_given_up_when_the_store_fails() {
    let unavailable: fn() -> StoreError = || StoreError::Unavailable("away".into());
    let unknown: fn() -> StoreError = || StoreError::OutcomeUnknown("cut off".into());
    for (failure, expected) in
        [(unavailable, Verdict::retry("the store is unavailable")), (unknown, Verdict::SettledAlready)]
    {
        let scene = Scene::new();
        let rule = scene.with_rule(1, json!({"condition": {"type": "match"}}));
        scene.happens(-30, "pay").await;
        let store = Arc::new(Failing(scene.store.clone(), failure));
        let evaluator = Evaluator::new(store, scene.clock.clone(), scene.ids.clone(), Settings::default());
        assert_eq!(evaluator.run(&scene.claim(&rule)).await, expected);
    }
    assert_eq!(job_settings().max_attempts, u32::MAX);
}
