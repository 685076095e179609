//! What addresses and headers may say, for the OpenAPI document only.
#![expect(dead_code, reason = "these types describe parameters and are never made")]

use utoipa::IntoParams;

use super::words::{
    EncodingWord, EventTypeWord, FacetWord, FormatWord, IntervalWord, OrderWord, SeverityWord,
};

/// How a request to store events is treated.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DryRun {
    /// Validate and answer without storing or counting.
    #[param(default = false)]
    dry_run: Option<bool>,
}

/// What a request to store events says about itself.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IngestHeaders {
    /// Gives events without an `event_id` one that is the same when the request is sent again. Quoted or not.
    #[param(rename = "Idempotency-Key", max_length = 255)]
    idempotency_key: Option<String>,
    /// `gzip`, `zstd` or `identity`.
    #[param(rename = "Content-Encoding", inline, value_type = Option<EncodingWord>)]
    content_encoding: Option<String>,
}

/// Which event.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct EventIdPath {
    /// The event's id; may hold slashes, escaped or not. For an id that is the name of another route, such as
    /// `search`, or that clients take for a step in a path, such as `..`, ask `/events?event_id=`.
    event_id: String,
}

/// Which event, whatever its id is.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventIdQuery {
    /// The event's id.
    event_id: String,
}

/// Which events. All conditions have to hold.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    #[param(inline, value_type = Option<EventTypeWord>)]
    event_type: Option<String>,
    #[param(inline, value_type = Option<SeverityWord>)]
    severity: Option<String>,
    /// The whole service, or a pattern with `*`.
    service: Option<String>,
    /// The whole endpoint, or a pattern with `*`.
    endpoint: Option<String>,
    method: Option<String>,
    environment: Option<String>,
    /// A number, or a class such as `5xx`.
    #[param(pattern = "^[1-5]([0-9][0-9]|xx)$")]
    status_code: Option<String>,
    user_id: Option<String>,
    correlation_id: Option<String>,
    /// `key:value`; may be repeated.
    tags: Option<Vec<String>>,
    /// Words in title, message, error message and the first 64 KiB of the payload's text; `word*` for a beginning. On a
    /// server that does not index words, `q` and `tags` need a `start_time`.
    q: Option<String>,
    /// Not before.
    #[param(format = DateTime)]
    start_time: Option<String>,
    /// Not after.
    #[param(format = DateTime)]
    end_time: Option<String>,
}

/// Which part of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// `desc` for the newest first, or `asc`.
    /// Without it: `desc`.
    #[param(inline, value_type = Option<OrderWord>)]
    order: Option<String>,
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    /// How many to leave out; slow when large: prefer `cursor`.
    #[param(minimum = 0, maximum = 4_294_967_295_u64, value_type = Option<u64>)]
    offset: Option<u32>,
    /// `next_cursor` of the page before, with the same filter and order.
    cursor: Option<String>,
}

/// How events are counted over time.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Interval {
    /// `1m`, `5m`, `1h` or `1d`.
    /// Without it: `1h`.
    #[param(inline, value_type = Option<IntervalWord>)]
    interval: Option<String>,
}

/// Which values are counted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Facet {
    /// `event_type`, `severity`, `service`, `endpoint`, `method`, `environment`, `status_code` or `user_id`.
    #[param(inline, value_type = FacetWord)]
    field: String,
    #[param(minimum = 1, maximum = 1_000, default = 10)]
    limit: Option<u32>,
}

/// How events are exported.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Export {
    /// `ndjson` or `csv`.
    /// Without it: `ndjson`.
    #[param(inline, value_type = Option<FormatWord>)]
    format: Option<String>,
    /// At most so many; all when absent.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `desc` for the newest first, or `asc`.
    /// Without it: `desc`.
    #[param(inline, value_type = Option<OrderWord>)]
    order: Option<String>,
    /// How many to leave out at the start.
    #[param(minimum = 0, maximum = 4_294_967_295_u64, value_type = Option<u64>)]
    offset: Option<u32>,
    /// Where to begin: a `next_cursor` of a search with the same filter and order.
    cursor: Option<String>,
}
