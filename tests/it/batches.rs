//! Batches in all their forms: one result per event, whatever becomes of its neighbours.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use pulsestream_tests::{
    Answer, App, Client, Combination, TenantOptions, Trial, event, event_with_id, events, on_all_four,
};
use reqwest::Method;
use serde_json::{Value, json};

const EVENTS: &str = "/api/v1/ingestion/events";
const BATCH: &str = "/api/v1/ingestion/events/batch";
const NDJSON: &str = "application/x-ndjson";

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![
        every_member_of_the_answer_is_there,
        a_bare_array_is_a_batch,
        lines_are_a_batch_and_a_broken_one_harms_no_other,
        gzip_and_zstd_are_read_and_nothing_else,
        a_batch_that_fails_as_a_whole_has_the_status_of_its_reason,
        the_head_that_fits_is_admitted_and_the_rest_throttled,
        a_thousand_are_taken_and_one_more_is_not,
        a_batch_that_can_not_be_read_is_refused_as_a_whole,
        a_dry_run_says_what_would_be_and_stores_and_counts_nothing,
    ]
}

async fn every_member_of_the_answer_is_there(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    tenant.send(&event_with_id("old")).await.expect(200);
    let marked = |id| tenant.marked(&event_with_id(id));
    let items = json!([marked("new"), marked("old"), {"event_id": "bad"}, 7]);
    let body = json!({"events": items, "batch_id": "b-1", "source_application": "shop"});

    let answer = tenant.post(BATCH, &body).await.expect(200).json();

    assert_eq!(answer["batch_id"], "b-1");
    let counts = ["total_count", "successful_count", "duplicate_count", "failed_count"];
    assert_eq!(counts.map(|name| answer[name].as_u64()), [4, 2, 1, 2].map(Some), "{answer}");
    assert_eq!(answer["processing_status"], "partial");
    assert!(answer["ingested_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{answer}");
    let accepted = json!({"index": 0, "success": true, "event_id": "new", "status": "accepted",
        "message": "Event ingested successfully"});
    assert_has(&answer["results"][0], &accepted);
    let duplicate = json!({"index": 1, "success": true, "event_id": "old", "status": "duplicate",
        "message": "Event already exists (idempotent)"});
    assert_has(&answer["results"][1], &duplicate);
    assert_has(
        &answer["results"][2],
        &json!({"index": 2, "success": false, "event_id": "bad", "status": "rejected"}),
    );
    assert!(answer["results"][2]["message"].is_string(), "{answer}");
    let problems = answer["results"][2]["errors"].as_array().expect("errors of a rejected event");
    for pointer in ["/event_type", "/title", "/source"] {
        let error = problems.iter().find(|error| error["pointer"] == pointer);
        let error = error.unwrap_or_else(|| panic!("no {pointer} in {problems:?}"));
        assert_eq!(error["code"], "required");
        assert!(error["detail"].is_string());
    }
    let unread = json!({"index": 3, "success": false, "event_id": null, "status": "rejected"});
    assert_has(&answer["results"][3], &unread);

    let whole = tenant.send_batch(&[event_with_id("new")]).await.expect(200).json();
    assert_eq!(whole["processing_status"], "completed");
}

#[track_caller]
fn assert_has(value: &Value, members: &Value) {
    for (name, expected) in members.as_object().expect("members") {
        assert_eq!(&value[name], expected, "{name} of {value}");
        assert!(value.get(name).is_some(), "{name} is missing in {value}");
    }
}

async fn a_bare_array_is_a_batch(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let batch = events(3);

    let answer = tenant.post(BATCH, &Value::from(batch)).await.expect(200).json();

    assert_eq!(statuses(&answer), ["accepted"; 3]);
    assert_eq!(app.rows(&tenant).await.len(), 3);
}

async fn lines_are_a_batch_and_a_broken_one_harms_no_other(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let lines = format!("{}\n{{\"event_id\": \n{}\r\n", event_with_id("one"), event_with_id("three"));

    let answer = tenant.send_bytes(BATCH, NDJSON, lines).await.expect(200).json();

    assert_eq!(statuses(&answer), ["accepted", "rejected", "accepted"], "{answer}");
    assert_eq!(answer["results"][1]["event_id"], Value::Null);
    assert_eq!(answer["results"][2]["event_id"], "three");
    assert_eq!(app.rows(&tenant).await.len(), 2);
}

async fn gzip_and_zstd_are_read_and_nothing_else(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let send = async |path: &str, encoding: &str, body: Vec<u8>| {
        let request = tenant.request(Method::POST, path).header("Content-Encoding", encoding);
        tenant.execute(request.header("Content-Type", "application/json").body(body)).await
    };
    let batch = Value::from(events(50)).to_string().into_bytes();
    let one = event_with_id("compressed").to_string().into_bytes();

    let answer = send(BATCH, "gzip", gzip(&batch)).await.expect(200).json();
    assert_eq!(statuses(&answer), ["accepted"; 50]);
    let answer = send(BATCH, "zstd", zstd(&batch)).await.expect(200).json();
    assert_eq!(statuses(&answer), ["duplicate"; 50]);
    send(EVENTS, "gzip", gzip(&one)).await.expect(200);
    assert_eq!(send(EVENTS, "zstd", zstd(&one)).await.expect(200).json()["status"], "duplicate");
    assert_eq!(send(EVENTS, "identity", one.clone()).await.expect(200).json()["status"], "duplicate");

    send(EVENTS, "br", one.clone()).await.expect(415);
    send(EVENTS, "gzip", one).await.expect(400);
    assert_eq!(app.rows(&tenant).await.len(), 51);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("a slice can be read")
}

async fn a_batch_that_fails_as_a_whole_has_the_status_of_its_reason(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().per_minute(2)).await;

    let refused = tenant.send_batch(&[json!({}), json!(null)]).await.expect(422).json();
    assert_eq!(statuses(&refused), ["rejected"; 2], "the same body");
    assert_eq!([&refused["processing_status"], &refused["failed_count"]], [&json!("failed"), &json!(2)]);

    tenant.send_batch(&events(2)).await.expect(200);
    let throttled = tenant.send_batch(&events(2)).await.expect(429);
    assert!(throttled.number("Retry-After") >= 1);
    let throttled = throttled.json();
    assert_eq!(statuses(&throttled), ["throttled"; 2]);
    assert_eq!(throttled["processing_status"], "failed");
}

