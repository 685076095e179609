//! The headers that tell a tenant where it stands with its limit.
//!
//! `RateLimit-Policy` and `RateLimit` follow draft-ietf-httpapi-ratelimit-headers at commit 0669b82. It is no
//! RFC yet: everything that depends on it is in this file. `X-RateLimit-*` is for existing clients.

use std::fmt::Write;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use pulsestream_rate_limit::{Policy, Quota, Usage};

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Writes where the tenant stands.
pub(crate) fn set_rate_limit(headers: &mut HeaderMap, usage: &Usage) {
    let policies = [(Policy::PerMinute, Some(usage.minute)), (Policy::Burst, usage.burst)];
    let (mut policy, mut standing) = (String::with_capacity(96), String::with_capacity(48));
    for (name, quota) in policies {
        if let Some(quota) = quota {
            append(&mut policy, &mut standing, name, quota);
        }
    }
    headers.insert(RATELIMIT_POLICY, text(policy));
    headers.insert(RATELIMIT, text(standing));
    headers.insert(X_RATELIMIT_LIMIT, HeaderValue::from(usage.limit));
    headers.insert(X_RATELIMIT_REMAINING, HeaderValue::from(usage.remaining));
    // Rounded up: at that second there is room, not just before it.
    let reset = usage.reset_at.plus_micros(999_999).as_secs();
    headers.insert(X_RATELIMIT_RESET, HeaderValue::from(reset));
}

/// The registered units are requests, bytes and concurrent requests. Ours is events, so it is a parameter of
/// our own.
fn append(policy: &mut String, standing: &mut String, name: Policy, quota: Quota) {
    let separator = if policy.is_empty() { "" } else { ", " };
    let (name, window) = (name.as_str(), name.window_seconds());
    let Quota { limit, remaining, reset_after_seconds } = quota;
    // Writing to a string can't fail.
    let _ = write!(policy, "{separator}\"{name}\";q={limit};w={window};pulsestream-unit=\"events\"");
    let _ = write!(standing, "{separator}\"{name}\";r={remaining};t={reset_after_seconds}");
}

fn text(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(actix_web::web::Bytes::from(text))
        .expect("names and numbers are printable ASCII")
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::Timestamp;

    use super::*;

    fn written(usage: &Usage) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        set_rate_limit(&mut headers, usage);
        let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
        let mut written: Vec<_> = headers.iter().map(|(n, v)| (n.to_string(), text(v))).collect();
        written.sort();
        written
    }

    #[test]
    fn both_policies_are_told_with_what_is_left_of_them() {
        let usage = Usage {
            limit: 100,
            remaining: 0,
            reset_at: Timestamp::from_micros(1_800_000_059_000_001),
            retry_after_seconds: 1,
            exhausted: Some(Policy::Burst),
            minute: Quota { limit: 100, remaining: 90, reset_after_seconds: 60 },
            burst: Some(Quota { limit: 10, remaining: 0, reset_after_seconds: 1 }),
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            written(&usage),
            [
                pair("ratelimit", r#""minute";r=90;t=60, "burst";r=0;t=1"#),
                pair(
                    "ratelimit-policy",
                    r#""minute";q=100;w=60;pulsestream-unit="events", "burst";q=10;w=1;pulsestream-unit="events""#
                ),
                pair("x-ratelimit-limit", "100"),
                pair("x-ratelimit-remaining", "0"),
                pair("x-ratelimit-reset", "1800000060"),
            ]
        );
    }

    #[test]
    fn a_burst_limit_that_never_bites_is_not_told() {
        let usage = Usage {
            limit: 100,
            remaining: 100,
            reset_at: Timestamp::from_secs(1_800_000_000),
            retry_after_seconds: 0,
            exhausted: None,
            minute: Quota { limit: 100, remaining: 100, reset_after_seconds: 0 },
            burst: None,
        };
        assert_eq!(written(&usage)[0].1, r#""minute";r=100;t=0"#);
        assert_eq!(written(&usage)[4].1, "1800000000");
    }
}
