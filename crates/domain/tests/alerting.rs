//! What clients may say of rules, channels and silences, and what people may do to alerts.

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Action, Aggregate, Alert, AlertId, AlertSeverity, AlertStatus, Channel, ChannelDraft, ChannelId,
        ChannelKind, ChannelRef, Condition, Definition, Destination, Facts, Labels, Matcher, Metric, Rule,
        RuleId, Silence, SilenceDraft, SilenceId, TimelineKind, resolve,
    },
    event::{EventType, FieldError},
    tenant::TenantId,
};
use serde_json::{Value, json, value::to_raw_value};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const TENANT: TenantId = TenantId(Uuid::from_u128(1));

/// A valid rule with these members added or replaced.
fn rule_json(members: Value) -> Value {
    let mut rule = json!({"name": "R", "severity": "high", "condition": {"type": "count", "min_count": 1}});
    for (name, value) in members.as_object().expect("an object") {
        rule[name] = value.clone();
    }
    rule
}

fn parsed(body: &Value) -> Result<Definition, Vec<FieldError>> {
    Definition::parse(&to_raw_value(body).expect("JSON"))
}

fn codes<T: std::fmt::Debug>(outcome: Result<T, Vec<FieldError>>) -> Vec<(String, &'static str)> {
    let errors = outcome.err().unwrap_or_default();
    errors.into_iter().map(|error| (error.pointer, error.code.as_str())).collect()
}

fn one(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), code)]
}

#[test]
fn a_rule_has_the_documented_defaults() {
    let rule = parsed(&rule_json(json!({}))).expect("valid");
    let json = rule.to_json();
    for (member, expected) in [
        ("time_window", json!("5m")),
        ("evaluation_interval", json!(60)),
        ("cooldown_minutes", json!(5)),
        ("max_alerts_per_hour", json!(10)),
        ("notification_channels", json!(["email"])),
        ("is_active", json!(true)),
        ("for", json!(0)),
        ("keep_firing_for", json!(0)),
        ("repeat_interval", Value::Null),
        ("no_data", json!("ok")),
        ("group_by", json!([])),
        ("filter", Value::Null),
    ] {
        assert_eq!(json[member], expected, "{member}");
    }
}

#[test]
fn every_kind_of_rule_reads_back_as_written() {
    let threshold =
        |condition: Value| json!({"condition": condition, "threshold_operator": "<=", "threshold_value": 0});
    for members in [
        json!({}),
        json!({"condition": {}}),
        json!({"condition": {"min_count": 2, "max_count": 5.0}}),
        threshold(json!({"type": "threshold", "metric_field": "duration_ms", "aggregate": "p95"})),
        threshold(json!({"type": "threshold", "metric_field": "count"})),
        json!({"condition": {"type": "pattern", "pattern": {"type": "error_rate", "max_error_rate": 0.25}}}),
        json!({"condition": {"type": "pattern", "pattern": {"type": "error_rate"}}}),
        json!({"condition": {"type": "pattern", "pattern": {"type": "response_time", "max_avg_response_time": 2}}}),
        json!({"condition": {"type": "absence", "look_back": "48h"}, "group_by": "service"}),
        threshold(json!({"type": "percentile", "percentile": "p99"})),
        threshold(json!({"type": "ratio", "numerator": {"status_code": "5xx"}})),
        threshold(json!({"type": "change", "mode": "absolute", "metric_field": "duration_ms"})),
        json!({"condition": {"type": "match"}, "filter": {"q": "Out of memory*", "tags": ["a:b", "c:d"], "limit": null}}),
        json!({
            "description": "two\nlines", "event_type": "api_call", "group_by": ["service", "tags.region"],
            "time_window": "24h", "evaluation_interval": 30, "for": "2m", "keep_firing_for": 90,
            "repeat_interval": "4h", "no_data": "alert", "cooldown_minutes": 0, "max_alerts_per_hour": 1,
            "notification_channels": ["slack", "team-a"], "notification_template": "{rule_name}: {value}",
            "is_active": false,
        }),
    ] {
        let rule =
            parsed(&rule_json(members.clone())).unwrap_or_else(|errors| panic!("{members}: {errors:?}"));
        assert_eq!(parsed(&rule.to_json()), Ok(rule), "{members}");
    }
}

