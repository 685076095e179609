//! `GET /docs`: this surface, to be tried out in a browser. Everything comes from the binary.

use std::sync::{Arc, LazyLock};

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
    web::{Bytes, Path},
};
use utoipa_swagger_ui::{Config, serve};

use crate::error::ApiError;

/// Nothing but what this server sends; the icons in its style sheet are `data:` addresses.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
);

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/openapi.json")));

/// Leads to the documentation.
#[utoipa::path(get, path = "/docs", tag = "service", responses((status = 308, description = "it is at /docs/")))]
pub(crate) async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// Shows the documentation.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    tag = "service",
    params(("file" = String, Path, description = "empty for the page itself")),
    responses(
        (status = 200, description = "a file of the documentation", content_type = "text/html", body = String),
        (status = 404, description = "no such file"),
    ),
)]
pub(crate) async fn file(path: Path<String>) -> Result<HttpResponse, ApiError> {
    let file = serve(&path, Arc::clone(&CONFIG)).map_err(|_| ApiError::Internal)?;
    let file = file.ok_or(ApiError::NoSuchRoute)?;
    let charset = if file.content_type.starts_with("text/") { "; charset=utf-8" } else { "" };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, format!("{}{charset}", file.content_type)))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(Bytes::from(file.bytes.into_owned())))
}
