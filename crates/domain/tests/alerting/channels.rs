//! What clients may say of channels, and which of them a rule means.

use pulsestream_domain::{
    alerting::{Channel, ChannelDraft, ChannelId, ChannelKind, ChannelRef, Destination, resolve},
    event::FieldError,
};
use serde_json::{Value, json, value::to_raw_value};
use uuid::Uuid;

use crate::{NOW, TENANT, codes, one};

fn channel_draft(body: Value) -> Result<ChannelDraft, Vec<FieldError>> {
    ChannelDraft::parse(&to_raw_value(&body).expect("JSON"))
}

#[test]
fn a_channel_keeps_its_secrets_apart() {
    let slack =
        channel_draft(json!({"name": "s", "type": "slack", "url": "https://hooks.slack.com/services/T/B/x"}));
    let slack = slack.expect("valid");
    assert_eq!(slack.destination, Destination::Slack { host: "hooks.slack.com".to_owned() });
    assert_eq!(slack.secrets.url.as_deref(), Some("https://hooks.slack.com/services/T/B/x"));
    assert!(!format!("{slack:?}").contains("services"));

    let webhook = json!({"name": "w", "type": "webhook", "url": "https://example.com/x", "headers": {"X-Key": "secret"}});
    let webhook = channel_draft(webhook).expect("valid");
    assert!(!format!("{:?}", webhook.destination).contains("secret"));
    assert!(webhook.enabled && webhook.send_resolved);
    assert!(channel_draft(json!({"name": "l", "type": "log"})).is_ok());
    assert!(channel_draft(json!({"name": "p", "type": "pagerduty", "routing_key": "k"})).is_ok());
    assert!(channel_draft(json!({"name": "e", "type": "email", "to": "a.b+c@example.com"})).is_ok());
}

#[test]
fn everything_wrong_with_a_channel_is_named() {
    let webhook = |url: &str| json!({"name": "w", "type": "webhook", "url": url});
    let email = |to: &str| json!({"name": "e", "type": "email", "to": [to]});
    for (body, pointer, code) in [
        (json!({"type": "log"}), "/name", "required"),
        (json!({"name": "x"}), "/type", "required"),
        (json!({"name": "x", "type": "sms"}), "/type", "unknown_value"),
        (json!({"name": "slack", "type": "log"}), "/name", "bad_parameter"),
        (json!({"name": "x", "type": "log", "url": "https://a.b"}), "/url", "unknown_field"),
        (json!({"name": "x", "type": "webhook"}), "/url", "required"),
        (webhook("ftp://example.com"), "/url", "bad_webhook_url"),
        (webhook("file:///etc/passwd"), "/url", "bad_webhook_url"),
        (webhook("data:,x"), "/url", "bad_webhook_url"),
        (webhook("https://"), "/url", "bad_webhook_url"),
        (webhook("/relative"), "/url", "bad_webhook_url"),
        (webhook("http://good@127.0.0.1"), "/url", "bad_webhook_url"),
        (webhook("http://good\\@127.0.0.1"), "/url", "bad_webhook_url"),
        (webhook("http://exa mple.com"), "/url", "bad_webhook_url"),
        (webhook(&format!("https://example.com/{}", "x".repeat(2_049))), "/url", "too_long"),
        (email("a@b.c,d@e.f"), "/to/0", "bad_recipient"),
        (email("a@b\r\nBcc: c@d"), "/to/0", "bad_recipient"),
        (email(&format!("{}@b.c", "x".repeat(10_240))), "/to/0", "bad_recipient"),
        (email("a"), "/to/0", "bad_recipient"),
        (email("a@b@c"), "/to/0", "bad_recipient"),
        (email("a..b@c.d"), "/to/0", "bad_recipient"),
        (email("a@-c.d"), "/to/0", "bad_recipient"),
        (email("ä@c.d"), "/to/0", "bad_recipient"),
        (json!({"name": "e", "type": "email", "to": []}), "/to", "empty"),
    ] {
        assert_eq!(codes(channel_draft(body.clone())), one(pointer, code), "{body}");
    }
    for (name, value) in [
        ("Host", json!("x")),
        ("a b", json!("x")),
        ("X", json!("a\r\nb")),
        ("webhook-signature", json!("x")),
        ("X", json!(1)),
    ] {
        let mut body = webhook("https://example.com");
        body["headers"] = json!({name: value});
        assert_eq!(codes(channel_draft(body)), one(&format!("/headers/{name}"), "bad_parameter"));
    }
}

fn channel(number: u128, name: &str, destination: Destination, enabled: bool) -> Channel {
    Channel {
        tenant_id: TENANT,
        id: ChannelId(Uuid::from_u128(number)),
        name: name.to_owned(),
        enabled,
        send_resolved: true,
        destination,
        disabled_reason: None,
        disabled_at: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

#[test]
fn a_rule_means_channels_by_id_name_or_kind_and_only_enabled_ones() {
    let channels = [
        channel(1, "first", Destination::Log, true),
        channel(2, "second", Destination::Log, false),
        channel(3, "third", Destination::PagerDuty, true),
    ];
    let refs: Vec<ChannelRef> = ["log", "third", "slack", "second", "00000000-0000-0000-0000-000000000001"]
        .map(|text| {
            text.parse::<ChannelKind>().map_or(ChannelRef::IdOrName(text.to_owned()), ChannelRef::Kind)
        })
        .into();
    let (meant, unconfigured) = resolve(&refs, &channels);
    assert_eq!(meant.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>(), ["first", "third"]);
    assert_eq!(unconfigured.iter().map(|one| one.as_str()).collect::<Vec<_>>(), ["slack", "second"]);
}
