//! Search: every parameter filters, every member comes back, and a cursor visits each event once.

use std::{collections::HashSet, sync::Arc};

use pulsestream_tests::{
    App, Combination, Tenant, Trial, event, event_with_id, events, ids, on_all_four, unique,
};
use serde_json::{Value, json};

const SEARCH: &str = "/api/v1/ingestion/events/search";

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![
        every_filter_filters,
        filters_hold_together,
        a_bad_value_is_named,
        every_member_comes_back_as_it_was_sent,
        pages_by_offset_and_by_cursor_are_the_same,
        a_cursor_visits_each_event_once_while_more_arrive,
        a_cursor_belongs_to_its_tenant_and_its_search,
        a_search_in_a_body_is_the_search_in_an_address,
        two_processes_read_each_others_writes,
    ]
}

/// Two events that differ in everything that can be searched for.
async fn two_events(tenant: &Tenant) {
    let one = json!({
        "event_id": "one", "event_type": "api_call", "severity": "info", "title": "Alpha order",
        "message": "first words", "timestamp": "2024-05-01T10:00:00Z",
        "source": {"service": "shop-api", "endpoint": "/v1/orders/1", "method": "GET", "environment": "live"},
        "context": {"user_id": "u-1", "request_id": "r-1", "tags": {"team": "red", "tier": "gold"}},
        "metrics": {"response_time_ms": 10.0, "status_code": 404},
        "payload": {"note": "crimson"},
    });
    let two = json!({
        "event_id": "two", "event_type": "error_event", "severity": "critical", "title": "Beta invoice",
        "message": "second thing", "timestamp": "2024-06-01T10:00:00+02:00",
        "source": {"service": "billing", "endpoint": "/v2/invoices", "method": "POST", "environment": "test"},
        "context": {"user_id": "u-2", "request_id": "r-2", "tags": {"team": "blue", "tier": "gold"}},
        "metrics": {"response_time_ms": 20.0, "status_code": 503},
        "error_details": {"error_message": "disk exploded"},
        "payload": {"note": "azure"},
    });
    let answer = tenant.send_batch(&[one, two]).await.expect(200).json();
    assert_eq!(answer["successful_count"], 2, "{answer}");
}

async fn every_filter_filters(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    two_events(&tenant).await;

    for (name, one, two, none) in [
        ("event_type", "api_call", "error_event", "custom_event"),
        ("severity", "info", "critical", "warning"),
        ("service", "shop-api", "billing", "shop"),
        ("service", "shop*", "*ling", "shop-ap"),
        ("service", "*-*", "*illin*", "*x*"),
        ("endpoint", "/v1/orders/1", "/v2/invoices", "/v1/orders"),
        ("endpoint", "/v1/*", "*invoice*", "*/v3/*"),
        ("method", "GET", "POST", "PUT"),
        ("environment", "live", "test", "lab"),
        ("status_code", "404", "503", "200"),
        ("status_code", "4xx", "5xx", "2xx"),
        ("user_id", "u-1", "u-2", "u-3"),
        ("correlation_id", "r-1", "r-2", "r-3"),
        ("tags", "team:red", "team:blue", "team:gold"),
        ("q", "alpha", "beta", "gamma"),
        ("q", "words", "thing", "nothing"),
        ("q", "CRIMSON", "exploded", "azures"),
    ] {
        assert_eq!(tenant.found(&[(name, one)]).await, ["one"], "{name}={one}");
        assert_eq!(tenant.found(&[(name, two)]).await, ["two"], "{name}={two}");
        assert_eq!(tenant.found(&[(name, none)]).await, [""; 0], "{name}={none}");
    }
    assert_eq!(tenant.found(&[("tags", "tier:gold")]).await, ["two", "one"], "newest first");
    assert_eq!(tenant.found(&[("order", "asc")]).await, ["one", "two"]);
    // Two hours east of UTC it was ten.
    let eight = "2024-06-01T08:00:00";
    assert_eq!(tenant.found(&[("start_time", eight)]).await, ["two"]);
    assert_eq!(tenant.found(&[("start_time", "2024-06-01T08:00:00.000001Z")]).await, [""; 0]);
    assert_eq!(tenant.found(&[("end_time", eight)]).await, ["two", "one"]);
    assert_eq!(tenant.found(&[("end_time", "2024-06-01T09:59:59+02:00")]).await, ["one"]);
}

async fn filters_hold_together(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    two_events(&tenant).await;

    let found = tenant.found(&[("tags", "team:red"), ("tags", "tier:gold")]).await;
    assert_eq!(found, ["one"], "each of the tags");
    assert_eq!(tenant.found(&[("tags", "team:red"), ("tags", "team:blue")]).await, [""; 0]);
    assert_eq!(tenant.found(&[("service", "shop*"), ("status_code", "5xx")]).await, [""; 0]);
    assert_eq!(tenant.found(&[("q", "alpha crimson")]).await, ["one"], "all words, in any field");
    assert_eq!(tenant.found(&[("q", "alpha azure")]).await, [""; 0]);
    for literal in ["%", "_", "shop_api", "sho%"] {
        assert_eq!(tenant.found(&[("service", literal)]).await, [""; 0], "{literal} is no pattern");
    }
}

