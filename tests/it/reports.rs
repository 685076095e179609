//! What is told about many events, and about the service: figures that are real.

use pulsestream_tests::{App, Combination, Tenant, Trial, event, event_with_id, events, ids, on_all_four};
use reqwest::Method;
use serde_json::{Value, json};

const INGESTION: &str = "/api/v1/ingestion";

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![
        statistics_are_of_what_is_stored,
        types_and_severities_are_told_to_anybody,
        the_health_of_ingestion_is_measured,
        a_histogram_counts_by_interval,
        facets_are_the_top_values,
        an_export_has_every_event_that_a_search_finds,
        every_answer_has_a_request_id_and_a_process_time,
        the_service_describes_itself,
    ]
}

async fn get(tenant: &Tenant, path: &str) -> Value {
    tenant.get(&format!("{INGESTION}{path}")).await.expect(200).json()
}

async fn statistics_are_of_what_is_stored(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let empty = get(&tenant, "/stats").await;
    assert_eq!(empty["tenant_id"], tenant.id);
    assert_eq!([&empty["total_events"], &empty["last_event_at"]], [&json!(0), &Value::Null], "{empty}");

    let with_status = |status: u16| event(json!({"metrics": {"response_time_ms": 1, "status_code": status}}));
    let batch = [200, 404, 500, 503].map(with_status);
    tenant.send_batch(&batch).await.expect(200);
    let old = event(json!({"timestamp": "2024-05-01T10:00:00Z"}));
    tenant.send(&old).await.expect(200);

    let stats = get(&tenant, "/stats").await;
    assert_eq!(stats["total_events"], 5, "{stats}");
    for recent in ["events_today", "events_this_hour", "events_this_minute"] {
        assert!(stats[recent].as_u64().is_some_and(|count| count <= 5), "{stats}");
    }
    assert!(stats["last_event_at"].is_string(), "{stats}");
    assert!(stats["processing_queue_size"].is_u64(), "{stats}");
    let error_rate = stats["error_rate"].as_f64().expect("a number");
    assert!([0.5, 0.4].contains(&error_rate), "two of the four or five of the last day: {stats}");
}

async fn types_and_severities_are_told_to_anybody(combination: Combination) {
    let app = App::shared(combination).await;
    let stranger = app.anonymous();

    let types = stranger.get("/api/v1/ingestion/events/types").await.expect(200).json();
    assert_eq!(types, json!(["api_call", "user_action", "system_event", "error_event", "custom_event"]));
    let severities = stranger.get("/api/v1/ingestion/events/severities").await.expect(200).json();
    assert_eq!(severities, json!(["info", "warning", "error", "critical"]));
}

async fn the_health_of_ingestion_is_measured(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    tenant.send(&event(json!({}))).await.expect(200);
    let stranger = app.anonymous();

    let health = stranger.get("/api/v1/ingestion/health").await.expect(200).json();

    for name in ["status", "timestamp", "worker_status", "last_event_received"] {
        assert!(health[name].is_string(), "{name}: {health}");
    }
    for name in ["ingestion_rate", "queue_size", "errors_last_hour", "uptime_seconds"] {
        assert!(health[name].is_number(), "{name}: {health}");
    }
    assert_ne!(health["ingestion_rate"].as_f64(), Some(0.0), "one was taken in within the minute: {health}");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let later = stranger.get("/api/v1/ingestion/health").await.expect(200).json();
    assert!(later["uptime_seconds"].as_f64() > health["uptime_seconds"].as_f64(), "{later}");
}

/// Ten events of one hour, one of the next.
fn hours() -> Vec<Value> {
    let at = |time: &str, status: u16, took: u32| {
        let metrics = json!({"response_time_ms": took, "status_code": status});
        event(json!({"timestamp": format!("2024-05-01T{time}Z"), "metrics": metrics}))
    };
    let mut hours: Vec<Value> = (1..=10)
        .map(|minute| at(&format!("10:{minute:02}:00"), if minute > 8 { 500 } else { 200 }, minute * 10))
        .collect();
    hours.push(at("11:00:00", 404, 7));
    hours
}

async fn a_histogram_counts_by_interval(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    tenant.send_batch(&hours()).await.expect(200);

    for (interval, counts) in
        [("1h", vec![10, 1]), ("1d", vec![11]), ("5m", vec![4, 5, 1, 1]), ("1m", vec![1; 11])]
    {
        let answer = get(&tenant, &format!("/events/histogram?interval={interval}")).await;
        let found: Vec<u64> = buckets(&answer).iter().filter_map(|bucket| bucket["count"].as_u64()).collect();
        assert_eq!(found, counts, "{interval}: {answer}");
    }
    let answer = get(&tenant, "/events/histogram?interval=1h").await;
    let first = &buckets(&answer)[0];
    assert_eq!(first["errors"], 2, "{first}");
    let text = first.to_string();
    for percentile in ["\"p50\":50", "\"p95\":100", "\"p99\":100"] {
        assert!(text.contains(percentile), "{percentile} is not in {first}");
    }
    assert!(text.contains("2024-05-01T10:00:00Z"), "{first}");
    let filtered = get(&tenant, "/events/histogram?interval=1h&status_code=5xx").await;
    assert_eq!(buckets(&filtered).len(), 1);
    assert_eq!(buckets(&filtered)[0]["count"], 2);
    tenant.get("/api/v1/ingestion/events/histogram?interval=7m").await.expect(422);
}

