//! From somebody who proved who they are to what they carry from now on.

use actix_web::{HttpRequest, HttpResponse};
use pulsestream_domain::{
    identity::{Actor, OpaqueToken, PasswordHash, Purpose, Role, Session, SessionId, User, UserId},
    tenant::TenantId,
};
use pulsestream_identity::{
    REFRESH_SECS, REMEMBERED_SECS, SESSION_SECS,
    access_tokens::{ACCESS_SECS, Subject},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{answer, caller::origin, error::ApiError, state::State};

/// What somebody who is logged in carries.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginAnswer {
    /// Goes into `Authorization: Bearer`.
    access_token: String,
    /// Good once, for the next pair of tokens.
    refresh_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// How long the access token is good, in seconds.
    #[schema(example = 1_800)]
    expires_in: i64,
    /// How long the refresh token is good, in seconds.
    #[schema(example = 604_800)]
    refresh_expires_in: i64,
    #[schema(value_type = String, format = Uuid)]
    user_id: UserId,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
    email: String,
    #[schema(value_type = String)]
    role: Role,
    /// Whether all they may do for now is to change their password.
    must_change_password: bool,
}

/// Begins a session and answers with its tokens.
pub(super) async fn begin(
    state: &State,
    request: &HttpRequest,
    user: &User,
    remember: bool,
    rehashed: Option<&PasswordHash>,
) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    let session = Session {
        id: SessionId(state.ids.uuid_v7(now)),
        tenant_id: user.tenant_id,
        user_id: user.id,
        token_life_secs: if remember { REMEMBERED_SECS } else { REFRESH_SECS },
        created_at: now,
        expires_at: now.plus_secs(SESSION_SECS),
        ended_at: None,
    };
    let token = new_token(state, Purpose::Refresh, user.tenant_id);
    let origin = origin(state, request, Actor::User(user.id));
    state.store.begin_session(&session, &token.digest(), rehashed, &origin).await?;
    tokens(state, &session, user, &token)
}

/// Answers with the tokens of a session as of now.
pub(super) fn tokens(
    state: &State,
    session: &Session,
    user: &User,
    refresh_token: &OpaqueToken,
) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    let subject = Subject { tenant_id: user.tenant_id, user_id: user.id, session_id: session.id };
    answer::json(&LoginAnswer {
        access_token: state.identity.access_tokens.issue(&subject, now),
        refresh_token: refresh_token.reveal().to_owned(),
        token_type: "bearer",
        expires_in: ACCESS_SECS,
        refresh_expires_in: session.token_expires_at(now).as_secs() - now.as_secs(),
        user_id: user.id,
        tenant_id: user.tenant_id,
        email: user.email.to_string(),
        role: user.role,
        must_change_password: user.must_change_password,
    })
}

/// A token that nobody can foretell.
pub(super) fn new_token(state: &State, purpose: Purpose, tenant_id: TenantId) -> OpaqueToken {
    OpaqueToken::from_entropy(purpose, tenant_id, state.identity.entropy.bytes())
}
