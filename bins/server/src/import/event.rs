//! From a logged request to an event.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use url::Url;

use super::request_line::RequestLine;

const MAX_USER_AGENT_CHARS: usize = 500;
const MAX_USER_CHARS: usize = 255;

/// What is said about every event of an import, because no line says it.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    /// `source.service` of requests from access logs.
    pub(crate) service: String,
    /// `source.environment` of requests from access logs.
    pub(crate) environment: Option<String>,
    /// `metrics.response_time_ms` of requests whose log has no times. An event can't have a status code
    /// without one, and a search by status code is worth more than an honest percentile; so it is made up,
    /// and every such event says so in `metadata.response_time_assumed`.
    pub(crate) response_time_ms: f64,
}

/// What a log tells about one request. Texts that say nothing (`-`) are absent.
#[derive(Debug)]
pub(super) struct LoggedRequest {
    /// Address or name of the client.
    pub(super) remote_host: Option<String>,
    pub(super) user: Option<String>,
    /// RFC 3339.
    pub(super) timestamp: String,
    pub(super) request: RequestLine,
    pub(super) status: u16,
    pub(super) request_bytes: Option<u64>,
    pub(super) response_bytes: Option<u64>,
    pub(super) response_time_ms: Option<f64>,
    pub(super) referrer: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) request_id: Option<String>,
    /// Everything else, kept as it is.
    pub(super) payload: BTreeMap<String, Box<RawValue>>,
}

/// An event ready to be offered, and whether its response time was made up.
#[derive(Debug)]
pub(super) struct MappedEvent {
    pub(super) json: Box<RawValue>,
    pub(super) is_time_assumed: bool,
}

impl LoggedRequest {
    /// Makes the event. What an event's field can't hold (a name instead of an address, a referrer that is
    /// no URL, the end of a very long text) goes to the payload.
    pub(super) fn into_event(
        mut self,
        event_id: &str,
        mapping: &Mapping,
    ) -> Result<MappedEvent, serde_json::Error> {
        let is_address = |host: &String| host.parse::<IpAddr>().is_ok();
        let ip_address = self.remote_host.clone().filter(is_address);
        let referrer = self.referrer.clone().filter(|text| Url::parse(text).is_ok());
        let user_id = self.user.as_deref().map(|user| cut(user, MAX_USER_CHARS));
        let user_agent = self.user_agent.as_deref().map(|agent| cut(agent, MAX_USER_AGENT_CHARS));

        let was_cut = |kept: Option<&str>, whole: &Option<String>| kept != whole.as_deref();
        let left_over = [
            ("query", self.request.query()),
            ("protocol", self.request.protocol.as_deref()),
            ("target", self.request.is_cut().then_some(self.request.target.as_str())),
            ("remote_host", self.remote_host.as_deref().filter(|_| ip_address.is_none())),
            ("referrer", self.referrer.as_deref().filter(|_| referrer.is_none())),
            ("user", self.user.as_deref().filter(|_| was_cut(user_id, &self.user))),
            ("user_agent", self.user_agent.as_deref().filter(|_| was_cut(user_agent, &self.user_agent))),
        ];
        for (name, text) in left_over {
            if let Some(text) = text {
                self.payload.entry(name.to_owned()).or_insert(to_raw_value(text)?);
            }
        }

        let is_time_assumed = self.response_time_ms.is_none();
        let event = Event {
            event_id,
            event_type: "api_call",
            title: self.request.title(),
            severity: severity(self.status),
            source: Source {
                service: &mapping.service,
                endpoint: self.request.endpoint(),
                method: &self.request.method,
                environment: mapping.environment.as_deref(),
            },
            context: Context {
                user_id,
                request_id: self.request_id.as_deref(),
                ip_address: ip_address.as_deref(),
                user_agent,
                referrer: referrer.as_deref(),
            },
            metrics: Metrics {
                response_time_ms: self.response_time_ms.unwrap_or(mapping.response_time_ms),
                status_code: self.status,
                request_size_bytes: self.request_bytes,
                response_size_bytes: self.response_bytes,
            },
            payload: &self.payload,
            metadata: is_time_assumed.then_some(Metadata { response_time_assumed: true }),
            timestamp: &self.timestamp,
        };
        Ok(MappedEvent { json: to_raw_value(&event)?, is_time_assumed })
    }
}

/// Errors of the server are errors; errors of the client are worth a look.
fn severity(status: u16) -> &'static str {
    match status {
        500.. => "error",
        400..=499 => "warning",
        _ => "info",
    }
}

/// The first characters of a text.
pub(super) fn cut(text: &str, max_chars: usize) -> &str {
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}

#[derive(Serialize)]
struct Event<'a> {
    event_id: &'a str,
    event_type: &'static str,
    title: String,
    severity: &'static str,
    source: Source<'a>,
    context: Context<'a>,
    metrics: Metrics,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    payload: &'a BTreeMap<String, Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    timestamp: &'a str,
}

#[derive(Serialize)]
struct Source<'a> {
    service: &'a str,
    endpoint: &'a str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
}

#[derive(Serialize)]
struct Context<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer: Option<&'a str>,
}

#[derive(Serialize)]
struct Metrics {
    response_time_ms: f64,
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_size_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Metadata {
    response_time_assumed: bool,
}
