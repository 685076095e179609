//! `GET /rate-limit`: where a tenant stands with its limit.

use actix_web::HttpResponse;
use pulsestream_domain::{Timestamp, api_key::Scope};
use pulsestream_rate_limit::Policy;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{answer, caller::Caller, error::ApiError, headers, openapi, state::State};

/// The limit as the limiter sees it now.
#[derive(Serialize, ToSchema)]
pub(crate) struct RateLimitAnswer {
    /// Newly stored events per window.
    limit: u32,
    /// How many more would be stored now.
    remaining: u32,
    /// When all of it is free again, if nothing more is sent.
    #[schema(value_type = String, format = DateTime)]
    reset_time: Timestamp,
    window_size_seconds: u32,
    /// Whether the next event would be refused.
    exceeded: bool,
}

/// Tells where the tenant stands with its limit.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/rate-limit",
    tag = "ingestion",
    responses(
        (status = 200, description = "the limit as the limiter sees it now", body = RateLimitAnswer),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn rate_limit(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.require_any(&[Scope::EventsRead, Scope::EventsWrite])?;
    let usage = state.ingestion.usage(&caller.tenant).await;
    let mut response = answer::json(&RateLimitAnswer {
        limit: usage.limit,
        remaining: usage.remaining,
        reset_time: usage.reset_at,
        window_size_seconds: Policy::PerMinute.window_seconds(),
        exceeded: usage.remaining == 0,
    })?;
    headers::set_rate_limit(response.headers_mut(), &usage);
    Ok(response)
}
