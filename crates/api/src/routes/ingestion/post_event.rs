//! `POST /events`: one event.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Payload};
use pulsestream_domain::{Timestamp, event::EventId};
use pulsestream_ingestion::{EventOutcome, Outcome, Receipt};
use serde::Serialize;
use utoipa::ToSchema;

use super::receive::{Kind, receive};
use crate::{caller::Caller, error::ApiError, openapi, state::State};

/// An event that is stored.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventAccepted<'a> {
    /// Always true.
    success: bool,
    #[schema(value_type = String, example = "order-4711")]
    event_id: &'a EventId,
    /// `accepted` or `duplicate`.
    #[schema(example = "accepted")]
    status: &'static str,
    /// When the event was taken in; of a duplicate, when the first one was.
    #[schema(value_type = String, format = DateTime)]
    ingested_at: Timestamp,
    /// Always `completed`: what can be found out about an event is found out before it is stored.
    #[schema(example = "completed")]
    processing_status: &'static str,
    message: &'static str,
    /// Always empty.
    #[schema(value_type = Vec<openapi::schemas::FieldError>)]
    errors: [(); 0],
    /// Present and true when nothing was stored on purpose.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

/// Stores one event.
///
/// The answer is given when the event is durable and can be searched. Sending the same `event_id` again is safe.
#[utoipa::path(
    post,
    path = "/api/v1/ingestion/events",
    tag = "ingestion",
    params(openapi::parameters::DryRun, openapi::parameters::IngestHeaders),
    request_body(content = openapi::schemas::NewEvent, content_type = "application/json"),
    responses(
        (status = 200, description = "stored, now or before", body = EventAccepted),
        openapi::responses::IngestProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn post_event(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    receive(&state, &caller, &request, payload, Kind::Single, respond).await
}

fn respond(receipt: Receipt) -> Result<HttpResponse, ApiError> {
    let (usage, dry_run) = (receipt.usage, receipt.dry_run);
    let Some(EventOutcome { event_id, outcome }) = receipt.outcomes.into_iter().next() else {
        return Err(ApiError::Internal);
    };
    let (status, message, ingested_at) = match outcome {
        Outcome::Accepted { ingested_at } => ("accepted", accepted_message(dry_run), ingested_at),
        Outcome::Duplicate { ingested_at } => ("duplicate", DUPLICATE_MESSAGE, ingested_at),
        outcome => return Err(ApiError::Event { event_id, outcome, exhausted: usage.exhausted }),
    };
    let Some(event_id) = event_id else { return Err(ApiError::Internal) };
    let answer = EventAccepted {
        success: true,
        event_id: &event_id,
        status,
        ingested_at,
        processing_status: "completed",
        message,
        errors: [],
        dry_run,
    };
    let mut body = Vec::with_capacity(256 + event_id.as_str().len());
    serde_json::to_writer(&mut body, &answer).map_err(|_| ApiError::Internal)?;
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(body))
}

/// Existing clients compare these texts.
pub(super) const DUPLICATE_MESSAGE: &str = "Event already exists (idempotent)";

pub(super) const fn accepted_message(dry_run: bool) -> &'static str {
    if dry_run { "Event is valid; nothing was stored (dry run)" } else { "Event ingested successfully" }
}
