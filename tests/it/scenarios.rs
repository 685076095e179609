//! What clients do to an ingestion service, and what has to come of it: an event is stored once, or not at
//! all, and the answer says which.

use std::{collections::HashSet, time::Duration};

use futures_util::future::join_all;
use pulsestream_tests::{
    Answer, App, Combination, StoredRow, Tenant, Trial, event, event_with_id, events, on_all_four, unique,
};
use reqwest::Method;
use serde_json::{Value, json};

const EVENTS: &str = "/api/v1/ingestion/events";

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![
        a_plain_event,
        the_same_event_twice,
        the_same_event_twice_with_an_idempotency_key,
        the_same_event_fifty_times_at_once,
        a_hundred_and_fifty_in_a_row_against_the_default_limit,
        a_payload_of_five_mebibytes,
        a_client_that_gives_up_after_a_millisecond_and_sends_again,
        a_batch_of_nine_valid_events_and_a_broken_one,
        an_event_is_wholly_there_or_not_at_all,
        a_hundred_at_once_are_all_stored,
        a_missing_type_an_unknown_type_and_nothing_at_all,
        what_was_sent_is_found_under_the_id_that_the_answer_gave,
    ]
}

async fn a_plain_event(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;

    let answer = tenant.send(&event(json!({}))).await.expect(200).json();

    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(answer["status"], "accepted", "{answer}");
    assert_eq!(answer["message"], "Event ingested successfully", "{answer}");
    assert!(answer["processing_status"].is_string(), "{answer}");
    assert!(answer["ingested_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{answer}");
    let rows = app.rows(&tenant).await;
    assert_eq!(ids(&rows), [answer["event_id"].as_str().expect("an id")]);
}

async fn the_same_event_twice(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let event = event_with_id("order-1");

    let first = tenant.send(&event).await.expect(200).json();
    let second = tenant.send(&event).await.expect(200).json();

    assert_eq!(second["status"], "duplicate", "{second}");
    assert_eq!(second["success"], true, "{second}");
    assert_eq!(second["message"], "Event already exists (idempotent)", "{second}");
    assert_eq!(second["event_id"], "order-1", "{second}");
    assert_eq!(second["ingested_at"], first["ingested_at"]);
    assert_eq!(ids(&app.rows(&tenant).await), ["order-1"]);
}

async fn the_same_event_twice_with_an_idempotency_key(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let event = event(json!({}));
    let send = |key: &'static str| {
        let request = tenant.request(Method::POST, EVENTS).header("Idempotency-Key", key).json(&event);
        tenant.execute(request)
    };

    let first = send("8e03978e-40d5").await.expect(200).json();
    let quoted = send("\"8e03978e-40d5\"").await.expect(200).json();
    let other = send("another").await.expect(200).json();

    assert_eq!(
        [&first["status"], &quoted["status"], &other["status"]],
        ["accepted", "duplicate", "accepted"],
        "quotes do not belong to a key"
    );
    assert_eq!(quoted["event_id"], first["event_id"]);
    assert_ne!(other["event_id"], first["event_id"]);
    assert_eq!(app.rows(&tenant).await.len(), 2);
}

async fn the_same_event_fifty_times_at_once(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let event = event_with_id("once");

    let answers = join_all((0..50).map(|_| tenant.send(&event))).await;

    let answers: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200).json()).collect();
    assert_eq!(count(&answers, "accepted"), 1);
    assert_eq!(count(&answers, "duplicate"), 49);
    let times: HashSet<String> = answers.iter().map(|answer| answer["ingested_at"].to_string()).collect();
    assert_eq!(times.len(), 1, "all tell when the one event was taken in");
    assert_eq!(ids(&app.rows(&tenant).await), ["once"]);
}

