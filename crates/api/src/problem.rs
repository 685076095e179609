//! Problem documents: the body of every error (RFC 9457).

use std::borrow::Cow;

use actix_web::{
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::Bytes,
};
use pulsestream_domain::{
    Timestamp,
    event::{EventId, FieldError},
};
use serde::Serialize;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One error, as a client is told about it. Says nothing about the inside of the service.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// Stable, in `snake_case`: what a program may depend on.
    pub(crate) code: &'static str,
    /// One sentence for people.
    pub(crate) detail: Cow<'static, str>,
    pub(crate) errors: Vec<FieldError>,
    /// The event it is about, if it is about one whose id is known.
    pub(crate) event_id: Option<EventId>,
    /// When the stored event of that id was taken in.
    pub(crate) ingested_at: Option<Timestamp>,
    /// Which limits are used up.
    pub(crate) violated_policies: Vec<&'static str>,
    /// Whole seconds until another try is worthwhile.
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the connection is closed behind the answer, because the rest of the request is not wanted.
    pub(crate) closes: bool,
}

/// When to come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RetryAfter {
    /// After exactly so many seconds.
    Seconds(u64),
    /// Soon, but not all at the same moment.
    Scattered,
}

impl Problem {
    /// A problem with nothing but a status, a code and a sentence.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            event_id: None,
            ingested_at: None,
            violated_policies: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
            closes: false,
        }
    }

    /// The problem of an answer that has only a status: what the framework refuses by itself.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
            status if status.is_server_error() => "internal",
            _ => "bad_request",
        };
        Self::new(status, code, status.canonical_reason().unwrap_or("the request failed"))
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: RetryAfter) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    pub(crate) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429 | 500..)
    }

    /// The value of `Retry-After`. Scattered ones depend on the request id: clients that were refused together
    /// then come back apart.
    pub(crate) fn retry_after_seconds(&self, request_id: &str) -> Option<u64> {
        match self.retry_after? {
            RetryAfter::Seconds(seconds) => Some(seconds),
            RetryAfter::Scattered => {
                let sum: u64 = request_id.bytes().map(u64::from).sum();
                Some(1 + sum % 5)
            }
        }
    }

    /// The body.
    pub(crate) fn body(&self, request_id: &str) -> Bytes {
        // RFC 9457 §4.2.1: with `about:blank` the title is the status phrase. The other two types are
        // registered by draft-ietf-httpapi-ratelimit-headers.
        let (kind, title) = match (self.status, self.code) {
            (StatusCode::TOO_MANY_REQUESTS, _) => (
                "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "Request cannot be satisfied as assigned quota has been exceeded",
            ),
            (_, "overloaded" | "busy") => (
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
                "Request cannot be satisfied due to temporary server capacity constraints",
            ),
            (status, _) => ("about:blank", status.canonical_reason().unwrap_or("Error")),
        };
        let document = Document {
            kind,
            title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            retryable: self.is_retryable(),
            errors: &self.errors,
            event_id: self.event_id.as_ref(),
            ingested_at: self.ingested_at,
            violated_policies: &self.violated_policies,
        };
        // Strings and numbers only: it can't fail, and an empty body is what would be left to say.
        serde_json::to_vec(&document).map(Bytes::from).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingested_at: Option<Timestamp>,
    #[serde(rename = "violated-policies", skip_serializing_if = "<[_]>::is_empty")]
    violated_policies: &'a [&'static str],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_a_client_needs_and_nothing_else() {
        let problem = Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such event");
        let body: serde_json::Value = serde_json::from_slice(&problem.body("0123456789")).expect("JSON");
        assert_eq!(
            body,
            serde_json::json!({
                "type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no such event",
                "code": "not_found", "request_id": "0123456789", "retryable": false,
            })
        );
    }

    #[test]
    fn scattered_retries_come_within_five_seconds() {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "busy")
            .with_retry_after(RetryAfter::Scattered);
        for id in ["", "a", "b", "0123456789", "zzzzzzzz"] {
            assert!((1..=5).contains(&problem.retry_after_seconds(id).unwrap_or(0)));
        }
    }
}
