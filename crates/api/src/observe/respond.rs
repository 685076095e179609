//! What every answer carries, and what errors say.

use std::{fmt, time::Instant};

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    dev::ServiceResponse,
    http::{
        ConnectionType, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
            REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    web::Bytes,
};

use super::request_id::{RequestId, X_REQUEST_ID};
use crate::{
    error::ApiError,
    problem::{PROBLEM_JSON, Problem},
};

const X_PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");

/// What is on every answer that does not say otherwise. Nothing here is meant for a browser.
const DEFAULTS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// A year. Only over TLS: a browser has to ignore it otherwise (RFC 6797 §7.2).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Gives an error its body and every answer its headers.
pub(super) fn complete(
    mut response: ServiceResponse<BoxBody>,
    id: &RequestId,
    started: Instant,
    is_secure: bool,
) -> ServiceResponse<BoxBody> {
    if let Some(problem) = problem_of(&response) {
        response = response.map_body(|head, _| {
            set_problem_headers(&mut head.headers, &problem, id);
            if problem.closes {
                head.set_connection_type(ConnectionType::Close);
            }
            BoxBody::new(problem.body(id.as_str()))
        });
    }
    set_headers(response.headers_mut(), id, started, is_secure);
    response
}

/// The problem of an answer that stands for an error.
fn problem_of(response: &ServiceResponse<BoxBody>) -> Option<Problem> {
    let error = response.response().error()?;
    let known = error.as_error::<ApiError>().map(ApiError::problem);
    // Anything else was refused by the framework, in a text of its own.
    Some(known.unwrap_or_else(|| Problem::of_status(response.status())))
}

fn set_problem_headers(headers: &mut HeaderMap, problem: &Problem, id: &RequestId) {
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    for (name, value) in &problem.headers {
        headers.insert(name.clone(), value.clone());
    }
    if let Some(seconds) = problem.retry_after_seconds(id.as_str()) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

fn set_headers(headers: &mut HeaderMap, id: &RequestId, started: Instant, is_secure: bool) {
    headers.insert(X_REQUEST_ID, id.to_header());
    headers.insert(X_PROCESS_TIME, process_time(started));
    if is_secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
    for (name, value) in DEFAULTS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
}

/// Seconds since the request came, to the microsecond.
fn process_time(started: Instant) -> HeaderValue {
    let seconds = format!("{:.6}", started.elapsed().as_secs_f64());
    HeaderValue::from_maybe_shared(Bytes::from(seconds)).expect("a number is printable ASCII")
}

/// The answer to a request that panicked.
pub(super) fn after_panic(id: &RequestId, started: Instant, is_secure: bool) -> Panicked {
    Panicked { id: id.to_header(), process_time: process_time(started), is_secure }
}

/// A request panicked; everything its answer needs.
#[derive(Debug)]
pub(super) struct Panicked {
    id: HeaderValue,
    process_time: HeaderValue,
    is_secure: bool,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request panicked")
    }
}

impl ResponseError for Panicked {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        let id = self.id.to_str().unwrap_or_default();
        let mut response = HttpResponse::new(self.status_code());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(X_REQUEST_ID, self.id.clone());
        headers.insert(X_PROCESS_TIME, self.process_time.clone());
        if self.is_secure {
            headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
        }
        for (name, value) in DEFAULTS {
            headers.insert(name, value);
        }
        response.set_body(BoxBody::new(ApiError::Internal.problem().body(id)))
    }
}
