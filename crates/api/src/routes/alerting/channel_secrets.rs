//! `/channels/{channel_id}/rotate-secret`, and what is secret about a channel.

use actix_web::{HttpRequest, HttpResponse};
use pulsestream_alerting::ChannelSecrets;
use pulsestream_domain::{
    Timestamp,
    alerting::{Channel, ChannelChange, ChannelDraft, ChannelId, ChannelKind, Destination},
    api_key::Scope,
    event::{FieldError, Reason},
    ports::StoreError,
};
use pulsestream_notification::{Destination as Outbound, DestinationError, RoutingKey, SigningSecret};
use serde::Serialize;
use utoipa::ToSchema;

use super::channels::{CHANNEL, find};
use crate::{
    answer,
    caller::{Caller, origin},
    error::ApiError,
    openapi,
    state::State,
};

/// For how long notices are signed with the old secret as well.
const OVERLAP_SECS: i64 = 24 * 3_600;

/// A new signing secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretRotated {
    success: bool,
    message: &'static str,
    #[schema(value_type = String, format = Uuid)]
    channel_id: ChannelId,
    /// `whsec_…`; shown only here.
    secret: String,
    /// Up to here notices are signed with the secret of before as well.
    #[schema(value_type = String, format = DateTime)]
    previous_secret_until: Timestamp,
}

/// Makes another signing secret for a webhook. For 24 hours its notices are signed with both.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/channels/{channel_id}/rotate-secret",
    tag = "alerting",
    params(openapi::alerting::ChannelPath),
    responses(
        (status = 200, description = "the new secret", body = SecretRotated),
        openapi::responses::ActionProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn rotate_secret(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let (channel, old) = find(&state, &caller, &request).await?;
    let new = new_signing_secret(&state, &channel)?.ok_or(ApiError::NotSigned)?;
    let mut secrets = opened(&state, &channel, old.as_deref())?;
    let now = state.clock.now();
    let until = now.plus_secs(OVERLAP_SECS);
    secrets.previous_signing = secrets.signing.replace(new.clone()).map(|old| (old, until));
    let channel = Channel { updated_at: now, ..channel };
    let sealed = sealed(&state, &channel, &secrets)?;
    let origin = origin(&state, &request, caller.actor());
    match state.store.rotate_channel_secret(&channel, &sealed, &origin).await? {
        ChannelChange::Changed => answer::json(&SecretRotated {
            success: true,
            message: "Signing secret rotated successfully",
            channel_id: channel.id,
            secret: new.reveal(),
            previous_secret_until: until,
        }),
        ChannelChange::NameTaken | ChannelChange::Gone => Err(ApiError::NoSuch(CHANNEL)),
    }
}

/// Makes sure that a channel leads somewhere that may be reached, as far as that can be said without going there.
pub(super) fn check_destination(state: &State, draft: &ChannelDraft) -> Result<(), ApiError> {
    let url = match &draft.destination {
        Destination::Webhook { url, .. } => Some(url),
        Destination::Slack { .. } => draft.secrets.url.as_ref(),
        Destination::Email { .. } | Destination::PagerDuty | Destination::Log => None,
    };
    if let Some(url) = url {
        let refused = |error: DestinationError| {
            let reason = match error {
                DestinationError::BlockedAddress => Reason::BlockedAddress,
                DestinationError::BlockedPort => Reason::BlockedPort,
                DestinationError::TooLong => Reason::TooLong,
                DestinationError::Malformed | DestinationError::Scheme | DestinationError::Credentials => {
                    Reason::BadWebhookUrl
                }
            };
            FieldError::with_detail("/url", reason, error.to_string())
        };
        Outbound::parse(url, &state.alerting.policy).map_err(refused)?;
    }
    if let Some(key) = &draft.secrets.routing_key {
        key.parse::<RoutingKey>().map_err(|_| FieldError::new("/routing_key", Reason::BadParameter))?;
    }
    Ok(())
}

/// Something to sign with, for a channel that is signed.
pub(super) fn new_signing_secret(
    state: &State,
    channel: &Channel,
) -> Result<Option<SigningSecret>, ApiError> {
    let is_signed = channel.destination.kind() == ChannelKind::Webhook;
    is_signed.then(|| state.alerting.random().map(SigningSecret::from_entropy)).transpose()
}

/// What is stored of secrets.
pub(super) fn sealed(state: &State, channel: &Channel, secrets: &ChannelSecrets) -> Result<String, ApiError> {
    Ok(secrets.seal(&state.alerting.keyring, channel, state.alerting.random()?))
}

/// The secrets of a channel. That they don't open is the operator's fault: another key sealed them.
pub(super) fn opened(
    state: &State,
    channel: &Channel,
    sealed: Option<&str>,
) -> Result<ChannelSecrets, ApiError> {
    let Some(sealed) = sealed else { return Ok(ChannelSecrets::default()) };
    let opened = ChannelSecrets::open(&state.alerting.keyring, channel, sealed);
    opened.map_err(|error| StoreError::Unexpected(error.into()).into())
}
