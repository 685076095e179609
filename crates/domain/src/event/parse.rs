//! From the text of one event to a row, or to everything that is wrong with it.

use std::borrow::Cow;

use serde_json::value::RawValue;
use uuid::Uuid;
use validator::Validate;

use super::{
    Document, Enrichment, EventId, EventType, FieldError, NewEvent, Reason, Severity, Terms,
    draft::field_errors,
    json,
    reader::{Known, Reader, find},
};
use crate::{Timestamp, tenant::TenantId};

/// How long the text of `payload` may be: 10 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 10 * 1024 * 1024;

/// What an event gets when the client did not say.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Whose event it is.
    pub tenant_id: TenantId,
    /// The row's id, and the event's when it has none.
    pub id: Uuid,
    /// The event's id when it has none, if the request had an idempotency key.
    pub event_id: Option<EventId>,
    /// Now: when it happened unless it says, and when it was taken in.
    pub now: Timestamp,
}

/// Why an event can't be stored, ever.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Its id, if that could be read.
    pub event_id: Option<EventId>,
    /// Everything that is wrong with it; at least one.
    pub errors: Vec<FieldError>,
}

/// Parses one event and holds it to every rule.
///
/// Unknown members are ignored. A member that is `null` counts as absent.
///
/// # Errors
/// [`Refused`] with every broken rule, not just the first.
pub fn parse(event: &RawValue, defaults: Defaults) -> Result<NewEvent, Refused> {
    let Some(members) = json::members(event.get()) else {
        let errors = vec![FieldError::new("", Reason::NotAnObject)];
        return Err(Refused { event_id: None, errors });
    };
    let mut reader = Reader { errors: Vec::new() };
    let known = reader.known_members(members);
    let draft = reader.draft(&known);
    if let Err(broken) = draft.validate() {
        let mut found = Vec::new();
        field_errors(&broken, "", &mut found);
        // What has the wrong type was read as absent: one error for it is enough.
        found.retain(|error| !reader.errors.iter().any(|known| known.pointer == error.pointer));
        reader.errors.append(&mut found);
    }
    let event_type = reader.name::<EventType>("/event_type", draft.event_type.as_deref());
    let severity = reader.name::<Severity>("/severity", draft.severity.as_deref());
    let occurred_at = reader.timestamp(known.get("timestamp"), defaults.now);
    let (content_hash, mut words) = reader.content(&known, severity.unwrap_or(Severity::Info), occurred_at);
    let event_id = draft.event_id.as_deref().and_then(|id| id.parse().ok());

    match (event_type, draft.source) {
        (Some(event_type), Some(source)) if reader.errors.is_empty() => {
            let metrics = draft.metrics.unwrap_or_default();
            let context = draft.context;
            let tags = context.tags.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
            let terms = Terms::new(defaults.tenant_id, words.words(), tags);
            let duration_ms = metrics.response_time_ms;
            Ok(NewEvent {
                tenant_id: defaults.tenant_id,
                id: defaults.id,
                event_id: event_id.or(defaults.event_id).unwrap_or_else(|| defaults.id.into()),
                content_hash,
                event_type,
                severity: severity.unwrap_or(Severity::Info),
                service: source.service.unwrap_or_default().into_owned(),
                endpoint: source.endpoint.unwrap_or_default().into_owned(),
                method: source.method.unwrap_or_default().into_owned(),
                environment: source.environment.map(Cow::into_owned),
                status_code: metrics.status_code.map(|code| code as u16),
                duration_ms,
                user_id: context.user_id.map(Cow::into_owned),
                correlation_id: context.request_id.map(Cow::into_owned),
                occurred_at: occurred_at.unwrap_or(defaults.now),
                received_at: defaults.now,
                enrichment: Enrichment::of(context.user_agent.as_deref(), duration_ms),
                document: document(&known),
                terms,
            })
        }
        _ => {
            // `validator` hands its findings out in any order; the same event has to get the same answer.
            reader.errors.sort_by(|a, b| a.pointer.cmp(&b.pointer));
            Err(Refused { event_id, errors: reader.errors })
        }
    }
}

