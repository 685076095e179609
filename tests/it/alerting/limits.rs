//! Rules that make no sense, that are too many, or that would feed themselves.

use std::time::Duration;

use pulsestream_tests::{App, Combination, Trial, on_some};
use serde_json::json;

use super::{ALERTING, EACH_DATABASE, delete, get, post, rule, schedule::builder, text, with_status};

pub(super) fn trials() -> Vec<Trial> {
    on_some!(
        &EACH_DATABASE, within Duration::from_secs(60);
        numbers_and_times_that_make_no_sense_are_refused,
        a_tenant_has_only_so_many_rules,
        a_notice_to_this_very_service_becomes_no_event,
    )
}

async fn numbers_and_times_that_make_no_sense_are_refused(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let threshold = |value: &str| {
        let condition =
            r#""condition": {"type": "threshold", "metric_field": "count"}, "threshold_operator": ">""#;
        format!(r#"{{"name": "R", "severity": "low", {condition}, "threshold_value": {value}}}"#)
    };
    let path = format!("{ALERTING}/rules");
    // JSON has no names for these, so that they come as texts, or are too large for a number.
    for value in ["NaN", "Infinity", "-Infinity"] {
        let answer = tenant.send_bytes(&path, "application/json", threshold(value)).await;
        assert!([400, 422].contains(&answer.status), "{value}: {} {}", answer.status, answer.text());
    }
    for value in ["\"NaN\"", "\"Infinity\"", "1e999", "-1e999", "[]", "true"] {
        let answer = tenant.send_bytes(&path, "application/json", threshold(value)).await.expect(422).json();
        assert_eq!(answer["errors"][0]["pointer"], "/threshold_value", "{value}: {answer}");
    }
    for (name, values) in [
        ("time_window", json!(["-5m", "0m", "0", "0s", "3650d", "10y", "", -300, 0, 1e300])),
        ("evaluation_interval", json!([0, -1, 0.5, 1e300, "x", 315_360_000])),
        ("cooldown_minutes", json!([-1, 0.5, 1e300, "x"])),
        ("max_alerts_per_hour", json!([-1, 0, 1e300, "x"])),
        ("for", json!([-1, "-1m", 1e300, "3650d"])),
        ("keep_firing_for", json!([-1, "-1m", 1e300, "3650d"])),
    ] {
        for value in values.as_array().expect("a list") {
            let body = rule(&json!({name: value}));
            let refused = tenant.post(&format!("{ALERTING}/rules"), &body).await.expect(422).json();
            let pointer = format!("/{name}");
            let errors = refused["errors"].as_array().expect("a list");
            assert!(
                errors.iter().any(|error| error["pointer"] == pointer.as_str()),
                "{name} {value}: {refused}"
            );
        }
    }
    assert_eq!(get(&tenant, "/rules").await["total_count"], 0, "none of them is kept");
}

async fn a_tenant_has_only_so_many_rules(combination: Combination) {
    let app = App::builder(combination).set("alerting.max_rules", 3).start().await;
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let mut last = String::new();
    for number in 0..3 {
        let made = post(&tenant, "/rules", &rule(&json!({"name": format!("Rule {number}")}))).await;
        text(&made["rule_id"]).clone_into(&mut last);
    }
    let refused = tenant.post(&format!("{ALERTING}/rules"), &rule(&json!({}))).await.expect(422);
    assert_eq!(refused.code(), "quota_exceeded");
    assert_eq!(get(&tenant, "/rules").await["total_count"], 3);
    post(&other, "/rules", &rule(&json!({}))).await;

    delete(&tenant, &format!("/rules/{last}")).await;
    let (path, body) = (format!("{ALERTING}/rules"), rule(&json!({})));
    let (one, two) = tokio::join!(tenant.post(&path, &body), tenant.post(&path, &body));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422], "two at once have room for one");
}

/// Alerts are no events, and notices have not their form: a rule on everything cannot raise itself.
async fn a_notice_to_this_very_service_becomes_no_event(combination: Combination) {
    let app = builder(combination).start().await;
    let tenant = app.tenant().await;
    for (number, path) in ["events", "events/batch"].into_iter().enumerate() {
        let channel = json!({
            "name": format!("loop {number}"), "type": "webhook", "headers": {"x-api-key": tenant.key},
            "url": app.url(&format!("/api/v1/ingestion/{path}")),
        });
        post(&tenant, "/channels", &channel).await;
    }
    let body = json!({
        "name": "Anything", "severity": "low", "condition": {"type": "match"}, "group_by": ["service", "event_type"],
        "evaluation_interval": 1, "cooldown_minutes": 0, "max_alerts_per_hour": 1_000,
        "notification_channels": ["webhook"],
    });
    post(&tenant, "/rules", &body).await;
    tenant.send_batch(&[with_status(500)]).await.expect(200);

    let answered = loop {
        let found = get(&tenant, "/deliveries").await;
        let deliveries = found["deliveries"].as_array().expect("a list").clone();
        if deliveries.len() == 2 && deliveries.iter().all(|one| one["attempt_count"] != 0) {
            break deliveries;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for delivery in &answered {
        let found = get(&tenant, &format!("/deliveries/{}", text(&delivery["id"]))).await;
        let status = found["attempts"][0]["status_code"].as_u64().expect("it was answered");
        assert!((400..500).contains(&status), "{found}");
        assert_ne!(found["delivery"]["state"], "delivered", "{found}");
    }
    // Some ticks later there is still the one event, and the one alert of it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(app.rows(&tenant).await.len(), 1);
    assert_eq!(get(&tenant, "/alerts").await["total_count"], 1);
    assert_eq!(get(&tenant, "/deliveries").await["total_count"], 2);
    let said = app.log_lines().iter().filter(|line| line.to_string().contains("delivery")).count();
    assert!(said <= 20, "and nothing of it floods the log: {said} lines");
}
