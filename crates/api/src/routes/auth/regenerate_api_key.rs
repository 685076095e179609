//! `POST /tenant/regenerate-api-key`: a new key in the place of the tenant's first, at once.

use actix_web::{HttpRequest, web::Json};
use pulsestream_domain::api_key::{ApiKey, StoredKey};
use pulsestream_identity::authority::Action;
use serde::Serialize;
use utoipa::ToSchema;

use super::{api_keys::new_key, register_tenant::FIRST_KEY_SCOPES, rotate_api_key::replace};
use crate::{
    caller::{Caller, origin},
    error::ApiError,
    openapi,
    state::State,
};

/// A new key.
#[derive(Serialize, ToSchema)]
pub(crate) struct RegeneratedAnswer {
    message: &'static str,
    /// Shown once.
    new_api_key: String,
    warning: String,
}

/// Replaces the tenant's API key at once: the one that the request came with, or the oldest that is good.
#[utoipa::path(
    post,
    path = "/api/v1/auth/tenant/regenerate-api-key",
    tag = "auth",
    responses(
        (status = 200, description = "the new key, in the clear this once", body = RegeneratedAnswer),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn regenerate_api_key(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<Json<RegeneratedAnswer>, ApiError> {
    caller.require(Action::ManageKeys)?;
    let old = match caller.key() {
        Some(key) => Some(key.clone()),
        None => oldest(&state, &caller).await?,
    };
    let (key, warning) = match old {
        Some(old) => {
            let id = old.id.clone();
            let (key, _) = replace(&state, &caller, &request, old, 0).await?;
            (key, format!("The key {id} is refused from now on, by every instance within five seconds"))
        }
        None => {
            let key = first_key(&state, &caller, &request).await?;
            (key, "The tenant had no such key that was good; no other key was changed".to_owned())
        }
    };
    Ok(Json(RegeneratedAnswer {
        message: "API key regenerated successfully",
        new_api_key: key.reveal().to_owned(),
        warning,
    }))
}

/// The oldest key that is good and no more powerful than the caller.
async fn oldest(state: &State, caller: &Caller) -> Result<Option<StoredKey>, ApiError> {
    let (now, keys) = (state.clock.now(), state.store.keys(caller.tenant_id()).await?);
    Ok(keys.into_iter().find(|key| key.is_live(now) && caller.require_grant(&key.scopes).is_ok()))
}

async fn first_key(state: &State, caller: &Caller, request: &HttpRequest) -> Result<ApiKey, ApiError> {
    let key = ApiKey::from_entropy(state.identity.entropy.bytes());
    let stored = StoredKey {
        scopes: FIRST_KEY_SCOPES.to_vec(),
        created_by: Some(caller.actor()),
        ..new_key(&key, caller.tenant_id(), "first key".to_owned(), state.clock.now())
    };
    state.store.create_key(&stored, &origin(state, request, caller.actor())).await?;
    Ok(key)
}
