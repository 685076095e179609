//! `POST /api-keys/{key_id}/rotate`: a new key in the place of an old one.

use actix_web::{
    HttpRequest,
    http::header::CONTENT_TYPE,
    web::{Json, Path, Payload},
};
use pulsestream_domain::api_key::{ApiKey, StoredKey};
use pulsestream_identity::authority::Action;

use super::{
    api_keys::{NewApiKeyAnswer, find_key, new_key},
    requests,
};
use crate::{
    caller::{Caller, origin},
    error::ApiError,
    fields::Fields,
    openapi,
    state::State,
};

/// Long enough to put a new key everywhere: one day.
const GRACE_SECONDS: u32 = 86_400;
/// 30 days.
const MAX_GRACE_SECONDS: u32 = 2_592_000;

/// Makes a key with the name, scopes and restrictions of another, which is refused after a while.
#[utoipa::path(
    post,
    path = "/api/v1/auth/api-keys/{key_id}/rotate",
    tag = "auth",
    params(requests::KeyPath),
    request_body(content = requests::RotateApiKeyBody, content_type = "application/json"),
    responses(
        (status = 200, description = "the new key, in the clear this once", body = NewApiKeyAnswer),
        openapi::responses::AccountChangeProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn rotate_api_key(
    state: State,
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<Json<NewApiKeyAnswer>, ApiError> {
    caller.require(Action::ManageKeys)?;
    // A request without a body has no type of it either.
    let grace = match request.headers().contains_key(CONTENT_TYPE) {
        false => None,
        true => {
            let mut fields = Fields::read(&state, &request, payload).await?;
            let grace = fields.number("grace_seconds", 0..=MAX_GRACE_SECONDS);
            fields.finish()?;
            grace
        }
    };
    let old = find_key(&state, &caller, &id).await?;
    caller.require_grant(&old.scopes)?;
    let (key, stored) = replace(&state, &caller, &request, old, grace.unwrap_or(GRACE_SECONDS)).await?;
    Ok(Json(NewApiKeyAnswer::new(&state, &key, stored)))
}

/// Makes the new key and lets the old one end.
pub(super) async fn replace(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    old: StoredKey,
    grace_seconds: u32,
) -> Result<(ApiKey, StoredKey), ApiError> {
    let now = state.clock.now();
    if !old.is_live(now) {
        return Err(ApiError::NoSuch("API key"));
    }
    let key = ApiKey::from_entropy(state.identity.entropy.bytes());
    let stored = StoredKey {
        scopes: old.scopes,
        restrictions: old.restrictions,
        expires_at: old.expires_at,
        created_by: Some(caller.actor()),
        ..new_key(&key, old.tenant_id, old.name, now)
    };
    let until = now.plus_secs(grace_seconds.into());
    let origin = origin(state, request, caller.actor());
    match state.store.rotate_key(old.tenant_id, &old.id, &stored, until, &origin).await? {
        true => Ok((key, stored)),
        false => Err(ApiError::NoSuch("API key")),
    }
}
