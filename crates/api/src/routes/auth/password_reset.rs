//! `POST /password-reset/request` and `/confirm`: for those who forgot theirs.

use actix_web::{
    HttpRequest,
    web::{Json, Payload},
};
use pulsestream_domain::{
    event::Reason,
    identity::{Actor, Email, OpaqueToken, Origin, Purpose},
    tenant::Slug,
};
use pulsestream_identity::{PASSWORD_RESET_SECS, mail::Mail, throttle::Attempt};

use super::{
    logout::AuthDone,
    mails::{self, SendError},
    requests,
};
use crate::{
    caller::{client_address, origin},
    error::ApiError,
    fields::Fields,
    openapi,
    state::State,
};

/// Sends a mail with a token to whoever has this address. The answer is the same whether anybody has.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password-reset/request",
    tag = "auth",
    request_body(content = requests::PasswordResetBody, content_type = "application/json"),
    responses(
        (status = 200, description = "a mail is on its way, if anybody has this address", body = AuthDone),
        openapi::responses::LoginProblems,
    ),
)]
pub(crate) async fn request_password_reset(
    state: State,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<AuthDone>, ApiError> {
    let mut fields = Fields::read(&state, &request, payload).await?;
    let email = fields.email("email");
    let email = fields.required("email", email);
    let slug = fields.parsed::<Slug>("tenant_slug", Reason::BadParameter);
    let slug = fields.required("tenant_slug", slug);
    let (Some(email), Some(slug)) = (email, slug) else { return Err(fields.refused()) };
    fields.finish()?;

    let (account, address) = (format!("{slug}\n{email}"), client_address(&request));
    let now = state.clock.now();
    state.identity.throttle.admit(Attempt::PasswordReset, Some(&account), address, now).await?;
    if state.identity.mail.is_none() {
        let message = "Mails are not set up here: ask an administrator for a new password";
        return Ok(Json(AuthDone { message }));
    }
    let origin = origin(&state, &request, Actor::Anonymous);
    let sender = state.clone();
    mails::beside(&state, async move { send(&sender, &slug, &email, &origin).await });
    let message = "If there is such an account, a mail is on its way to it";
    Ok(Json(AuthDone { message }))
}

async fn send(state: &State, slug: &Slug, email: &Email, origin: &Origin) -> Result<(), SendError> {
    let Some(tenant) = state.store.tenant_by_slug(slug).await? else { return Ok(()) };
    let user = state.store.user_by_email(tenant.id, email).await?;
    let Some(user) = user.filter(|user| user.is_active) else { return Ok(()) };
    let mail = |link: &str| Mail::password_reset(user.email.clone(), link, PASSWORD_RESET_SECS / 60);
    mails::send_link(state, &user, PASSWORD_RESET_SECS, origin, mail).await
}

/// Sets a new password with a token out of a mail, and ends all sessions.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password-reset/confirm",
    tag = "auth",
    request_body(content = requests::PasswordResetConfirmBody, content_type = "application/json"),
    responses(
        (status = 200, description = "the password is set", body = AuthDone),
        openapi::responses::LoginProblems,
    ),
)]
pub(crate) async fn confirm_password_reset(
    state: State,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<AuthDone>, ApiError> {
    let mut fields = Fields::read(&state, &request, payload).await?;
    let token = fields.text("token", 1..=1_024);
    let token = fields.required("token", token);
    let password = fields.new_password("new_password");
    let password = fields.required("new_password", password);
    let (Some(token), Some(password)) = (token, password) else { return Err(fields.refused()) };
    fields.finish()?;

    let now = state.clock.now();
    let admitted =
        state.identity.throttle.admit(Attempt::PasswordReset, None, client_address(&request), now).await?;
    let token: OpaqueToken = token.parse().map_err(|_| ApiError::InvalidToken)?;
    if token.purpose() != Purpose::PasswordReset {
        return Err(ApiError::InvalidToken);
    }
    let (tenant_id, digest) = (token.tenant_id(), token.digest());
    // Looked up before anything is hashed: junk must not cost that much.
    let user_id = state.store.password_reset(tenant_id, &digest, now).await?.ok_or(ApiError::InvalidToken)?;
    let hash = state.identity.passwords.hash(password).await?;
    let origin = origin(&state, &request, Actor::User(user_id));
    if !state.store.reset_password(tenant_id, &digest, &hash, &origin).await? {
        return Err(ApiError::InvalidToken);
    }
    state.identity.throttle.forgive(admitted, now).await;
    Ok(Json(AuthDone { message: "Password reset successfully" }))
}
