//! What requests about alerting have in common.

use std::str::FromStr;

use actix_web::{HttpRequest, web::Payload};
use pulsestream_domain::{
    Timestamp,
    event::{FieldError, Reason},
    search::Parameters,
};
use serde_json::value::RawValue;

use crate::{
    body::{self, Body},
    error::ApiError,
    query,
    state::State,
};

/// How many bytes a body may have: the largest rule, with room to spare.
const MAX_BODY_BYTES: usize = 128 * 1024;
const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1_000;

/// The JSON in a body.
pub(super) async fn json(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Box<RawValue>, ApiError> {
    body::require_json(request.headers())?;
    parsed(&read(state, request, payload).await?)
}

/// The JSON in a body; nothing at all is an empty object.
pub(super) async fn json_or_nothing(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Box<RawValue>, ApiError> {
    let body = read(state, request, payload).await?;
    if body.bytes.is_empty() {
        return Ok(RawValue::from_string("{}".to_owned()).expect("it is JSON"));
    }
    body::require_json(request.headers())?;
    parsed(&body)
}

async fn read(state: &State, request: &HttpRequest, payload: Payload) -> Result<Body, ApiError> {
    let limits = state.bodies.with_max_bytes(MAX_BODY_BYTES);
    Ok(limits.read(request.headers(), payload).await?)
}

fn parsed(body: &Body) -> Result<Box<RawValue>, ApiError> {
    serde_json::from_slice(&body.bytes).map_err(|_| ApiError::BadJson)
}

/// The id in a path; what can't be one is the id of nothing.
pub(super) fn id<T: FromStr>(request: &HttpRequest, name: &str, what: &'static str) -> Result<T, ApiError> {
    let text = request.match_info().get(name).unwrap_or_default();
    text.parse().map_err(|_| ApiError::NoSuch(what))
}

/// Which part of a list.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub(super) limit: u32,
    pub(super) offset: u64,
}

/// Takes the part of a list out of the parameters.
pub(super) fn take_page(parameters: &mut Parameters) -> Result<Page, ApiError> {
    let limit = query::take_number(parameters, "limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let offset = query::take_number(parameters, "offset", 0, u32::MAX.into())?.unwrap_or(0);
    Ok(Page { limit: u32::try_from(limit).unwrap_or(u32::MAX), offset })
}

/// Takes a value out of the parameters.
pub(super) fn take<T: FromStr>(parameters: &mut Parameters, name: &str) -> Result<Option<T>, ApiError> {
    let Some(text) = parameters.take(name)? else { return Ok(None) };
    let refused = |_| FieldError::new(format!("/{name}"), Reason::UnknownValue);
    Ok(Some(text.parse().map_err(refused)?))
}

/// Takes values with commas between them out of the parameters; none is an empty list.
pub(super) fn take_list<T: FromStr>(parameters: &mut Parameters, name: &str) -> Result<Vec<T>, ApiError> {
    let Some(text) = parameters.take(name)? else { return Ok(Vec::new()) };
    let values: Result<Vec<T>, _> = text.split(',').map(|value| value.trim().parse()).collect();
    Ok(values.map_err(|_| FieldError::new(format!("/{name}"), Reason::UnknownValue))?)
}

/// Makes sure that a request has no parameters left.
pub(super) fn close(parameters: Parameters) -> Result<(), ApiError> {
    Ok(parameters.close()?)
}

/// Takes an instant out of the parameters.
pub(super) fn take_timestamp(parameters: &mut Parameters, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = parameters.take(name)? else { return Ok(None) };
    let refused = |_| FieldError::new(format!("/{name}"), Reason::BadTimestamp);
    Ok(Some(Timestamp::parse(&text).map_err(refused)?))
}
