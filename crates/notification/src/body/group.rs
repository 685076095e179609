//! The bodies of webhooks: the shape that Alertmanager made a standard, and ours around it.
//!
//! <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>

use std::collections::BTreeMap;

use bytes::Bytes;
use pulsestream_domain::Timestamp;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use super::{Detail, fit_json};
use crate::{Alert, Notice, NoticeKind, Severity, Status, WebhookFormat, text::link};

/// A longer sample tells less than the link does.
const MAX_SAMPLE_BYTES: usize = 2_048;
/// What Alertmanager writes for "not yet".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The body of a webhook, minified.
pub(crate) fn group(notice: &Notice, format: WebhookFormat) -> Bytes {
    let facts = Facts::new(notice);
    match format {
        WebhookFormat::Alertmanager => fit_json(|detail| Group {
            version: Some("4"),
            alerts: facts.told(detail).iter().map(|told| AlertBody::new(told, detail)).collect(),
            ..Group::new(&facts, detail)
        }),
        WebhookFormat::PulseStream => fit_json(|detail| Envelope {
            r#type: match (notice.kind, notice.status()) {
                (NoticeKind::Test, _) => "channel.test",
                (NoticeKind::Alert, Status::Firing) => "alert.firing",
                (NoticeKind::Alert, Status::Resolved) => "alert.resolved",
            },
            timestamp: notice.occurred_at,
            data: Group {
                rule: Some(RuleBody::new(notice, detail)),
                alerts: facts.told(detail).iter().map(|told| AlertBody::with_ours(told, detail)).collect(),
                ..Group::new(&facts, detail)
            },
        }),
    }
}

/// What does not depend on how much is told: worked out once.
struct Facts<'a> {
    notice: &'a Notice,
    group_key: String,
    common_labels: Labels<'a>,
    common_annotations: Labels<'a>,
    /// The alerts that may be told.
    alerts: Vec<Told<'a>>,
}

struct Told<'a> {
    alert: &'a Alert,
    labels: Labels<'a>,
    annotations: Labels<'a>,
    samples: Vec<Box<RawValue>>,
}

type Labels<'a> = BTreeMap<&'a str, &'a str>;

impl<'a> Facts<'a> {
    fn new(notice: &'a Notice) -> Self {
        let told = |alert| Told {
            alert,
            labels: labels(notice, alert),
            annotations: annotations(alert),
            samples: short_samples(alert),
        };
        Self {
            notice,
            group_key: group_key(notice),
            common_labels: common(notice.alerts.iter().map(|alert| labels(notice, alert))),
            common_annotations: common(notice.alerts.iter().map(annotations)),
            alerts: notice.alerts.iter().take(Detail::FULL.alerts).map(told).collect(),
        }
    }

    fn told(&self, detail: Detail) -> &[Told<'a>] {
        &self.alerts[..self.alerts.len().min(detail.alerts)]
    }
}

/// Standard Webhooks' envelope.
#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Group<'a>,
}

/// Alertmanager's group of alerts. What is `None` is of the other format.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    group_key: String,
    truncated_alerts: u64,
    status: Status,
    receiver: String,
    group_labels: BTreeMap<String, String>,
    common_labels: BTreeMap<String, String>,
    common_annotations: BTreeMap<String, String>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleBody>,
    alerts: Vec<AlertBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleBody {
    id: Uuid,
    name: String,
    window: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertBody<'a> {
    status: Status,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: Timestamp,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
    #[serde(flatten)]
    ours: Option<OurAlert<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OurAlert<'a> {
    id: Uuid,
    severity: Severity,
    title: String,
    message: String,
    event_count: u64,
    samples: &'a [Box<RawValue>],
}

impl<'a> Group<'a> {
    /// All of it but the alerts.
    fn new(facts: &Facts<'a>, detail: Detail) -> Self {
        let notice = facts.notice;
        Self {
            version: None,
            group_key: detail.title(&facts.group_key),
            truncated_alerts: notice.alert_count() - facts.told(detail).len() as u64,
            status: notice.status(),
            receiver: detail.title(&notice.receiver),
            group_labels: detail.labels(&notice.group_labels),
            common_labels: detail.labels(&facts.common_labels),
            common_annotations: detail.labels(&facts.common_annotations),
            external_url: link(notice.url.as_deref()).unwrap_or_default(),
            rule: None,
            alerts: Vec::new(),
        }
    }
}

impl RuleBody {
    fn new(Notice { rule, .. }: &Notice, detail: Detail) -> Self {
        Self { id: rule.id, name: detail.title(&rule.name), window: detail.title(&rule.window) }
    }
}

impl<'a> AlertBody<'a> {
    fn new(told: &Told<'a>, detail: Detail) -> Self {
        let alert = told.alert;
        Self {
            status: alert.status,
            labels: detail.labels(&told.labels),
            annotations: detail.labels(&told.annotations),
            starts_at: alert.starts_at,
            ends_at: alert.ends_at.map_or_else(|| NEVER.to_owned(), |ends_at| ends_at.to_string()),
            generator_url: link(alert.url.as_deref()).unwrap_or_default(),
            fingerprint: detail.title(&alert.fingerprint),
            ours: None,
        }
    }

    fn with_ours(told: &'a Told<'a>, detail: Detail) -> Self {
        let alert = told.alert;
        let ours = OurAlert {
            id: alert.id,
            severity: alert.severity,
            title: detail.title(&alert.title),
            message: detail.text(&alert.message),
            event_count: alert.event_count,
            samples: &told.samples[..told.samples.len().min(detail.samples)],
        };
        Self { ours: Some(ours), ..Self::new(told, detail) }
    }
}

/// Receivers route by `alertname` and `severity`, so both are labels of every alert.
fn labels<'a>(notice: &'a Notice, alert: &'a Alert) -> Labels<'a> {
    let mut labels = borrowed(&alert.labels);
    labels.insert("alertname", &notice.rule.name);
    labels.insert("severity", alert.severity.as_str());
    labels
}

/// Templates of receivers print `summary` and `description`.
fn annotations(alert: &Alert) -> Labels<'_> {
    let mut annotations = borrowed(&alert.annotations);
    annotations.insert("summary", &alert.title);
    annotations.insert("description", &alert.message);
    annotations
}

fn borrowed(labels: &BTreeMap<String, String>) -> Labels<'_> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// What all have in common.
fn common<'a>(mut sets: impl Iterator<Item = Labels<'a>>) -> Labels<'a> {
    let mut common = sets.next().unwrap_or_default();
    for set in sets {
        common.retain(|name, value| set.get(name) == Some(value));
    }
    common
}

/// Names the group: the rule, and the values it groups by.
fn group_key(notice: &Notice) -> String {
    let labels: Vec<_> =
        notice.group_labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}:{{{}}}", notice.rule.id, labels.join(","))
}

fn short_samples(alert: &Alert) -> Vec<Box<RawValue>> {
    let short = |sample: &Value| {
        let raw = serde_json::value::to_raw_value(sample).expect("a JSON value is one");
        (raw.get().len() <= MAX_SAMPLE_BYTES).then_some(raw)
    };
    alert.samples.iter().take(Detail::FULL.samples).filter_map(short).collect()
}
