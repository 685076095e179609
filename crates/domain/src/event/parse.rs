//! From the text of one event to a row, or to everything that is wrong with it.

use std::{borrow::Cow, collections::HashSet};

use serde_json::value::RawValue;
use uuid::Uuid;
use validator::Validate;

use super::{
    Document, Enrichment, EventId, EventType, FieldError, NewEvent, Reason, Severity, Terms,
    draft::{Context, Draft, ErrorDetails, Metrics, Source, field_errors},
    json::{self, Finding, Member},
    terms::{MAX_INDEXED_BYTES, WordSink},
};
use crate::{Timestamp, tenant::TenantId};

/// How long the text of `payload` may be: 10 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 10 * 1024 * 1024;

/// How far ahead of the server a client's clock may be.
const MAX_AHEAD_SECS: i64 = 5 * 60;

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
    let (content_hash, words) = reader.content(&known, severity.unwrap_or(Severity::Info), occurred_at);
    let event_id = draft.event_id.as_deref().and_then(|id| id.parse().ok());

    match (event_type, draft.source) {
        (Some(event_type), Some(source)) if reader.errors.is_empty() => {
            let metrics = draft.metrics.unwrap_or_default();
            let context = draft.context;
            let tags = context.tags.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
            let terms = Terms::new(defaults.tenant_id, &words.into_words(), tags);
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
        _ => Err(Refused { event_id, errors: reader.errors }),
    }
}

/// The members of an event that mean something, in the order of [`NAMES`], without those that are `null`.
struct Known<'a>([Option<&'a str>; NAMES.len()]);

/// Every member of an event, in the order its content is hashed.
const NAMES: [&str; 12] = [
    "event_id",
    "event_type",
    "severity",
    "title",
    "message",
    "source",
    "context",
    "metrics",
    "error_details",
    "payload",
    "metadata",
    "timestamp",
];

impl<'a> Known<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        NAMES.iter().position(|known| *known == name).and_then(|at| self.0[at])
    }
}

/// Reads members and collects what is wrong with them.
struct Reader {
    errors: Vec<FieldError>,
}

impl Reader {
    fn refuse(&mut self, pointer: impl Into<String>, reason: Reason) {
        self.errors.push(FieldError::new(pointer, reason));
    }

