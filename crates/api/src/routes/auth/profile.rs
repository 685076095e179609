//! `GET` and `PUT /profile`: oneself.

use actix_web::{
    HttpRequest,
    web::{Json, Payload},
};
use pulsestream_identity::authority::Action;
use pulsestream_storage::{UpdateUserError, UserChange};

use super::{requests, user_json::UserJson};
use crate::{
    caller::{Caller, origin},
    error::{ApiError, Conflict},
    fields::Fields,
    openapi,
    state::State,
};

/// Tells who one is.
#[utoipa::path(
    get,
    path = "/api/v1/auth/profile",
    tag = "auth",
    responses(
        (status = 200, description = "the user", body = UserJson),
        openapi::responses::ReadProblems,
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn get_profile(state: State, caller: Caller) -> Result<Json<UserJson>, ApiError> {
    caller.require(Action::OwnAccount)?;
    let id = caller.member()?.user.id;
    let user = state.store.user(caller.tenant_id(), id).await?.ok_or(ApiError::Unauthenticated)?;
    Ok(Json(UserJson::from(&user)))
}

/// Changes one's name.
#[utoipa::path(
    put,
    path = "/api/v1/auth/profile",
    tag = "auth",
    request_body(content = requests::ProfileBody, content_type = "application/json"),
    responses(
        (status = 200, description = "the user as changed", body = UserJson),
        openapi::responses::SearchBodyProblems,
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn put_profile(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<UserJson>, ApiError> {
    caller.require(Action::OwnAccount)?;
    let member = caller.member()?;
    let mut fields = Fields::read(&state, &request, payload).await?;
    let full_name = fields.nullable("full_name", |fields| fields.text("full_name", 1..=255));
    fields.finish()?;

    let change = UserChange { full_name, ..UserChange::default() };
    let origin = origin(&state, &request, caller.actor());
    let changed = state.store.update_user(caller.tenant_id(), member.user.id, &change, &origin).await?;
    state.members.forget(member).await;
    Ok(Json(UserJson::from(&changed.ok_or(ApiError::Unauthenticated)?)))
}

impl From<UpdateUserError> for ApiError {
    fn from(error: UpdateUserError) -> Self {
        match error {
            UpdateUserError::LastOwner => Self::Conflict(Conflict::LastOwner),
            UpdateUserError::Store(error) => error.into(),
        }
    }
}
