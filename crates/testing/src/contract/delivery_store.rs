//! What every [`DeliveryStore`] has to do, as assertions.

use std::time::Duration;

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Attempt, AttemptOutcome, AttemptRecord, Channel, ChannelEffect, ChannelId, DELIVER, Delivery,
        DeliveryId, DeliveryReason, DeliveryState, Destination, DueDelivery, Facts, FailureStreak, Progress,
        Recorded,
    },
    job::{Demand, LeasedJob, Settlement},
    ports::{DeliveryStore, JobQueue},
    tenant::TenantId,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    builders::{log_channel, rule, tenant},
    memory::MemoryDeliveries,
};

/// A store under test, with what the port itself has no verbs for.
#[async_trait]
pub trait DeliveryFixture: Send + Sync {
    /// The store.
    fn store(&self) -> &dyn DeliveryStore;
    /// Where its jobs are. Nobody else works on those of the kind [`DELIVER`].
    fn queue(&self) -> &dyn JobQueue;
    /// Stores a new channel, with its sealed secrets.
    async fn add_channel(&self, channel: &Channel, sealed_secrets: Option<&str>);
    /// Stores a new delivery, and [its job](Delivery::job), due at its `next_attempt_at`.
    async fn add_delivery(&self, delivery: &Delivery);
    /// A channel as it stands.
    async fn channel(&self, tenant_id: TenantId, id: ChannelId) -> Option<Channel>;
    /// A delivery as it stands, and its attempts in order.
    async fn delivery(&self, tenant_id: TenantId, id: DeliveryId) -> Option<(Delivery, Vec<Attempt>)>;
}

/// The contract of [`DeliveryStore`]. The store has to be empty for the tenants 921 and 922, to have no other jobs
/// of the kind [`DELIVER`], and has to know those two tenants if it insists on knowing tenants.
///
/// # Panics
/// When the store breaks the contract.
pub async fn delivery_store(fixture: &dyn DeliveryFixture) {
    let (one, two) = (tenant(921).id, tenant(922).id);
    an_attempt_is_recorded_whole_or_not_at_all(fixture, one).await;
    the_same_ids_of_another_tenant_are_somebody_else(fixture, one, two).await;
    a_streak_counts_failures_until_it_works(fixture, one).await;
    a_channel_is_disabled_once_and_the_others_are_told(fixture, one, two).await;
    letters_are_counted_for_a_day(fixture, one, two).await;
}

const START: Timestamp = Timestamp::from_secs(1_791_000_000);

const fn at(secs: i64) -> Timestamp {
    START.plus_secs(secs)
}

fn delivery(channel: &Channel, number: u128, secs: i64) -> Delivery {
    Delivery {
        tenant_id: channel.tenant_id,
        id: DeliveryId(Uuid::from_u128(number)),
        channel_id: channel.id,
        reason: DeliveryReason::Firing,
        facts: Facts::of(&rule(channel.tenant_id, 1, json!({})), &[]),
        state: DeliveryState::Pending,
        attempts: 0,
        created_at: at(secs),
        next_attempt_at: Some(at(secs)),
    }
}

async fn claim(fixture: &dyn DeliveryFixture, now: i64, until: i64) -> Vec<LeasedJob> {
    let demand = Demand { kind: DELIVER, room: 100, sated: Vec::new() };
    fixture.queue().claim(&[demand], at(until), at(now)).await.expect("the queue works")
}

async fn claim_one(fixture: &dyn DeliveryFixture, now: i64) -> LeasedJob {
    let mut claimed = claim(fixture, now, now + 60).await;
    assert_eq!(claimed.len(), 1, "one delivery is due at {now}: {claimed:?}");
    claimed.remove(0)
}

async fn due(fixture: &dyn DeliveryFixture, job: &LeasedJob, now: i64) -> Option<DueDelivery> {
    fixture.store().due(job, at(now)).await.expect("the store works")
}

async fn record(fixture: &dyn DeliveryFixture, record: &AttemptRecord, now: i64) -> Recorded {
    fixture.store().record(record, at(now)).await.expect("the store works")
}