async fn a_bad_value_is_named(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;

    for (name, value) in [
        ("event_type", "telepathy"),
        ("severity", "worst"),
        ("status_code", "teapot"),
        ("status_code", "99"),
        ("tags", "untied"),
        ("start_time", "yesterday"),
        ("end_time", "2024-02-30T00:00:00Z"),
        ("order", "sideways"),
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "ten"),
        ("offset", "-1"),
        ("cursor", "forged"),
        ("colour", "red"),
    ] {
        let refused = tenant.search(&[(name, value)]).await.expect(422);
        assert!(refused.text().contains(name), "{name}={value}: {}", refused.text());
        assert!(refused.json()["errors"].as_array().is_some_and(|errors| !errors.is_empty()));
    }
}

async fn every_member_comes_back_as_it_was_sent(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let sent = json!({
        "event_id": "full", "event_type": "user_action", "severity": "warning",
        "title": "Tïtle \u{1F600}", "message": "a \"quoted\"\nmessage", "unknown_field": "is ignored",
        "source": {"service": "s", "endpoint": "/e", "method": "WEBSOCKET", "version": "1.2", "environment": "live"},
        "context": {"user_id": "u", "session_id": "se", "request_id": "r", "ip_address": "2001:db8::1",
            "user_agent": "agent/1.0", "referrer": "https://example.com/a?b#c", "tags": {"k": "v"}},
        "metrics": {"response_time_ms": 12.25, "status_code": 201, "request_size_bytes": 0,
            "response_size_bytes": 18_446_744_073_709_551_615_u64, "cache_hit": true, "queue_depth": 3},
        "error_details": {"error_code": "E", "error_message": "m", "error_type": "t", "stack_trace": "a\n  b"},
        "payload": {"min": i64::MIN, "max": u64::MAX, "odd": 9_007_199_254_740_993_u64, "tiny": 5e-324,
            "nested": [{"": null}, [[]], false], "__proto__": {"x": 1}, "text": "\u{2028}\u{7f}%_\\"},
        "metadata": {"b": 1, "a": [1.5, -0.25]},
        "timestamp": "2024-05-01T12:00:00.123456+02:00",
    });
    let accepted = tenant.send(&sent).await.expect(200).json();

    let found = tenant.search(&[]).await.expect(200).json();

    let counts = ["total_count", "filtered_count"].map(|name| found[name].as_u64());
    assert_eq!(counts, [Some(1); 2], "{found}");
    assert_eq!(found["has_more"], false);
    assert_eq!(found["next_cursor"], Value::Null);
    assert!(found["search_id"].is_string() && found["execution_time_ms"].is_number(), "{found}");
    let read = &found["events"][0];
    assert_eq!(read, &tenant.event("full").await.expect(200).json(), "both ways to read it agree");
    for member in
        ["event_type", "severity", "title", "message", "source", "metrics", "error_details", "payload"]
    {
        assert_eq!(read[member], sent[member], "{member}");
    }
    for (name, value) in sent["context"].as_object().expect("an object") {
        assert_eq!(&read["context"][name], value, "{name}");
    }
    for (name, value) in sent["metadata"].as_object().expect("an object") {
        assert_eq!(&read["metadata"][name], value, "{name}");
    }
    assert_eq!([&read["id"], &read["external_id"]], ["full", "full"]);
    assert_eq!(read["tags"], json!({"k": "v"}));
    assert_eq!([&read["status_code"], &read["correlation_id"]], [&json!(201), &json!("r")]);
    assert_eq!(read["duration_ms"], 12.25);
    assert_eq!(read["timestamp"], "2024-05-01T10:00:00.123456Z");
    assert_eq!(read["ingested_at"], accepted["ingested_at"]);
    assert!(read["processing_status"].is_string());
    // Digits, not only values: a client's parser may keep more of them than this one.
    let text = tenant.event("full").await.text();
    for digits in ["-9223372036854775808", "18446744073709551615", "9007199254740993", "5e-324"] {
        assert!(text.contains(digits), "{digits} is not in {text}");
    }
}

/// Events one second apart, oldest first, but for a few at the same instant.
fn timeline(count: usize) -> Vec<Value> {
    let at = |index: usize| format!("2024-05-01T10:{:02}:{:02}Z", index / 60 % 60, index % 60 / 3 * 3);
    let numbered = |index| json!({"event_id": format!("e{index:04}"), "timestamp": at(index)});
    (0..count).map(|index| event(numbered(index))).collect()
}

async fn pages_by_offset_and_by_cursor_are_the_same(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.unlimited_tenant().await;
    tenant.send_batch(&timeline(95)).await.expect(200);

    for order in ["asc", "desc"] {
        let all = tenant.found(&[("limit", "1000"), ("order", order)]).await;
        assert_eq!(all.len(), 95);
        let mut by_offset = Vec::new();
        for offset in (0..100).step_by(20) {
            let offset = offset.to_string();
            by_offset.extend(tenant.found(&[("limit", "20"), ("order", order), ("offset", &offset)]).await);
        }
        assert_eq!(by_offset, all);
        assert_eq!(Walk::new(&tenant, &[("order", order), ("limit", "7")]).all().await, all);
    }
}

