//! `/channels/{channel_id}/test`: a channel, tried.

use actix_web::{HttpRequest, HttpResponse};
use pulsestream_alerting::try_channel;
use pulsestream_domain::{alerting::ChannelId, api_key::Scope};
use pulsestream_notification::Outcome;
use serde::Serialize;
use utoipa::ToSchema;

use super::{channel_secrets::opened, channels::find};
use crate::{answer, caller::Caller, error::ApiError, openapi, state::State};

/// What came of one notice.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelTested {
    /// Whether the receiver has it.
    success: bool,
    message: &'static str,
    #[schema(value_type = String, format = Uuid)]
    channel_id: ChannelId,
    /// `delivered`, `retry`, `failed`, `gone` or `blocked_address`. It was tried once, whatever came of it.
    outcome: &'static str,
    /// Why it was not delivered, as a stable code.
    reason: Option<&'static str>,
    /// Of the answer: of HTTP, or of SMTP.
    status_code: Option<u16>,
    duration_ms: f64,
    /// The beginning of the answer.
    excerpt: String,
}

/// Sends a notice through a channel now, and tells what came of it. A disabled channel is tried as well.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/channels/{channel_id}/test",
    tag = "alerting",
    params(openapi::alerting::ChannelPath),
    responses(
        (status = 200, description = "what came of it", body = ChannelTested),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn test_channel(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let (channel, sealed) = find(&state, &caller, &request).await?;
    let secrets = opened(&state, &channel, sealed.as_deref())?;
    let (alerting, now) = (&state.alerting, state.clock.now());
    let attempt =
        try_channel(&*alerting.notifier, &channel, &secrets, &alerting.policy, now, &*state.ids).await;
    let is_delivered = attempt.outcome == Outcome::Delivered;
    answer::json(&ChannelTested {
        success: is_delivered,
        message: if is_delivered { "Test notice delivered" } else { "Test notice not delivered" },
        channel_id: channel.id,
        outcome: attempt.outcome.as_str(),
        reason: match attempt.outcome {
            Outcome::Retry { reason, .. } | Outcome::Failed { reason } => Some(reason.as_str()),
            Outcome::Delivered | Outcome::Gone | Outcome::Blocked => None,
        },
        status_code: attempt.status,
        duration_ms: attempt.duration.as_secs_f64() * 1_000.0,
        excerpt: attempt.excerpt,
    })
}
