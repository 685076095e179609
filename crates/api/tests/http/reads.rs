use pulsestream_domain::{search::TextIndex, tenant::Limits};
use serde_json::{Value, json};

use crate::harness::{BATCH, EVENTS, SEARCH, Surface, event};

/// A surface with events `e0` to `e{count - 1}`, a second apart.
async fn with_events(count: i64) -> Surface {
    fill(Surface::new().await, count).await
}

async fn fill(surface: Surface, count: i64) -> Surface {
    let events: Vec<Value> = (0..count)
        .map(|i| {
            let mut event = event(&format!("e{i}"));
            event["timestamp"] =
                json!(format!("2027-01-15T{:02}:{:02}:{:02}", 1 + i / 3600, i / 60 % 60, i % 60));
            event["source"]["service"] = json!(if i % 3 == 0 { "billing" } else { "shop" });
            event["metrics"] =
                json!({"response_time_ms": i, "status_code": if i % 10 == 0 { 500 } else { 200 }});
            event["payload"] = json!({"note": "=1+1", "big": 18_446_744_073_709_551_615_u64});
            event
        })
        .collect();
    for batch in events.chunks(1_000) {
        let stored = surface.post(BATCH, &json!(batch)).await.ok();
        assert_eq!(stored["processing_status"], "completed");
    }
    surface
}

fn ids(page: &Value) -> Vec<String> {
    let events = page["events"].as_array().expect("events");
    events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

#[actix_web::test]
async fn pages_follow_each_other_by_cursor_and_cover_everything_once() {
    let surface = with_events(25).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let more = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = surface.get(&format!("{SEARCH}?limit=10{more}")).await.ok();
        assert_eq!(page["total_count"], 25);
        assert_eq!(page["filtered_count"], ids(&page).len());
        assert_eq!(page.get("total_count_is_lower_bound"), None);
        seen.extend(ids(&page));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        assert_eq!(page["has_more"], cursor.is_some());
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (0..25).rev().map(|i| format!("e{i}")).collect();
    assert_eq!(seen, expected);
}

#[actix_web::test]
async fn a_search_is_the_same_by_address_and_by_body() {
    let surface = with_events(10).await;
    let by_address = surface.get(&format!("{SEARCH}?service=bill*&status_code=2xx&order=asc")).await.ok();
    let body = json!({"service": "bill*", "status_code": "2xx", "order": "asc"});
    let by_body = surface.post(SEARCH, &body).await.ok();
    assert_eq!(ids(&by_address), ["e3", "e6", "e9"]);
    assert_eq!(ids(&by_address), ids(&by_body));
    assert_eq!(by_address["events"][0]["payload"]["big"], json!(18_446_744_073_709_551_615_u64));
}

#[actix_web::test]
async fn bad_parameters_are_named() {
    let surface = Surface::new().await;
    for (path, pointer) in [
        ("search?limit=0", "/limit"),
        ("search?nonsense=1", "/nonsense"),
        ("search?cursor=abc", "/cursor"),
        ("histogram?interval=2h", "/interval"),
        ("histogram?limit=5", "/limit"),
        ("facets", "/field"),
        ("facets?field=password", "/field"),
        ("facets?field=service&limit=0", "/limit"),
        ("export?format=xml", "/format"),
        ("export?limit=0", "/limit"),
    ] {
        let answer = surface.get(&format!("{EVENTS}/{path}")).await;
        assert_eq!(answer.problem(), (422, "invalid".to_owned()), "{path}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{path}");
    }
}

#[actix_web::test]
async fn events_are_counted_over_time_and_by_value() {
    let surface = with_events(90).await;
    let histogram = surface.get(&format!("{EVENTS}/histogram?interval=1m")).await.ok();
    assert_eq!(
        histogram,
        json!({"interval": "1m", "buckets": [
            {"start": "2027-01-15T01:00:00Z", "count": 60, "errors": 6, "p50": 29.0, "p95": 56.0, "p99": 59.0},
            {"start": "2027-01-15T01:01:00Z", "count": 30, "errors": 3, "p50": 74.0, "p95": 88.0, "p99": 89.0},
        ]})
    );
    let facets = surface.get(&format!("{EVENTS}/facets?field=service&limit=1")).await.ok();
    assert_eq!(facets, json!({"field": "service", "values": [{"value": "shop", "count": 60}]}));
}

#[actix_web::test]
async fn an_export_has_every_event_whatever_the_page_size() {
    let surface = with_events(1_203).await;
    let ndjson = surface.get(&format!("{EVENTS}/export?order=asc")).await;
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> =
        ndjson.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 1_203);
    assert!((0..1_203).all(|i| lines[i]["id"] == format!("e{i}")));

    let csv = surface.get(&format!("{EVENTS}/export?format=csv&order=asc&limit=700&service=shop")).await;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"events.csv\"");
    let mut reader = csv::Reader::from_reader(csv.body.as_ref());
    assert_eq!(reader.headers().expect("a header").get(0), Some("id"));
    let rows: Vec<_> = reader.records().collect::<Result<_, _>>().expect("CSV");
    assert_eq!((rows.len(), rows[0].get(0), rows[699].get(0)), (700, Some("e1"), Some("e1049")));
}