async fn the_head_that_fits_is_admitted_and_the_rest_throttled(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().per_minute(5)).await;
    let stored = event_with_id("stored");
    tenant.send(&stored).await.expect(200);
    let mut batch = events(6);
    batch.insert(0, json!({}));
    batch.push(stored);

    let answer = tenant.send_batch(&batch).await.expect(200);

    assert_eq!(answer.number("X-RateLimit-Remaining"), 0);
    let answer = answer.json();
    let (accepted, throttled) = ("accepted", "throttled");
    let expected = ["rejected", accepted, accepted, accepted, accepted, throttled, throttled, "duplicate"];
    assert_eq!(statuses(&answer), expected, "rejected ones and duplicates cost nothing");
    for index in [5, 6] {
        let seconds = answer["results"][index]["retry_after"].as_u64().expect("whole seconds");
        assert!((1..=61).contains(&seconds), "{answer}");
    }
    assert_eq!(app.rows(&tenant).await.len(), 5);
}

async fn a_thousand_are_taken_and_one_more_is_not(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.unlimited_tenant().await;
    let mut batch = events(1_001);

    tenant.send_batch(&batch).await.expect(413);
    assert_eq!(app.rows(&tenant).await.len(), 0);
    batch.pop();
    let answer = tenant.send_batch(&batch).await.expect(200).json();

    assert_eq!(answer["successful_count"], 1_000);
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(app.rows(&tenant).await.len(), 1_000);
}

async fn a_batch_that_can_not_be_read_is_refused_as_a_whole(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let send = |kind: &'static str, body: &'static str| send_bytes(&tenant, kind, body);

    for body in ["", "[", "{\"events\": [}", "[]", "{\"events\": []}"] {
        send("application/json", body).await.expect(400);
    }
    send(NDJSON, "").await.expect(400);
    send("application/json", "7").await.expect(422);
    send("application/json", "{}").await.expect(422);
    send("text/plain", "[]").await.expect(415);
}

async fn send_bytes(client: &Client, kind: &str, body: &'static str) -> Answer {
    client.send_bytes(BATCH, kind, body).await
}

async fn a_dry_run_says_what_would_be_and_stores_and_counts_nothing(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let dry = format!("{BATCH}?dry_run=true");

    let answer = tenant.post(&dry, &json!([event(json!({})), {}])).await.expect(200).json();

    assert_eq!(statuses(&answer)[1], "rejected", "{answer}");
    assert_eq!(answer["results"][0]["success"], true, "{answer}");
    tenant.post(&format!("{EVENTS}?dry_run=true"), &event(json!({}))).await.expect(200);
    tenant.post(&format!("{EVENTS}?dry_run=true"), &json!({})).await.expect(422);
    assert_eq!(app.rows(&tenant).await, []);
    let limit = tenant.get("/api/v1/ingestion/rate-limit").await.expect(200).json();
    assert_eq!(limit["remaining"], 100);
}

fn statuses(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().unwrap_or_else(|| panic!("no results in {answer}"));
    results.iter().map(|result| result["status"].as_str().expect("a text")).collect()
}
