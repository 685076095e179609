//! Pages of other origins: off unless origins are named.
//!
//! Only what browsers ask about is answered (<https://fetch.spec.whatwg.org/#http-cors-protocol>). Cookies are
//! never meant: a credential is a header that the page's own script sets, so there is no
//! `Access-Control-Allow-Credentials`.

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::{
        Method,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
            HeaderValue, ORIGIN, VARY,
        },
    },
};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-encoding, content-type, idempotency-key, last-event-id, x-api-key, x-request-id",
);
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ratelimit, ratelimit-policy, retry-after, x-process-time, x-ratelimit-limit, x-ratelimit-remaining, \
     x-ratelimit-reset, x-request-id, x-text-index",
);
/// Two hours: the longest that browsers remember.
const REMEMBERED_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// What a request's origin may do.
pub(super) enum CrossOrigin {
    /// No origin is named in the settings.
    Off,
    /// The origin is none of those named, or there is none.
    Other,
    /// It is one of those named.
    Allowed(HeaderValue),
}

impl CrossOrigin {
    pub(super) fn of(request: &ServiceRequest, allowed: &[String]) -> Self {
        if allowed.is_empty() {
            return Self::Off;
        }
        let origin = request.headers().get(ORIGIN);
        let known = origin.filter(|origin| allowed.iter().any(|known| known.as_bytes() == origin.as_bytes()));
        known.map_or(Self::Other, |origin| Self::Allowed(origin.clone()))
    }

    /// The answer to the question whether a request may be sent, if it is one from an allowed origin.
    pub(super) fn preflight(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let is_preflight = matches!(self, Self::Allowed(_))
            && request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        is_preflight.then(|| {
            HttpResponse::NoContent()
                .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
                .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
                .insert_header((ACCESS_CONTROL_MAX_AGE, REMEMBERED_SECONDS))
                .finish()
        })
    }

    /// Tells the browser whether the page may see the answer.
    pub(super) fn set_headers(&self, headers: &mut HeaderMap) {
        if let Self::Allowed(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        if !matches!(self, Self::Off) {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }
}
