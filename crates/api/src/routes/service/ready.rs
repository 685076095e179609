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
    reasons: Vec<&'static str>,
    /// Requests that wait to be stored.
    queue_size: usize,
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
    let readiness = state.readiness.get(|| Readiness::of(&state.store)).await;
    let mut reasons = obstacles(&state, readiness);
    if !reasons.is_empty() {
        let mut response = HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE);
        let response = response.insert_header((header::RETRY_AFTER, 1));
        return response.json(answer("not_ready", reasons, &state));
    }
    reasons = (state.degraded)();
    let status = if reasons.is_empty() { "ready" } else { "degraded" };
    HttpResponse::Ok().json(answer(status, reasons, &state))
}

fn answer(status: &'static str, reasons: Vec<&'static str>, state: &AppState) -> ReadyAnswer {
    ReadyAnswer { status, reasons, queue_size: state.ingestion.vitals().queue_depth }
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
