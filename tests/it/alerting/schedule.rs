//! Rules that are evaluated by themselves, and notices that are sent by themselves.

use std::time::Duration;

use pulsestream_tests::{App, AppBuilder, Combination, Trial, on_some};
use serde_json::{Value, json};

use super::{EACH_DATABASE, get, post, receiver::Receiver, rule, text, with_status};

pub(super) fn trials() -> Vec<Trial> {
    on_some!(
        &EACH_DATABASE, within Duration::from_secs(60);
        a_rule_fires_by_itself_and_a_receiver_gets_a_signed_notice,
        a_channel_is_tried_and_signed_with_both_secrets_of_a_rotation,
    )
}

/// A server whose notices may go to this very host, and that does not wait for late events.
pub(super) fn builder(combination: Combination) -> AppBuilder {
    App::builder(combination)
        .set("alerting.ingest_delay", "0s")
        .set("alerting.allow_http", true)
        .set("alerting.allow_private_destinations", true)
        .set("alerting.private_ports", "1024-65535")
        .set("jobs.poll_interval", "100ms")
}

async fn a_rule_fires_by_itself_and_a_receiver_gets_a_signed_notice(combination: Combination) {
    let app = builder(combination).start().await;
    let tenant = app.tenant().await;
    let receiver = Receiver::start(&tenant).await;
    let channel = json!({
        "name": "hook", "type": "webhook", "url": receiver.url(), "headers": {"x-token": "hunter2"},
    });
    let channel = post(&tenant, "/channels", &channel).await;
    assert_eq!(channel["channel"]["header_names"], json!(["x-token"]), "{channel}");
    let body = rule(&json!({
        "evaluation_interval": 1, "time_window": "1m", "notification_channels": ["webhook"], "group_by": ["service"],
    }));
    let made = post(&tenant, "/rules", &body).await;
    assert_eq!(made["unconfigured_channels"], json!([]), "{made}");
    tenant.send_batch(&[with_status(500), with_status(500)]).await.expect(200);

    let notice = receiver.next().await;
    assert!(notice.is_signed_with(text(&channel["channel"]["secret"])), "{notice:?}");
    assert_eq!(notice.header("x-token"), "hunter2");
    let said: Value = serde_json::from_slice(&notice.body).expect("JSON");
    let alerts = get(&tenant, &format!("/alerts?rule_id={}", text(&made["rule_id"]))).await;
    assert_eq!(alerts["total_count"], 1, "{alerts}");
    let alert = &alerts["alerts"][0];
    assert_eq!(
        (&alert["status"], &alert["labels"]),
        (&json!("active"), &json!({"service": "shop"})),
        "{alert}"
    );
    assert!(said.to_string().contains(text(&alert["fingerprint"])), "{said}");

    // The receiver has answered; that it did is recorded a moment later.
    let path = format!("/deliveries/{}", notice.header("webhook-id"));
    let delivered = loop {
        let delivery = get(&tenant, &path).await;
        if delivery["delivery"]["state"] != "pending" {
            break delivery;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(delivered["delivery"]["state"], "delivered", "{delivered}");
    let attempts = delivered["attempts"].as_array().expect("a list");
    assert_eq!((attempts.len(), &attempts[0]["status_code"]), (1, &json!(200)), "{delivered}");

    post(&tenant, &format!("{path}/resend"), &json!({})).await;
    assert_eq!(
        receiver.next().await.header("webhook-id"),
        notice.header("webhook-id"),
        "the same under its old id"
    );
    let resolved =
        post(&tenant, &format!("/alerts/{}/resolve", text(&alert["id"])), &json!({"note": "done"})).await;
    assert_eq!(resolved["alert"]["status"], "resolved", "{resolved}");
    let over: Value = serde_json::from_slice(&receiver.next().await.body).expect("JSON");
    assert!(over.to_string().contains("\"resolved\""), "{over}");
}

async fn a_channel_is_tried_and_signed_with_both_secrets_of_a_rotation(combination: Combination) {
    let app = builder(combination).start().await;
    let tenant = app.tenant().await;
    let receiver = Receiver::start(&tenant).await;
    let channel = json!({"name": "hook", "type": "webhook", "url": receiver.url()});
    let made = post(&tenant, "/channels", &channel).await;
    let path = format!("/channels/{}", text(&made["channel"]["id"]));
    let rotated = post(&tenant, &format!("{path}/rotate-secret"), &json!({})).await;

    let (tested, notice) =
        tokio::join!(async { post(&tenant, &format!("{path}/test"), &json!({})).await }, receiver.next());
    assert_eq!((&tested["outcome"], &tested["status_code"]), (&json!("delivered"), &json!(200)), "{tested}");
    assert!(notice.is_signed_with(text(&made["channel"]["secret"])), "{notice:?}");
    assert!(notice.is_signed_with(text(&rotated["secret"])), "{notice:?}");
    assert_eq!(tested["excerpt"], "ok");
}
