//! `GET /`: what this is.

use actix_web::web::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// The version of all crates of the workspace.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What this is, and where to go on.
#[derive(Serialize, ToSchema)]
pub(crate) struct About {
    #[schema(example = "PulseStream")]
    name: &'static str,
    version: &'static str,
    docs_url: &'static str,
    health_url: &'static str,
}

/// Tells what this is.
#[utoipa::path(get, path = "/", tag = "service", responses((status = 200, description = "what this is", body = About)))]
pub(crate) async fn root() -> Json<About> {
    Json(About { name: "PulseStream", version: VERSION, docs_url: "/docs", health_url: "/health" })
}
