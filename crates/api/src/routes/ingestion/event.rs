//! `GET`, `DELETE /events/{event_id}` and `POST /events/{event_id}/retry`: one stored event.

use actix_web::{HttpRequest, HttpResponse, web::Json};
use pulsestream_domain::api_key::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use super::event_path::event_id;
use crate::{answer, caller::Caller, error::ApiError, event_json::EventJson, openapi, state::State};

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
    let id = event_id(request.uri().path(), "")?;
    let stored = state.store.event(caller.tenant_id(), &id).await?.ok_or(ApiError::NoSuchEvent)?;
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
    let id = event_id(request.uri().path(), "")?;
    match state.store.delete_event(caller.tenant_id(), &id).await? {
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
