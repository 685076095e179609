//! Rules, alerts and who is told, as clients see them.

mod delivering;
mod disabled;
mod limits;
mod past;
pub(crate) mod receiver;
mod routes;
mod schedule;

use std::time::Duration;

pub(crate) use receiver::Receiver;

use pulsestream_tests::{App, Combination, Tenant, Trial, event, on_all_four, on_some};
use serde_json::{Value, json};

const ALERTING: &str = "/api/v1/alerting";
const EACH_DATABASE: [Combination; 2] = [Combination::SQLITE, Combination::POSTGRES];

pub(crate) fn trials() -> Vec<Trial> {
    let mut all = on_all_four![a_rule_without_a_destination_is_kept_and_says_so];
    all.extend(on_some!(
        &EACH_DATABASE, within Duration::from_secs(60);
        every_route_answers,
    ));
    all.extend(routes::trials());
    all.extend(schedule::trials());
    all.extend(past::trials());
    all.extend(disabled::trials());
    all.extend(limits::trials());
    all.extend(delivering::trials());
    all
}

/// A rule on many errors of one service, over five minutes.
fn rule(members: &Value) -> Value {
    let mut rule = json!({
        "name": "Many errors", "severity": "high", "cooldown_minutes": 0, "evaluation_interval": 3_600,
        "condition": {"type": "count", "min_count": 2},
        "filter": {"status_code": "5xx"},
        "notification_channels": [],
    });
    for (name, value) in members.as_object().expect("members are an object") {
        rule[name] = value.clone();
    }
    rule
}

/// An event with this status.
fn with_status(status: u16) -> Value {
    event(json!({"metrics": {"response_time_ms": 5, "status_code": status}}))
}

async fn post(tenant: &Tenant, path: &str, body: &Value) -> Value {
    let mut body = body.clone();
    if path == "/rules" && body["description"].is_null() {
        body["description"] = json!(tenant.canary);
    }
    tenant.post(&format!("{ALERTING}{path}"), &body).await.expect(200).json()
}

async fn get(tenant: &Tenant, path: &str) -> Value {
    tenant.get(&format!("{ALERTING}{path}")).await.expect(200).json()
}

async fn put(tenant: &Tenant, path: &str, body: &Value) -> Value {
    let request = tenant.request(reqwest::Method::PUT, &format!("{ALERTING}{path}")).json(body);
    tenant.execute(request).await.expect(200).json()
}