#[test]
fn everything_wrong_with_a_rule_is_named() {
    for (members, pointer, code) in [
        (json!({"name": null}), "/name", "required"),
        (json!({"name": " "}), "/name", "empty"),
        (json!({"name": "a\r\nBcc: x@y"}), "/name", "control_character"),
        (json!({"name": "x".repeat(256)}), "/name", "too_long"),
        (json!({"name": "\0"}), "/name", "nul_not_allowed"),
        (json!({"severity": "error"}), "/severity", "unknown_value"),
        (json!({"severity": 1}), "/severity", "wrong_type"),
        (json!({"condition": []}), "/condition", "not_an_object"),
        (json!({"condition": {"type": "magic", "x": 1}}), "/condition/type", "unknown_value"),
        (json!({"condition": {"type": "count", "minimum": 1}}), "/condition/minimum", "unknown_field"),
        (json!({"condition": {"type": "count", "min_count": -1}}), "/condition/min_count", "out_of_range"),
        (json!({"condition": {"type": "count", "min_count": 0.5}}), "/condition/min_count", "out_of_range"),
        (json!({"condition": {"type": "count", "min_count": "NaN"}}), "/condition/min_count", "wrong_type"),
        (json!({"condition": {"min_count": 3, "max_count": 2}}), "/condition/max_count", "out_of_range"),
        (
            json!({"condition": {"type": "threshold", "metric_field": "count"}}),
            "/threshold_value",
            "required",
        ),
        (json!({"threshold_value": "NaN"}), "/threshold_value", "wrong_type"),
        (json!({"threshold_value": 1e300}), "/threshold_value", "out_of_range"),
        (json!({"threshold_operator": "=>"}), "/threshold_operator", "unknown_value"),
        (json!({"condition": {"type": "pattern"}}), "/condition/pattern", "required"),
        (json!({"condition": {"type": "pattern", "pattern": {}}}), "/condition/pattern/type", "required"),
        (
            json!({"condition": {"type": "pattern", "pattern": {"type": "error_rate", "max_error_rate": 1.1}}}),
            "/condition/pattern/max_error_rate",
            "out_of_range",
        ),
        (
            json!({"condition": {"type": "absence", "look_back": "5m"}}),
            "/condition/look_back",
            "out_of_range",
        ),
        (
            json!({"condition": {"type": "absence", "look_back": "10y"}}),
            "/condition/look_back",
            "bad_duration",
        ),
        (
            json!({"threshold_value": 1, "condition": {"type": "percentile", "percentile": "avg"}}),
            "/condition/percentile",
            "unknown_value",
        ),
        (
            json!({"threshold_value": 1, "condition": {"type": "ratio", "numerator": {"severity": "high"}}}),
            "/condition/numerator/severity",
            "unknown_value",
        ),
        (json!({"time_window": "10y"}), "/time_window", "unknown_value"),
        (json!({"time_window": 0}), "/time_window", "wrong_type"),
        (json!({"time_window": "-5m"}), "/time_window", "unknown_value"),
        (json!({"evaluation_interval": 0}), "/evaluation_interval", "out_of_range"),
        (json!({"evaluation_interval": -60}), "/evaluation_interval", "out_of_range"),
        (json!({"cooldown_minutes": 10_081}), "/cooldown_minutes", "out_of_range"),
        (json!({"max_alerts_per_hour": 0}), "/max_alerts_per_hour", "out_of_range"),
        (json!({"for": -1}), "/for", "bad_duration"),
        (json!({"for": "2d"}), "/for", "out_of_range"),
        (json!({"condition": {"type": "match", "for": "2d"}}), "/condition/for", "out_of_range"),
        (json!({"condition": {"type": "match", "for": 1}, "for": 1}), "/condition/for", "unknown_field"),
        (json!({"repeat_interval": 59}), "/repeat_interval", "out_of_range"),
        (json!({"group_by": ["service", "service"]}), "/group_by/1", "duplicate_key"),
        (json!({"group_by": ["payload"]}), "/group_by/0", "unknown_value"),
        (json!({"group_by": ["service", "endpoint", "method", "severity"]}), "/group_by", "too_many"),
        (json!({"filter": {"limit": 5}}), "/filter/limit", "unknown_field"),
        (json!({"filter": {"cursor": "x"}}), "/filter/cursor", "unknown_field"),
        (json!({"filter": {"start_time": "2026-01-01T00:00:00Z"}}), "/filter/start_time", "unknown_field"),
        (
            json!({"condition": {"type": "match", "filter": {"sort": "x"}}}),
            "/condition/filter/sort",
            "unknown_field",
        ),
        (json!({"filter": "q=x"}), "/filter", "not_an_object"),
        (
            json!({"event_type": "api_call", "filter": {"event_type": "custom_event"}}),
            "/filter/event_type",
            "bad_parameter",
        ),
        (json!({"notification_channels": [7]}), "/notification_channels/0", "wrong_type"),
        (json!({"notification_template": "{secret}"}), "/notification_template", "unknown_placeholder"),
        (json!({"tenant_id": "x"}), "/tenant_id", "unknown_field"),
        (json!({"is_active": "yes"}), "/is_active", "wrong_type"),
    ] {
        assert_eq!(codes(parsed(&rule_json(members.clone()))), one(pointer, code), "{members}");
    }
    let both = json!({"severity": "x", "colour": 1});
    let expected = [
        ("/condition", "required"),
        ("/name", "required"),
        ("/colour", "unknown_field"),
        ("/severity", "unknown_value"),
    ];
    let mut found = codes(parsed(&both));
    found.sort();
    let mut expected: Vec<(String, &str)> = expected.map(|(pointer, code)| (pointer.to_owned(), code)).into();
    expected.sort();
    assert_eq!(found, expected, "all at once");
}