fn attempt(delivery: &Delivery, number: u32, secs: i64, outcome: AttemptOutcome) -> Attempt {
    Attempt {
        tenant_id: delivery.tenant_id,
        delivery_id: delivery.id,
        number,
        started_at: at(secs),
        duration: Duration::from_micros(1_234),
        outcome,
        status: Some(503),
        error: Some("no".to_owned()),
        excerpt: Some("é\"".to_owned()),
    }
}

fn done(delivery: &Delivery, job: &LeasedJob, secs: i64) -> AttemptRecord {
    AttemptRecord {
        tenant_id: delivery.tenant_id,
        delivery_id: delivery.id,
        channel_id: delivery.channel_id,
        attempt: Some(attempt(delivery, 1, secs, AttemptOutcome::Delivered)),
        letters: 0,
        progress: Progress::default(),
        state: DeliveryState::Delivered,
        next_attempt_at: None,
        channel: ChannelEffect::Unchanged,
        lease: job.lease,
        settlement: Settlement::Complete,
    }
}

async fn an_attempt_is_recorded_whole_or_not_at_all(fixture: &dyn DeliveryFixture, tenant_id: TenantId) {
    let channel = log_channel(tenant_id, 1);
    fixture.add_channel(&channel, Some("sealed")).await;
    let sent = delivery(&channel, 101, 0);
    fixture.add_delivery(&sent).await;
    assert_eq!(claim(fixture, -1, 60).await, [], "it is not due yet");

    let lost = claim(fixture, 0, 30).await.remove(0);
    let held = claim(fixture, 30, 90).await.remove(0);
    assert_eq!(held.unique_key.as_deref(), Some(sent.id.to_string().as_str()));
    let expected = DueDelivery {
        delivery: sent.clone(),
        progress: Progress::default(),
        channel: channel.clone(),
        sealed_secrets: Some("sealed".to_owned()),
        streak: None,
        letters_last_day: 0,
    };
    assert_eq!(due(fixture, &held, 30).await, Some(expected.clone()));

    let first = attempt(&sent, 1, 31, AttemptOutcome::Retry);
    let progress = Progress { failures: 1, parts_done: 0b101 };
    let again = AttemptRecord {
        attempt: Some(first.clone()),
        progress,
        state: DeliveryState::Pending,
        next_attempt_at: Some(at(200)),
        channel: ChannelEffect::Failed,
        settlement: Settlement::Retry { run_at: at(200), error: "no".into() },
        ..done(&sent, &held, 31)
    };
    let late = AttemptRecord { lease: lost.lease, ..again.clone() };
    assert_eq!(record(fixture, &late, 31).await, Recorded::LeaseLost);
    assert_eq!(record(fixture, &again, 90).await, Recorded::LeaseLost, "its time is over");
    assert_eq!(fixture.delivery(tenant_id, sent.id).await, Some((sent.clone(), vec![])), "nothing of it");
    assert_eq!(due(fixture, &held, 31).await, Some(expected.clone()));

    assert_eq!(record(fixture, &again, 32).await, Recorded::Recorded);
    let pending = Delivery { attempts: 1, next_attempt_at: Some(at(200)), ..sent.clone() };
    assert_eq!(fixture.delivery(tenant_id, sent.id).await, Some((pending.clone(), vec![first.clone()])));
    assert_eq!(record(fixture, &again, 33).await, Recorded::LeaseLost, "it was settled");
    assert_eq!(claim(fixture, 199, 260).await, []);

    let job = claim_one(fixture, 200).await;
    let streak = Some(FailureStreak::starting(at(32)));
    let now = DueDelivery { delivery: pending, progress, streak, ..expected };
    assert_eq!(due(fixture, &job, 200).await, Some(now));
    let put_off = AttemptRecord {
        attempt: None,
        channel: ChannelEffect::Unchanged,
        next_attempt_at: Some(at(300)),
        lease: job.lease,
        settlement: Settlement::Retry { run_at: at(300), error: "busy".into() },
        ..again
    };
    assert_eq!(record(fixture, &put_off, 201).await, Recorded::Recorded);
    let waiting = Delivery { attempts: 1, next_attempt_at: Some(at(300)), ..sent.clone() };
    assert_eq!(fixture.delivery(tenant_id, sent.id).await, Some((waiting, vec![first.clone()])));

    let job = claim_one(fixture, 300).await;
    let second = Attempt {
        status: None,
        error: None,
        excerpt: None,
        ..attempt(&sent, 2, 300, AttemptOutcome::Delivered)
    };
    let over = AttemptRecord {
        attempt: Some(second.clone()),
        channel: ChannelEffect::Worked,
        ..done(&sent, &job, 300)
    };
    assert_eq!(record(fixture, &over, 301).await, Recorded::Recorded);
    let delivered =
        Delivery { attempts: 2, state: DeliveryState::Delivered, next_attempt_at: None, ..sent.clone() };
    assert_eq!(fixture.delivery(tenant_id, sent.id).await, Some((delivered, vec![first, second])));
    assert_eq!(due(fixture, &job, 301).await, None, "nothing is left to send");
    assert_eq!(claim(fixture, 100_000, 100_060).await, []);
}

