//! `POST /login`: from a password to tokens.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_domain::{
    event::Reason,
    identity::{Actor, Email, Target, User},
    tenant::{Slug, Tenant},
};
use pulsestream_identity::{passwords::Verdict, throttle::Attempt};

use super::{requests, session};
use crate::{
    caller::{client_address, origin},
    error::ApiError,
    fields::Fields,
    openapi,
    state::State,
};

/// Logs in.
#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    tag = "auth",
    request_body(content = requests::LoginBody, content_type = "application/json"),
    responses(
        (status = 200, description = "tokens", body = session::LoginAnswer),
        openapi::responses::LoginProblems,
    ),
)]
pub(crate) async fn login(
    state: State,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let mut fields = Fields::read(&state, &request, payload).await?;
    let email = fields.email("email");
    let email = fields.required("email", email);
    let password = fields.presented_password("password");
    let password = fields.required("password", password);
    let slug = fields.parsed::<Slug>("tenant_slug", Reason::BadParameter);
    let slug = fields.required("tenant_slug", slug);
    let remember = fields.flag("remember_me").unwrap_or(false);
    let (Some(email), Some(password), Some(slug)) = (email, password, slug) else {
        return Err(fields.refused());
    };
    fields.finish()?;

    let throttle = &state.identity.throttle;
    let (account, address) = (format!("{slug}\n{email}"), client_address(&request));
    let admitted = throttle.admit(Attempt::Login, Some(&account), address, state.clock.now()).await?;
    let (tenant, user) = find(&state, &slug, &email).await?;
    let kept = user.as_ref().map(|user| &user.password_hash);
    let verdict = state.identity.passwords.verify(password, kept).await?;
    match (user, verdict) {
        (Some(user), Verdict::Right { rehashed }) if user.is_active => {
            throttle.forgive(admitted, state.clock.now()).await;
            session::begin(&state, &request, &user, remember, rehashed.as_ref()).await
        }
        (user, _) => {
            note_failure(&state, &request, tenant.as_ref(), user.as_ref()).await?;
            Err(ApiError::InvalidLogin)
        }
    }
}

async fn find(state: &State, slug: &Slug, email: &Email) -> Result<(Option<Tenant>, Option<User>), ApiError> {
    let tenant = state.store.tenant_by_slug(slug).await?;
    let user = match &tenant {
        Some(tenant) => state.store.user_by_email(tenant.id, email).await?,
        None => None,
    };
    Ok((tenant, user))
}

/// Writes the failure into the tenant's book, if there is such a tenant.
async fn note_failure(
    state: &State,
    request: &HttpRequest,
    tenant: Option<&Tenant>,
    user: Option<&User>,
) -> Result<(), ApiError> {
    let Some(tenant) = tenant else { return Ok(()) };
    let target = user.map_or(Target::Tenant(tenant.id), |user| Target::User(user.id));
    let origin = origin(state, request, Actor::Anonymous);
    Ok(state.store.note_failed_login(tenant.id, target, &origin).await?)
}
