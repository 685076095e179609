//! `GET /metrics`: figures for Prometheus.

use actix_web::HttpResponse;
use metrics::gauge;

use crate::{error::ApiError, state::State};

/// Shows the metrics of this instance, in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    responses((status = 200, description = "the metrics", body = String, content_type = "text/plain")),
)]
pub(crate) async fn metrics(state: State) -> Result<HttpResponse, ApiError> {
    match state.settings.public_metrics {
        true => Ok(metrics_for_operations(state).await),
        false => Err(ApiError::NoSuchRoute),
    }
}

/// Shows the same to whoever runs the service.
pub(crate) async fn metrics_for_operations(state: State) -> HttpResponse {
    let vitals = state.ingestion.vitals();
    gauge!("http_requests_in_flight").set(state.requests.count() as f64);
    gauge!("http_body_bytes_in_flight").set(state.bodies.budget.in_use() as f64);
    gauge!("http_exports_in_flight").set(state.exports.count() as f64);
    gauge!("ingest_queue_requests").set(vitals.queue_depth as f64);
    gauge!("ingest_lanes_alive").set(vitals.lanes_alive as f64);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(state.metrics.render())
}
