//! `/silences`: times in which nobody is told.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_domain::{
    Timestamp,
    alerting::{Matcher, Silence, SilenceDraft, SilenceId},
    api_key::Scope,
    tenant::TenantId,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::request;
use crate::{
    answer,
    caller::{Caller, origin},
    error::ApiError,
    openapi, query,
    state::State,
};

const SILENCE: &str = "silence";

/// A silence.
#[derive(Serialize, ToSchema)]
#[schema(as = Silence)]
pub(crate) struct SilenceJson<'a> {
    #[schema(value_type = String, format = Uuid)]
    id: SilenceId,
    matchers: Vec<MatcherJson<'a>>,
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    /// `pending`, `active` or `expired`.
    status: &'static str,
    created_by: &'a str,
    comment: Option<&'a str>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// One thing that has to be true of an alert.
#[derive(Serialize, ToSchema)]
#[schema(as = SilenceMatcher)]
pub(crate) struct MatcherJson<'a> {
    name: &'a str,
    value: &'a str,
    is_equal: bool,
}

/// One silence.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneSilence<'a> {
    success: bool,
    message: &'static str,
    silence: SilenceJson<'a>,
}

/// A page of silences, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct SilenceList<'a> {
    success: bool,
    silences: Vec<SilenceJson<'a>>,
    /// How many there are on all pages.
    total_count: u64,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
}

/// A silence that is over.
#[derive(Serialize, ToSchema)]
pub(crate) struct SilenceEnded {
    success: bool,
    message: &'static str,
    #[schema(value_type = String, format = Uuid)]
    silence_id: SilenceId,
}

/// Keeps back the notices of some alerts for a while.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/silences",
    tag = "alerting",
    request_body(content = openapi::alerting::NewSilence, content_type = "application/json"),
    responses(
        (status = 200, description = "the silence is kept", body = OneSilence),
        openapi::responses::WriteProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn create_silence(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let body = request::json(&state, &request, payload).await?;
    let now = state.clock.now();
    let draft = SilenceDraft::parse(&body, now)?;
    let silence = Silence {
        tenant_id: caller.tenant_id(),
        id: SilenceId(state.ids.uuid_v7(now)),
        matchers: draft.matchers,
        starts_at: draft.starts_at.unwrap_or(now),
        ends_at: draft.ends_at,
        created_by: caller.name().to_owned(),
        comment: draft.comment,
        created_at: now,
    };
    state.store.create_silence(&silence, &origin(&state, &request, caller.actor())).await?;
    one(&silence, now, "Silence created successfully")
}

/// Lists silences.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/silences",
    tag = "alerting",
    params(openapi::alerting::Page),
    responses(
        (status = 200, description = "a page of silences", body = SilenceList),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn list_silences(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let mut parameters = query::parameters(&request);
    let page = request::take_page(&mut parameters)?;
    request::close(parameters)?;
    let listed = state.store.silences(caller.tenant_id(), page.limit, page.offset).await?;
    let now = state.clock.now();
    answer::json(&SilenceList {
        success: true,
        silences: listed.items.iter().map(|silence| SilenceJson::of(silence, now)).collect(),
        total_count: listed.total,
        tenant_id: caller.tenant_id(),
    })
}

/// Reads one silence.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/silences/{silence_id}",
    tag = "alerting",
    params(openapi::alerting::SilencePath),
    responses(
        (status = 200, description = "the silence", body = OneSilence),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn get_silence(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let id = request::id(&request, "silence_id", SILENCE)?;
    let silence = state.store.silence(caller.tenant_id(), id).await?.ok_or(ApiError::NoSuch(SILENCE))?;
    one(&silence, state.clock.now(), "Silence found")
}

/// Ends a silence. That it was is kept.
#[utoipa::path(
    delete,
    path = "/api/v1/alerting/silences/{silence_id}",
    tag = "alerting",
    params(openapi::alerting::SilencePath),
    responses(
        (status = 200, description = "it is over, now or already", body = SilenceEnded),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn end_silence(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let silence_id: SilenceId = request::id(&request, "silence_id", SILENCE)?;
    let origin = origin(&state, &request, caller.actor());
    if !state.store.end_silence(caller.tenant_id(), silence_id, &origin).await? {
        return Err(ApiError::NoSuch(SILENCE));
    }
    answer::json(&SilenceEnded { success: true, message: "Silence ended successfully", silence_id })
}

fn one(silence: &Silence, now: Timestamp, message: &'static str) -> Result<HttpResponse, ApiError> {
    answer::json(&OneSilence { success: true, message, silence: SilenceJson::of(silence, now) })
}

impl<'a> SilenceJson<'a> {
    fn of(silence: &'a Silence, now: Timestamp) -> Self {
        let status = match silence {
            silence if now >= silence.ends_at => "expired",
            silence if now >= silence.starts_at => "active",
            _ => "pending",
        };
        let matcher = |matcher: &'a Matcher| MatcherJson {
            name: &matcher.name,
            value: &matcher.value,
            is_equal: matcher.is_equal,
        };
        Self {
            id: silence.id,
            matchers: silence.matchers.iter().map(matcher).collect(),
            starts_at: silence.starts_at,
            ends_at: silence.ends_at,
            status,
            created_by: &silence.created_by,
            comment: silence.comment.as_deref(),
            created_at: silence.created_at,
        }
    }
}
