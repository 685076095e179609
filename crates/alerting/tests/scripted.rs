//! What is recorded of outcomes that a script decides: parts, limits, pauses, and channels that fail for days.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use pulsestream_alerting::{ChannelSecrets, Deliverer, DelivererSettings, Transport};
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Alert, AlertId, AlertSeverity, AlertStatus, Attempt as Kept, AttemptOutcome, Channel, DELIVER,
        Delivery, DeliveryId, DeliveryReason, DeliveryState, Destination, Facts, Labels, Secrets,
    },
    job::Demand,
    ports::{Clock, IdSource, JobQueue, StoreError},
};
use pulsestream_notification::{Attempt, Channel as Way, Keyring, Notice, Outcome, Reason, SealingKey};
use pulsestream_testing::{
    builders::{log_channel, rule, tenant},
    clock::{FakeClock, SequentialIds},
    memory::MemoryDeliveries,
};
use serde_json::{Map, json};
use uuid::Uuid;

/// Answers with these, one after the other, and then always with success.
#[derive(Default)]
struct Script {
    outcomes: Mutex<VecDeque<Outcome>>,
    sent: Mutex<Vec<(String, Notice)>>,
}

#[async_trait]
impl Transport for Script {
    async fn attempt(&self, channel: &Way, notice: &Notice, _: Timestamp) -> Attempt {
        let to = match channel {
            Way::Email { to } => format!("{to:?}"),
            other => other.kind().to_owned(),
        };
        self.sent.lock().unwrap().push((to, notice.clone()));
        let outcome = self.outcomes.lock().unwrap().pop_front().unwrap_or(Outcome::Delivered);
        Attempt { outcome, status: None, duration: Duration::from_millis(5), excerpt: String::new() }
    }
}

struct Stage {
    store: Arc<MemoryDeliveries>,
    script: Arc<Script>,
    deliverer: Deliverer,
    clock: Arc<FakeClock>,
    ids: Arc<SequentialIds>,
}

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn keyring() -> Keyring {
    Keyring::new(SealingKey::new("test", [1; 32]).unwrap())
}

fn retry(reason: Reason) -> Outcome {
    Outcome::Retry { reason, retry_after: None }
}

fn channel(destination: Destination) -> Channel {
    Channel { destination, ..log_channel(tenant(1).id, 1) }
}

fn mail(addresses: &[&str]) -> Channel {
    channel(Destination::Email { to: addresses.iter().map(|&to| to.to_owned()).collect() })
}

impl Stage {
    fn new(channel: &Channel, outcomes: impl IntoIterator<Item = Outcome>, letters_per_day: u64) -> Self {
        let store = Arc::new(MemoryDeliveries::default());
        let given = Secrets {
            url: Some("https://hooks.example.com/T0".to_owned()),
            routing_key: Some("0123456789abcdef0123456789abcdef".to_owned()),
            ..Secrets::default()
        };
        let secrets = ChannelSecrets { given, ..ChannelSecrets::default() };
        store.put_channel(channel, Some(&secrets.seal(&keyring(), channel, [9; 24])));
        let script =
            Arc::new(Script { outcomes: Mutex::new(outcomes.into_iter().collect()), ..Script::default() });
        let clock = Arc::new(FakeClock::at(START));
        let ids = Arc::new(SequentialIds::default());
        let deliverer = Deliverer::new(
            store.clone(),
            script.clone(),
            keyring(),
            clock.clone(),
            ids.clone(),
            Arc::new(|| u64::MAX / 2),
            DelivererSettings { letters_per_day, ..DelivererSettings::default() },
        );
        Self { store, script, deliverer, clock, ids }
    }

    fn say(&self, channel: &Channel, alerts: usize) -> DeliveryId {
        self.say_because(DeliveryReason::Firing, channel, alerts)
    }

    fn say_because(&self, reason: DeliveryReason, channel: &Channel, alerts: usize) -> DeliveryId {
        let now = self.clock.now();
        let known = rule(channel.tenant_id, 1, json!({}));
        let alerts: Vec<Alert> = (0..alerts).map(|number| alert(&known, number as u128)).collect();
        let delivery = Delivery {
            tenant_id: channel.tenant_id,
            id: DeliveryId(self.ids.uuid_v7(now)),
            channel_id: channel.id,
            reason,
            facts: Facts::of(&known, &alerts.iter().collect::<Vec<_>>()),
            state: DeliveryState::Pending,
            attempts: 0,
            created_at: now,
            next_attempt_at: Some(now),
        };
        self.store.put_delivery(&delivery);
        delivery.id
    }

