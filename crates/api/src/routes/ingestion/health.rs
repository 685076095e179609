//! `GET /health` of ingestion: how taking in events goes, over all tenants. No credential needed.

use actix_web::{HttpResponse, http::StatusCode};
use pulsestream_domain::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{observed::Health, state::State};

/// How taking in events goes. Every figure is measured.
#[derive(Serialize, ToSchema)]
pub(crate) struct IngestionHealth {
    /// `healthy`, or `unhealthy` when events can't be stored.
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// Events this instance stored per second, over the last minute.
    ingestion_rate: f64,
    /// Requests of this instance that wait to be stored.
    queue_size: usize,
    /// `healthy`, `degraded` when some of the tasks that store events are gone, `down` when all are.
    #[schema(example = "healthy")]
    worker_status: &'static str,
    /// When the last event came in, on any instance; null when the store does not answer or is empty.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_event_received: Option<Timestamp>,
    /// Events of the last hour that report an error; null when the store does not answer.
    errors_last_hour: Option<u64>,
    /// Of this instance.
    uptime_seconds: i64,
}

/// Tells how taking in events goes.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/health",
    operation_id = "ingestion_health",
    tag = "ingestion",
    responses(
        (status = 200, description = "events can be stored", body = IngestionHealth),
        (status = 503, description = "events can't be stored", body = IngestionHealth),
    ),
)]
pub(crate) async fn health(state: State) -> HttpResponse {
    let now = state.clock.now();
    let vitals = state.ingestion.vitals();
    let Health { figures } = state.health.get(|| Health::of(&state.store, now)).await;
    let worker_status = match vitals.lanes_alive {
        0 => "down",
        alive if alive < vitals.lanes => "degraded",
        _ => "healthy",
    };
    let is_healthy = figures.is_some() && worker_status != "down";
    let status = if is_healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).json(IngestionHealth {
        status: if is_healthy { "healthy" } else { "unhealthy" },
        timestamp: now,
        ingestion_rate: vitals.stored_last_minute as f64 / 60.0,
        queue_size: vitals.queue_depth,
        worker_status,
        last_event_received: figures.and_then(|figures| figures.last_received_at),
        errors_last_hour: figures.map(|figures| figures.errors_last_hour),
        uptime_seconds: state.uptime_seconds(),
    })
}