fn document(known: &Known<'_>) -> Document {
    let source = known.get("source").and_then(json::members).unwrap_or_default();
    let member = |name| {
        let raw = if name == "version" { find(&source, name) } else { known.get(name) };
        Some((name, raw?))
    };
    let members: Vec<(&str, &str)> = Document::NAMES.into_iter().filter_map(member).collect();
    Document::join(&members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::MAX_INDEXED_PAYLOAD_BYTES;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn parse_text(text: &str) -> Result<NewEvent, Refused> {
        let raw: &RawValue = serde_json::from_str(text).expect("the test sends JSON");
        parse(raw, Defaults { tenant_id: TENANT, id: Uuid::from_u128(7), event_id: None, now: NOW })
    }

    fn minimal() -> serde_json::Value {
        json!({
            "event_type": "api_call",
            "title": "t",
            "source": {"service": "s", "endpoint": "/e", "method": "GET"},
        })
    }

    fn with(members: serde_json::Value) -> String {
        let mut event = minimal();
        for (name, value) in members.as_object().expect("an object").clone() {
            event[name] = value;
        }
        event.to_string()
    }

    fn findings(text: &str) -> Vec<(String, &'static str)> {
        let errors = parse_text(text).map_or_else(|refused| refused.errors, |_| Vec::new());
        errors.into_iter().map(|error| (error.pointer, error.code.as_str())).collect()
    }

    #[test]
    fn a_minimal_event_gets_its_defaults() {
        let event = parse_text(&minimal().to_string()).expect("valid");
        assert_eq!(event.event_id.as_str(), Uuid::from_u128(7).to_string());
        assert_eq!((event.occurred_at, event.received_at), (NOW, NOW));
        assert_eq!(event.severity, Severity::Info);
        assert_eq!(event.document.as_str(), r#"{"title":"t"}"#);
    }

    #[test]
    fn what_went_in_comes_out_digit_for_digit() {
        let payload =
            r#"{"z":1.10,"a":[9223372036854775808,-9223372036854775809,1e308],"":"x","__proto__":{}}"#;
        let text = format!(
            r#"{{"payload":{payload},"metrics":{{"response_time_ms":1.50,"status_code":200,"x":0.1}},{}"#,
            &minimal().to_string()[1..]
        );
        let event = parse_text(&text).expect("valid");
        let members = event.document.members().expect("a document");
        assert_eq!(members.payload.map(RawValue::get), Some(payload));
        assert_eq!(
            members.metrics.map(RawValue::get),
            Some(r#"{"response_time_ms":1.50,"status_code":200,"x":0.1}"#)
        );
        assert_eq!((event.duration_ms, event.status_code), (Some(1.5), Some(200)));
    }

    #[test]
    fn every_broken_rule_is_named_at_once_in_order() {
        let found = findings(
            r#"{"title": "", "severity": "high", "source": {"service": 5, "method": "M"}, "event_id": "a b"}"#,
        );
        assert_eq!(
            found,
            [
                ("/event_id".to_owned(), "bad_event_id"),
                ("/event_type".to_owned(), "required"),
                ("/severity".to_owned(), "unknown_value"),
                ("/source/endpoint".to_owned(), "required"),
                ("/source/service".to_owned(), "wrong_type"),
                ("/title".to_owned(), "empty"),
            ]
        );
    }

    #[test]
    fn each_rule_has_its_code_and_place() {
        let cases = [
            (json!({"event_type": "x"}), "/event_type", "unknown_value"),
            (json!({"event_type": null}), "/event_type", "required"),
            (json!({"title": "x".repeat(201)}), "/title", "too_long"),
            (json!({"message": "x".repeat(2001)}), "/message", "too_long"),
            (json!({"source": null}), "/source", "required"),
            (json!({"source": "x"}), "/source", "wrong_type"),
            (
                json!({"source": {"service": "s", "endpoint": "e", "method": "x".repeat(11)}}),
                "/source/method",
                "too_long",
            ),
            (json!({"context": []}), "/context", "wrong_type"),
            (json!({"context": {"ip_address": "300.1.1.1"}}), "/context/ip_address", "bad_ip_address"),
            (json!({"context": {"referrer": "not a url"}}), "/context/referrer", "bad_url"),
            (json!({"context": {"tags": {"a/b": 1}}}), "/context/tags/a~1b", "wrong_type"),
            (json!({"metrics": {"status_code": 200}}), "/metrics/response_time_ms", "required"),
            (
                json!({"metrics": {"response_time_ms": -1, "status_code": 200}}),
                "/metrics/response_time_ms",
                "out_of_range",
            ),
            (
                json!({"metrics": {"response_time_ms": 1, "status_code": 99}}),
                "/metrics/status_code",
                "out_of_range",
            ),
            (
                json!({"metrics": {"response_time_ms": 1, "status_code": 200.5}}),
                "/metrics/status_code",
                "wrong_type",
            ),
            (
                json!({"metrics": {"response_time_ms": 1, "status_code": 200, "cache_hit": 1}}),
                "/metrics/cache_hit",
                "wrong_type",
            ),
            (
                json!({"error_details": {"stack_trace": "x".repeat(65_537)}}),
                "/error_details/stack_trace",
                "too_long",
            ),
            (json!({"payload": [1]}), "/payload", "wrong_type"),
            (json!({"metadata": "x"}), "/metadata", "wrong_type"),
            (json!({"timestamp": 1}), "/timestamp", "bad_timestamp"),
            (json!({"timestamp": "2027-01-15T08:05:01Z"}), "/timestamp", "timestamp_out_of_range"),
            (json!({"timestamp": "1969-12-31T23:59:59Z"}), "/timestamp", "timestamp_out_of_range"),
            (json!({"event_id": 5}), "/event_id", "bad_event_id"),
            (json!({"event_id": ""}), "/event_id", "bad_event_id"),
        ];
        for (members, pointer, code) in cases {
            let text = with(members);
            assert_eq!(findings(&text), [(pointer.to_owned(), code)], "{}", &text[..text.len().min(200)]);
        }
    }

    #[test]
    fn what_no_database_keeps_is_refused_for_that_event() {
        let event = |payload: &str| format!(r#"{{"payload":{payload},{}"#, &minimal().to_string()[1..]);
        for (payload, pointer, code) in [
            (r#"{"a":"\u0000"}"#, "/payload/a", "nul_not_allowed"),
            (r#"{"a":["\ud800"]}"#, "/payload/a/0", "bad_unicode"),
            (r#"{"a":1e400}"#, "/payload/a", "number_out_of_range"),
            (r#"{"a":1,"a":2}"#, "/payload/a", "duplicate_key"),
        ] {
            assert_eq!(findings(&event(payload)), [(pointer.to_owned(), code)], "{payload}");
        }
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(findings(&event(&deep))[0].1, "too_deep");
        let twice = format!(r#"{{"title":"u",{}"#, &minimal().to_string()[1..]);
        assert_eq!(findings(&twice), [("/title".to_owned(), "duplicate_key")]);
    }

    #[test]
    fn content_is_equal_however_it_is_spelled_and_whatever_the_id() {
        let hash = |text: &str| parse_text(text).expect("valid").content_hash;
        let plain = hash(&minimal().to_string());
        assert_eq!(
            plain,
            hash(&with(json!({"severity": "info", "message": null, "unknown": 1, "event_id": "x"})))
        );
        let (zulu, offset) =
            (json!({"timestamp": "2026-01-01T00:00:00Z"}), json!({"timestamp": "2026-01-01T01:00:00+01:00"}));
        assert_eq!(hash(&with(zulu.clone())), hash(&with(offset)));
        assert_ne!(plain, hash(&with(zulu)));
        for other in [
            json!({"severity": "error"}),
            json!({"message": ""}),
            json!({"payload": {}}),
            json!({"title": "T"}),
        ] {
            assert_ne!(plain, hash(&with(other)));
        }
    }

    /// Stored events are compared with those that are sent again after an upgrade.
    #[test]
    fn the_hash_of_some_content_is_the_same_in_every_release() {
        let text = with(json!({
            "timestamp": "2026-01-01T00:00:00Z", "severity": "error",
            "context": {"tags": {"z": "last", "a": "\u{e9}\n"}, "user_id": "u"},
            "metrics": {"status_code": 200, "response_time_ms": 18.40},
            "payload": {"zero": -0.0, "list": [1, -2.50, 1e300, 9_007_199_254_740_993_u64, true, null, {}], "b": {"d": 1, "c": "x"}},
        }));
        let hash = parse_text(&text).expect("valid").content_hash;
        assert_eq!(format!("{:032x}", u128::from_be_bytes(hash)), "751c02967d5cacba0bcc4166148d5b16");
    }

    #[test]
    fn text_of_title_message_error_and_payload_values_is_found() {
        let text = with(json!({
            "title": "Alpha", "message": "beta", "error_details": {"error_message": "Gamma"},
            "payload": {"name": ["delta", {"x": "epsilon"}]}, "metadata": {"y": "zeta"}, "context": {"tags": {"k": "v"}},
        }));
        let terms = parse_text(&text).expect("valid").terms;
        for word in ["alpha", "beta", "gamma", "delta", "epsilon"] {
            assert!(terms.iter().any(|term| term == Terms::word(TENANT, word)), "{word}");
        }
        assert!(!terms.iter().any(|term| term == Terms::word(TENANT, "zeta")));
        assert!(terms.iter().any(|term| term == Terms::tag(TENANT, "k:v")));
    }

    #[test]
    fn of_a_long_payload_the_beginning_is_found_and_of_all_else_everything() {
        let payload = "x".repeat(MAX_INDEXED_PAYLOAD_BYTES - 10);
        let text = with(json!({
            "title": "Alpha", "message": format!("{}beta", "m ".repeat(900)),
            "error_details": {"error_message": "Gamma"},
            "payload": {"texts": ["first", payload, "12345", "past it"]},
        }));
        let terms = parse_text(&text).expect("valid").terms;
        let is_found = |word| terms.iter().any(|term| term == Terms::word(TENANT, word));
        for word in ["alpha", "beta", "gamma", "first", "12345"] {
            assert!(is_found(word), "{word}");
        }
        assert!(!is_found("past") && !is_found("it"));
    }
}
