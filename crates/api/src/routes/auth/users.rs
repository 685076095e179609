//! `GET /users` and `PUT /users/{user_id}`: the people of a tenant.

use actix_web::{
    HttpRequest,
    web::{Json, Path, Payload},
};
use pulsestream_domain::{
    event::{FieldError, Reason},
    identity::{Role, User, UserId},
};
use pulsestream_identity::authority::Action;
use pulsestream_storage::{UserChange, UserQuery};
use serde::Serialize;
use utoipa::ToSchema;

use super::{requests, user_json::UserJson};
use crate::{
    caller::{Caller, origin},
    error::ApiError,
    fields::Fields,
    openapi, query,
    state::State,
};

/// Some users.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsersAnswer {
    /// By address.
    users: Vec<UserJson>,
    /// How many there are in all.
    total_count: u64,
    skip: u64,
    limit: u64,
}

/// Lists the users of the tenant.
#[utoipa::path(
    get,
    path = "/api/v1/auth/users",
    tag = "auth",
    params(requests::UserListing),
    responses(
        (status = 200, description = "users", body = UsersAnswer),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn list_users(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<Json<UsersAnswer>, ApiError> {
    caller.require(Action::ManageUsers)?;
    let mut parameters = query::parameters(&request);
    let skip = query::take_number(&mut parameters, "skip", 0, u64::from(u32::MAX))?.unwrap_or(0);
    let limit = query::take_number(&mut parameters, "limit", 1, 1_000)?.unwrap_or(100);
    let search = parameters.take("search")?.filter(|text| !text.is_empty());
    if search.as_ref().is_some_and(|text| text.contains('\0')) {
        return Err(FieldError::new("/search", Reason::NulNotAllowed).into());
    }
    query::nothing_left(parameters)?;
    let page = state.store.users(caller.tenant_id(), &UserQuery { search, skip, limit }).await?;
    let users = page.users.iter().map(UserJson::from).collect();
    Ok(Json(UsersAnswer { users, total_count: page.total_count, skip, limit }))
}

/// Changes a user's name, role or access.
#[utoipa::path(
    put,
    path = "/api/v1/auth/users/{user_id}",
    tag = "auth",
    params(requests::UserPath),
    request_body(content = requests::UserBody, content_type = "application/json"),
    responses(
        (status = 200, description = "the user as changed", body = UserJson),
        openapi::responses::AccountChangeProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn put_user(
    state: State,
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<Json<UserJson>, ApiError> {
    caller.require(Action::ManageUsers)?;
    let mut fields = Fields::read(&state, &request, payload).await?;
    let full_name = fields.nullable("full_name", |fields| fields.text("full_name", 1..=255));
    let role = fields.parsed::<Role>("role", Reason::UnknownValue);
    let is_active = fields.flag("is_active");
    fields.finish()?;

    let user = find(&state, &caller, &id).await?;
    if user.role == Role::Owner || role == Some(Role::Owner) {
        caller.require(Action::ManageOwners)?;
    }
    let change = UserChange { full_name, role, is_active };
    let origin = origin(&state, &request, caller.actor());
    let changed = state.store.update_user(caller.tenant_id(), user.id, &change, &origin).await?;
    Ok(Json(UserJson::from(&changed.ok_or(ApiError::NoSuch("user"))?)))
}

async fn find(state: &State, caller: &Caller, id: &str) -> Result<User, ApiError> {
    let id = UserId(id.parse().map_err(|_| ApiError::NoSuch("user"))?);
    state.store.user(caller.tenant_id(), id).await?.ok_or(ApiError::NoSuch("user"))
}
