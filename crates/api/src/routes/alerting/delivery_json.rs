//! A delivery as clients see it.

use pulsestream_domain::{
    Timestamp,
    alerting::{
        AlertId, Attempt, AttemptOutcome, ChannelId, Delivery, DeliveryId, DeliveryReason, DeliveryState,
        Firing, RuleId,
    },
};
use serde::Serialize;
use utoipa::ToSchema;

/// One thing that was said to one channel.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryJson<'a> {
    /// The same in each attempt: the `webhook-id`.
    #[schema(value_type = String, format = Uuid)]
    id: DeliveryId,
    #[schema(value_type = String, format = Uuid)]
    channel_id: ChannelId,
    #[schema(value_type = Option<String>, format = Uuid)]
    rule_id: Option<RuleId>,
    rule_name: &'a str,
    /// `firing`, `worsened`, `repeat`, `resolved`, `channel_disabled`, `owners_told` or `test`.
    #[schema(value_type = String, example = "firing")]
    reason: DeliveryReason,
    /// `pending`, `delivered` or `failed`.
    #[schema(value_type = String, example = "delivered")]
    state: DeliveryState,
    #[schema(value_type = Vec<String>)]
    alert_ids: Vec<AlertId>,
    /// How many more alerts it tells the number of.
    truncated_alerts: u32,
    /// How often it was tried.
    attempt_count: u32,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
}

impl<'a> DeliveryJson<'a> {
    pub(super) fn of(delivery: &'a Delivery) -> Self {
        let facts = &delivery.facts;
        // What is said about a channel is said of no alert.
        let alerts: &[Firing] = if facts.rule_id.is_some() { &facts.alerts } else { &[] };
        Self {
            id: delivery.id,
            channel_id: delivery.channel_id,
            rule_id: facts.rule_id,
            rule_name: &facts.rule_name,
            reason: delivery.reason,
            state: delivery.state,
            alert_ids: alerts.iter().map(|alert| alert.alert_id).collect(),
            truncated_alerts: facts.truncated_alerts,
            attempt_count: delivery.attempts,
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_attempt_at,
        }
    }
}

/// One try to deliver.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub(crate) struct AttemptJson<'a> {
    /// 1 for the first.
    number: u32,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    duration_ms: f64,
    /// `delivered`, `retry`, `failed`, `gone` or `blocked_address`.
    #[schema(value_type = String, example = "delivered")]
    outcome: AttemptOutcome,
    /// Of the answer: of HTTP, or of SMTP.
    status_code: Option<u16>,
    error: Option<&'a str>,
    /// The beginning of the answer.
    excerpt: Option<&'a str>,
}

impl<'a> AttemptJson<'a> {
    pub(super) fn of(attempt: &'a Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            duration_ms: attempt.duration.as_secs_f64() * 1_000.0,
            outcome: attempt.outcome,
            status_code: attempt.status,
            error: attempt.error.as_deref(),
            excerpt: attempt.excerpt.as_deref(),
        }
    }
}