#[test]
fn numbers_without_a_float_are_refused_in_any_member() {
    for (text, code) in [
        (r#"{"threshold_value": 1e999}"#, "number_out_of_range"),
        (r#"{"name": "a", "name": "b"}"#, "duplicate_key"),
        ("[]", "not_an_object"),
    ] {
        let body = serde_json::from_str(text).expect("JSON");
        assert_eq!(codes(Definition::parse(body)).first().map(|(_, code)| *code), Some(code), "{text}");
    }
    assert!(serde_json::from_str::<&serde_json::value::RawValue>(r#"{"threshold_value": NaN}"#).is_err());
}

#[test]
fn what_belongs_to_the_rule_may_stand_in_its_condition() {
    let inside = json!({"condition": {"type": "match", "filter": {"service": "pay"}, "group_by": ["service"], "for": "1m"}});
    let beside = json!({"condition": {"type": "match"}, "filter": {"service": "pay"}, "group_by": ["service"], "for": "1m"});
    assert_eq!(parsed(&rule_json(inside)), parsed(&rule_json(beside)));
}

#[test]
fn an_update_replaces_only_what_it_names() {
    let rule =
        parsed(&rule_json(json!({"description": "d", "for": 60, "cooldown_minutes": 9}))).expect("valid");
    let update = |body: Value| rule.updated(&to_raw_value(&body).expect("JSON"));
    assert_eq!(update(json!({})).as_ref(), Ok(&rule));
    let changed =
        update(json!({"description": null, "is_active": false, "condition": {"type": "match", "for": "2m"}}));
    let changed = changed.expect("valid");
    assert_eq!(
        (changed.description.as_deref(), changed.is_active, changed.cooldown_minutes),
        (None, false, 9)
    );
    assert_eq!(changed.condition, Condition::Match);
    assert_eq!(codes(update(json!({"colour": 1}))), one("/colour", "unknown_field"));
    assert_eq!(codes(update(json!({"name": null}))), one("/name", "required"));
}

#[test]
fn a_threshold_of_zero_is_a_threshold() {
    let members = json!({"condition": {"type": "threshold", "metric_field": "count"}, "threshold_operator": ">", "threshold_value": 0});
    let rule = parsed(&rule_json(members)).expect("valid");
    let expected = Condition::Threshold { metric: Metric::Count, aggregate: Aggregate::Average };
    assert_eq!(
        (&rule.condition, rule.comparison().threshold, rule.threshold_value),
        (&expected, 0.0, Some(0.0))
    );
}

#[test]
fn the_rules_event_type_is_part_of_its_filter() {
    let rule = parsed(&rule_json(json!({"event_type": "api_call", "filter": {"severity": "error"}})))
        .expect("valid");
    assert_eq!(rule.effective_filter().event_type, Some(EventType::ApiCall));
    assert!(rule.effective_filter().severity.is_some());
}

#[test]
fn older_clients_name_channels_as_members_of_an_object() {
    let channels = |value: Value| {
        let rule = parsed(&rule_json(json!({"notification_channels": value}))).expect("valid");
        rule.notification_channels
    };
    let expected = [ChannelRef::IdOrName("ops".to_owned()), ChannelRef::Kind(ChannelKind::Webhook)];
    assert_eq!(channels(json!({"webhook": {"url": "https://example.com"}, "ops": {}})), expected);
    assert_eq!(channels(json!(["ops", "webhook", "ops"])), expected);
    assert_eq!(channels(json!([])), []);
    assert_eq!(channels(Value::Null), [ChannelRef::Kind(ChannelKind::Email)]);
}

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

fn alert(status: AlertStatus) -> Alert {
    let rule_id = RuleId(Uuid::from_u128(7));
    let labels = Labels([("service".to_owned(), "pay".to_owned())].into());
    Alert {
        tenant_id: TENANT,
        id: AlertId(Uuid::from_u128(8)),
        rule_id,
        rule_name: "R".to_owned(),
        fingerprint: labels.fingerprint(rule_id),
        labels,
        title: "T".to_owned(),
        message: "M".to_owned(),
        severity: AlertSeverity::High,
        status,
        value: None,
        trigger_data: serde_json::Map::new(),
        started_at: NOW,
        triggered_at: Some(NOW),
        clear_since: None,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        resolution_note: None,
        is_silenced: false,
        notified: None,
        changed_at: NOW,
    }
}

#[test]
fn people_can_do_what_fits() {
    use AlertStatus::{Acknowledged, Active, Pending, Resolved, Suppressed};
    for (status, action, expected) in [
        (Active, Action::Acknowledge, Ok(Some(Acknowledged))),
        (Active, Action::Suppress, Ok(Some(Suppressed))),
        (Active, Action::Reactivate, Ok(None)),
        (Active, Action::Resolve, Ok(Some(Resolved))),
        (Acknowledged, Action::Acknowledge, Ok(None)),
        (Acknowledged, Action::Reactivate, Ok(Some(Active))),
        (Suppressed, Action::Acknowledge, Ok(Some(Acknowledged))),
        (Suppressed, Action::Reactivate, Ok(Some(Active))),
        (Pending, Action::Acknowledge, Err(Pending)),
        (Pending, Action::Resolve, Ok(Some(Resolved))),
        (Resolved, Action::Resolve, Ok(None)),
        (Resolved, Action::Acknowledge, Err(Resolved)),
        (Resolved, Action::Reactivate, Err(Resolved)),
    ] {
        let mut alert = alert(status);
        let before = alert.clone();
        let outcome = alert.act(action, "ann", Some("why"), NOW.plus_secs(1));
        let found = outcome.clone().map(|entry| entry.map(|_| alert.status)).map_err(|wrong| wrong.status);
        assert_eq!(found, expected, "{action} while {status}");
        match outcome {
            Ok(Some(entry)) => {
                assert_eq!((entry.by.as_deref(), entry.note.as_deref()), (Some("ann"), Some("why")));
                assert_eq!(alert.changed_at, NOW.plus_secs(1));
            }
            _ => assert_eq!(alert, before, "nothing changes"),
        }
    }
    let mut resolved = alert(Active);
    let entry = resolved.act(Action::Resolve, "ann", None, NOW).expect("fits").expect("new");
    assert_eq!(entry.kind, TimelineKind::Resolved);
    assert_eq!((resolved.resolved_at, resolved.resolved_by.as_deref()), (Some(NOW), Some("ann")));
}

#[test]
fn a_silence_mutes_what_all_its_matchers_match_while_it_lasts() {
    let matcher = |name: &str, value: &str, is_equal| Matcher {
        name: name.to_owned(),
        value: value.to_owned(),
        is_equal,
    };
    for (matchers, expected) in [
        (vec![matcher("service", "pay", true)], true),
        (vec![matcher("service", "p*", true), matcher("severity", "high", true)], true),
        (vec![matcher("service", "p*", true), matcher("severity", "low", true)], false),
        (vec![matcher("service", "pay", false)], false),
        (vec![matcher("rule_name", "R", true)], true),
        (vec![matcher("region", "", true)], true),
        (vec![matcher("region", "*", false)], false),
    ] {
        let silence = Silence {
            tenant_id: TENANT,
            id: SilenceId(Uuid::from_u128(1)),
            matchers: matchers.clone(),
            starts_at: NOW,
            ends_at: NOW.plus_secs(10),
            created_by: "ann".to_owned(),
            comment: None,
            created_at: NOW,
        };
        let alert = alert(AlertStatus::Active);
        assert_eq!(silence.mutes(&alert, NOW), expected, "{matchers:?}");
        assert!(!silence.mutes(&alert, NOW.plus_micros(-1)));
        assert!(!silence.mutes(&alert, NOW.plus_secs(10)));
        let stored = SilenceDraft::matchers_json(&matchers);
        assert_eq!(SilenceDraft::stored_matchers(stored), Ok(matchers));
    }
}

#[test]
fn everything_wrong_with_a_silence_is_named() {
    let matchers = json!([{"name": "service", "value": "pay"}]);
    let later = NOW.plus_secs(60).to_string();
    let parse = |body: &Value| SilenceDraft::parse(&to_raw_value(body).expect("JSON"), NOW);
    assert!(parse(&json!({"matchers": matchers, "ends_at": later})).is_ok());
    for (body, pointer, code) in [
        (json!({"ends_at": later}), "/matchers", "required"),
        (json!({"matchers": [], "ends_at": later}), "/matchers", "empty"),
        (json!({"matchers": matchers}), "/ends_at", "required"),
        (json!({"matchers": matchers, "ends_at": NOW.to_string()}), "/ends_at", "out_of_range"),
        (json!({"matchers": matchers, "ends_at": "2040-01-01T00:00:00Z"}), "/ends_at", "out_of_range"),
        (json!({"matchers": matchers, "ends_at": "soon"}), "/ends_at", "bad_timestamp"),
        (json!({"matchers": [{"name": "a"}], "ends_at": later}), "/matchers/0/value", "required"),
        (
            json!({"matchers": [{"name": "a", "value": "b", "is_regex": true}], "ends_at": later}),
            "/matchers/0/is_regex",
            "unknown_field",
        ),
        (json!({"matchers": ["a=b"], "ends_at": later}), "/matchers/0", "not_an_object"),
    ] {
        assert_eq!(codes(parse(&body)), one(pointer, code), "{body}");
    }
}

#[test]
fn what_a_delivery_says_reads_back_from_its_text() {
    let rule = Rule {
        tenant_id: TENANT,
        id: RuleId(Uuid::from_u128(7)),
        revision: 0,
        definition: parsed(&rule_json(json!({"description": "d"}))).expect("valid"),
        created_at: NOW,
        updated_at: NOW,
        last_triggered_at: None,
        total_triggers: 0,
    };
    let alerts: Vec<Alert> = (0..52)
        .map(|number| Alert { value: Some(0.1 + f64::from(number)), ..alert(AlertStatus::Active) })
        .collect();
    let facts = Facts::of(&rule, &alerts.iter().collect::<Vec<_>>());
    assert_eq!((facts.alerts.len(), facts.truncated_alerts), (50, 2));
    let text = serde_json::to_string(&facts).expect("it serializes");
    assert_eq!(serde_json::from_str::<Facts>(&text).expect("it reads back"), facts);
}