#[actix_web::test]
async fn without_an_index_words_and_tags_are_scanned_for_from_a_time_on_and_the_answer_says_so() {
    let unindexed = Surface::indexing(TextIndex::None, Limits::per_minute(10_000), |_| {}).await;
    let unindexed = fill(unindexed, 10).await;
    let since = "start_time=2027-01-15T01:00:02";
    for route in ["search?", "histogram?", "facets?field=service&"] {
        for terms in ["q=order", "tags=a:b", "q=plac*&service=shop"] {
            let refused = unindexed.get(&format!("{EVENTS}/{route}{terms}")).await;
            assert_eq!(refused.problem(), (422, "invalid".to_owned()), "{route}{terms}");
            let error = &refused.json()["errors"][0];
            assert_eq!((&error["pointer"], &error["code"]), (&json!("/start_time"), &json!("required")));
            assert_eq!(error["detail"], "is required with q and tags, as this server has no index of words");

            let scanned = unindexed.get(&format!("{EVENTS}/{route}{terms}&{since}")).await.ok();
            assert_eq!(scanned["text_index"], "none", "{route}{terms}");
        }
        let plain = unindexed.get(&format!("{EVENTS}/{route}service=shop")).await.ok();
        assert_eq!(plain.get("text_index"), None, "{route}");
    }
    let search = format!("{SEARCH}?q=order&order=asc&limit=3&{since}");
    let page = unindexed.get(&search).await.ok();
    assert_eq!(
        (ids(&page), &page["total_count"]),
        (["e2", "e3", "e4"].map(str::to_owned).to_vec(), &json!(8))
    );
    let body = json!({"q": "order", "order": "asc"});
    assert_eq!(unindexed.post(SEARCH, &body).await.problem(), (422, "invalid".to_owned()));
    let cursor = page["next_cursor"].as_str().expect("there is more");
    assert_eq!(ids(&unindexed.get(&format!("{search}&cursor={cursor}")).await.ok()), ["e5", "e6", "e7"]);

    let refused = unindexed.get(&format!("{EVENTS}/export?q=order")).await;
    assert_eq!(refused.problem(), (422, "invalid".to_owned()));
    let export = unindexed.get(&format!("{EVENTS}/export?q=order&{since}")).await;
    assert_eq!((export.header("x-text-index"), export.text().lines().count()), ("none", 8));
    assert_eq!(unindexed.get(&format!("{EVENTS}/export")).await.header("x-text-index"), "");

    let indexed = with_events(1).await;
    assert_eq!(indexed.get(&format!("{SEARCH}?q=order")).await.ok().get("text_index"), None);
    assert_eq!(indexed.get(&format!("{EVENTS}/export?q=order")).await.header("x-text-index"), "");
}

#[actix_web::test]
async fn figures_and_vocabularies_can_be_asked_for() {
    let surface = with_events(10).await;
    let stats = surface.get("/api/v1/ingestion/stats").await.ok();
    assert_eq!(stats["tenant_id"], surface.tenant_id.to_string());
    assert_eq!((&stats["total_events"], &stats["error_rate"]), (&json!(10), &json!(0.1)));
    assert_eq!(stats.as_object().map(|members| members.len()), Some(8));

    let health = surface.get("/api/v1/ingestion/health").await.ok();
    assert_eq!((&health["status"], &health["worker_status"]), (&json!("healthy"), &json!("healthy")));
    assert_eq!(health["last_event_received"], "2027-01-15T08:00:00Z");
    assert_eq!(health.as_object().map(|members| members.len()), Some(8));

    let types = surface.get(&format!("{EVENTS}/types")).await.ok();
    assert_eq!(types, json!(["api_call", "user_action", "system_event", "error_event", "custom_event"]));
    let severities = surface.get(&format!("{EVENTS}/severities")).await.ok();
    assert_eq!(severities, json!(["info", "warning", "error", "critical"]));
}
