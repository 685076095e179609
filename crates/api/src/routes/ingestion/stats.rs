//! `GET /stats`: a tenant's figures.

use actix_web::web::Json;
use pulsestream_domain::{Timestamp, api_key::Scope, tenant::TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{caller::Caller, error::ApiError, openapi, state::State};

/// How many events a tenant has, and how recent.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatsAnswer {
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
    total_events: u64,
    /// Since midnight UTC.
    events_today: u64,
    /// Since the full hour.
    events_this_hour: u64,
    /// Since the full minute.
    events_this_minute: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_event_at: Option<Timestamp>,
    /// Events that wait to be processed again.
    processing_queue_size: u64,
    /// Of the last 24 hours' events with a status code: the share of 500 and more, from 0 to 1.
    error_rate: f64,
}

/// Tells a tenant's figures.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/stats",
    tag = "ingestion",
    responses(
        (status = 200, description = "the figures", body = StatsAnswer),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn stats(state: State, caller: Caller) -> Result<Json<StatsAnswer>, ApiError> {
    caller.require(Scope::EventsRead)?;
    let stats = state.store.stats(caller.tenant_id(), state.clock.now()).await?;
    Ok(Json(StatsAnswer {
        tenant_id: caller.tenant_id(),
        total_events: stats.total_events,
        events_today: stats.events_today,
        events_this_hour: stats.events_this_hour,
        events_this_minute: stats.events_this_minute,
        last_event_at: stats.last_event_at,
        processing_queue_size: stats.pending_events,
        error_rate: stats.error_rate,
    }))
}
