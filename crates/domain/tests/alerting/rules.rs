//! What clients may say of rules.

use pulsestream_domain::{
    alerting::{Aggregate, ChannelKind, ChannelRef, Condition, Definition, Metric},
    event::{EventType, FieldError},
};
use serde_json::{Value, json, value::to_raw_value};

use crate::{codes, one};

/// A valid rule with these members added or replaced.
pub(crate) fn rule_json(members: Value) -> Value {
    let mut rule = json!({"name": "R", "severity": "high", "condition": {"type": "count", "min_count": 1}});
    for (name, value) in members.as_object().expect("an object") {
        rule[name] = value.clone();
    }
    rule
}

pub(crate) fn parsed(body: &Value) -> Result<Definition, Vec<FieldError>> {
    Definition::parse(&to_raw_value(body).expect("JSON"))
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
