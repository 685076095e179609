//! How much a tenant may send, and how it is told.

use futures_util::future::join_all;
use pulsestream_tests::{
    Answer, App, Combination, Tenant, TenantOptions, Trial, event, event_with_id, events, on_all_four,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![
        every_answer_of_ingestion_tells_the_limit,
        the_limit_can_be_asked_for,
        a_duplicate_at_the_limit_is_still_a_duplicate,
        what_is_not_stored_costs_nothing,
        a_burst_is_limited_within_each_second,
        concurrent_senders_get_exactly_the_limit,
        one_tenant_at_its_limit_does_not_limit_another,
    ]
}

async fn every_answer_of_ingestion_tells_the_limit(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().per_minute(3)).await;
    let first = event_with_id("first");

    let accepted = tenant.send(&first).await.expect(200);
    assert_tells_limit(&accepted, 3, 2);
    assert_tells_limit(&tenant.send(&first).await.expect(200), 3, 2);
    let conflicting = event(json!({"event_id": "first", "title": "other"}));
    assert_tells_limit(&tenant.send(&conflicting).await.expect(409), 3, 2);
    assert_tells_limit(&tenant.send(&json!({})).await.expect(422), 3, 2);
    assert_tells_limit(&tenant.send_batch(&events(2)).await.expect(200), 3, 0);
    assert_tells_limit(&tenant.send(&event(json!({}))).await.expect(429), 3, 0);
    assert_tells_limit(&tenant.send_batch(&events(2)).await.expect(429), 3, 0);
}

#[track_caller]
fn assert_tells_limit(answer: &Answer, limit: u64, remaining: u64) {
    assert_eq!(answer.number("X-RateLimit-Limit"), limit);
    assert_eq!(answer.number("X-RateLimit-Remaining"), remaining);
    let reset = i64::try_from(answer.number("X-RateLimit-Reset")).expect("seconds since 1970");
    let away = reset - unix_now();
    assert!((-1..=62).contains(&away), "X-RateLimit-Reset is {away} s away");
    let policy = answer.header("RateLimit-Policy");
    assert!(policy.contains(&format!("q={limit};w=60")), "{policy}");
    let state = answer.header("RateLimit");
    assert!(state.contains(&format!("r={remaining}")), "{state}");
}

#[expect(clippy::disallowed_methods, reason = "the server under test tells times by the real clock")]
fn unix_now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

async fn the_limit_can_be_asked_for(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().per_minute(3)).await;

    let fresh = usage(&tenant).await;
    assert_eq!([&fresh["limit"], &fresh["remaining"], &fresh["window_size_seconds"]], [3, 3, 60], "{fresh}");
    assert_eq!(fresh["exceeded"], false);
    assert!(fresh.get("reset_time").is_some(), "{fresh}");

    tenant.send_batch(&events(5)).await.expect(200);
    let full = usage(&tenant).await;
    assert_eq!(full["remaining"], 0, "{full}");
    assert_eq!(full["exceeded"], true, "{full}");
}

async fn usage(tenant: &Tenant) -> Value {
    tenant.get("/api/v1/ingestion/rate-limit").await.expect(200).json()
}

async fn a_duplicate_at_the_limit_is_still_a_duplicate(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().per_minute(2)).await;
    let batch = events(2);
    tenant.send_batch(&batch).await.expect(200);
    let stored = tenant.search(&[("order", "asc")]).await.expect(200).json();

    let again = tenant.send(&batch[0]).await.expect(200).json();
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["ingested_at"], stored["events"][0]["ingested_at"]);
    let again = tenant.send_batch(&batch).await.expect(200).json();
    assert_eq!(again["duplicate_count"], 2, "{again}");
    let mut conflicting = batch[1].clone();
    conflicting["title"] = json!("other");
    tenant.send(&conflicting).await.expect(409);

    tenant.send(&event(json!({}))).await.expect(429);
}

async fn what_is_not_stored_costs_nothing(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().per_minute(10)).await;
    let batch = events(4);
    tenant.send_batch(&batch).await.expect(200);

    for _ in 0..5 {
        tenant.send_batch(&batch).await.expect(200);
        tenant.send_batch(&[json!({}), json!({"event_id": "x"})]).await.expect(422);
        tenant.send(&batch[0]).await.expect(200);
        tenant.send(&json!({})).await.expect(422);
    }
    join_all((0..20).map(|_| tenant.send(&batch[1]))).await;

    assert_eq!(usage(&tenant).await["remaining"], 6);
    tenant.send_batch(&events(6)).await.expect(200);
    tenant.send(&event(json!({}))).await.expect(429);
    assert_eq!(app.rows(&tenant).await.len(), 10);
}

async fn a_burst_is_limited_within_each_second(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().per_minute(1_000).burst(7)).await;

    let answer = tenant.send_batch(&events(20)).await.expect(200);

    let answer = answer.json();
    assert_eq!(answer["successful_count"], 7);
    assert!([1, 2].map(Value::from).contains(&answer["results"][7]["retry_after"]), "{answer}");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while tenant.send(&event(json!({}))).await.status == 429 {
        assert!(tokio::time::Instant::now() < deadline, "the next second never came");
    }
    assert_eq!(app.rows(&tenant).await.len(), 8);
}

async fn concurrent_senders_get_exactly_the_limit(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let batches: Vec<Vec<Value>> = (0..16).map(|size| events(size + 1)).collect();

    let answers = join_all(batches.iter().map(|batch| tenant.send_batch(batch))).await;

    let stored = |answer: &Answer| answer.json()["successful_count"].as_u64().expect("a number");
    let acknowledged: u64 = answers.iter().map(stored).sum();
    assert_eq!(acknowledged, 100, "136 were offered");
    assert_eq!(app.rows(&tenant).await.len(), 100);
}

async fn one_tenant_at_its_limit_does_not_limit_another(combination: Combination) {
    let app = App::shared(combination).await;
    let greedy = app.tenant_with(TenantOptions::default().per_minute(1)).await;
    let modest = app.tenant().await;

    greedy.send(&event(json!({}))).await.expect(200);
    greedy.send(&event(json!({}))).await.expect(429);

    modest.send(&event(json!({}))).await.expect(200);
}
