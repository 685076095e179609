//! `POST /logout`: the end of a session.

use actix_web::{HttpRequest, web::Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    caller::{Caller, origin},
    error::ApiError,
    openapi,
    state::State,
};

/// What was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthDone {
    pub(super) message: &'static str,
}

/// Ends the session: neither its access tokens nor its refresh token are good any more, on any instance within five
/// seconds.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    tag = "auth",
    responses(
        (status = 200, description = "it is ended", body = AuthDone),
        openapi::responses::ReadProblems,
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn logout(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<Json<AuthDone>, ApiError> {
    let member = caller.member()?;
    let origin = origin(&state, &request, caller.actor());
    state.store.end_session(caller.tenant_id(), member.session.id, &origin).await?;
    state.members.forget(member).await;
    Ok(Json(AuthDone { message: "Logged out successfully" }))
}
