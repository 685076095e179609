//! `/channels`: who is told, kept.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_alerting::ChannelSecrets;
use pulsestream_domain::{
    alerting::{Channel, ChannelChange, ChannelCreated, ChannelDraft, ChannelId},
    api_key::Scope,
    tenant::TenantId,
};
use pulsestream_notification::SigningSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    channel_json::ChannelJson,
    channel_secrets::{check_destination, new_signing_secret, opened, sealed},
    request,
};
use crate::{
    answer,
    caller::{Caller, origin},
    error::ApiError,
    openapi, query,
    state::State,
};

pub(super) const CHANNEL: &str = "channel";
/// How many channels a tenant may have.
const MAX_CHANNELS: u32 = 100;

/// A channel that was made or changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneChannel<'a> {
    success: bool,
    message: &'static str,
    channel: ChannelJson<'a>,
}

/// All channels, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelList<'a> {
    success: bool,
    channels: Vec<ChannelJson<'a>>,
    total_count: usize,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
}

/// A channel that is gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelDeleted {
    success: bool,
    message: &'static str,
    #[schema(value_type = String, format = Uuid)]
    channel_id: ChannelId,
}

/// Makes a channel. That of a webhook comes with the secret that its notices are signed with, shown only here.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/channels",
    tag = "alerting",
    request_body(content = openapi::alerting::NewChannel, content_type = "application/json"),
    responses(
        (status = 200, description = "the channel is kept", body = OneChannel),
        openapi::responses::NamedWriteProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn create_channel(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let body = request::json(&state, &request, payload).await?;
    let draft = ChannelDraft::parse(&body)?;
    check_destination(&state, &draft)?;
    let now = state.clock.now();
    let channel = Channel {
        tenant_id: caller.tenant_id(),
        id: ChannelId(state.ids.uuid_v7(now)),
        name: draft.name,
        enabled: draft.enabled,
        send_resolved: draft.send_resolved,
        destination: draft.destination,
        disabled_reason: None,
        disabled_at: None,
        created_at: now,
        updated_at: now,
    };
    let signing = new_signing_secret(&state, &channel)?;
    let secrets = ChannelSecrets { given: draft.secrets, signing: signing.clone(), previous_signing: None };
    let sealed = sealed(&state, &channel, &secrets)?;
    let origin = origin(&state, &request, caller.actor());
    match state.store.create_channel(&channel, Some(&sealed), MAX_CHANNELS, &origin).await? {
        ChannelCreated::Created => one(&channel, signing.as_ref(), "Channel created successfully"),
        ChannelCreated::NameTaken => Err(ApiError::NameTaken(CHANNEL)),
        ChannelCreated::QuotaExceeded => Err(ApiError::QuotaExceeded { what: "channels", max: MAX_CHANNELS }),
    }
}

/// Lists all channels.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/channels",
    tag = "alerting",
    responses(
        (status = 200, description = "the channels", body = ChannelList),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn list_channels(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    request::close(query::parameters(&request))?;
    let channels = state.store.channels(caller.tenant_id()).await?;
    answer::json(&ChannelList {
        success: true,
        channels: channels.iter().map(ChannelJson::of).collect(),
        total_count: channels.len(),
        tenant_id: caller.tenant_id(),
    })
}

/// Reads one channel.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/channels/{channel_id}",
    tag = "alerting",
    params(openapi::alerting::ChannelPath),
    responses(
        (status = 200, description = "the channel", body = OneChannel),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn get_channel(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let (channel, _) = find(&state, &caller, &request).await?;
    one(&channel, None, "Channel found")
}

/// Replaces a channel: the body is as for a new one. A webhook keeps its signing secret; one that the service had
/// disabled gets notices again, unless the body says otherwise.
#[utoipa::path(
    put,
    path = "/api/v1/alerting/channels/{channel_id}",
    tag = "alerting",
    params(openapi::alerting::ChannelPath),
    request_body(content = openapi::alerting::NewChannel, content_type = "application/json"),
    responses(
        (status = 200, description = "the channel is changed", body = OneChannel),
        openapi::responses::NamedChangeProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn update_channel(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let body = request::json(&state, &request, payload).await?;
    let draft = ChannelDraft::parse(&body)?;
    check_destination(&state, &draft)?;
    let (old, old_sealed) = find(&state, &caller, &request).await?;
    let mut secrets = opened(&state, &old, old_sealed.as_deref())?;
    let is_same_kind = old.destination.kind() == draft.destination.kind();
    let channel = Channel {
        name: draft.name,
        enabled: draft.enabled,
        send_resolved: draft.send_resolved,
        destination: draft.destination,
        disabled_reason: None,
        disabled_at: None,
        updated_at: state.clock.now(),
        ..old
    };
    let made = if is_same_kind { None } else { new_signing_secret(&state, &channel)? };
    secrets.given = draft.secrets;
    if !is_same_kind {
        (secrets.signing, secrets.previous_signing) = (made.clone(), None);
    }
    let sealed = sealed(&state, &channel, &secrets)?;
    let origin = origin(&state, &request, caller.actor());
    match state.store.change_channel(&channel, Some(&sealed), &origin).await? {
        ChannelChange::Changed => one(&channel, made.as_ref(), "Channel updated successfully"),
        ChannelChange::NameTaken => Err(ApiError::NameTaken(CHANNEL)),
        ChannelChange::Gone => Err(ApiError::NoSuch(CHANNEL)),
    }
}

/// Deletes a channel, with what was on its way to it.
#[utoipa::path(
    delete,
    path = "/api/v1/alerting/channels/{channel_id}",
    tag = "alerting",
    params(openapi::alerting::ChannelPath),
    responses(
        (status = 200, description = "the channel is gone", body = ChannelDeleted),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn delete_channel(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let channel_id: ChannelId = request::id(&request, "channel_id", CHANNEL)?;
    let origin = origin(&state, &request, caller.actor());
    if !state.store.delete_channel(caller.tenant_id(), channel_id, &origin).await? {
        return Err(ApiError::NoSuch(CHANNEL));
    }
    answer::json(&ChannelDeleted { success: true, message: "Channel deleted successfully", channel_id })
}

/// The channel that the path names, with its sealed secrets.
pub(super) async fn find(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
) -> Result<(Channel, Option<String>), ApiError> {
    let channel_id = request::id(request, "channel_id", CHANNEL)?;
    let (store, tenant_id) = (&state.store, caller.tenant_id());
    let channel = store.channel(tenant_id, channel_id).await?.ok_or(ApiError::NoSuch(CHANNEL))?;
    Ok((channel, store.sealed_secrets(tenant_id, channel_id).await?))
}

/// One channel, with the signing secret that was made just now.
pub(super) fn one(
    channel: &Channel,
    made: Option<&SigningSecret>,
    message: &'static str,
) -> Result<HttpResponse, ApiError> {
    let secret = made.map(SigningSecret::reveal);
    let channel = ChannelJson::of(channel).with_secret(secret.as_deref());
    answer::json(&OneChannel { success: true, message, channel })
}
