//! `GET /readyz`: whether traffic should come here.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    observed::Readiness,
    state::{AppState, State},
};

/// Whether traffic should come here, and if not, why.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReadyAnswer {
    /// `ready`, `degraded` (traffic is fine, but see `reasons`) or `not_ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// `draining`, `database_unreachable`, `migrations_pending`, `backlog`, `workers_down`, or the name of a part
    /// that is away, such as `redis`.
    /// Left out where only whoever runs the service is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<&'static str>>,
    /// Requests that wait to be stored. Left out as `reasons` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_size: Option<usize>,
}

/// Tells whether traffic should come here.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = 200, description = "ready, or ready but degraded", body = ReadyAnswer),
        (status = 503, description = "not ready", body = ReadyAnswer),
    ),
)]
pub(crate) async fn ready(state: State) -> HttpResponse {
    let has_details = state.settings.public_readiness_details;
    answer(&state, has_details).await
}

/// Tells the same to whoever runs the service, with every detail.
pub(crate) async fn ready_for_operations(state: State) -> HttpResponse {
    answer(&state, true).await
}

async fn answer(state: &AppState, has_details: bool) -> HttpResponse {
    let readiness = state.readiness.get(|| Readiness::of(&state.store)).await;
    let mut reasons = obstacles(state, readiness);
    let mut response = HttpResponse::Ok();
    let status = if reasons.is_empty() {
        reasons = (state.degraded)();
        if reasons.is_empty() { "ready" } else { "degraded" }
    } else {
        response.status(StatusCode::SERVICE_UNAVAILABLE).insert_header((header::RETRY_AFTER, 1));
        "not_ready"
    };
    response.json(ReadyAnswer {
        status,
        reasons: has_details.then_some(reasons),
        queue_size: has_details.then(|| state.ingestion.vitals().queue_depth),
    })
}

fn obstacles(state: &AppState, readiness: Readiness) -> Vec<&'static str> {
    let vitals = state.ingestion.vitals();
    let found = [
        (state.is_draining(), "draining"),
        (!readiness.is_reached, "database_unreachable"),
        (readiness.is_reached && !readiness.is_current, "migrations_pending"),
        (vitals.queue_depth > state.settings.ready_queue_depth, "backlog"),
        (vitals.lanes_alive == 0, "workers_down"),
    ];
    found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, reason)| reason).collect()
}
