//! `POST /refresh`: the next pair of tokens.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_domain::identity::{Actor, OpaqueToken, Purpose};
use pulsestream_storage::Refreshed;

use super::{requests, session};
use crate::{caller::origin, error::ApiError, fields::Fields, openapi, state::State};

/// Gives the next pair of tokens. A refresh token that comes a second time ends its session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    tag = "auth",
    request_body(content = requests::RefreshBody, content_type = "application/json"),
    responses(
        (status = 200, description = "tokens", body = session::LoginAnswer),
        openapi::responses::LoginProblems,
    ),
)]
pub(crate) async fn refresh(
    state: State,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let mut fields = Fields::read(&state, &request, payload).await?;
    let token = fields.text("refresh_token", 1..=1_024);
    let Some(token) = fields.required("refresh_token", token) else { return Err(fields.refused()) };
    fields.finish()?;

    let token: OpaqueToken = token.parse().map_err(|_| ApiError::InvalidLogin)?;
    if token.purpose() != Purpose::Refresh {
        return Err(ApiError::InvalidLogin);
    }
    let tenant_id = token.tenant_id();
    let next = session::new_token(&state, Purpose::Refresh, tenant_id);
    // Whoever has the token is taken for its user: that is what it is for.
    let owner = state.store.session_of_token(tenant_id, &token.digest()).await?;
    let actor = owner.map_or(Actor::Anonymous, |session| Actor::User(session.user_id));
    let origin = origin(&state, &request, actor);
    match state.store.refresh_session(tenant_id, &token.digest(), &next.digest(), &origin).await? {
        Refreshed::Next { session, user } => session::tokens(&state, &session, &user, &next),
        Refreshed::Reused | Refreshed::Refused => Err(ApiError::InvalidLogin),
    }
}
