//! What clients send, and what errors look like, for the OpenAPI document only: the rules themselves are the
//! domain's.
#![expect(dead_code, reason = "these types describe JSON and are never made")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::words::{EventTypeWord, OrderWord, SeverityWord};

/// An event to store. Unknown members are ignored.
#[derive(ToSchema)]
pub(crate) struct NewEvent {
    /// One of `api_call`, `user_action`, `system_event`, `error_event`, `custom_event`.
    #[schema(
        pattern = "^(api_call|user_action|system_event|error_event|custom_event)$",
        example = "api_call"
    )]
    event_type: String,
    /// Unique among the tenant's events; printable ASCII without spaces. Made by the server when absent.
    #[schema(min_length = 1, max_length = 255, example = "order-4711")]
    event_id: Option<String>,
    #[schema(min_length = 1, max_length = 200, example = "Order placed")]
    title: String,
    #[schema(max_length = 2_000)]
    message: Option<String>,
    /// One of `info`, `warning`, `error`, `critical`.
    /// Without it: `info`.
    #[schema(inline, value_type = Option<SeverityWord>)]
    severity: Option<String>,
    source: NewEventSource,
    context: Option<NewEventContext>,
    metrics: Option<NewEventMetrics>,
    error_details: Option<NewEventError>,
    /// Any JSON object up to 10 MiB.
    #[schema(value_type = Option<Object>)]
    payload: Option<()>,
    /// Any JSON object.
    #[schema(value_type = Option<Object>)]
    metadata: Option<()>,
    /// RFC 3339; UTC when it has no offset; now when absent. Not before 1970, not more than 5 minutes ahead.
    #[schema(format = DateTime)]
    timestamp: Option<String>,
}

/// Where an event comes from.
#[derive(ToSchema)]
pub(crate) struct NewEventSource {
    #[schema(min_length = 1, max_length = 100, example = "shop")]
    service: String,
    #[schema(min_length = 1, max_length = 500, example = "/orders")]
    endpoint: String,
    /// Any word.
    #[schema(min_length = 1, max_length = 10, example = "POST")]
    method: String,
    #[schema(max_length = 20)]
    version: Option<String>,
    #[schema(max_length = 50, example = "production")]
    environment: Option<String>,
}

/// Who and what was involved.
#[derive(ToSchema)]
pub(crate) struct NewEventContext {
    #[schema(max_length = 255)]
    user_id: Option<String>,
    session_id: Option<String>,
    /// Kept as the correlation id.
    request_id: Option<String>,
    ip_address: Option<String>,
    #[schema(max_length = 500)]
    user_agent: Option<String>,
    #[schema(format = "uri")]
    referrer: Option<String>,
    /// At most 50.
    tags: Option<BTreeMap<String, String>>,
}

/// What was measured. Further numeric members are kept.
#[derive(ToSchema)]
pub(crate) struct NewEventMetrics {
    #[schema(minimum = 0)]
    response_time_ms: f64,
    #[schema(minimum = 100, maximum = 599)]
    status_code: u16,
    #[schema(minimum = 0)]
    request_size_bytes: Option<u64>,
    #[schema(minimum = 0)]
    response_size_bytes: Option<u64>,
    cache_hit: Option<bool>,
}

/// What went wrong.
#[derive(ToSchema)]
pub(crate) struct NewEventError {
    #[schema(max_length = 100)]
    error_code: Option<String>,
    #[schema(max_length = 1_000)]
    error_message: Option<String>,
    #[schema(max_length = 100)]
    error_type: Option<String>,
    #[schema(max_length = 65_536)]
    stack_trace: Option<String>,
}

/// A batch of events. A bare array of events does as well.
#[derive(ToSchema)]
pub(crate) struct Batch {
    #[schema(min_items = 1, max_items = 1_000)]
    events: Vec<NewEvent>,
    /// Comes back in the answer.
    #[schema(max_length = 255)]
    batch_id: Option<String>,
    #[schema(max_length = 255)]
    source_application: Option<String>,
}

/// The parameters of a search as a JSON object; see `GET /api/v1/ingestion/events/search`.
#[derive(ToSchema)]
pub(crate) struct Search {
    #[schema(inline, value_type = Option<EventTypeWord>)]
    event_type: Option<String>,
    #[schema(inline, value_type = Option<SeverityWord>)]
    severity: Option<String>,
    service: Option<String>,
    endpoint: Option<String>,
    method: Option<String>,
    environment: Option<String>,
    /// A number as text, or a class such as `5xx`.
    status_code: Option<String>,
    user_id: Option<String>,
    correlation_id: Option<String>,
    /// Pairs of `key:value`.
    tags: Option<Vec<String>>,
    q: Option<String>,
    #[schema(format = DateTime)]
    start_time: Option<String>,
    #[schema(format = DateTime)]
    end_time: Option<String>,
    /// Without it: `desc`.
    #[schema(inline, value_type = Option<OrderWord>)]
    order: Option<String>,
    #[schema(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    #[schema(minimum = 0, maximum = 4_294_967_295_u64, value_type = Option<u64>)]
    offset: Option<u32>,
    cursor: Option<String>,
}

/// One error (RFC 9457).
#[derive(ToSchema)]
pub(crate) struct Problem {
    /// A URI, or `about:blank`.
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// Stable: what a program may depend on.
    #[schema(example = "invalid")]
    code: String,
    request_id: String,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// What is wrong with which field or parameter.
    errors: Option<Vec<FieldError>>,
    /// The event it is about, if its id is known.
    event_id: Option<String>,
    /// When the stored event of that id was taken in.
    #[schema(format = DateTime)]
    ingested_at: Option<String>,
    /// The limits that are used up: `minute`, `burst`.
    #[schema(rename = "violated-policies")]
    violated_policies: Option<Vec<String>>,
}

/// One thing wrong with one field.
#[derive(ToSchema)]
pub(crate) struct FieldError {
    /// JSON Pointer (RFC 6901) into the event or body, or `/` and the name of a parameter.
    #[schema(example = "/source/service")]
    pointer: String,
    /// Stable.
    #[schema(example = "required")]
    code: String,
    detail: String,
}
