//! `GET /health` and `GET /livez`: whether the process answers. They ask nobody else: a process is not to be
//! restarted because a database is away.

use actix_web::web::Json;
use pulsestream_domain::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::root::VERSION;
use crate::state::State;

/// That the process answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    version: &'static str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    uptime_seconds: i64,
}

/// Tells that the process answers.
#[utoipa::path(get, path = "/health", tag = "service", responses((status = 200, description = "it answers", body = Alive)))]
pub(crate) async fn health(state: State) -> Json<Alive> {
    alive(&state)
}

/// Tells that the process answers.
#[utoipa::path(get, path = "/livez", tag = "service", responses((status = 200, description = "it answers", body = Alive)))]
pub(crate) async fn live(state: State) -> Json<Alive> {
    alive(&state)
}

fn alive(state: &State) -> Json<Alive> {
    Json(Alive {
        status: "healthy",
        version: VERSION,
        timestamp: state.clock.now(),
        uptime_seconds: state.uptime_seconds(),
    })
}
