//! `GET /events/types` and `/events/severities`: what may be said. No credential needed.

use actix_web::web::Json;
use pulsestream_domain::event::{EventType, Severity};

/// Lists the values of `event_type`.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/events/types",
    tag = "ingestion",
    responses((status = 200, description = "every value", body = Vec<String>)),
)]
pub(crate) async fn event_types() -> Json<&'static [EventType]> {
    Json(EventType::ALL)
}

/// Lists the values of `severity`.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/events/severities",
    tag = "ingestion",
    responses((status = 200, description = "every value", body = Vec<String>)),
)]
pub(crate) async fn severities() -> Json<&'static [Severity]> {
    Json(Severity::ALL)
}
