use actix_web::http::Method;
use pulsestream_domain::tenant::Limits;
use serde_json::json;

use crate::harness::{BATCH, EVENTS, SEARCH, Surface, event};

#[actix_web::test]
async fn an_event_is_stored_once_and_found_at_once() {
    let surface = Surface::new().await;

    let first = surface.post(EVENTS, &event("a")).await;
    assert_eq!(
        first.ok(),
        json!({
            "success": true, "event_id": "a", "status": "accepted", "ingested_at": "2027-01-15T08:00:00Z",
            "processing_status": "completed", "message": "Event ingested successfully", "errors": [],
        })
    );
    surface.clock.advance(std::time::Duration::from_secs(1));
    let again = surface.post(EVENTS, &event("a")).await.ok();
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["message"], "Event already exists (idempotent)");
    assert_eq!(again["ingested_at"], "2027-01-15T08:00:00Z");

    assert_eq!(surface.get(&format!("{EVENTS}/a")).await.ok()["id"], "a");
    let found = surface.get(SEARCH).await.ok();
    assert_eq!((&found["total_count"], &found["events"][0]["id"]), (&json!(1), &json!("a")));
}

#[actix_web::test]
async fn an_event_that_is_not_stored_says_why_and_which_it_is() {
    let surface = Surface::new().await;
    surface.post(EVENTS, &event("a")).await.ok();

    let mut other = event("a");
    other["title"] = json!("Another");
    let conflict = surface.post(EVENTS, &other).await;
    assert_eq!(conflict.problem(), (409, "event_id_conflict".to_owned()));
    assert_eq!(conflict.json()["event_id"], "a");
    assert_eq!(conflict.json()["ingested_at"], "2027-01-15T08:00:00Z");
    assert_eq!(conflict.json()["retryable"], false);

    let invalid = surface.post(EVENTS, &json!({"event_id": "b", "event_type": "x", "title": "T"})).await;
    assert_eq!(invalid.problem(), (422, "invalid".to_owned()));
    let problem = invalid.json();
    assert_eq!(problem["event_id"], "b");
    let pointers: Vec<_> =
        problem["errors"].as_array().expect("errors").iter().map(|e| &e["pointer"]).collect();
    assert!(pointers.contains(&&json!("/event_type")) && pointers.contains(&&json!("/source")));
}

#[actix_web::test]
async fn every_event_of_a_batch_has_an_answer_of_its_own() {
    let surface = Surface::with(Limits::per_minute(2), |_| {}).await;
    surface.post(EVENTS, &event("a2")).await.ok();

    let batch =
        json!({"batch_id": "B", "events": [event("a1"), event("a2"), {"event_id": "a3"}, event("a4"), 7]});
    let answer = surface.post(BATCH, &batch).await.ok();

    let summary = [
        "batch_id",
        "total_count",
        "successful_count",
        "duplicate_count",
        "failed_count",
        "processing_status",
    ];
    let summary: Vec<_> = summary.iter().map(|name| answer[name].clone()).collect();
    assert_eq!(summary, [json!("B"), json!(5), json!(2), json!(1), json!(3), json!("partial")]);
    let results = answer["results"].as_array().expect("results");
    let status = |index: usize| (results[index]["event_id"].clone(), results[index]["status"].clone());
    assert_eq!(status(0), (json!("a1"), json!("accepted")));
    assert_eq!(status(1), (json!("a2"), json!("duplicate")));
    assert_eq!(status(2), (json!("a3"), json!("rejected")));
    assert_eq!(status(3), (json!("a4"), json!("throttled")));
    assert_eq!(status(4), (json!(null), json!("rejected")));
    assert!(results[2]["errors"].as_array().is_some_and(|errors| !errors.is_empty()));
    assert!(results[3]["retry_after"].as_u64().is_some_and(|seconds| seconds > 0));
    assert_eq!(results[0]["index"], 0);
    assert_eq!(results[0].get("errors"), None);
}

