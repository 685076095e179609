//! `POST /events/batch`: up to a thousand events, each with an answer of its own.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::Payload,
};
use pulsestream_domain::{
    Timestamp,
    event::{EventId, FieldError, Reason},
};
use pulsestream_ingestion::{Counts, EventOutcome, Outcome, Receipt};
use serde::{Serialize, Serializer, ser::SerializeSeq};
use utoipa::ToSchema;

use super::{
    post_event::{DUPLICATE_MESSAGE, accepted_message},
    receive::{Kind, receive},
};
use crate::{caller::Caller, error::ApiError, openapi, state::State};

/// What became of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchAnswer<'a> {
    /// The client's, or a new one.
    batch_id: &'a str,
    total_count: usize,
    /// Accepted and duplicate.
    successful_count: usize,
    duplicate_count: usize,
    failed_count: usize,
    /// `completed`, `partial` or `failed`.
    #[schema(example = "partial")]
    processing_status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    ingested_at: Timestamp,
    /// Present and true when nothing was stored on purpose.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// One per event, in the order they were sent.
    #[schema(value_type = Vec<BatchItem>)]
    results: Results<'a>,
}

/// What became of one event of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchItem<'a> {
    /// Its place in the batch, from 0.
    index: usize,
    success: bool,
    /// Null when it could not be read.
    #[schema(value_type = Option<String>)]
    event_id: Option<&'a EventId>,
    /// `accepted`, `duplicate`, `rejected`, `throttled` or `failed`.
    #[schema(example = "accepted")]
    status: &'static str,
    message: &'static str,
    /// When the stored event of this id was taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ingested_at: Option<Timestamp>,
    /// What is wrong with it, when it was rejected.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<openapi::schemas::FieldError>)]
    errors: &'a [FieldError],
    /// Why the store did not answer for it, when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Seconds until another try is worthwhile, when it was throttled or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// Stores a batch of events.
///
/// Each event is judged by itself. The status is 200 when at least one is stored; otherwise 422 when all are
/// rejected, 429 when the limit is used up, 503 when the store did not answer, with the same body.
#[utoipa::path(
    post,
    path = "/api/v1/ingestion/events/batch",
    tag = "ingestion",
    params(openapi::parameters::DryRun, openapi::parameters::IngestHeaders),
    request_body(content(
        (openapi::schemas::Batch = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "at least one event is stored", body = BatchAnswer),
        (status = 422, description = "all events are rejected, or the body has another shape",
            content((BatchAnswer = "application/json"), (openapi::schemas::Problem = "application/problem+json"))),
        (status = 429, description = "the limit is used up",
            content((BatchAnswer = "application/json"), (openapi::schemas::Problem = "application/problem+json"))),
        (status = 503, description = "the store did not answer, or there is too much to do",
            content((BatchAnswer = "application/json"), (openapi::schemas::Problem = "application/problem+json"))),
        openapi::responses::BatchProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn post_batch(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let respond = |receipt: Receipt| {
        let new_id = || state.ids.uuid_v7(receipt.ingested_at).to_string();
        let batch_id = receipt.batch_id.clone().unwrap_or_else(new_id);
        respond(&receipt, &batch_id)
    };
    receive(&state, &caller, &request, payload, Kind::Batch, respond).await
}

fn respond(receipt: &Receipt, batch_id: &str) -> Result<HttpResponse, ApiError> {
    let counts = receipt.counts();
    let total_count = receipt.outcomes.len();
    let successful_count = counts.accepted + counts.duplicate;
    let answer = BatchAnswer {
        batch_id,
        total_count,
        successful_count,
        duplicate_count: counts.duplicate,
        failed_count: total_count - successful_count,
        processing_status: match successful_count {
            0 => "failed",
            all if all == total_count => "completed",
            _ => "partial",
        },
        ingested_at: receipt.ingested_at,
        dry_run: receipt.dry_run,
        results: Results { outcomes: &receipt.outcomes, dry_run: receipt.dry_run },
    };
    let mut body = Vec::with_capacity(256 + 160 * total_count);
    serde_json::to_writer(&mut body, &answer).map_err(|_| ApiError::Internal)?;
    let status = status(&counts);
    let mut response = HttpResponse::build(status);
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        let throttled = receipt.outcomes.iter().filter_map(|item| retry_after(&item.outcome)).min();
        response.insert_header((header::RETRY_AFTER, throttled.unwrap_or(1)));
    }
    Ok(response.insert_header((header::CONTENT_TYPE, "application/json")).body(body))
}

/// One thing that is worth sending again decides over any number that is not.
fn status(counts: &Counts) -> StatusCode {
    match counts {
        Counts { accepted: 1.., .. } | Counts { duplicate: 1.., .. } => StatusCode::OK,
        Counts { failed: 1.., .. } => StatusCode::SERVICE_UNAVAILABLE,
        Counts { throttled: 1.., .. } => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Seconds; a failed one may go through at any moment.
fn retry_after(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Throttled { retry_after_seconds } => Some(*retry_after_seconds),
        Outcome::Failed(_) => Some(1),
        _ => None,
    }
}

/// Written one by one, so that a batch of a thousand needs no second list.
struct Results<'a> {
    outcomes: &'a [EventOutcome],
    dry_run: bool,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.outcomes.len()))?;
        let conflict = [FieldError::new("/event_id", Reason::EventIdConflict)];
        for (index, EventOutcome { event_id, outcome }) in self.outcomes.iter().enumerate() {
            let no_errors: &[FieldError] = &[];
            let (status, message, ingested_at, errors) = match outcome {
                Outcome::Accepted { ingested_at } => {
                    ("accepted", accepted_message(self.dry_run), Some(*ingested_at), no_errors)
                }
                Outcome::Duplicate { ingested_at } => {
                    ("duplicate", DUPLICATE_MESSAGE, Some(*ingested_at), no_errors)
                }
                Outcome::Conflict { ingested_at } => (
                    "rejected",
                    "Event ID belongs to a stored event with other content",
                    Some(*ingested_at),
                    &conflict[..],
                ),
                Outcome::Rejected(errors) => {
                    ("rejected", "Event breaks the rules named in errors", None, &errors[..])
                }
                Outcome::Throttled { .. } => ("throttled", "Rate limit exceeded", None, no_errors),
                Outcome::Failed(_) => (
                    "failed",
                    "Event was not answered for; send it again with the same event_id",
                    None,
                    no_errors,
                ),
            };
            sequence.serialize_element(&BatchItem {
                index,
                success: matches!(outcome, Outcome::Accepted { .. } | Outcome::Duplicate { .. }),
                event_id: event_id.as_ref(),
                status,
                message,
                ingested_at,
                errors,
                code: match outcome {
                    Outcome::Failed(failure) => Some(failure.code()),
                    _ => None,
                },
                retry_after: retry_after(outcome),
            })?;
        }
        sequence.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_batch_is_that_of_its_most_hopeful_event() {
        let counts = |accepted, duplicate, rejected, throttled, failed| {
            status(&Counts { accepted, duplicate, rejected, throttled, failed }).as_u16()
        };
        assert_eq!(counts(1, 0, 1, 1, 1), 200);
        assert_eq!(counts(0, 1, 1, 1, 1), 200);
        assert_eq!(counts(0, 0, 1, 1, 1), 503);
        assert_eq!(counts(0, 0, 1, 1, 0), 429);
        assert_eq!(counts(0, 0, 1, 0, 0), 422);
    }
}
