//! `GET /health`: whether people can log in.

use actix_web::{HttpResponse, http::StatusCode};
use pulsestream_domain::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Registration, answer, error::ApiError, observed::Readiness, state::State};

/// How logging in is doing.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthHealth {
    /// `healthy`, or `unhealthy` when the store does not answer.
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// Who may make a tenant over HTTP: `open`, `invite` or `closed`.
    #[schema(example = "open")]
    registration: &'static str,
    /// Whether mails that reset a password are sent.
    password_reset_mails: bool,
}

/// Tells whether people can log in.
#[utoipa::path(
    get,
    path = "/api/v1/auth/health",
    operation_id = "auth_health",
    tag = "auth",
    responses(
        (status = 200, description = "they can", body = AuthHealth),
        (status = 503, description = "the store does not answer", body = AuthHealth),
    ),
)]
pub(crate) async fn health(state: State) -> Result<HttpResponse, ApiError> {
    let store = state.readiness.get(|| Readiness::of(&state.store)).await;
    let mut response = answer::json(&AuthHealth {
        status: if store.is_reached { "healthy" } else { "unhealthy" },
        timestamp: state.clock.now(),
        registration: match state.settings.registration {
            Registration::Open => "open",
            Registration::Invite => "invite",
            Registration::Closed => "closed",
        },
        password_reset_mails: state.identity.mail.is_some(),
    })?;
    if !store.is_reached {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}
