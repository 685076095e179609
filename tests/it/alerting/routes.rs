//! What is refused, who may do what, and what one route alone is about.

use std::time::Duration;

use pulsestream_tests::{App, Combination, Trial, on_some};
use serde_json::{Value, json};

use super::{ALERTING, EACH_DATABASE, delete, get, post, put, rule, text};

pub(super) fn trials() -> Vec<Trial> {
    on_some!(
        &EACH_DATABASE, within Duration::from_secs(60);
        bodies_are_strict_and_errors_point_at_what_is_wrong,
        a_reader_changes_nothing_and_a_stranger_finds_nothing,
        a_silence_is_made_and_ended,
        a_channel_leads_only_where_notices_may_go,
        a_signing_secret_is_replaced,
    )
}

async fn bodies_are_strict_and_errors_point_at_what_is_wrong(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let channel = |members: Value| ("/channels", members);
    for ((path, body), pointer, code) in [
        (("/rules", rule(&json!({"colour": "red"}))), "/colour", "unknown_field"),
        (("/rules", rule(&json!({"severity": "urgent"}))), "/severity", "unknown_value"),
        (("/rules", rule(&json!({"name": null}))), "/name", "required"),
        (
            ("/rules", rule(&json!({"condition": {"type": "threshold", "metric_field": "count"}}))),
            "/threshold_value",
            "required",
        ),
        (channel(json!({"name": "x", "type": "webhook"})), "/url", "required"),
        (channel(json!({"name": "slack", "type": "log"})), "/name", "bad_parameter"),
        (channel(json!({"name": "x", "type": "log", "url": "https://a.example"})), "/url", "unknown_field"),
        (("/silences", json!({"matchers": [], "ends_at": "2026-01-01T00:00:00Z"})), "/matchers", "empty"),
        (
            ("/rules/backtest", json!({"rule": {"name": "x"}, "start_time": "x", "end_time": "2026-01-01"})),
            "/rule/condition",
            "required",
        ),
    ] {
        let refused = tenant.post(&format!("{ALERTING}{path}"), &body).await.expect(422).json();
        let found = refused["errors"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|error| error["pointer"] == pointer && error["code"] == code);
        assert!(found, "{path} {body}: no {code} at {pointer} in {refused}");
    }
    for query in ["/rules?colour=red", "/alerts?status_filter=open", "/rules?limit=0", "/deliveries?since=x"]
    {
        tenant.get(&format!("{ALERTING}{query}")).await.expect(422);
    }
}

async fn a_reader_changes_nothing_and_a_stranger_finds_nothing(combination: Combination) {
    let app = App::shared(combination).await;
    let (tenant, stranger) = (app.tenant().await, app.tenant().await);
    let made = post(&tenant, "/rules", &rule(&json!({}))).await;
    let path = format!("{ALERTING}/rules/{}", text(&made["rule_id"]));

    let reader = tenant.create_key(&app, &["--scope", "events:read"]).await.client;
    reader.get(&path).await.expect(200);
    for answer in [reader.delete(&path).await, reader.post(&format!("{path}/test"), &json!({})).await] {
        assert_eq!(answer.expect(403).code(), "insufficient_scope");
    }
    let writer = tenant.create_key(&app, &["--scope", "rules:write"]).await.client;
    writer.get(&path).await.expect(403);

    let missing = format!("{ALERTING}/rules/018f0000-0000-7000-8000-000000000000");
    for path in [&path, &missing, &format!("{ALERTING}/rules/x")] {
        let answers = [stranger.get(path).await, stranger.delete(path).await];
        for answer in answers {
            let problem = answer.expect(404).json();
            assert_eq!(
                (&problem["code"], &problem["detail"]),
                (&json!("not_found"), &json!("there is no such rule"))
            );
        }
    }
    app.anonymous().get(&path).await.expect(401);
}

async fn a_silence_is_made_and_ended(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let body = json!({
        "matchers": [{"name": "service", "value": "shop*"}], "starts_at": "2026-01-01T00:00:00Z",
        "ends_at": "2026-12-31T00:00:00Z", "comment": "moving house",
    });
    let made = post(&tenant, "/silences", &body).await;
    let silence = &made["silence"];
    assert_eq!(
        silence["matchers"],
        json!([{"name": "service", "value": "shop*", "is_equal": true}]),
        "{made}"
    );
    let path = format!("/silences/{}", text(&silence["id"]));
    assert_eq!(get(&tenant, &path).await["silence"]["comment"], "moving house");
    delete(&tenant, &path).await;
    let listed = get(&tenant, "/silences").await;
    assert_eq!(
        (&listed["total_count"], &listed["silences"][0]["status"]),
        (&json!(1), &json!("expired")),
        "{listed}"
    );
}

async fn a_channel_leads_only_where_notices_may_go(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    for (url, code) in [
        ("https://127.0.0.1/x", "blocked_address"),
        ("https://169.254.169.254/latest", "blocked_address"),
        ("https://[::1]/x", "blocked_address"),
        ("https://localhost/x", "blocked_address"),
        ("https://hooks.example.com:22/x", "blocked_port"),
        ("http://hooks.example.com/x", "bad_webhook_url"),
    ] {
        for kind in ["webhook", "slack"] {
            let body = json!({"name": "x", "type": kind, "url": url});
            let refused = tenant.post(&format!("{ALERTING}/channels"), &body).await.expect(422).json();
            assert_eq!(
                (&refused["errors"][0]["pointer"], &refused["errors"][0]["code"]),
                (&json!("/url"), &json!(code)),
                "{url}: {refused}"
            );
        }
    }
    let body = json!({"name": "x", "type": "log"});
    post(&tenant, "/channels", &body).await;
    let taken = tenant.post(&format!("{ALERTING}/channels"), &body).await.expect(409);
    assert_eq!(taken.code(), "name_taken");
}

async fn a_signing_secret_is_replaced(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let body = json!({"name": "x", "type": "webhook", "url": "https://hooks.example.com/x"});
    let made = post(&tenant, "/channels", &body).await;
    let path = format!("/channels/{}", text(&made["channel"]["id"]));
    let rotated = post(&tenant, &format!("{path}/rotate-secret"), &json!({})).await;
    assert!(text(&rotated["secret"]).starts_with("whsec_") && rotated["previous_secret_until"].is_string());
    assert_ne!(rotated["secret"], made["channel"]["secret"]);

    put(&tenant, &path, &json!({"name": "x", "type": "log"})).await;
    let unsigned = tenant.post(&format!("{ALERTING}{path}/rotate-secret"), &json!({})).await.expect(409);
    assert_eq!(unsigned.code(), "not_signed");
}
