//! `GET /events/histogram`: events over time.

use actix_web::{HttpRequest, HttpResponse};
use pulsestream_domain::{
    Timestamp,
    api_key::Scope,
    search::{Bucket, Interval},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{answer, caller::Caller, error::ApiError, openapi, query, state::State};

/// Events per interval, oldest first. Intervals without events are left out.
#[derive(Serialize, ToSchema)]
pub(crate) struct Histogram {
    #[schema(example = "1h")]
    interval: &'static str,
    buckets: Vec<HistogramBucket>,
    /// Present, and `none`, when words or tags were looked for without an index of them: in every event of the time.
    #[schema(value_type = String, required = false, pattern = "^none$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    text_index: Option<&'static str>,
}

/// The events of one interval.
#[derive(Serialize, ToSchema)]
pub(crate) struct HistogramBucket {
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    count: u64,
    /// Those with a status code of 500 or more.
    errors: u64,
    /// Percentiles of the response time in milliseconds; null when no event has one.
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

/// Counts events over time.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/events/histogram",
    tag = "ingestion",
    params(openapi::parameters::Filter, openapi::parameters::Interval),
    responses(
        (status = 200, description = "events per interval", body = Histogram),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn histogram(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let mut parameters = query::parameters(&request);
    let interval = query::take_choice(&mut parameters, "interval", &Interval::ALL)?;
    let (name, interval) = interval.unwrap_or(("1h", Interval::Hour));
    let query = query::only_filter(parameters, caller.tenant_id(), &state.cursors)?;
    let text_index = query::text_index(&state.store, &query.filter)?;
    let buckets = state.store.histogram(caller.tenant_id(), &query.filter, interval).await?;
    let buckets = buckets.into_iter().map(bucket).collect();
    answer::json(&Histogram { interval: name, buckets, text_index })
}

fn bucket(bucket: Bucket) -> HistogramBucket {
    let Bucket { start, count, errors, durations } = bucket;
    HistogramBucket {
        start,
        count,
        errors,
        p50: durations.map(|percentiles| percentiles.p50),
        p95: durations.map(|percentiles| percentiles.p95),
        p99: durations.map(|percentiles| percentiles.p99),
    }
}
