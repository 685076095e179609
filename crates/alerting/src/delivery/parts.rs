//! From a channel and facts to what is sent.

use std::collections::BTreeMap;

use pulsestream_domain::{
    Timestamp,
    alerting::{
        AlertSeverity, Channel, Delivery, DeliveryReason, Destination, Firing, FiringStatus, WebhookFormat,
    },
    identity::Email,
};
use pulsestream_notification as notification;
use pulsestream_notification::{DestinationError, ExtraHeaders, Notice, NoticeKind, OutboundPolicy};
use serde_json::Value;

use super::ChannelSecrets;

/// One request or letter to make: a way, and what goes it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) channel: notification::Channel,
    pub(crate) notice: Notice,
}

/// Why a channel leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoWay {
    /// Its address may not be reached.
    Blocked,
    /// It lacks a secret, or holds something that is no address, key or header.
    Malformed,
}

/// Everything that one delivery is sent as. The same parts in the same order at every attempt, as long as the
/// channel is not changed.
pub(crate) fn parts(
    delivery: &Delivery,
    channel: &Channel,
    secrets: &ChannelSecrets,
    policy: &OutboundPolicy,
    public_url: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Part>, NoWay> {
    let ways = ways(channel, secrets, policy, now)?;
    let notice = notice(delivery, channel, public_url);
    Ok(ways.into_iter().flat_map(|way| cut(way, &notice)).collect())
}

/// The letters to the owners of a tenant about one of its channels. An address that no letter can go to has none.
pub(crate) fn letters_to_owners(
    delivery: &Delivery,
    channel: &Channel,
    owners: &[Email],
    public_url: Option<&str>,
) -> Vec<Part> {
    let notice = notice(delivery, channel, public_url);
    let ways = owners.iter().filter_map(|owner| owner.as_str().parse().ok());
    ways.flat_map(|to| cut(notification::Channel::Email { to }, &notice)).collect()
}

/// Mail goes to each of its receivers by itself, so that one that refuses it keeps it from nobody else.
fn ways(
    channel: &Channel,
    secrets: &ChannelSecrets,
    policy: &OutboundPolicy,
    now: Timestamp,
) -> Result<Vec<notification::Channel>, NoWay> {
    let parse = |url: &str| {
        notification::Destination::parse(url, policy).map_err(|error| match error {
            DestinationError::Malformed | DestinationError::TooLong | DestinationError::Credentials => {
                NoWay::Malformed
            }
            DestinationError::Scheme | DestinationError::BlockedAddress | DestinationError::BlockedPort => {
                NoWay::Blocked
            }
        })
    };
    let given = &secrets.given;
    Ok(match &channel.destination {
        Destination::Webhook { url, format, .. } => {
            let headers = given.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            vec![notification::Channel::Webhook {
                destination: parse(url)?,
                format: match format {
                    WebhookFormat::Standard => notification::WebhookFormat::PulseStream,
                    WebhookFormat::Alertmanager => notification::WebhookFormat::Alertmanager,
                },
                secrets: secrets.signing_at(now).ok_or(NoWay::Malformed)?,
                headers: ExtraHeaders::new(headers).map_err(|_| NoWay::Malformed)?,
            }]
        }
        Destination::Slack { .. } => {
            let url = given.url.as_deref().ok_or(NoWay::Malformed)?;
            vec![notification::Channel::Slack { destination: parse(url)? }]
        }
        Destination::Email { to } => {
            let way = |address: &String| {
                let to = address.parse().map_err(|_| NoWay::Malformed)?;
                Ok(notification::Channel::Email { to })
            };
            to.iter().map(way).collect::<Result<_, _>>()?
        }
        Destination::PagerDuty => {
            let key = given.routing_key.as_deref().and_then(|key| key.parse().ok());
            vec![notification::Channel::PagerDuty { routing_key: key.ok_or(NoWay::Malformed)? }]
        }
        Destination::Log => vec![notification::Channel::Log],
    })
}

/// As many notices as it takes; the last one tells how many alerts are in none.
fn cut(channel: notification::Channel, notice: &Notice) -> Vec<Part> {
    let part = |alerts: &[notification::Alert], omitted_alerts| Part {
        channel: channel.clone(),
        notice: Notice { alerts: alerts.to_vec(), omitted_alerts, ..notice.clone() },
    };
    let mut parts: Vec<Part> =
        notice.alerts.chunks(channel.alerts_per_notice()).map(|alerts| part(alerts, 0)).collect();
    match parts.last_mut() {
        Some(last) => last.notice.omitted_alerts = notice.omitted_alerts,
        None => parts.push(part(&[], notice.omitted_alerts)),
    }
    parts
}

fn notice(delivery: &Delivery, channel: &Channel, public_url: Option<&str>) -> Notice {
    let facts = &delivery.facts;
    let is_test = delivery.reason == DeliveryReason::Test;
    Notice {
        id: delivery.id.0,
        kind: if is_test { NoticeKind::Test } else { NoticeKind::Alert },
        occurred_at: delivery.created_at,
        receiver: channel.name.clone(),
        rule: notification::Rule {
            // What a channel says about itself or another one is told apart from rules by the channel's id.
            id: facts.rule_id.map_or(delivery.channel_id.0, |id| id.0),
            name: facts.rule_name.clone(),
            window: facts.time_window.clone(),
        },
        group_labels: BTreeMap::new(),
        alerts: facts.alerts.iter().map(|firing| alert(firing, delivery, public_url)).collect(),
        omitted_alerts: u64::from(facts.truncated_alerts),
        url: facts.rule_id.and_then(|_| public_url.map(|url| format!("{url}/api/v1/alerting/alerts"))),
    }
}

fn alert(firing: &Firing, delivery: &Delivery, public_url: Option<&str>) -> notification::Alert {
    let facts = &delivery.facts;
    let number = |name: &str| firing.trigger_data.get(name).and_then(Value::as_u64);
    let samples = firing.trigger_data.get("events_sample").and_then(Value::as_array);
    let description = facts.rule_description.clone().map(|text| ("rule_description".to_owned(), text));
    let value = firing.value.map(|value| ("value".to_owned(), value.to_string()));
    notification::Alert {
        id: firing.alert_id.0,
        fingerprint: firing.fingerprint.clone(),
        status: match firing.status {
            FiringStatus::Firing => notification::Status::Firing,
            FiringStatus::Resolved => notification::Status::Resolved,
        },
        severity: match firing.severity {
            AlertSeverity::Low => notification::Severity::Low,
            AlertSeverity::Medium => notification::Severity::Medium,
            AlertSeverity::High => notification::Severity::High,
            AlertSeverity::Critical => notification::Severity::Critical,
        },
        title: firing.title.clone(),
        message: firing.message.clone(),
        labels: firing.labels.0.clone(),
        annotations: description.into_iter().chain(value).collect(),
        starts_at: firing.starts_at,
        ends_at: firing.ends_at,
        event_count: number("event_count").unwrap_or(0),
        samples: samples.cloned().unwrap_or_default(),
        url: facts
            .rule_id
            .and_then(|_| public_url.map(|url| format!("{url}/api/v1/alerting/alerts/{}", firing.alert_id))),
    }
}
