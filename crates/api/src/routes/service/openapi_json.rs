//! `GET /openapi.json`: this surface, described for programs.

use std::sync::LazyLock;

use actix_web::{HttpResponse, http::header, web::Bytes};

use crate::openapi;

/// Written once: it never changes.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(openapi::openapi_json()));

/// Shows this document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    responses((status = 200, description = "the OpenAPI document", content_type = "application/json", body = Object)),
)]
pub(crate) async fn openapi_json() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(DOCUMENT.clone())
}
