//! One request over HTTP, and what its answer means.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use pulsestream_domain::Timestamp;
use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::time::{Instant, timeout_at};

use super::{
    Destination, OutboundPolicy, Resolver, Slots,
    resolver::{Blocked, GuardedResolver, NotResolved},
};
use crate::{
    Attempt, BuildError, Outcome, Reason,
    causes::{causes, is_tls},
    schedule::MAX_RETRY_AFTER,
    text,
};

const USER_AGENT: &str = concat!("PulseStream/", env!("CARGO_PKG_VERSION"));
/// What is read of an answer. Beyond it the connection is closed.
const MAX_ANSWER_BYTES: usize = 64 * 1_024;
const REQUESTS_PER_HOST: usize = 4;

/// How long things may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Looking up the name, connecting and encrypting.
    pub connect: Duration,
    /// A whole attempt, including the wait for a free slot and the reading of the answer.
    pub total: Duration,
}

/// 5 s to connect, 15 s in total.
impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(15) }
    }
}

/// Makes requests that the policy allows, and no others.
#[derive(Debug)]
pub(crate) struct HttpClient {
    client: Client,
    policy: Arc<OutboundPolicy>,
    slots: Slots,
    timeouts: Timeouts,
}

/// A body of JSON on its way to a receiver.
pub(crate) struct Post<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl HttpClient {
    pub(crate) fn new(
        policy: Arc<OutboundPolicy>,
        timeouts: Timeouts,
        tls: rustls::ClientConfig,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, BuildError> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(GuardedResolver { resolver, policy: policy.clone() }))
            // A proxy would connect to whatever it is told, behind the guard's back.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .https_only(!policy.allow_http)
            .http1_only()
            // Each attempt is one request over one connection of its own: none is sent again, or over a
            // connection whose address was checked under another answer.
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            // An answer stays as long as it was sent, even where another crate turns these features on.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total)
            .build()
            .map_err(BuildError::Http)?;
        Ok(Self { client, policy, slots: Slots::new(REQUESTS_PER_HOST), timeouts })
    }

    /// When an attempt that begins now has to be over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeouts.total
    }

    /// Makes one request. It is over by the deadline.
    pub(crate) async fn post(&self, post: Post<'_>, deadline: Instant, now: Timestamp) -> Attempt {
        let start = Instant::now();
        let (outcome, status, excerpt) = self.request(post, deadline, now).await;
        Attempt { outcome, status: status.map(|status| status.as_u16()), duration: start.elapsed(), excerpt }
    }

    async fn request(
        &self,
        post: Post<'_>,
        deadline: Instant,
        now: Timestamp,
    ) -> (Outcome, Option<StatusCode>, String) {
        let without_answer = |outcome| (outcome, None, String::new());
        if post.destination.check(&self.policy).is_err() {
            return without_answer(Outcome::Blocked);
        }
        let Ok(_slot) = timeout_at(deadline, self.slots.take(post.destination.host())).await else {
            return without_answer(Outcome::retry(Reason::HostBusy));
        };
        let request = self.client.post(post.destination.url().clone());
        let request = request.headers(post.headers).header(CONTENT_TYPE, "application/json").body(post.body);
        let mut response = match timeout_at(deadline, request.send()).await {
            Err(_) => return without_answer(Outcome::retry(Reason::TimedOut)),
            Ok(Err(error)) => {
                let outcome = outcome_of_error(&error);
                tracing::debug!(error = %chain(&error.without_url()), "a notice was not answered");
                return without_answer(outcome);
            }
            Ok(Ok(response)) => response,
        };
        let outcome = outcome_of_status(response.status(), response.headers().get(RETRY_AFTER), now);
        let answer = read(&mut response, deadline).await;
        (outcome, Some(response.status()), text::excerpt(&answer))
    }
}

/// The beginning of the answer. Its status is known by now and decides; how the rest ends does not matter.
async fn read(response: &mut Response, deadline: Instant) -> Vec<u8> {
    let mut answer = Vec::new();
    while answer.len() < MAX_ANSWER_BYTES {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => answer.extend_from_slice(&chunk),
            Ok(Ok(None) | Err(_)) | Err(_) => break,
        }
    }
    answer
}

