//! Working on deliveries, and having them sent again.

use std::time::Duration;

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Attempt, AttemptOutcome, AttemptRecord, ChannelEffect, DELIVER, Delivery, DeliveryQuery,
        DeliveryState, FailureStreak, Progress, Recorded,
    },
    job::{Demand, LeasedJob, Settlement},
    ports::{DeliveryStore as _, JobQueue as _},
};
use pulsestream_testing::{builders::log_channel, clock::SequentialIds};
use serde_json::json;

use super::{add_rule, alert, delivery, open, rule, two_tenants};
use crate::support::{Fresh, NOW, OTHER, TENANT, on_both, origin};

on_both!(
    an_attempt_is_recorded_with_all_that_follows_or_not_at_all,
    a_channel_is_disabled_once,
    what_was_given_up_is_sent_again,
    a_deleted_channel_gets_nothing_more,
);

/// A rule with a channel and a delivery to it.
async fn one_delivery(fresh: &Fresh) -> Delivery {
    two_tenants(fresh).await;
    let known = rule(TENANT, 1, json!({}));
    add_rule(fresh, &known).await;
    fresh.store.create_channel(&log_channel(TENANT, 9), Some("sealed"), 5, &origin()).await.unwrap();
    let raised = alert(&known, 11, pulsestream_domain::alerting::AlertStatus::Active);
    let told = delivery(&known, 21, 9, &[&raised]);
    open(fresh, &known, &[raised], std::slice::from_ref(&told)).await;
    told
}

async fn claim(fresh: &Fresh, now: Timestamp) -> Option<LeasedJob> {
    let demand = Demand { kind: DELIVER, room: 1, sated: Vec::new() };
    fresh.store.claim(&[demand], now.plus_secs(30), now).await.unwrap().pop()
}

fn record(of: &Delivery, job: &LeasedJob, state: DeliveryState, channel: ChannelEffect) -> AttemptRecord {
    let is_over = state != DeliveryState::Pending;
    let next = NOW.plus_secs(60);
    AttemptRecord {
        tenant_id: of.tenant_id,
        delivery_id: of.id,
        channel_id: of.channel_id,
        attempt: Some(Attempt {
            tenant_id: of.tenant_id,
            delivery_id: of.id,
            number: job.attempt,
            started_at: NOW,
            duration: Duration::from_micros(1_234),
            outcome: AttemptOutcome::Retry,
            status: Some(503),
            error: Some("not now".to_owned()),
            excerpt: None,
        }),
        letters: 2,
        progress: Progress { failures: 1, parts_done: 1 << 31 },
        state,
        next_attempt_at: (!is_over).then_some(next),
        channel,
        lease: job.lease,
        settlement: if is_over {
            Settlement::Complete
        } else {
            Settlement::Retry { run_at: next, error: "no".into() }
        },
    }
}

async fn an_attempt_is_recorded_with_all_that_follows_or_not_at_all(fresh: &Fresh) {
    let told = one_delivery(fresh).await;
    let job = claim(fresh, NOW).await.unwrap();
    let due = fresh.store.due(&job, NOW).await.unwrap().unwrap();
    assert_eq!((&due.delivery, due.progress, due.streak), (&told, Progress::default(), None));
    assert_eq!((due.channel, due.sealed_secrets.as_deref()), (log_channel(TENANT, 9), Some("sealed")));
    let first = record(&told, &job, DeliveryState::Pending, ChannelEffect::Failed);

    assert_eq!(fresh.store.record(&first, NOW.plus_secs(30)).await.unwrap(), Recorded::LeaseLost);
    assert_eq!(fresh.store.delivery(TENANT, told.id).await.unwrap(), Some((told.clone(), Vec::new())));
    assert_eq!(fresh.store.record(&first, NOW).await.unwrap(), Recorded::Recorded);
    assert_eq!(fresh.store.record(&first, NOW).await.unwrap(), Recorded::LeaseLost);

    let (now, attempts) = fresh.store.delivery(TENANT, told.id).await.unwrap().unwrap();
    assert_eq!((now.attempts, now.next_attempt_at), (1, Some(NOW.plus_secs(60))));
    assert_eq!(attempts, [first.attempt.unwrap()]);
    assert_eq!(fresh.store.delivery(OTHER, told.id).await.unwrap(), None);
    let again = claim(fresh, NOW.plus_secs(60)).await.unwrap();
    let due = fresh.store.due(&again, NOW).await.unwrap().unwrap();
    assert_eq!(due.progress, Progress { failures: 1, parts_done: 1 << 31 });
    assert_eq!(due.streak, Some(FailureStreak::starting(NOW)));

    let last = record(&told, &again, DeliveryState::Delivered, ChannelEffect::Worked);
    assert_eq!(fresh.store.record(&last, NOW.plus_secs(61)).await.unwrap(), Recorded::Recorded);
    assert_eq!(fresh.store.due(&again, NOW).await.unwrap(), None, "there is nothing to send any more");
    assert_eq!(claim(fresh, NOW.plus_secs(999)).await, None);
}

