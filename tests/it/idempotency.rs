//! One id, one event: what a second event with the same id gets, by the tenant's policy.

use pulsestream_tests::{App, Combination, Tenant, TenantOptions, Trial, event, event_with_id, on_all_four};
use reqwest::Method;
use serde_json::{Value, json};

const BATCH: &str = "/api/v1/ingestion/events/batch";

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![
        other_content_under_the_same_id_is_a_conflict,
        the_same_content_in_another_order_is_a_duplicate,
        the_lenient_policy_takes_any_duplicate,
        the_reject_policy_takes_none,
        an_id_twice_in_a_batch_is_judged_against_the_first,
        an_idempotency_key_makes_a_resent_batch_all_duplicates,
        ids_are_the_tenants_own_and_their_case_matters,
        a_deleted_event_is_gone_and_its_id_is_free,
        an_event_can_be_queued_for_processing_again,
    ]
}

fn first() -> Value {
    event(json!({"event_id": "order-1", "payload": {"total": 1, "currency": "EUR"}}))
}

fn other() -> Value {
    event(json!({"event_id": "order-1", "payload": {"total": 2, "currency": "EUR"}}))
}

async fn other_content_under_the_same_id_is_a_conflict(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    tenant.send(&first()).await.expect(200);

    let refused = tenant.send(&other()).await.expect(409);

    assert_eq!(refused.header("Content-Type"), "application/problem+json");
    assert_eq!(refused.code(), "event_id_conflict");
    assert_eq!(refused.json()["event_id"], "order-1", "at the top level");
    assert_first_is_kept(&tenant).await;

    let batch = tenant.send_batch(&[other(), event_with_id("order-2")]).await.expect(200).json();
    assert_eq!(batch["results"][0]["status"], "rejected", "{batch}");
    assert_eq!(batch["results"][0]["errors"][0]["code"], "event_id_conflict", "{batch}");
    assert_eq!(batch["results"][1]["status"], "accepted", "{batch}");
    assert_first_is_kept(&tenant).await;
}

async fn assert_first_is_kept(tenant: &Tenant) {
    let kept = tenant.event("order-1").await.expect(200).json();
    assert_eq!(kept["payload"]["total"], 1, "the first write wins");
}

async fn the_same_content_in_another_order_is_a_duplicate(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    tenant.post("/api/v1/ingestion/events", &first()).await.expect(200);
    let text = r#" {"payload": {"currency": "EUR", "total": 1}, "event_id": "order-1",
        "source": {"method": "GET", "endpoint": "/orders", "service": "shop"},
        "title": "GET \u002forders", "event_type": "api_call"} "#;

    let again = tenant.send_bytes("/api/v1/ingestion/events", "application/json", text).await;

    assert_eq!(again.expect(200).json()["status"], "duplicate");
}

async fn the_lenient_policy_takes_any_duplicate(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().duplicate_policy("lenient")).await;
    let stored = tenant.send(&first()).await.expect(200).json();

    let taken = tenant.send(&other()).await.expect(200).json();

    assert_eq!(taken["status"], "duplicate");
    assert_eq!(taken["ingested_at"], stored["ingested_at"]);
    assert_first_is_kept(&tenant).await;
}

async fn the_reject_policy_takes_none(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().duplicate_policy("reject")).await;
    tenant.send(&first()).await.expect(200);

    for again in [first(), other()] {
        let refused = tenant.send(&again).await.expect(409);
        assert_eq!(refused.code(), "event_id_conflict");
        assert_eq!(refused.json()["event_id"], "order-1");
    }
    assert_first_is_kept(&tenant).await;
}

