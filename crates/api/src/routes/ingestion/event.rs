//! `GET`, `DELETE /events/{event_id}` and `POST /events/{event_id}/retry`: one stored event.
//!
//! An id is any printable text, also one that has another meaning in a path: `search` is a route, and clients
//! take `..` out before they send it. `GET` and `DELETE /events?event_id=` reach every event.

use actix_web::{HttpRequest, HttpResponse, web::Json};
use pulsestream_domain::{api_key::Scope, event::EventId};
use serde::Serialize;
use utoipa::ToSchema;

use super::event_path::event_id;
use crate::{answer, caller::Caller, error::ApiError, event_json::EventJson, openapi, query, state::State};

/// What was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done {
    message: &'static str,
}

/// Reads one event.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/events/{event_id}",
    tag = "ingestion",
    params(openapi::parameters::EventIdPath),
    responses(
        (status = 200, description = "the event", body = EventJson),
        openapi::responses::EventProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn get_event(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    read(&state, &caller, &event_id(request.uri().path(), "")?).await
}

/// Reads one event, whatever its id is.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/events",
    tag = "ingestion",
    params(openapi::parameters::EventIdQuery),
    responses(
        (status = 200, description = "the event", body = EventJson),
        openapi::responses::EventQueryProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn get_event_by_query(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    read(&state, &caller, &event_id_in_query(&request)?).await
}

async fn read(state: &State, caller: &Caller, id: &EventId) -> Result<HttpResponse, ApiError> {
    let stored = state.store.event(caller.tenant_id(), id).await?.ok_or(ApiError::NoSuchEvent)?;
    answer::json(&EventJson::of(&stored).map_err(answer::damaged)?)
}

/// Deletes one event: it is gone from every read, and its id is free for use again.
#[utoipa::path(
    delete,
    path = "/api/v1/ingestion/events/{event_id}",
    tag = "ingestion",
    params(openapi::parameters::EventIdPath),
    responses(
        (status = 200, description = "it is deleted", body = Done),
        openapi::responses::EventProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn delete_event(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<Json<Done>, ApiError> {
    caller.require(Scope::EventsWrite)?;
    delete(&state, &caller, &event_id(request.uri().path(), "")?).await
}

/// Deletes one event, whatever its id is.
#[utoipa::path(
    delete,
    path = "/api/v1/ingestion/events",
    tag = "ingestion",
    params(openapi::parameters::EventIdQuery),
    responses(
        (status = 200, description = "it is deleted", body = Done),
        openapi::responses::EventQueryProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn delete_event_by_query(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<Json<Done>, ApiError> {
    caller.require(Scope::EventsWrite)?;
    delete(&state, &caller, &event_id_in_query(&request)?).await
}

async fn delete(state: &State, caller: &Caller, id: &EventId) -> Result<Json<Done>, ApiError> {
    match state.store.delete_event(caller.tenant_id(), id).await? {
        true => Ok(Json(Done { message: "Event deleted successfully" })),
        false => Err(ApiError::NoSuchEvent),
    }
}

/// Queues one event for processing again.
#[utoipa::path(
    post,
    path = "/api/v1/ingestion/events/{event_id}/retry",
    tag = "ingestion",
    params(openapi::parameters::EventIdPath),
    responses(
        (status = 200, description = "it is queued", body = Done),
        openapi::responses::EventProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn retry_event(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<Json<Done>, ApiError> {
    caller.require(Scope::EventsWrite)?;
    let id = event_id(request.uri().path(), "/retry")?;
    match state.store.retry_event(caller.tenant_id(), &id).await? {
        true => Ok(Json(Done { message: "Event queued for retry" })),
        false => Err(ApiError::NoSuchEvent),
    }
}

/// What can't be an id is the id of no event, as in a path.
fn event_id_in_query(request: &HttpRequest) -> Result<EventId, ApiError> {
    query::only_text(request, "event_id")?.parse().map_err(|_| ApiError::NoSuchEvent)
}
