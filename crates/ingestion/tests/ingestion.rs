//! The service over a store in memory: what each event is answered, and what is stored.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop there")]

use std::sync::Arc;

use bytes::Bytes;
use pulsestream_domain::{
    Timestamp,
    event::Reason,
    ports::{Clock, StoreError},
    tenant::{DuplicatePolicy, Limits, Tenant},
};
use pulsestream_ingestion::{
    Counts, Failure, Format, Ingestion, Options, Outcome, Receipt, Settings, Unreadable,
};
use pulsestream_rate_limit::LocalLimiter;
use pulsestream_testing::{
    builders::{event_json, tenant},
    clock::{FakeClock, SequentialIds},
    memory::MemoryStore,
};
use serde_json::{Value, json};

struct Service {
    ingestion: Ingestion,
    store: Arc<MemoryStore>,
    clock: Arc<FakeClock>,
    tenant: Arc<Tenant>,
}

fn service() -> Service {
    service_with(Settings::default())
}

fn service_with(settings: Settings) -> Service {
    let store = Arc::new(MemoryStore::default());
    let clock = Arc::new(FakeClock::at(Timestamp::from_secs(1_790_000_000)));
    let ingestion = Ingestion::new(
        Arc::clone(&store) as _,
        Arc::new(LocalLimiter::new()),
        Arc::clone(&clock) as _,
        Arc::new(SequentialIds::default()),
        settings,
    );
    Service { ingestion, store, clock, tenant: Arc::new(tenant(1)) }
}

impl Service {
    async fn send(&self, events: Value) -> Receipt {
        self.send_as(&self.tenant, events, false).await
    }

    async fn send_as(&self, tenant: &Arc<Tenant>, events: Value, dry_run: bool) -> Receipt {
        let format = if events.is_array() { Format::Batch } else { Format::Single };
        let options = Options { format, dry_run, ..Options::default() };
        self.ingestion.ingest(Arc::clone(tenant), Bytes::from(events.to_string()), options).await.unwrap()
    }

    fn tenant_with(&self, limits: Limits, duplicate_policy: DuplicatePolicy) -> Arc<Tenant> {
        Arc::new(Tenant { limits, duplicate_policy, ..(*self.tenant).clone() })
    }

    fn stored_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.store.events().iter().map(|event| event.event_id.to_string()).collect();
        ids.sort();
        ids
    }
}

fn named(id: &str) -> Value {
    event_json(json!({"event_id": id}))
}

fn statuses(receipt: &Receipt) -> Vec<&'static str> {
    let status = |outcome: &Outcome| match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Duplicate { .. } => "duplicate",
        Outcome::Conflict { .. } => "conflict",
        Outcome::Rejected(_) => "rejected",
        Outcome::Throttled { .. } => "throttled",
        Outcome::Failed(failure) => failure.code(),
    };
    receipt.outcomes.iter().map(|item| status(&item.outcome)).collect()
}

#[tokio::test]
async fn one_bad_event_never_touches_its_neighbours() {
    let service = service();
    let receipt = service.send(json!([named("a"), {"title": 1}, 5, named("b"), {"event_id": "c"}])).await;
    assert_eq!(statuses(&receipt), ["accepted", "rejected", "rejected", "accepted", "rejected"]);
    assert_eq!(service.stored_ids(), ["a", "b"]);
    let ids: Vec<_> =
        receipt.outcomes.iter().map(|item| item.event_id.as_ref().map(ToString::to_string)).collect();
    assert_eq!(ids, [Some("a".into()), None, None, Some("b".into()), Some("c".into())]);
    assert_eq!(receipt.counts(), Counts { accepted: 2, rejected: 3, ..Counts::default() });
}

#[tokio::test]
async fn a_resend_is_a_duplicate_with_the_first_time() {
    let service = service();
    let first = service.send(named("a")).await;
    service.clock.advance(std::time::Duration::from_secs(5));
    let again = service.send(named("a")).await;
    assert_eq!(again.outcomes[0].outcome, Outcome::Duplicate { ingested_at: first.ingested_at });
    assert_eq!(service.store.events().len(), 1);
}

