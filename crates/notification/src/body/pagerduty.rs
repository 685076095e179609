//! The body of a PagerDuty event, version 2 of its Events API: one per alert.
//!
//! <https://developer.pagerduty.com/docs/send-alert-event>

use std::{collections::BTreeMap, fmt::Write};

use bytes::Bytes;
use pulsestream_domain::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Detail, fit_json};
use crate::{
    Alert, Notice, RoutingKey, Severity, Status,
    text::{cut, link, one_line},
};

const MAX_SUMMARY_CHARS: usize = 1_024;
/// PagerDuty takes 255 characters; the rule's id and a slash are 37.
const MAX_FINGERPRINT_BYTES: usize = 200;

/// The event that opens or closes the incident of one alert.
pub(crate) fn pagerduty(notice: &Notice, alert: &Alert, routing_key: &RoutingKey) -> Bytes {
    fit_json(|detail| Event {
        routing_key: routing_key.reveal(),
        event_action: match alert.status {
            Status::Firing => "trigger",
            Status::Resolved => "resolve",
        },
        dedup_key: dedup_key(notice, alert),
        client: "PulseStream",
        client_url: link(notice.url.as_deref()),
        links: link(alert.url.as_deref()).into_iter().map(|href| Link { href, text: "Alert" }).collect(),
        payload: Payload {
            summary: summary(alert, detail),
            source: alert
                .labels
                .get("service")
                .map_or_else(|| "pulsestream".to_owned(), |name| detail.title(name)),
            severity: match alert.severity {
                Severity::Critical => "critical",
                Severity::High => "error",
                Severity::Medium => "warning",
                Severity::Low => "info",
            },
            timestamp: alert.starts_at,
            class: detail.title(&notice.rule.name),
            custom_details: Details {
                message: detail.text(&alert.message),
                labels: detail.labels(&alert.labels),
                annotations: detail.labels(&alert.annotations),
                event_count: alert.event_count,
            },
        },
    })
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: String,
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<&'a str>,
    links: Vec<Link<'a>>,
    payload: Payload,
}

#[derive(Serialize)]
struct Link<'a> {
    href: &'a str,
    text: &'static str,
}

#[derive(Serialize)]
struct Payload {
    summary: String,
    source: String,
    severity: &'static str,
    timestamp: Timestamp,
    class: String,
    custom_details: Details,
}

#[derive(Serialize)]
struct Details {
    message: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    event_count: u64,
}

/// The same for all events of one alert. A fingerprint is unique within its rule only, and several rules may
/// share a routing key, so the rule is part of it.
fn dedup_key(notice: &Notice, alert: &Alert) -> String {
    let fits = alert.fingerprint.len() <= MAX_FINGERPRINT_BYTES;
    let mut key = format!("{}/", notice.rule.id);
    if fits {
        key.push_str(&alert.fingerprint);
        return key;
    }
    for byte in Sha256::digest(alert.fingerprint.as_bytes()) {
        write!(key, "{byte:02x}").expect("writing to a String never fails");
    }
    key
}

/// Must not be empty.
fn summary(alert: &Alert, detail: Detail) -> String {
    let title = one_line(&cut(&alert.title, detail.chars.min(MAX_SUMMARY_CHARS)));
    if title.trim().is_empty() { "Alert".to_owned() } else { title }
}