/// A walk by cursor over all pages of a search.
struct Walk<'a> {
    tenant: &'a Tenant,
    parameters: Vec<(&'a str, &'a str)>,
    cursor: Option<String>,
    has_more: bool,
}

impl<'a> Walk<'a> {
    fn new(tenant: &'a Tenant, parameters: &[(&'a str, &'a str)]) -> Self {
        Self { tenant, parameters: parameters.to_vec(), cursor: None, has_more: true }
    }

    /// The ids of the next page, if there is one.
    async fn page(&mut self) -> Option<Vec<String>> {
        if !self.has_more {
            return None;
        }
        let mut parameters = self.parameters.clone();
        parameters.extend(self.cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let answer = self.tenant.search(&parameters).await.expect(200).json();
        self.cursor = answer["next_cursor"].as_str().map(ToOwned::to_owned);
        self.has_more = self.cursor.is_some();
        assert_eq!(answer["has_more"], self.has_more, "{answer}");
        Some(ids(&answer["events"]))
    }

    async fn all(mut self) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(page) = self.page().await {
            found.extend(page);
        }
        found
    }
}

async fn a_cursor_visits_each_event_once_while_more_arrive(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = Arc::new(app.unlimited_tenant().await);
    tenant.send_batch(&timeline(200)).await.expect(200);

    let writer = Arc::clone(&tenant);
    let writing = tokio::spawn(async move {
        for _ in 0..20 {
            // New ones at the front and among the old.
            writer.send_batch(&events(3)).await.expect(200);
            let among = json!({"event_id": unique("late"), "timestamp": "2024-05-01T10:01:00Z"});
            writer.send(&event(among)).await.expect(200);
        }
    });
    let mut walk = Walk::new(&tenant, &[("limit", "10")]);
    let mut walked = Vec::new();
    while let Some(page) = walk.page().await {
        walked.extend(page);
        tenant.send(&event_with_id(&unique("between"))).await.expect(200);
    }
    writing.await.expect("every event is taken");

    let distinct: HashSet<&String> = walked.iter().collect();
    assert_eq!(distinct.len(), walked.len(), "none twice");
    let first = |id: &&String| id.starts_with('e') && id.len() == 5;
    assert_eq!(walked.iter().filter(first).count(), 200, "none left out");
    let answer = tenant.search(&[("limit", "1")]).await.expect(200).json();
    assert_eq!(answer["total_count"].as_u64(), Some(app.rows(&tenant).await.len() as u64));
}

async fn a_cursor_belongs_to_its_tenant_and_its_search(combination: Combination) {
    let app = App::shared(combination).await;
    let (tenant, stranger) = (app.tenant().await, app.tenant().await);
    tenant.send_batch(&timeline(5)).await.expect(200);
    stranger.send_batch(&timeline(5)).await.expect(200);
    let page = tenant.search(&[("limit", "2")]).await.expect(200).json();
    let cursor = page["next_cursor"].as_str().expect("there is more");

    stranger.search(&[("limit", "2"), ("cursor", cursor)]).await.expect(422);
    tenant.search(&[("limit", "2"), ("cursor", cursor), ("method", "GET")]).await.expect(422);
    let forged = format!("{}{}", &cursor[1..], &cursor[..1]);
    tenant.search(&[("limit", "2"), ("cursor", &forged)]).await.expect(422);
    let next = tenant.found(&[("limit", "3"), ("cursor", cursor)]).await;
    assert_eq!(next.len(), 3, "pages may grow on the way");
}

async fn a_search_in_a_body_is_the_search_in_an_address(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    two_events(&tenant).await;

    let body =
        json!({"service": "shop*", "status_code": "4xx", "tags": ["team:red", "tier:gold"], "limit": 5});
    let found = tenant.post(SEARCH, &body).await.expect(200).json();

    assert_eq!(ids(&found["events"]), ["one"]);
    assert_eq!(
        ids(&tenant.post(SEARCH, &json!({"status_code": 503})).await.expect(200).json()["events"]),
        ["two"]
    );
    assert_eq!(tenant.post(SEARCH, &json!({})).await.expect(200).json()["total_count"], 2);
    let refused = tenant.post(SEARCH, &json!({"limit": 0})).await.expect(422);
    assert!(refused.text().contains("limit"), "{}", refused.text());
}

async fn two_processes_read_each_others_writes(combination: Combination) {
    let app = App::shared(combination).await;
    let other = app.another().await;
    let tenant = app.unlimited_tenant().await;
    let elsewhere = tenant.at(&other);

    for round in 0..20 {
        let id = format!("e{round}");
        let (writer, reader) =
            if round % 2 == 0 { (&tenant.client, &elsewhere) } else { (&elsewhere, &tenant.client) };
        writer.send(&event(json!({"event_id": id, "message": id}))).await.expect(200);
        reader.event(&id).await.expect(200);
        assert_eq!(reader.found(&[("q", &id)]).await, [id]);
    }
}
