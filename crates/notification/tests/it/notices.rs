//! What the tests send, and the notifiers they send it with.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use pulsestream_domain::Timestamp;
use pulsestream_notification::{
    Alert, Attempt, Channel, Destination, ExtraHeaders, Notice, NoticeKind, Notifier, NotifierSettings,
    OutboundPolicy, Outcome, PrivateDestinations, Reason, Resolver, Rule, Severity, SigningSecret, Status,
    Timeouts, WebhookFormat,
};
use uuid::Uuid;

use crate::names::Names;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Stands for a public address.
pub(crate) const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
/// A private address, where decoys listen.
pub(crate) const PRIVATE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));

pub(crate) fn alert() -> Alert {
    Alert {
        id: Uuid::from_u128(3),
        fingerprint: "c0ffee".to_owned(),
        status: Status::Firing,
        severity: Severity::Critical,
        title: "Ünusual".to_owned(),
        message: "Something happened.".to_owned(),
        labels: BTreeMap::from([("service".to_owned(), "checkout".to_owned())]),
        annotations: BTreeMap::new(),
        starts_at: NOW,
        ends_at: None,
        event_count: 1,
        samples: Vec::new(),
        url: None,
    }
}

pub(crate) fn notice() -> Notice {
    Notice {
        id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
        kind: NoticeKind::Alert,
        occurred_at: NOW,
        receiver: "on-call".to_owned(),
        rule: Rule { id: Uuid::from_u128(2), name: "errors".to_owned(), window: "5m".to_owned() },
        group_labels: BTreeMap::new(),
        alerts: vec![alert()],
        omitted_alerts: 0,
        url: None,
    }
}

/// Lets http reach the stand-in of the public internet at one port.
pub(crate) fn policy(port: u16) -> OutboundPolicy {
    let private = PrivateDestinations { networks: vec![PUBLIC.into()], ports: vec![port..=port] };
    OutboundPolicy { allow_http: true, private: Some(private), ..OutboundPolicy::default() }
}

/// Time enough on a busy machine.
pub(crate) fn patient() -> Timeouts {
    Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) }
}

/// For receivers that never answer.
pub(crate) fn impatient() -> Timeouts {
    Timeouts { connect: Duration::from_secs(10), total: Duration::from_millis(400) }
}

pub(crate) fn settings(policy: OutboundPolicy) -> NotifierSettings {
    NotifierSettings { policy, timeouts: patient(), ..NotifierSettings::default() }
}

pub(crate) fn notifier(settings: NotifierSettings, names: Names) -> Notifier {
    let resolver: Arc<dyn Resolver> = Arc::new(names);
    Notifier::new(settings, resolver, None).expect("the settings make sense")
}

pub(crate) fn webhook(url: &str, policy: &OutboundPolicy) -> Channel {
    Channel::Webhook {
        destination: Destination::parse(url, policy).expect("the policy allows it"),
        format: WebhookFormat::PulseStream,
        secrets: SigningSecret::from_entropy([7; 32]).into(),
        headers: ExtraHeaders::default(),
    }
}

/// One attempt to send the usual notice to a URL.
pub(crate) async fn attempt(url: &str, policy: OutboundPolicy, timeouts: Timeouts, names: Names) -> Attempt {
    let channel = webhook(url, &policy);
    let settings = NotifierSettings { timeouts, ..settings(policy) };
    notifier(settings, names).attempt(&channel, &notice(), NOW).await
}

pub(crate) fn retry(reason: Reason) -> Outcome {
    Outcome::Retry { reason, retry_after: None }
}