async fn an_id_twice_in_a_batch_is_judged_against_the_first(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;

    let answer = tenant.send_batch(&[first(), first(), other()]).await.expect(200).json();

    let statuses = ["accepted", "duplicate", "rejected"];
    for (index, status) in statuses.into_iter().enumerate() {
        assert_eq!(answer["results"][index]["status"], status, "{answer}");
        assert_eq!(answer["results"][index]["event_id"], "order-1");
    }
    assert_eq!(
        [&answer["successful_count"], &answer["duplicate_count"], &answer["failed_count"]],
        [2, 1, 1],
        "duplicates are successful"
    );
    assert_eq!(app.rows(&tenant).await.len(), 1);
    assert_first_is_kept(&tenant).await;
}

async fn an_idempotency_key_makes_a_resent_batch_all_duplicates(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let neighbour = app.tenant().await;
    let body = json!({"events": [event(json!({})), event_with_id("own"), event(json!({}))]});
    let send = |tenant: &Tenant| {
        let request = tenant.request(Method::POST, BATCH).header("Idempotency-Key", "k").json(&body);
        let client = tenant.client.clone();
        async move { client.execute(request).await.expect(200).json() }
    };

    let once = send(&tenant).await;
    let again = send(&tenant).await;
    let elsewhere = send(&neighbour).await;

    assert_eq!([&once["successful_count"], &once["duplicate_count"]], [3, 0], "{once}");
    assert_eq!([&again["successful_count"], &again["duplicate_count"]], [3, 3], "{again}");
    assert_eq!(elsewhere["duplicate_count"], 0, "a key is its tenant's own");
    for index in 0..3 {
        assert_eq!(again["results"][index]["event_id"], once["results"][index]["event_id"]);
    }
    assert_eq!(once["results"][1]["event_id"], "own", "an id of the client's stays");
    assert_ne!(once["results"][0]["event_id"], once["results"][2]["event_id"]);
    assert_eq!(app.rows(&tenant).await.len(), 3);
}

async fn ids_are_the_tenants_own_and_their_case_matters(combination: Combination) {
    let app = App::shared(combination).await;
    let (one, two) = (app.tenant().await, app.tenant().await);

    for (tenant, id) in [(&one, "a1"), (&one, "A1"), (&two, "a1")] {
        let answer = tenant.send(&event_with_id(id)).await.expect(200).json();
        assert_eq!(answer["status"], "accepted", "{id}: {answer}");
    }
    for strange in ["~!@#$%^&*()", "a/b/../c", "%41", "'or'1'='1"] {
        one.send(&event_with_id(strange)).await.expect(200);
        assert_eq!(one.event(strange).await.expect(200).json()["id"], strange);
    }
}

async fn a_deleted_event_is_gone_and_its_id_is_free(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    tenant.send(&first()).await.expect(200);
    let path = "/api/v1/ingestion/events/order-1";

    let deleted = tenant.delete(path).await.expect(200).json();

    assert!(deleted["message"].is_string(), "{deleted}");
    tenant.event("order-1").await.expect(404);
    tenant.delete(path).await.expect(404);
    assert_eq!(tenant.found(&[]).await, [""; 0]);
    assert_eq!(tenant.get("/api/v1/ingestion/stats").await.expect(200).json()["total_events"], 0);

    let stored = tenant.send(&other()).await.expect(200).json();
    assert_eq!(stored["status"], "accepted", "its id is free, for other content as well");
    assert_eq!(tenant.event("order-1").await.expect(200).json()["payload"]["total"], 2);
    let deleted: Vec<bool> = app.rows(&tenant).await.iter().map(|row| row.is_deleted).collect();
    assert_eq!(deleted, [true, false]);
}

async fn an_event_can_be_queued_for_processing_again(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    tenant.send(&first()).await.expect(200);

    let queued = tenant.post("/api/v1/ingestion/events/order-1/retry", &json!({})).await.expect(200);

    assert!(queued.json()["message"].is_string());
    tenant.post("/api/v1/ingestion/events/none/retry", &json!({})).await.expect(404);
    let read = tenant.event("order-1").await.expect(200).json();
    assert!(read["processing_status"].is_string(), "{read}");
    assert_eq!(app.rows(&tenant).await.len(), 1);
}