async fn the_same_ids_of_another_tenant_are_somebody_else(
    fixture: &dyn DeliveryFixture,
    one: TenantId,
    two: TenantId,
) {
    let channels = [log_channel(one, 2), Channel { name: "Other".to_owned(), ..log_channel(two, 2) }];
    let deliveries = channels.each_ref().map(|channel| delivery(channel, 102, 1_000));
    for (channel, delivery) in channels.iter().zip(&deliveries) {
        fixture.add_channel(channel, None).await;
        fixture.add_delivery(delivery).await;
    }
    let claimed = claim(fixture, 1_000, 1_060).await;
    assert_eq!(claimed.len(), 2);
    for (channel, delivery) in channels.iter().zip(&deliveries) {
        let job = claimed.iter().find(|job| job.lease.tenant_id == channel.tenant_id);
        let job = job.expect("each has its own");
        let found = due(fixture, job, 1_000).await.expect("it is pending");
        assert_eq!((&found.channel, &found.delivery), (channel, delivery));
        assert_eq!(record(fixture, &done(delivery, job, 1_000), 1_001).await, Recorded::Recorded);
        let (_, attempts) = fixture.delivery(channel.tenant_id, delivery.id).await.expect("it is there");
        assert_eq!(attempts.len(), 1);
    }
}

/// One more delivery, as it is when it is due, and the record of it.
async fn another(
    fixture: &dyn DeliveryFixture,
    channel: &Channel,
    number: u128,
    secs: i64,
    effect: ChannelEffect,
) -> DueDelivery {
    let sent = delivery(channel, number, secs);
    fixture.add_delivery(&sent).await;
    let job = claim_one(fixture, secs).await;
    let found = due(fixture, &job, secs).await.expect("it is pending");
    let over = AttemptRecord { channel: effect, ..done(&sent, &job, secs) };
    assert_eq!(record(fixture, &over, secs).await, Recorded::Recorded);
    found
}

async fn a_streak_counts_failures_until_it_works(fixture: &dyn DeliveryFixture, tenant_id: TenantId) {
    let channel = log_channel(tenant_id, 3);
    fixture.add_channel(&channel, None).await;
    let streak =
        |first, last, failures| Some(FailureStreak { first_at: at(first), last_at: at(last), failures });
    for (number, (secs, effect, before)) in [
        (2_000, ChannelEffect::Worked, None),
        (2_001, ChannelEffect::Failed, None),
        (2_002, ChannelEffect::Failed, streak(2_001, 2_001, 1)),
        (2_003, ChannelEffect::Unchanged, streak(2_001, 2_002, 2)),
        (2_004, ChannelEffect::Worked, streak(2_001, 2_002, 2)),
        (2_005, ChannelEffect::Failed, None),
    ]
    .into_iter()
    .enumerate()
    {
        let found = another(fixture, &channel, 300 + number as u128, secs, effect).await;
        assert_eq!(found.streak, before, "at {secs}");
    }
}