#[tokio::test]
async fn the_policy_decides_what_other_content_under_a_known_id_is_told() {
    let service = service();
    service.send(named("a")).await;
    let changed = event_json(json!({"event_id": "a", "title": "other"}));
    for (policy, same, other) in [
        (DuplicatePolicy::Strict, "duplicate", "conflict"),
        (DuplicatePolicy::Lenient, "duplicate", "duplicate"),
        (DuplicatePolicy::Reject, "conflict", "conflict"),
    ] {
        let tenant = service.tenant_with(Limits::default(), policy);
        assert_eq!(statuses(&service.send_as(&tenant, named("a"), false).await), [same], "{policy:?}");
        assert_eq!(statuses(&service.send_as(&tenant, changed.clone(), false).await), [other], "{policy:?}");
    }
    assert_eq!(service.store.events().len(), 1);
}

#[tokio::test]
async fn in_a_batch_the_first_of_an_id_is_stored_and_the_later_ones_are_judged_against_it() {
    let service = service();
    let changed = event_json(json!({"event_id": "a", "title": "other"}));
    let receipt = service.send(json!([named("a"), named("a"), changed, named("b")])).await;
    assert_eq!(statuses(&receipt), ["accepted", "duplicate", "conflict", "accepted"]);
    assert_eq!(service.stored_ids(), ["a", "b"]);
}