    /// Works on whatever is due now.
    async fn work(&self) {
        let now = self.clock.now();
        let demand = Demand { kind: DELIVER, room: 100, sated: Vec::new() };
        let jobs = self.store.queue().claim(&[demand], now.plus_secs(30), now).await.unwrap();
        for job in jobs {
            self.deliverer.deliver(&job).await.unwrap();
        }
    }

    async fn work_for(&self, secs: i64, step: i64) {
        let end = self.clock.now().plus_secs(secs);
        while self.clock.now() < end {
            self.work().await;
            self.clock.set(self.clock.now().plus_secs(step));
        }
    }

    fn delivery(&self, id: DeliveryId) -> (Delivery, Vec<Kept>) {
        self.store.delivery(tenant(1).id, id).unwrap()
    }

    fn is_enabled(&self, channel: &Channel) -> bool {
        self.store.channel(channel.tenant_id, channel.id).unwrap().enabled
    }

    fn sent(&self) -> Vec<(String, Notice)> {
        self.script.sent.lock().unwrap().clone()
    }
}

fn alert(rule: &pulsestream_domain::alerting::Rule, number: u128) -> Alert {
    let labels = Labels([("host".to_owned(), number.to_string())].into());
    Alert {
        tenant_id: rule.tenant_id,
        id: AlertId(Uuid::from_u128(number)),
        rule_id: rule.id,
        rule_name: rule.definition.name.clone(),
        fingerprint: labels.fingerprint(rule.id),
        labels,
        title: number.to_string(),
        message: String::new(),
        severity: AlertSeverity::High,
        status: AlertStatus::Active,
        value: None,
        trigger_data: Map::new(),
        started_at: START,
        triggered_at: Some(START),
        clear_since: None,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        resolution_note: None,
        is_silenced: false,
        notified: None,
        changed_at: START,
    }
}

#[tokio::test]
async fn who_has_the_letter_does_not_get_it_again_because_of_the_others() {
    let channel = mail(&["ann@example.com", "bob@example.com", "cat@example.com"]);
    let refused = Outcome::Failed { reason: Reason::Refused };
    let script = [Outcome::Delivered, retry(Reason::BadStatus), refused, Outcome::Delivered, refused];
    let stage = Stage::new(&channel, script, 100);
    let id = stage.say(&channel, 1);
    stage.work_for(60, 1).await;

    let to: Vec<String> = stage.sent().iter().map(|(to, _)| to.clone()).collect();
    let count = |name: &str| to.iter().filter(|to| to.contains(name)).count();
    assert_eq!([count("ann"), count("bob"), count("cat")], [1, 2, 2], "{to:?}");
    let (delivery, attempts) = stage.delivery(id);
    assert_eq!((delivery.state, attempts.len()), (DeliveryState::Failed, 2), "one has refused it for good");
    assert!(stage.sent().iter().all(|(_, notice)| notice.id == id.0));
}