async fn a_channel_is_disabled_once_and_the_others_are_told(
    fixture: &dyn DeliveryFixture,
    one: TenantId,
    two: TenantId,
) {
    let (gone, other) = (log_channel(one, 4), log_channel(one, 5));
    fixture.add_channel(&gone, None).await;
    fixture.add_channel(&other, None).await;
    let off = Channel { enabled: false, ..log_channel(one, 6) };
    fixture.add_channel(&off, None).await;
    let enabled = |channels: Vec<Channel>| channels.iter().map(|channel| channel.id).collect::<Vec<_>>();
    let of_one = enabled(fixture.store().enabled_channels(one).await.expect("the store works"));
    assert!(of_one.is_sorted() && of_one.contains(&gone.id) && !of_one.contains(&off.id), "{of_one:?}");
    let of_two = enabled(fixture.store().enabled_channels(two).await.expect("the store works"));
    assert_eq!(of_two, [ChannelId(Uuid::from_u128(2))]);

    let told = Delivery { reason: DeliveryReason::ChannelDisabled, ..delivery(&other, 401, 3_000) };
    let disabled =
        |told: &Delivery| ChannelEffect::Disabled { reason: "gone".to_owned(), told: vec![told.clone()] };
    another(fixture, &gone, 400, 2_900, disabled(&told)).await;
    let now = fixture.channel(one, gone.id).await.expect("it is there");
    assert_eq!((now.enabled, now.disabled_reason.as_deref()), (false, Some("gone")));
    assert_eq!(fixture.delivery(one, told.id).await, Some((told.clone(), vec![])));
    let job = claim_one(fixture, 3_000).await;
    assert_eq!(due(fixture, &job, 3_000).await.map(|due| due.delivery), Some(told.clone()));
    assert_eq!(record(fixture, &done(&told, &job, 3_000), 3_000).await, Recorded::Recorded);

    let again = delivery(&other, 403, 3_000);
    let found = another(fixture, &gone, 402, 3_001, disabled(&again)).await;
    assert!(!found.channel.enabled, "who sends is told that it is disabled");
    assert_eq!(fixture.delivery(one, again.id).await, None, "nobody is told twice");
    assert_eq!(claim(fixture, 100_000, 100_060).await, []);
}

async fn letters_are_counted_for_a_day(fixture: &dyn DeliveryFixture, one: TenantId, two: TenantId) {
    const DAY: i64 = 24 * 3_600;
    let mail = |tenant_id, number| Channel {
        destination: Destination::Email { to: vec!["ann@example.com".to_owned()] },
        ..log_channel(tenant_id, number)
    };
    let (channel, other, logged) = (mail(one, 7), mail(two, 8), log_channel(one, 9));
    for channel in [&channel, &other, &logged] {
        fixture.add_channel(channel, None).await;
    }
    let start = 1_000_000;
    for (number, channel, secs, letters, before) in [
        (500, &channel, start, 3, 0),
        (501, &channel, start + 10, 4, 3),
        (502, &other, start + 11, 9, 0),
        (503, &logged, start + 12, 0, 0),
        (504, &channel, start + DAY, 0, 7),
        (505, &channel, start + DAY + 1, 0, 4),
        (506, &channel, start + DAY + 11, 0, 0),
    ] {
        let sent = delivery(channel, number, secs);
        fixture.add_delivery(&sent).await;
        let job = claim_one(fixture, secs).await;
        let found = due(fixture, &job, secs).await.expect("it is pending");
        assert_eq!(found.letters_last_day, before, "delivery {number}");
        let over = AttemptRecord { letters, ..done(&sent, &job, secs) };
        assert_eq!(record(fixture, &over, secs).await, Recorded::Recorded);
    }
}

#[async_trait]
impl DeliveryFixture for MemoryDeliveries {
    fn store(&self) -> &dyn DeliveryStore {
        self
    }

    fn queue(&self) -> &dyn JobQueue {
        &**self.queue()
    }

    async fn add_channel(&self, channel: &Channel, sealed_secrets: Option<&str>) {
        self.put_channel(channel, sealed_secrets);
    }

    async fn add_delivery(&self, delivery: &Delivery) {
        self.put_delivery(delivery);
    }

    async fn channel(&self, tenant_id: TenantId, id: ChannelId) -> Option<Channel> {
        Self::channel(self, tenant_id, id)
    }

    async fn delivery(&self, tenant_id: TenantId, id: DeliveryId) -> Option<(Delivery, Vec<Attempt>)> {
        Self::delivery(self, tenant_id, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_store_keeps_the_contract() {
        delivery_store(&MemoryDeliveries::default()).await;
    }
}