    fn known_members<'a>(&mut self, members: Vec<Member<'a>>) -> Known<'a> {
        let mut known = Known([None; NAMES.len()]);
        let mut seen = HashSet::with_capacity(members.len());
        for (name, raw) in members {
            if let Some(at) = NAMES.iter().position(|known| *known == name) {
                known.0[at] = (raw != "null").then_some(raw);
            }
            if let Some(twice) = seen.replace(name) {
                self.refuse(
                    format!("/{}", twice.replace('~', "~0").replace('/', "~1")),
                    Reason::DuplicateKey,
                );
            }
        }
        known
    }

    fn draft<'a>(&mut self, known: &Known<'a>) -> Draft<'a> {
        if known.get("payload").is_some_and(|raw| raw.len() > MAX_PAYLOAD_BYTES) {
            self.refuse("/payload", Reason::PayloadTooLarge);
        }
        for name in ["payload", "metadata"] {
            self.object(name, known);
        }
        Draft {
            event_type: self.text("/event_type", known.get("event_type")),
            event_id: self.event_id(known.get("event_id")),
            title: self.text("/title", known.get("title")),
            message: self.text("/message", known.get("message")),
            severity: self.text("/severity", known.get("severity")),
            source: self.object("source", known).map(|members| self.source(&members)),
            context: self.object("context", known).map(|members| self.context(&members)).unwrap_or_default(),
            metrics: self.object("metrics", known).map(|members| self.metrics(&members)),
            error_details: self
                .object("error_details", known)
                .map(|members| self.error_details(&members))
                .unwrap_or_default(),
        }
    }

    fn source<'a>(&mut self, members: &[Member<'a>]) -> Source<'a> {
        let mut text = |name| self.text(&format!("/source/{name}"), find(members, name));
        Source {
            service: text("service"),
            endpoint: text("endpoint"),
            method: text("method"),
            version: text("version"),
            environment: text("environment"),
        }
    }

    fn context<'a>(&mut self, members: &[Member<'a>]) -> Context<'a> {
        let tags = self.tags(find(members, "tags"));
        let mut text = |name| self.text(&format!("/context/{name}"), find(members, name));
        Context {
            user_id: text("user_id"),
            session_id: text("session_id"),
            request_id: text("request_id"),
            ip_address: text("ip_address"),
            user_agent: text("user_agent"),
            referrer: text("referrer"),
            tags,
        }
    }

    fn tags<'a>(&mut self, raw: Option<&'a str>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        let Some(raw) = raw else { return Vec::new() };
        let Some(members) = json::members(raw) else {
            self.refuse("/context/tags", Reason::WrongType);
            return Vec::new();
        };
        let mut tags = Vec::with_capacity(members.len());
        for (name, raw) in members {
            match json::text(raw) {
                Some(Ok(value)) => tags.push((name, value)),
                // A text that does not decode is found, with its place, when the content is hashed.
                Some(Err(_)) => {}
                None => {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    self.refuse(format!("/context/tags/{name}"), Reason::WrongType);
                }
            }
        }
        tags
    }

    fn metrics(&mut self, members: &[Member<'_>]) -> Metrics {
        let cache_hit = find(members, "cache_hit");
        if cache_hit.is_some_and(|raw| raw != "true" && raw != "false") {
            self.refuse("/metrics/cache_hit", Reason::WrongType);
        }
        let mut number = |name, whole| self.number(&format!("/metrics/{name}"), find(members, name), whole);
        Metrics {
            response_time_ms: number("response_time_ms", false),
            status_code: number("status_code", true),
            request_size_bytes: number("request_size_bytes", true),
            response_size_bytes: number("response_size_bytes", true),
        }
    }

    fn error_details<'a>(&mut self, members: &[Member<'a>]) -> ErrorDetails<'a> {
        let mut text = |name| self.text(&format!("/error_details/{name}"), find(members, name));
        ErrorDetails {
            error_code: text("error_code"),
            error_message: text("error_message"),
            error_type: text("error_type"),
            stack_trace: text("stack_trace"),
        }
    }

    fn object<'a>(&mut self, name: &str, known: &Known<'a>) -> Option<Vec<Member<'a>>> {
        let raw = known.get(name)?;
        let members = json::members(raw);
        if members.is_none() {
            self.refuse(format!("/{name}"), Reason::WrongType);
        }
        members
    }

    fn text<'a>(&mut self, pointer: &str, raw: Option<&'a str>) -> Option<Cow<'a, str>> {
        match json::text(raw?) {
            Some(Ok(text)) => Some(text),
            // Found, with its place, when the content is hashed; present, so not "required" as well.
            Some(Err(_)) => Some(Cow::Borrowed("?")),
            None => {
                self.refuse(pointer, Reason::WrongType);
                None
            }
        }
    }

    /// An id of another type is a bad id, not a bad type: one code for one thing to mend.
    fn event_id<'a>(&mut self, raw: Option<&'a str>) -> Option<Cow<'a, str>> {
        match json::text(raw?) {
            Some(Ok(text)) => Some(text),
            _ => Some(Cow::Borrowed("")),
        }
    }

    fn number(&mut self, pointer: &str, raw: Option<&str>, whole: bool) -> Option<f64> {
        let raw = raw?;
        match raw.parse::<f64>() {
            Ok(value) if raw.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) => {
                if whole && value.fract() != 0.0 {
                    self.refuse(pointer, Reason::WrongType);
                    return None;
                }
                Some(value)
            }
            _ => {
                self.refuse(pointer, Reason::WrongType);
                None
            }
        }
    }

    fn name<T: std::str::FromStr>(&mut self, pointer: &str, text: Option<&str>) -> Option<T> {
        let parsed = text?.parse().ok();
        if parsed.is_none() {
            self.refuse(pointer, Reason::UnknownValue);
        }
        parsed
    }

    fn timestamp(&mut self, raw: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        let parsed = match json::text(raw?) {
            Some(Ok(text)) => Timestamp::parse(&text).ok(),
            _ => None,
        };
        match parsed {
            None => self.refuse("/timestamp", Reason::BadTimestamp),
            Some(at) if at < Timestamp::EPOCH || at > now.plus_secs(MAX_AHEAD_SECS) => {
                self.refuse("/timestamp", Reason::TimestampOutOfRange);
            }
            Some(_) => {}
        }
        parsed
    }

    /// Hashes the content, gathers the words, and finds what no database keeps.
    fn content(
        &mut self,
        known: &Known<'_>,
        severity: Severity,
        at: Option<Timestamp>,
    ) -> ([u8; 16], WordSink) {
        let mut canonical = Vec::with_capacity(512);
        let mut words = WordSink::new(MAX_INDEXED_BYTES);
        for (name, raw) in NAMES.iter().zip(known.0) {
            let Some(raw) = raw else { continue };
            let before = canonical.len();
            canonical.extend_from_slice(name.as_bytes());
            let indexed = matches!(*name, "title" | "message" | "payload").then_some(&mut words);
            if let Err(Finding { pointer, reason }) = json::canonicalize(raw, 1, indexed, &mut canonical)
                && !self.errors.iter().any(|error| error.pointer == format!("/{name}"))
            {
                self.refuse(format!("/{name}{pointer}"), reason);
            }
            if matches!(*name, "event_id" | "severity" | "timestamp") {
                canonical.truncate(before);
            }
        }
        canonical.extend_from_slice(severity.as_str().as_bytes());
        canonical.extend_from_slice(&at.map_or(-1, Timestamp::as_micros).to_le_bytes());
        let error_message = known.get("error_details").and_then(json::members);
        if let Some(Ok(text)) = error_message.and_then(|m| find(&m, "error_message").and_then(json::text)) {
            words.add(&text);
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::hash(&canonical).as_bytes()[..16]);
        (hash, words)
    }
}

fn find<'a>(members: &[Member<'a>], name: &str) -> Option<&'a str> {
    members.iter().find(|(known, _)| known == name).map(|(_, raw)| *raw).filter(|raw| *raw != "null")
}

fn document(known: &Known<'_>) -> Document {
    let source = known.get("source").and_then(json::members).unwrap_or_default();
    Document::join(Document::NAMES.into_iter().filter_map(|name| {
        let raw = if name == "version" { find(&source, name) } else { known.get(name) };
        Some((name, raw?))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn every_broken_rule_is_named_at_once() {
        let mut found = findings(
            r#"{"title": "", "severity": "high", "source": {"service": 5, "method": "M"}, "event_id": "a b"}"#,
        );
        found.sort();
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
}