async fn a_channel_is_disabled_once(fresh: &Fresh) {
    let told = one_delivery(fresh).await;
    let news = |number| Delivery {
        id: super::delivery(&rule(TENANT, 1, json!({})), number, 8, &[]).id,
        ..told.clone()
    };
    let job = claim(fresh, NOW).await.unwrap();
    let disabling = |told| ChannelEffect::Disabled { reason: "gone".to_owned(), told: vec![told] };
    let first = record(&told, &job, DeliveryState::Pending, disabling(news(31)));
    assert_eq!(fresh.store.record(&first, NOW).await.unwrap(), Recorded::Recorded);
    let channel = fresh.store.channel(TENANT, told.channel_id).await.unwrap().unwrap();
    assert_eq!((channel.enabled, channel.disabled_reason.as_deref()), (false, Some("gone")));
    assert_eq!((channel.disabled_at, channel.updated_at), (Some(NOW), NOW));
    assert_eq!(fresh.store.enabled_channels(TENANT).await.unwrap(), []);

    let news_job = claim(fresh, NOW).await.unwrap();
    assert_eq!(news_job.unique_key, Some(news(31).id.to_string()), "others are told");
    let second = record(&news(31), &news_job, DeliveryState::Failed, disabling(news(32)));
    assert_eq!(fresh.store.record(&second, NOW.plus_secs(5)).await.unwrap(), Recorded::Recorded);
    assert_eq!(fresh.store.delivery(TENANT, news(32).id).await.unwrap(), None, "it was disabled already");
    let channel = fresh.store.channel(TENANT, told.channel_id).await.unwrap().unwrap();
    assert_eq!(channel.disabled_at, Some(NOW));
}

async fn what_was_given_up_is_sent_again(fresh: &Fresh) {
    let told = one_delivery(fresh).await;
    let ids = SequentialIds::seeded(8);
    let job = claim(fresh, NOW).await.unwrap();
    let given_up = record(&told, &job, DeliveryState::Failed, ChannelEffect::Failed);
    assert_eq!(fresh.store.record(&given_up, NOW).await.unwrap(), Recorded::Recorded);
    let later = NOW.plus_secs(100);
    let recover = async |tenant_id, since| {
        fresh.store.recover_since(tenant_id, told.channel_id, since, later, &ids).await.unwrap()
    };

    assert!(!fresh.store.resend(OTHER, told.id, later, &ids).await.unwrap());
    assert_eq!(recover(OTHER, NOW).await, 0);
    assert_eq!(recover(TENANT, NOW.plus_secs(22)).await, 0, "it was decided before");
    assert_eq!(claim(fresh, later).await, None);
    assert_eq!(recover(TENANT, NOW.plus_secs(21)).await, 1);
    assert_eq!(recover(TENANT, NOW.plus_secs(21)).await, 0, "it is on its way");
    let working = claim(fresh, later).await.unwrap();
    assert!(fresh.store.resend(TENANT, told.id, later, &ids).await.unwrap());
    let again = claim(fresh, later).await.unwrap();
    assert_eq!(again.lease.id, working.lease.id, "one job at a time");

    let due = fresh.store.due(&again, later).await.unwrap().unwrap();
    assert_eq!((due.delivery.id, due.delivery.attempts, due.progress), (told.id, 1, Progress::default()));
    let failed = DeliveryQuery {
        channel_id: Some(told.channel_id),
        alert_id: None,
        state: Some(DeliveryState::Failed),
        since: None,
        limit: 9,
        offset: 0,
    };
    assert_eq!(fresh.store.deliveries(TENANT, &failed).await.unwrap().total, 0);
}

async fn a_deleted_channel_gets_nothing_more(fresh: &Fresh) {
    let told = one_delivery(fresh).await;
    let job = claim(fresh, NOW).await.unwrap();

    assert!(fresh.store.delete_channel(TENANT, told.channel_id, &origin()).await.unwrap());

    assert_eq!(fresh.store.due(&job, NOW).await.unwrap(), None);
    let (now, _) = fresh.store.delivery(TENANT, told.id).await.unwrap().unwrap();
    assert_eq!((now.state, now.next_attempt_at), (DeliveryState::Failed, None));
}