async fn a_hundred_and_fifty_in_a_row_against_the_default_limit(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;

    for sent in 0..150 {
        let answer = tenant.send(&event(json!({}))).await;
        if sent < 100 {
            let answer = answer.expect(200);
            assert_eq!(answer.number("X-RateLimit-Remaining"), 99 - sent, "event {sent}");
        } else {
            assert_is_throttled(&answer);
        }
    }

    assert_eq!(app.rows(&tenant).await.len(), 100);
    assert_eq!(total(&tenant).await, 100);
}

fn assert_is_throttled(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.code(), "rate_limited");
    assert!((1..=61).contains(&answer.number("Retry-After")), "{:?}", answer.headers);
    assert_eq!(answer.number("X-RateLimit-Remaining"), 0);
}

async fn a_payload_of_five_mebibytes(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let text = "0123456789abcdef".repeat(5 * 1024 * 1024 / 16);
    let event = event(json!({"event_id": "large", "payload": {"blob": text}}));

    let answer = tenant.send(&event).await.expect(200).json();

    assert_eq!(answer["status"], "accepted");
    let read = tenant.event("large").await.expect(200).json();
    assert!(read["payload"]["blob"] == text, "it comes back as it was sent");
    assert_eq!(ids(&app.rows(&tenant).await), ["large"]);
}

async fn a_client_that_gives_up_after_a_millisecond_and_sends_again(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let event = tenant.marked(&event_with_id("impatient"));

    for _ in 0..5 {
        let request = tenant.request(Method::POST, EVENTS).timeout(Duration::from_millis(1)).json(&event);
        // Whether it got an answer does not matter: it could not know.
        _ = tenant.try_execute(request).await;
    }
    let answer = tenant.send(&event).await.expect(200).json();

    assert!(["accepted", "duplicate"].map(Value::from).contains(&answer["status"]), "{answer}");
    assert_eq!(ids(&app.rows(&tenant).await), ["impatient"]);
    let again = tenant.send(&event).await.expect(200).json();
    assert_eq!(again["status"], "duplicate");
}

async fn a_batch_of_nine_valid_events_and_a_broken_one(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let mut batch = events(10);
    batch[6]["source"] = json!("nowhere");

    let answer = tenant.send_batch(&batch).await.expect(200).json();

    assert_eq!(
        [&answer["total_count"], &answer["successful_count"], &answer["failed_count"]],
        [10, 9, 1],
        "{answer}"
    );
    assert_eq!(answer["processing_status"], "partial");
    for (index, result) in answer["results"].as_array().expect("one result per event").iter().enumerate() {
        assert_eq!(result["index"], index);
        assert_eq!(result["event_id"], batch[index]["event_id"]);
        assert_eq!(result["status"], if index == 6 { "rejected" } else { "accepted" }, "{result}");
    }
    let mut sent: Vec<&str> = batch.iter().filter_map(|event| event["event_id"].as_str()).collect();
    sent.remove(6);
    assert_eq!(sorted(&ids(&app.rows(&tenant).await)), sorted(&sent));
}

/// Whoever reads while it is written sees the whole event or none: in its own answer, in a search, in the
/// statistics and in the histogram alike.
async fn an_event_is_wholly_there_or_not_at_all(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let whole = event(json!({
        "event_id": "whole",
        "payload": {"items": (0..200).collect::<Vec<u32>>()},
        "context": {"user_id": "u-1", "tags": {"team": "red"}},
        "metrics": {"response_time_ms": 12.5, "status_code": 503},
        "error_details": {"error_code": "E1", "error_message": "out of zebras"},
    }));

    let writer = tenant.clone();
    let sent = whole.clone();
    let writing = tokio::spawn(async move { writer.send(&sent).await.expect(200) });
    let mut was_there = false;
    while !was_there {
        let is_written = writing.is_finished();
        let read = tenant.event("whole").await;
        was_there = read.status == 200;
        if was_there {
            assert_is_whole(&read.json(), &whole);
        }
        assert!(was_there || !is_written, "it was acknowledged and can't be read");
    }
    writing.await.expect("it was accepted");

    for parameters in [("q", "zebras"), ("status_code", "5xx"), ("tags", "team:red"), ("user_id", "u-1")] {
        let found = tenant.search(&[parameters]).await.expect(200).json();
        assert_eq!(found["total_count"], 1, "{parameters:?}: {found}");
        assert_is_whole(&found["events"][0], &whole);
    }
    // Refused for one field, stored in none of them.
    let half = event(json!({"event_id": "half", "context": {"tags": {"team": "blue"}}, "severity": "worst"}));
    tenant.send(&half).await.expect(422);
    tenant.event("half").await.expect(404);
    assert_eq!(tenant.found(&[("tags", "team:blue")]).await, [""; 0]);
    assert_eq!(ids(&app.rows(&tenant).await), ["whole"]);
}