#[tokio::test]
async fn an_idempotency_key_makes_a_whole_request_repeatable() {
    let service = service();
    let send = async |key: &str| {
        let body = json!([event_json(json!({})), event_json(json!({})), named("own")]).to_string();
        let options = Options {
            format: Format::Batch,
            idempotency_key: Some(key.parse().unwrap()),
            dry_run: false,
            restrictions: None,
        };
        service.ingestion.ingest(Arc::clone(&service.tenant), Bytes::from(body), options).await.unwrap()
    };
    let first = send("k1").await;
    let again = send("k1").await;
    assert_eq!(statuses(&first), ["accepted"; 3]);
    assert_eq!(statuses(&again), ["duplicate"; 3]);
    let ids =
        |receipt: &Receipt| receipt.outcomes.iter().map(|item| item.event_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(statuses(&send("k2").await), ["accepted", "accepted", "duplicate"]);
}

#[tokio::test]
async fn the_head_that_fits_is_admitted_and_the_rest_is_throttled() {
    let service = service();
    let tenant = service.tenant_with(Limits::per_minute(3), DuplicatePolicy::Strict);
    let batch: Vec<Value> = (0..5).map(|n| named(&format!("e{n}"))).collect();
    let receipt = service.send_as(&tenant, json!(batch), false).await;
    assert_eq!(statuses(&receipt), ["accepted", "accepted", "accepted", "throttled", "throttled"]);
    assert_eq!((receipt.usage.limit, receipt.usage.remaining), (3, 0));
    assert_eq!(service.stored_ids(), ["e0", "e1", "e2"]);
    service.clock.advance(std::time::Duration::from_secs(62));
    let again = service.send_as(&tenant, json!(batch), false).await;
    assert_eq!(statuses(&again), ["duplicate", "duplicate", "duplicate", "accepted", "accepted"]);
}

#[tokio::test]
async fn duplicates_and_rejected_events_cost_nothing_even_at_the_limit() {
    let service = service();
    let tenant = service.tenant_with(Limits::per_minute(3), DuplicatePolicy::Strict);
    service.send_as(&tenant, json!([named("a"), named("b")]), false).await;
    for _ in 0..10 {
        let receipt =
            service.send_as(&tenant, json!([named("a"), named("b"), {"broken": true}]), false).await;
        assert_eq!(statuses(&receipt), ["duplicate", "duplicate", "rejected"]);
        assert_eq!(receipt.usage.remaining, 1);
    }
    // Five known ones first: they must not use up the room of the new one behind them.
    let batch = json!([named("a"), named("b"), named("a"), named("c"), named("d")]);
    let receipt = service.send_as(&tenant, batch, false).await;
    assert_eq!(statuses(&receipt), ["duplicate", "duplicate", "duplicate", "accepted", "throttled"]);
    assert_eq!(statuses(&service.send_as(&tenant, named("c"), false).await), ["duplicate"]);
    assert_eq!(statuses(&service.send_as(&tenant, named("e"), false).await), ["throttled"]);
}

#[tokio::test]
async fn what_the_store_refused_gives_its_room_back_and_what_may_be_stored_does_not() {
    let service = service();
    let tenant = service.tenant_with(Limits::per_minute(2), DuplicatePolicy::Strict);
    for (error, code, remaining) in [
        (StoreError::Unavailable("gone".into()), "store_unavailable", 2),
        (StoreError::Busy("locked".into()), "busy", 2),
        (StoreError::Full("full".into()), "store_full", 2),
        (StoreError::OutcomeUnknown("cut".into()), "outcome_unknown", 1),
    ] {
        service.store.fail_next(error);
        let receipt = service.send_as(&tenant, named("a"), false).await;
        assert_eq!(statuses(&receipt), [code]);
        assert_eq!(receipt.usage.remaining, remaining, "{code}");
    }
    assert_eq!(statuses(&service.send_as(&tenant, named("a"), false).await), ["accepted"]);
}

#[tokio::test]
async fn a_value_the_store_chokes_on_fails_alone() {
    let service = service();
    service.store.choke_on("poison");
    let mut batch: Vec<Value> = (0..60).map(|n| named(&format!("e{n}"))).collect();
    batch[17]["title"] = json!("poison");
    let receipt = service.send(json!(batch)).await;
    assert_eq!(receipt.counts(), Counts { accepted: 59, rejected: 1, ..Counts::default() });
    let Outcome::Rejected(errors) = &receipt.outcomes[17].outcome else { panic!("{receipt:?}") };
    assert_eq!(errors[0].code, Reason::NotStorable);
}

#[tokio::test]
async fn a_dry_run_answers_without_storing_or_counting() {
    let service = service();
    let tenant = service.tenant_with(Limits::per_minute(2), DuplicatePolicy::Strict);
    service.send_as(&tenant, named("a"), false).await;
    let changed = event_json(json!({"event_id": "a", "title": "other"}));
    let batch = json!([named("a"), changed, named("b"), named("b"), {}]);
    let receipt = service.send_as(&tenant, batch, true).await;
    assert_eq!(statuses(&receipt), ["duplicate", "conflict", "accepted", "duplicate", "rejected"]);
    assert_eq!(receipt.usage.remaining, 1);
    assert_eq!(service.stored_ids(), ["a"]);
}

#[tokio::test]
async fn concurrent_requests_share_commits_and_keep_their_own_answers() {
    let service = Arc::new(service());
    let tenant = service.tenant_with(Limits::per_minute(10_000), DuplicatePolicy::Strict);
    let sending = (0..200).map(|n| {
        let (service, tenant) = (Arc::clone(&service), Arc::clone(&tenant));
        tokio::spawn(async move { service.send_as(&tenant, named(&format!("e{}", n % 150)), false).await })
    });
    let mut counts = Counts::default();
    for sent in sending.collect::<Vec<_>>() {
        let receipt = sent.await.unwrap();
        counts.accepted += receipt.counts().accepted;
        counts.duplicate += receipt.counts().duplicate;
    }
    assert_eq!(counts, Counts { accepted: 150, duplicate: 50, ..Counts::default() });
    assert!(service.store.appends() < 100, "{} appends for 200 requests", service.store.appends());
    assert_eq!(service.ingestion.vitals().stored_last_minute, 150);
}

#[tokio::test]
async fn tenants_in_one_group_have_their_own_limits_and_ids() {
    let service = Arc::new(service());
    let sending: Vec<_> = (1..=4_u128)
        .flat_map(|number| (0..5).map(move |n| (number, n)))
        .map(|(number, n)| {
            let service = Arc::clone(&service);
            let tenant = Arc::new(Tenant { limits: Limits::per_minute(3), ..tenant(number) });
            tokio::spawn(async move { service.send_as(&tenant, named(&format!("e{n}")), false).await })
        })
        .collect();
    let mut counts = Counts::default();
    for sent in sending {
        let one = sent.await.unwrap().counts();
        counts.accepted += one.accepted;
        counts.throttled += one.throttled;
    }
    assert_eq!(counts, Counts { accepted: 12, throttled: 8, ..Counts::default() });
}

#[tokio::test]
async fn a_client_that_goes_away_changes_nothing_for_its_events() {
    let service = service();
    let batch: Vec<Value> = (0..80).map(|n| named(&format!("e{n}"))).collect();
    for body in [named("single"), json!(batch)] {
        tokio::select! {
            biased;
            receipt = service.send(body) => panic!("answered without waiting for a commit: {receipt:?}"),
            () = std::future::ready(()) => {}
        }
    }
    service.ingestion.drain().await;
    assert_eq!(service.store.events().len(), 81);
}

#[tokio::test]
async fn draining_answers_what_was_taken_and_refuses_what_comes_after() {
    let service = service();
    assert_eq!(statuses(&service.send(named("a")).await), ["accepted"]);
    service.ingestion.drain().await;
    assert_eq!(statuses(&service.send(named("b")).await), ["overloaded"]);
    assert_eq!(service.ingestion.vitals().lanes_alive, 0);
    assert_eq!(service.stored_ids(), ["a"]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let service = Arc::new(service_with(Settings { queue_requests: 1, lanes: 1, ..Settings::default() }));
    let tenant = service.tenant_with(Limits::per_minute(10_000), DuplicatePolicy::Strict);
    let sending: Vec<_> = (0..50)
        .map(|n| {
            let (service, tenant) = (Arc::clone(&service), Arc::clone(&tenant));
            tokio::spawn(async move { service.send_as(&tenant, named(&format!("e{n}")), false).await })
        })
        .collect();
    let mut counts = Counts::default();
    for sent in sending {
        let one = sent.await.unwrap().counts();
        counts.accepted += one.accepted;
        counts.failed += one.failed;
    }
    assert_eq!(counts.accepted + counts.failed, 50);
    assert_eq!(counts.accepted, service.store.events().len());
    assert!(counts.failed > 0);
}

#[tokio::test]
async fn a_body_without_events_is_unreadable_as_a_whole() {
    let service = service();
    let send = async |body: &'static str, format| {
        let options = Options { format, ..Options::default() };
        service
            .ingestion
            .ingest(Arc::clone(&service.tenant), Bytes::from_static(body.as_bytes()), options)
            .await
    };
    assert_eq!(send("", Format::Single).await.unwrap_err(), Unreadable::EmptyBody);
    assert_eq!(send("[]", Format::Batch).await.unwrap_err(), Unreadable::EmptyBatch);
    let many = format!("[{}]", vec!["1"; 1_001].join(","));
    let options = Options { format: Format::Batch, ..Options::default() };
    let refused = service.ingestion.ingest(Arc::clone(&service.tenant), Bytes::from(many), options).await;
    assert_eq!(refused.unwrap_err(), Unreadable::TooManyEvents { max: 1_000 });
}

#[tokio::test]
async fn a_large_body_is_taken_in_like_a_small_one() {
    let service = service();
    let event = event_json(json!({"event_id": "big", "payload": {"blob": "x".repeat(5 * 1024 * 1024)}}));
    assert_eq!(statuses(&service.send(event).await), ["accepted"]);
    assert!(service.store.events()[0].document.as_str().len() > 5 * 1024 * 1024);
    assert!(service.clock.now() >= service.store.events()[0].received_at);
    assert_eq!(Failure::ALL.len(), 6);
}
