//! Reading the members of an event with the right types, and collecting what has the wrong one.

use std::{borrow::Cow, collections::HashSet};

use super::{
    FieldError, MAX_PAYLOAD_BYTES, Reason,
    draft::{Context, Draft, ErrorDetails, Metrics, Source},
    json::{self, Member},
};
use crate::Timestamp;

/// How far ahead of the server a client's clock may be.
const MAX_AHEAD_SECS: i64 = 5 * 60;

/// The members of an event that mean something, in the order of [`NAMES`], without those that are `null`.
pub(super) struct Known<'a>(pub(super) [Option<&'a str>; NAMES.len()]);

/// Every member of an event, in the order its content is hashed.
pub(super) const NAMES: [&str; 12] = [
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
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        NAMES.iter().position(|known| *known == name).and_then(|at| self.0[at])
    }
}

/// Reads members and collects what is wrong with them.
pub(super) struct Reader {
    pub(super) errors: Vec<FieldError>,
}

impl Reader {
    pub(super) fn refuse(&mut self, pointer: impl Into<String>, reason: Reason) {
        self.errors.push(FieldError::new(pointer, reason));
    }

    pub(super) fn known_members<'a>(&mut self, members: Vec<Member<'a>>) -> Known<'a> {
        let mut known = Known([None; NAMES.len()]);
        let mut seen = [false; NAMES.len()];
        // Only names that mean nothing to us need hashing, and mostly there is none.
        let mut seen_unknown = HashSet::new();
        for (name, raw) in members {
            let is_first = match NAMES.iter().position(|known| *known == name) {
                Some(at) => {
                    known.0[at] = (raw != "null").then_some(raw);
                    !std::mem::replace(&mut seen[at], true)
                }
                None => seen_unknown.insert(name.clone()),
            };
            if !is_first {
                self.refuse(format!("/{}", name.replace('~', "~0").replace('/', "~1")), Reason::DuplicateKey);
            }
        }
        known
    }

    pub(super) fn draft<'a>(&mut self, known: &Known<'a>) -> Draft<'a> {
        if known.get("payload").is_some_and(|raw| raw.len() > MAX_PAYLOAD_BYTES) {
            self.refuse("/payload", Reason::PayloadTooLarge);
        }
        for name in ["payload", "metadata"] {
            // Free objects: nobody looks at their members one by one.
            if known.get(name).is_some_and(|raw| !raw.starts_with('{')) {
                self.refuse(format!("/{name}"), Reason::WrongType);
            }
        }
        Draft {
            event_type: self.text("", "event_type", known.get("event_type")),
            event_id: self.event_id(known.get("event_id")),
            title: self.text("", "title", known.get("title")),
            message: self.text("", "message", known.get("message")),
            severity: self.text("", "severity", known.get("severity")),
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
        let mut text = |name| self.text("/source", name, find(members, name));
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
        let mut text = |name| self.text("/context", name, find(members, name));
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
        let mut number = |name, whole| self.number(name, find(members, name), whole);
        Metrics {
            response_time_ms: number("response_time_ms", false),
            status_code: number("status_code", true),
            request_size_bytes: number("request_size_bytes", true),
            response_size_bytes: number("response_size_bytes", true),
        }
    }

    fn error_details<'a>(&mut self, members: &[Member<'a>]) -> ErrorDetails<'a> {
        let mut text = |name| self.text("/error_details", name, find(members, name));
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

    /// A pointer is put together only when there is something to point at.
    fn text<'a>(&mut self, under: &str, name: &str, raw: Option<&'a str>) -> Option<Cow<'a, str>> {
        match json::text(raw?) {
            Some(Ok(text)) => Some(text),
            // Found, with its place, when the content is hashed; present, so not "required" as well.
            Some(Err(_)) => Some(Cow::Borrowed("?")),
            None => {
                self.refuse(format!("{under}/{name}"), Reason::WrongType);
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

    fn number(&mut self, name: &str, raw: Option<&str>, whole: bool) -> Option<f64> {
        let raw = raw?;
        let is_number = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let value = raw.parse::<f64>().ok().filter(|value| is_number && (!whole || value.fract() == 0.0));
        if value.is_none() {
            self.refuse(format!("/metrics/{name}"), Reason::WrongType);
        }
        value
    }

    pub(super) fn name<T: std::str::FromStr>(&mut self, pointer: &str, text: Option<&str>) -> Option<T> {
        let parsed = text?.parse().ok();
        if parsed.is_none() {
            self.refuse(pointer, Reason::UnknownValue);
        }
        parsed
    }

    pub(super) fn timestamp(&mut self, raw: Option<&str>, now: Timestamp) -> Option<Timestamp> {
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
}

/// The text of a member, unless it is absent or `null`.
pub(super) fn find<'a>(members: &[Member<'a>], name: &str) -> Option<&'a str> {
    members.iter().find(|(known, _)| known == name).map(|(_, raw)| *raw).filter(|raw| *raw != "null")
}
