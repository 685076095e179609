//! Deliveries about channels themselves.

use pulsestream_domain::{
    Timestamp,
    alerting::{
        AlertId, AlertSeverity, Channel, Delivery, DeliveryId, DeliveryReason, DeliveryState, Facts, Firing,
        FiringStatus, Labels,
    },
    ports::IdSource,
};
use serde_json::Map;

/// What is sent when somebody tries a channel. It is sent even where the channel is disabled, and once: a test
/// that fails is over.
pub(crate) fn test_delivery(channel: &Channel, now: Timestamp, ids: &dyn IdSource) -> Delivery {
    let title = format!("Test of the channel '{}'", channel.name);
    let message = "Somebody tries this channel. Nothing is wrong.";
    let said = Said { severity: AlertSeverity::Low, title, message: message.to_owned() };
    delivery(DeliveryReason::Test, channel, channel, said, now, ids)
}

/// What is said when a channel was disabled: through the other channels of the tenant, and to its owners by mail if
/// it has any.
pub(crate) fn tell_of_disabled(
    disabled: &Channel,
    reason: &str,
    others: &[Channel],
    has_owners: bool,
    now: Timestamp,
    ids: &dyn IdSource,
) -> Vec<Delivery> {
    let tell = |reason_to_tell, to: &Channel| {
        let title = format!("The channel '{}' was disabled", disabled.name);
        let message = format!("{title}: {reason}. It gets no notices until it is enabled again.");
        let said = Said { severity: AlertSeverity::High, title, message };
        delivery(reason_to_tell, to, disabled, said, now, ids)
    };
    let others = others.iter().filter(|other| other.enabled && other.id != disabled.id);
    let mut told: Vec<Delivery> = others.map(|other| tell(DeliveryReason::ChannelDisabled, other)).collect();
    if has_owners {
        told.push(tell(DeliveryReason::OwnersTold, disabled));
    }
    told
}

struct Said {
    severity: AlertSeverity,
    title: String,
    message: String,
}

fn delivery(
    reason: DeliveryReason,
    to: &Channel,
    about: &Channel,
    said: Said,
    now: Timestamp,
    ids: &dyn IdSource,
) -> Delivery {
    let alert = Firing {
        alert_id: AlertId(about.id.0),
        status: FiringStatus::Firing,
        title: said.title,
        message: said.message,
        severity: said.severity,
        labels: Labels([("channel".to_owned(), about.name.clone())].into()),
        fingerprint: about.id.to_string(),
        value: None,
        trigger_data: Map::new(),
        starts_at: now,
        ends_at: None,
    };
    Delivery {
        tenant_id: to.tenant_id,
        id: DeliveryId(ids.uuid_v7(now)),
        channel_id: to.id,
        reason,
        facts: Facts {
            rule_id: None,
            rule_name: about.name.clone(),
            rule_description: None,
            severity: said.severity,
            time_window: String::new(),
            alerts: vec![alert],
            truncated_alerts: 0,
        },
        state: DeliveryState::Pending,
        attempts: 0,
        created_at: now,
        next_attempt_at: Some(now),
    }
}