#[tokio::test]
async fn many_alerts_are_several_requests_where_one_would_be_too_long() {
    let channel = channel(Destination::PagerDuty);
    let stage = Stage::new(&channel, [Outcome::Delivered, retry(Reason::TimedOut)], 100);
    let id = stage.say(&channel, 60);
    stage.work_for(60, 1).await;
    let told: Vec<(usize, u64)> =
        stage.sent().iter().map(|(_, notice)| (notice.alerts.len(), notice.omitted_alerts)).collect();
    assert_eq!(told, [(25, 0), (25, 10), (25, 10)]);
    assert_eq!(stage.delivery(id).0.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_busy_host_is_no_attempt_until_a_day_is_over() {
    let channel = channel(Destination::Log);
    let stage = Stage::new(&channel, [retry(Reason::HostBusy), retry(Reason::HostBusy)], 100);
    let id = stage.say(&channel, 1);
    stage.work_for(120, 1).await;
    let (delivery, attempts) = stage.delivery(id);
    assert_eq!((delivery.state, delivery.attempts, attempts.len()), (DeliveryState::Delivered, 1, 1));

    let stage = Stage::new(&channel, vec![retry(Reason::HostBusy); 10_000], 100);
    let id = stage.say(&channel, 1);
    stage.work_for(29 * 3_600, 30).await;
    let (delivery, attempts) = stage.delivery(id);
    assert_eq!((delivery.state, attempts.len()), (DeliveryState::Failed, 1));
    assert!(attempts[0].error.as_ref().unwrap().starts_with("given up"));
}

#[tokio::test]
async fn letters_beyond_the_daily_limit_wait() {
    let channel = mail(&["ann@example.com"]);
    let stage = Stage::new(&channel, [], 2);
    let ids = [stage.say(&channel, 1), stage.say(&channel, 1), stage.say(&channel, 1)];
    stage.work().await;
    assert_eq!(stage.sent().len(), 2);
    let waiting = ids.iter().filter(|id| stage.delivery(**id).0.state == DeliveryState::Pending);
    assert_eq!(waiting.count(), 1);
    stage.work_for(26 * 3_600, 600).await;
    assert!(ids.iter().all(|id| stage.delivery(*id).0.state == DeliveryState::Delivered));
}

#[tokio::test]
async fn slack_gets_one_message_a_second() {
    let channel = channel(Destination::Slack { host: "hooks.example.com".to_owned() });
    let stage = Stage::new(&channel, [], 100);
    (0..5).for_each(|_| _ = stage.say(&channel, 1));
    for sent in 1..=5 {
        stage.work().await;
        assert_eq!(stage.sent().len(), sent);
        stage.clock.set(stage.clock.now().plus_secs(1));
    }
}

#[tokio::test]
async fn a_channel_that_fails_for_five_days_is_disabled_and_a_test_is_not_held_against_it() {
    let channel = channel(Destination::Slack { host: "hooks.example.com".to_owned() });
    let stage = Stage::new(&channel, vec![retry(Reason::Unreachable); 100], 100);
    let test = stage.say_because(DeliveryReason::Test, &channel, 0);
    stage.work().await;
    let (delivery, attempts) = stage.delivery(test);
    assert_eq!((delivery.state, attempts.len()), (DeliveryState::Failed, 1), "a test is over at once");
    for day in 0..7 {
        assert_eq!(stage.is_enabled(&channel), day < 6, "day {day}");
        stage.say(&channel, 1);
        stage.work_for(24 * 3_600, 600).await;
    }
}

#[tokio::test]
async fn what_our_own_mail_server_does_is_not_held_against_a_channel() {
    let channel = mail(&["ann@example.com"]);
    let stage = Stage::new(&channel, vec![retry(Reason::Unreachable); 1_000], 100);
    for _ in 0..7 {
        stage.say(&channel, 1);
        stage.work_for(24 * 3_600, 600).await;
    }
    assert!(stage.is_enabled(&channel));
}

#[tokio::test]
async fn secrets_that_do_not_open_are_tried_again_and_nothing_is_sent() {
    let channel = channel(Destination::PagerDuty);
    let stage = Stage::new(&channel, [], 100);
    stage.store.put_channel(&channel, Some("x1.other.AAAA"));
    let id = stage.say(&channel, 1);
    stage.work().await;
    let (delivery, attempts) = stage.delivery(id);
    assert_eq!((delivery.state, attempts[0].outcome), (DeliveryState::Pending, AttemptOutcome::Retry));
    assert_eq!(stage.sent(), []);
}

#[tokio::test]
async fn a_record_that_finds_the_store_busy_is_not_sent_again() {
    let channel = channel(Destination::Log);
    let stage = Stage::new(&channel, [], 100);
    let id = stage.say(&channel, 1);
    stage.store.fail_next(StoreError::Busy("locked".into()));
    stage.store.fail_next(StoreError::OutcomeUnknown("cut off".into()));
    stage.work_for(120, 1).await;
    assert_eq!((stage.delivery(id).0.state, stage.sent().len()), (DeliveryState::Delivered, 1));
}