#[track_caller]
fn buckets(answer: &Value) -> &Vec<Value> {
    answer["buckets"].as_array().unwrap_or_else(|| panic!("no buckets in {answer}"))
}

async fn facets_are_the_top_values(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    tenant.send_batch(&hours()).await.expect(200);

    let facets = async |parameters: &str| {
        let answer = get(&tenant, &format!("/events/facets?{parameters}")).await;
        let values = answer["values"].as_array().unwrap_or_else(|| panic!("no values in {answer}"));
        let pair = |facet: &Value| format!("{}={}", facet["value"], facet["count"]).replace('"', "");
        values.iter().map(pair).collect::<Vec<_>>()
    };

    assert_eq!(facets("field=status_code").await, ["200=8", "500=2", "404=1"]);
    assert_eq!(facets("field=status_code&limit=1").await, ["200=8"]);
    assert_eq!(facets("field=status_code&status_code=4xx").await, ["404=1"]);
    assert_eq!(facets("field=service").await, ["shop=11"]);
    tenant.get("/api/v1/ingestion/events/facets?field=password").await.expect(422);
    tenant.get("/api/v1/ingestion/events/facets").await.expect(422);
}

async fn an_export_has_every_event_that_a_search_finds(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.unlimited_tenant().await;
    for _ in 0..3 {
        tenant.send_batch(&events(700)).await.expect(200);
    }
    let formula = event(json!({"event_id": "formula", "title": "=1+1", "message": "a \"b\",\r\nc"}));
    tenant.send(&formula).await.expect(200);

    let lines = tenant.get(&format!("{INGESTION}/events/export?format=ndjson")).await.expect(200);
    assert!(lines.header("Content-Type").starts_with("application/x-ndjson"));
    let exported: Vec<Value> =
        lines.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(exported.len(), 2_101);
    let mut exported = ids(&Value::from(exported));
    exported.sort_unstable();
    exported.dedup();
    assert_eq!(exported.len(), 2_101, "each once");

    let sheet = tenant.get(&format!("{INGESTION}/events/export?format=csv")).await.expect(200);
    assert!(sheet.header("Content-Type").starts_with("text/csv"));
    let text = sheet.text();
    assert!(
        text.lines().next().is_some_and(|head| head.contains("title")),
        "the first line names the columns"
    );
    assert!(text.contains("'=1+1"), "no cell is a formula");
    assert!(text.contains("\"a \"\"b\"\",\r\nc\""), "cells are quoted");
    let filtered = tenant.get(&format!("{INGESTION}/events/export?format=ndjson&q=b%20c")).await.expect(200);
    assert_eq!(filtered.text().lines().count(), 1);
    tenant.get(&format!("{INGESTION}/events/export?format=pdf")).await.expect(422);
}

async fn every_answer_has_a_request_id_and_a_process_time(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;

    let refused = app.anonymous().get("/api/v1/ingestion/stats").await.expect(401);
    assert_eq!(refused.json()["request_id"], refused.header("X-Request-Id"));
    for answer in [
        tenant.send(&event_with_id("one")).await.expect(200),
        tenant.send(&json!({})).await.expect(422),
        tenant.get("/nowhere").await.expect(404),
        tenant.delete("/api/v1/ingestion/stats").await.expect(405),
        app.anonymous().get("/livez").await.expect(200),
        refused,
    ] {
        assert!(!answer.header("X-Request-Id").is_empty());
        let seconds: f64 = answer.header("X-Process-Time").parse().expect("a number of seconds");
        assert!((0.0..30.0).contains(&seconds), "{seconds}");
        if answer.status >= 400 {
            assert_eq!(answer.header("Content-Type"), "application/problem+json", "{}", answer.text());
            let problem = answer.json();
            assert_eq!(problem["status"], answer.status);
            for member in ["type", "title", "detail", "code"] {
                assert!(problem[member].is_string(), "{member}: {problem}");
            }
        }
    }
    let kept = async |id: &str| {
        let request = tenant.request(Method::GET, "/livez").header("X-Request-Id", id);
        tenant.execute(request).await.header("X-Request-Id") == id
    };
    assert!(kept("trace-0123456789").await, "an acceptable one is kept");
    assert!(!kept("two words; <and> more").await, "any other is replaced");
}

async fn the_service_describes_itself(combination: Combination) {
    let app = App::shared(combination).await;
    let stranger = app.anonymous();

    let root = stranger.get("/").await.expect(200).json();
    for member in ["name", "version", "docs_url", "health_url"] {
        assert!(root[member].is_string(), "{member}: {root}");
    }
    for path in [root["health_url"].as_str().expect("a path"), "/livez", "/readyz", "/health"] {
        stranger.get(path).await.expect(200);
    }
    let metrics = stranger.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("http_requests_total"), "{metrics}");
    let document = stranger.get("/openapi.json").await.expect(200).json();
    for path in
        ["/api/v1/ingestion/events", "/api/v1/ingestion/events/batch", "/api/v1/ingestion/events/search"]
    {
        assert!(document["paths"][path].is_object(), "{path} is not described");
    }
    let docs = stranger.get(root["docs_url"].as_str().expect("a path")).await;
    assert!([200, 301, 302, 303, 307, 308].contains(&docs.status), "{}", docs.status);
}