async fn delete(tenant: &Tenant, path: &str) -> Value {
    tenant.delete(&format!("{ALERTING}{path}")).await.expect(200).json()
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn a_rule_without_a_destination_is_kept_and_says_so(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let body = rule(&json!({"notification_channels": ["webhook", "on-call"]}));
    let made = post(&tenant, "/rules", &body).await;
    assert_eq!(made["success"], true);
    assert_eq!(made["unconfigured_channels"], json!(["webhook", "on-call"]), "{made}");

    let channel = json!({"name": "on-call", "type": "log"});
    post(&tenant, "/channels", &channel).await;
    let rule = get(&tenant, &format!("/rules/{}", text(&made["rule_id"]))).await;
    assert_eq!(rule["unconfigured_channels"], json!(["webhook"]), "{rule}");
}

/// From a rule to an alert that is over, and everything between, on one tenant.
async fn every_route_answers(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;

    let channel = post(
        &tenant,
        "/channels",
        &json!({"name": "on-call", "type": "webhook", "url": "https://hooks.example.com/x"}),
    )
    .await;
    let channel_id = text(&channel["channel"]["id"]).to_owned();
    assert!(text(&channel["channel"]["secret"]).starts_with("whsec_"), "{channel}");
    let shown = get(&tenant, &format!("/channels/{channel_id}")).await;
    assert_eq!(shown["channel"]["secret"], Value::Null, "a secret is shown once");
    let logged = json!({"name": "on-call", "type": "log"});
    put(&tenant, &format!("/channels/{channel_id}"), &logged).await;
    let tested = post(&tenant, &format!("/channels/{channel_id}/test"), &json!({})).await;
    assert_eq!((&tested["success"], &tested["outcome"]), (&json!(true), &json!("delivered")), "{tested}");
    assert_eq!(get(&tenant, "/channels").await["total_count"], 1);

    let made = post(&tenant, "/rules", &rule(&json!({"notification_channels": ["on-call"]}))).await;
    let rule_id = text(&made["rule_id"]).to_owned();
    let rule_path = format!("/rules/{rule_id}");
    assert_eq!(made["rule"]["time_window"], "5m", "{made}");
    assert_eq!(get(&tenant, &rule_path).await["rule"]["name"], "Many errors");
    let listed = get(&tenant, "/rules?active_only=true&limit=10&offset=0").await;
    assert_eq!((&listed["total_count"], &listed["rules"][0]["id"]), (&json!(1), &json!(rule_id)), "{listed}");

    let nothing = post(&tenant, &format!("{rule_path}/test"), &json!({})).await;
    for name in ["alert_id", "alert_title", "triggered_at"] {
        assert_eq!(nothing[name], Value::Null, "{nothing}");
    }
    tenant.send_batch(&[with_status(500), with_status(503), with_status(200)]).await.expect(200);
    let tested = post(&tenant, &format!("{rule_path}/test"), &json!({})).await;
    let alert_id = text(&tested["alert_id"]).to_owned();
    assert!(tested["triggered_at"].is_string() && tested["alert_title"].is_string(), "{tested}");
    let evaluated = post(&tenant, "/evaluate", &json!({})).await;
    assert_eq!((&evaluated["total_rules_evaluated"], &evaluated["alerts_triggered"]), (&json!(1), &json!(0)));

    let listed = get(&tenant, "/alerts?status_filter=active&severity_filter=high").await;
    assert_eq!(
        (&listed["total_count"], &listed["alerts"][0]["id"]),
        (&json!(1), &json!(alert_id)),
        "{listed}"
    );
    assert_eq!(get(&tenant, "/alerts?status_filter=resolved").await["total_count"], 0);
    let alert_path = format!("/alerts/{alert_id}");
    assert_eq!(get(&tenant, &alert_path).await["alert"]["value"], 2.0);

    for (action, status) in [
        ("acknowledge", "acknowledged"),
        ("suppress", "suppressed"),
        ("suppress", "suppressed"),
        ("reactivate", "active"),
    ] {
        let acted = post(&tenant, &format!("{alert_path}/{action}"), &json!({})).await;
        assert_eq!(
            (&acted["alert_id"], &acted["alert"]["status"]),
            (&json!(alert_id), &json!(status)),
            "{acted}"
        );
    }
    let said = json!({"resolved_by": "ada", "note": "restarted it"});
    let resolved = post(&tenant, &format!("{alert_path}/resolve"), &said).await;
    assert_eq!(
        (&resolved["alert_id"], &resolved["resolved_by"]),
        (&json!(alert_id), &json!("ada")),
        "{resolved}"
    );
    assert_eq!(get(&tenant, &alert_path).await["alert"]["resolution_note"], "restarted it");
    let again = tenant.post(&format!("{ALERTING}{alert_path}/acknowledge"), &json!({})).await.expect(409);
    assert_eq!(again.code(), "wrong_status");
    let timeline = get(&tenant, &format!("{alert_path}/timeline")).await;
    let kinds: Vec<&str> =
        timeline["timeline"].as_array().expect("a list").iter().map(|one| text(&one["kind"])).collect();
    for kind in ["triggered", "acknowledged", "suppressed", "reactivated", "resolved"] {
        assert_eq!(kinds.iter().filter(|one| **one == kind).count(), 1, "{timeline}");
    }

    let stats = get(&tenant, "/stats").await;
    let figures = json!({
        "total_alerts": 1, "active_alerts": 0, "resolved_alerts": 1, "total_rules": 1, "active_rules": 1,
        "alert_resolution_rate": 1.0,
    });
    assert_eq!(stats["stats"], figures, "{stats}");
    assert_eq!(stats["recent_alerts"][0]["id"], alert_id.as_str());

    let deliveries = get(&tenant, &format!("/deliveries?alert_id={alert_id}&channel_id={channel_id}")).await;
    let delivery_id = text(&deliveries["deliveries"][0]["id"]).to_owned();
    let delivery = get(&tenant, &format!("/deliveries/{delivery_id}")).await;
    assert_eq!(delivery["delivery"]["alert_ids"], json!([alert_id]), "{delivery}");
    post(&tenant, &format!("/deliveries/{delivery_id}/resend"), &json!({})).await;
    let since = json!({"channel_id": channel_id, "since": "2026-01-01T00:00:00Z"});
    assert!(post(&tenant, "/deliveries/recover", &since).await["resent_count"].is_u64());

    let updated = put(&tenant, &rule_path, &json!({"severity": "critical", "is_active": false})).await;
    let kept = [&updated["rule"]["severity"], &updated["rule"]["is_active"], &updated["rule"]["name"]];
    assert_eq!(kept, [&json!("critical"), &json!(false), &json!("Many errors")], "{updated}");
    assert_eq!(get(&tenant, "/rules?active_only=true").await["total_count"], 0);
    assert_eq!(delete(&tenant, &rule_path).await["rule_id"], rule_id.as_str());
    tenant.get(&format!("{ALERTING}{rule_path}")).await.expect(404);
    assert_eq!(get(&tenant, &alert_path).await["alert"]["rule_id"], rule_id.as_str(), "its alerts stay");
    delete(&tenant, &format!("/channels/{channel_id}")).await;
    assert_eq!(get(&tenant, "/channels").await["total_count"], 0);
}
