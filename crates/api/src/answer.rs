//! Answers in JSON.

use actix_web::{HttpResponse, http::header};
use pulsestream_domain::ports::StoreError;
use serde::Serialize;

use crate::error::ApiError;

/// 200 with this as JSON.
pub(crate) fn json(body: &impl Serialize) -> Result<HttpResponse, ApiError> {
    let body = serde_json::to_vec(body).map_err(damaged)?;
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(body))
}

/// What was read from the store can't be written as JSON: somebody else wrote into it.
pub(crate) fn damaged(error: serde_json::Error) -> ApiError {
    StoreError::Unexpected(error.into()).into()
}