#[actix_web::test]
async fn a_batch_of_which_nothing_is_stored_has_the_status_of_its_reason() {
    let surface = Surface::with(Limits::per_minute(1), |_| {}).await;

    let rejected = surface.post(BATCH, &json!([{}, {}])).await;
    assert_eq!((rejected.status.as_u16(), &rejected.json()["processing_status"]), (422, &json!("failed")));

    surface.post(EVENTS, &event("a")).await.ok();
    let throttled = surface.post(BATCH, &json!([event("b"), {}])).await;
    assert_eq!(throttled.status.as_u16(), 429);
    assert_eq!(throttled.json()["results"][0]["status"], "throttled");
    assert_eq!(throttled.header("retry-after"), "61");

    surface.store.close().await;
    let failed = surface.post(BATCH, &json!([event("a"), {}])).await;
    assert_eq!(failed.status.as_u16(), 503);
    assert_eq!(failed.json()["results"][0]["status"], "failed");
    assert_eq!(failed.json()["results"][0]["code"], "store_unavailable");
    assert!(failed.headers.contains_key("retry-after"));
}

#[actix_web::test]
async fn a_dry_run_answers_and_leaves_nothing_behind() {
    let surface = Surface::new().await;

    let single = surface.post(&format!("{EVENTS}?dry_run=true"), &event("a")).await.ok();
    assert_eq!((&single["status"], &single["dry_run"]), (&json!("accepted"), &json!(true)));
    let batch = surface.post(&format!("{BATCH}?dry_run=true"), &json!([event("a"), {}])).await.ok();
    assert_eq!((&batch["successful_count"], &batch["dry_run"]), (&json!(1), &json!(true)));

    assert_eq!(surface.get(SEARCH).await.ok()["total_count"], 0);
    let usage = surface.get("/api/v1/ingestion/rate-limit").await.ok();
    assert_eq!(usage["limit"], usage["remaining"]);
    for path in [EVENTS, BATCH] {
        let unknown = surface.post(&format!("{path}?dryrun=true"), &event("a")).await;
        assert_eq!(unknown.problem(), (422, "invalid".to_owned()));
        assert_eq!(unknown.json()["errors"][0]["pointer"], "/dryrun");
    }
}

#[actix_web::test]
async fn an_idempotency_key_makes_a_request_repeatable() {
    let surface = Surface::new().await;
    let send = |key: &'static str| {
        let mut event = event("");
        event.as_object_mut().expect("an object").remove("event_id");
        let request = surface.request(Method::POST, BATCH).insert_header(("idempotency-key", key));
        surface.send(request.set_json(json!([event.clone(), event])))
    };

    assert_eq!(send("\"k\"").await.ok()["duplicate_count"], 0);
    assert_eq!(send("k").await.ok()["duplicate_count"], 2);
    assert_eq!(send("").await.problem(), (400, "bad_idempotency_key".to_owned()));
}

#[actix_web::test]
async fn an_event_can_be_read_deleted_and_retried_whatever_its_id_looks_like() {
    let surface = Surface::new().await;
    for (id, address) in [
        ("a", "a"),
        ("a/b", "a/b"),
        ("../x", "..%2Fx"),
        ("%00", "%2500"),
        ("100%", "100%25"),
        ("x/retry", "x%2Fretry"),
        ("y/retry", "y/retry"),
        ("a?b#c", "a%3Fb%23c"),
    ] {
        surface.post(EVENTS, &event(id)).await.ok();
        let path = format!("{EVENTS}/{address}");
        assert_eq!(surface.get(&path).await.ok()["id"], id);
        surface.call(Method::POST, &format!("{path}/retry")).await.ok();
        assert_eq!(surface.get(&path).await.ok()["processing_status"], "pending");
        surface.call(Method::DELETE, &path).await.ok();
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::DELETE, path.clone()),
            (Method::POST, format!("{path}/retry")),
        ] {
            assert_eq!(surface.call(method, &path).await.problem(), (404, "not_found".to_owned()), "{path}");
        }
        assert_eq!(surface.post(EVENTS, &event(id)).await.ok()["status"], "accepted");
    }
}
