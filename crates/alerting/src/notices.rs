//! Who is told what.

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Alert, AlertStatus, Channel, Delivery, DeliveryId, DeliveryReason, DeliveryState, Facts, Notified,
        Rule, RuleState, Silence, TimelineKind, resolve,
    },
    ports::IdSource,
};

use crate::evaluate::Moving;

/// Decides what is said of these alerts, marks it on them, and puts everything that is said to one channel
/// into one delivery.
pub(crate) fn give(
    state: &RuleState,
    alerts: &mut [Moving],
    now: Timestamp,
    ids: &dyn IdSource,
) -> Vec<Delivery> {
    let (channels, _) = resolve(&state.rule.definition.notification_channels, &state.channels);
    let told: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    let told = told.join(", ");
    let mut said: Vec<(DeliveryReason, usize)> = Vec::new();
    for (index, moving) in alerts.iter_mut().enumerate() {
        let is_silenced = is_muted(&moving.alert, &state.silences, now);
        if moving.alert.status.is_raised() && moving.alert.is_silenced != is_silenced {
            moving.alert.is_silenced = is_silenced;
            moving.note(if is_silenced { TimelineKind::Silenced } else { TimelineKind::Unsilenced });
        }
        let Some(reason) = reason(state, moving, now).filter(|_| !is_silenced && !channels.is_empty()) else {
            continue;
        };
        if reason != DeliveryReason::Resolved {
            moving.alert.notified = Some(Notified { at: now, severity: moving.alert.severity });
        }
        moving.timeline.push((TimelineKind::Notified, Some(format!("{reason}: {told}"))));
        said.push((reason, index));
    }
    let said: Vec<(DeliveryReason, &Alert)> =
        said.into_iter().map(|(reason, index)| (reason, &alerts[index].alert)).collect();
    channels.iter().filter_map(|channel| delivery(&state.rule, channel, &said, now, ids)).collect()
}

fn is_muted(alert: &Alert, silences: &[Silence], now: Timestamp) -> bool {
    silences.iter().any(|silence| silence.mutes(alert, now))
}

/// Why there is something to say, if there is.
fn reason(state: &RuleState, moving: &Moving, now: Timestamp) -> Option<DeliveryReason> {
    let alert = &moving.alert;
    match alert.status {
        // Who was never told that it fires need not be told that it is over.
        AlertStatus::Resolved => {
            let was_suppressed =
                moving.before.as_ref().is_some_and(|before| before.status == AlertStatus::Suppressed);
            (alert.notified.is_some() && !was_suppressed).then_some(DeliveryReason::Resolved)
        }
        AlertStatus::Active => {
            let Some(last) = alert.notified else { return Some(DeliveryReason::Firing) };
            let repeat = state.rule.definition.repeat_interval_secs.and_then(|secs| i64::try_from(secs).ok());
            if last.severity < alert.severity {
                Some(DeliveryReason::Worsened)
            } else {
                repeat.filter(|secs| now >= last.at.plus_secs(*secs)).map(|_| DeliveryReason::Repeat)
            }
        }
        AlertStatus::Pending | AlertStatus::Acknowledged | AlertStatus::Suppressed => None,
    }
}

/// What is said to one channel, for the most pressing of the reasons.
fn delivery(
    rule: &Rule,
    channel: &Channel,
    said: &[(DeliveryReason, &Alert)],
    now: Timestamp,
    ids: &dyn IdSource,
) -> Option<Delivery> {
    let wants = |reason: DeliveryReason| channel.send_resolved || reason != DeliveryReason::Resolved;
    let mut said: Vec<(DeliveryReason, &Alert)> =
        said.iter().copied().filter(|(reason, _)| wants(*reason)).collect();
    // What is cut off at the end is what presses least.
    said.sort_by_key(|(reason, _)| *reason);
    let (reason, _) = said.first()?;
    let alerts: Vec<&Alert> = said.iter().map(|(_, alert)| *alert).collect();
    Some(Delivery {
        tenant_id: rule.tenant_id,
        id: DeliveryId(ids.uuid_v7(now)),
        channel_id: channel.id,
        reason: *reason,
        facts: Facts::of(rule, &alerts),
        state: DeliveryState::Pending,
        attempts: 0,
        created_at: now,
        next_attempt_at: Some(now),
    })
}

/// What to say when somebody has resolved an alert: as when it resolves by itself. `was` is where it stood
/// before. The deliveries are stored in the transaction that resolves it.
pub fn resolved_by_hand(
    rule: &Rule,
    alert: &Alert,
    was: AlertStatus,
    channels: &[Channel],
    silences: &[Silence],
    now: Timestamp,
    ids: &dyn IdSource,
) -> Vec<Delivery> {
    let is_told = alert.status == AlertStatus::Resolved
        && alert.notified.is_some()
        && was != AlertStatus::Suppressed
        && !is_muted(alert, silences, now);
    if !is_told {
        return Vec::new();
    }
    let (channels, _) = resolve(&rule.definition.notification_channels, channels);
    let said = [(DeliveryReason::Resolved, alert)];
    channels.iter().filter_map(|channel| delivery(rule, channel, &said, now, ids)).collect()
}