/// Only 2xx is success. What is refused because of *this* request stays refused; everything else may change,
/// even a 404, and an alert is worth the few attempts to find out.
fn outcome_of_status(status: StatusCode, retry_after: Option<&HeaderValue>, now: Timestamp) -> Outcome {
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        300..=399 => Outcome::Failed { reason: Reason::Redirected },
        410 => Outcome::Gone,
        400 | 405 | 406 | 411 | 413 | 414 | 415 | 422 | 431 => Outcome::Failed { reason: Reason::Refused },
        429 | 503 => {
            let retry_after = retry_after.and_then(|value| pause(value.to_str().ok()?, now));
            Outcome::Retry { reason: Reason::BadStatus, retry_after }
        }
        _ => Outcome::retry(Reason::BadStatus),
    }
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or a date. Never more than [`MAX_RETRY_AFTER`].
fn pause(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let seconds = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for an integer is a very long time.
        value.parse().unwrap_or(u64::MAX)
    } else {
        let date = OffsetDateTime::parse(value, &Rfc2822).ok()?;
        u64::try_from(date.unix_timestamp() - now.as_secs()).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

fn outcome_of_error(error: &reqwest::Error) -> Outcome {
    if any_cause(error, |cause| cause.is::<Blocked>()) {
        return Outcome::Blocked;
    }
    let reason = if any_cause(error, |cause| cause.is::<NotResolved>()) {
        Reason::NameNotResolved
    } else if any_cause(error, is_tls) {
        Reason::TlsFailed
    } else if error.is_timeout() {
        Reason::TimedOut
    } else if error.is_connect() {
        Reason::Unreachable
    } else {
        Reason::ConnectionLost
    };
    Outcome::retry(reason)
}

fn any_cause(error: &(dyn Error + 'static), is_it: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    causes(error).any(is_it)
}

fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).map(|cause| text::one_line(&cause.to_string())).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemResolver;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000); // Fri, 15 Jan 2027 08:00:00 GMT

    #[test]
    fn each_status_means_one_thing() {
        let failed = |reason| Outcome::Failed { reason };
        for (statuses, outcome) in [
            (&[200_u16, 201, 202, 204, 299][..], Outcome::Delivered),
            (&[300, 301, 302, 303, 304, 307, 308], failed(Reason::Redirected)),
            (&[410], Outcome::Gone),
            (&[400, 405, 413, 415, 422], failed(Reason::Refused)),
            (
                &[401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504, 599],
                Outcome::retry(Reason::BadStatus),
            ),
        ] {
            for status in statuses {
                let status = StatusCode::from_u16(*status).unwrap();
                assert_eq!(outcome_of_status(status, None, NOW), outcome, "{status}");
            }
        }
    }

    #[test]
    fn a_pause_is_honoured_where_it_belongs_and_capped() {
        let asked = |status: u16, value: &'static str| {
            let status = StatusCode::from_u16(status).unwrap();
            match outcome_of_status(status, Some(&HeaderValue::from_static(value)), NOW) {
                Outcome::Retry { retry_after, .. } => retry_after.map(|pause| pause.as_secs()),
                _ => None,
            }
        };
        assert_eq!(asked(429, "7"), Some(7));
        assert_eq!(asked(503, "0"), Some(0));
        assert_eq!(asked(503, "86400"), Some(3_600));
        assert_eq!(asked(429, "99999999999999999999999"), Some(3_600));
        assert_eq!(asked(429, "Fri, 15 Jan 2027 08:00:30 GMT"), Some(30));
        assert_eq!(asked(429, "Fri, 15 Jan 2100 08:00:30 GMT"), Some(3_600));
        assert_eq!(asked(429, "Fri, 15 Jan 2027 07:00:00 GMT"), Some(0));
        for nonsense in ["", "soon", "-1", "1.5", "+7"] {
            assert_eq!(asked(429, nonsense), None, "{nonsense}");
        }
        assert_eq!(asked(500, "7"), None);
    }

    #[tokio::test]
    async fn an_attempt_that_gets_no_turn_says_so_and_sends_nothing() {
        let policy = Arc::new(OutboundPolicy::default());
        let tls = crate::notifier::tls(Vec::new()).unwrap();
        let http =
            HttpClient::new(policy.clone(), Timeouts::default(), tls, Arc::new(SystemResolver)).unwrap();
        let destination = Destination::parse("https://8.8.8.8/", &policy).unwrap();
        let mut taken = Vec::new();
        for _ in 0..REQUESTS_PER_HOST {
            taken.push(http.slots.take("8.8.8.8").await);
        }
        let post = Post { destination: &destination, headers: HeaderMap::new(), body: Bytes::new() };

        let attempt = http.post(post, Instant::now() + Duration::from_millis(20), NOW).await;

        assert_eq!(attempt.outcome, Outcome::retry(Reason::HostBusy));
    }
}