#[track_caller]
fn assert_is_whole(read: &Value, sent: &Value) {
    for member in ["payload", "error_details", "title", "event_type"] {
        assert_eq!(read[member], sent[member], "{member}");
    }
    assert_eq!(read["context"]["tags"], sent["context"]["tags"]);
    assert_eq!(read["metrics"]["status_code"], 503);
}

async fn a_hundred_at_once_are_all_stored(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let batch = events(100);

    let answers = join_all(batch.iter().map(|event| tenant.send(event))).await;

    let answers: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200).json()).collect();
    assert_eq!(count(&answers, "accepted"), 100);
    let sent: Vec<&str> = batch.iter().filter_map(|event| event["event_id"].as_str()).collect();
    assert_eq!(sorted(&ids(&app.rows(&tenant).await)), sorted(&sent));
}

async fn a_missing_type_an_unknown_type_and_nothing_at_all(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let missing = event(json!({"event_type": null}));
    let unknown = event(json!({"event_type": "telepathy"}));

    for (sent, pointer, code) in [
        (missing, "/event_type", "required"),
        (unknown, "/event_type", "unknown_value"),
        (json!({}), "/event_type", "required"),
    ] {
        let answer = tenant.send(&sent).await.expect(422);
        assert_eq!(answer.header("Content-Type"), "application/problem+json");
        let problem = answer.json();
        let errors = problem["errors"].as_array().expect("a list of errors");
        let named = errors.iter().find(|error| error["pointer"] == pointer);
        assert_eq!(named.expect("the field is named")["code"], code, "{problem}");
    }

    assert_eq!(app.rows(&tenant).await, []);
}

async fn what_was_sent_is_found_under_the_id_that_the_answer_gave(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let own_id = unique("own");

    for sent in [event(json!({"title": "without an id"})), event_with_id(&own_id)] {
        let answer = tenant.send(&sent).await.expect(200).json();
        let id = answer["event_id"].as_str().expect("an id");

        let found = tenant.search(&[]).await.expect(200).json();
        let hit = found["events"].as_array().expect("events").iter().find(|event| event["id"] == id);
        let hit = hit.unwrap_or_else(|| panic!("{id} is not in {found}"));
        assert_eq!(hit["external_id"], id);
        assert_eq!(hit["title"], sent["title"]);
        assert_eq!(tenant.event(id).await.expect(200).json()["id"], id);
    }
}

async fn total(tenant: &Tenant) -> u64 {
    let found = tenant.search(&[("limit", "1")]).await.expect(200).json();
    found["total_count"].as_u64().expect("a number")
}

fn ids(rows: &[StoredRow]) -> Vec<&str> {
    rows.iter().filter(|row| !row.is_deleted).filter_map(|row| row.external_id.as_deref()).collect()
}

fn sorted<'a>(texts: &[&'a str]) -> Vec<&'a str> {
    let mut texts = texts.to_vec();
    texts.sort_unstable();
    texts
}

fn count(answers: &[Value], status: &str) -> usize {
    answers.iter().filter(|answer| answer["status"] == status).count()
}
