//! `GET` and `POST /events/search`: a page of events.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_domain::{
    api_key::Scope,
    search::{Page, Parameters, Query, parse},
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer,
    body::{self, Body},
    caller::Caller,
    error::ApiError,
    event_json::EventJson,
    openapi, query,
    state::State,
};

/// How many bytes the body of a search may have: every parameter at its longest, with room to spare.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchAnswer<'a> {
    /// In the order asked for.
    events: Vec<EventJson<'a>>,
    /// How many events match in all; exact up to 10,000.
    total_count: u64,
    /// Present and true when there are more than `total_count`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    total_count_is_lower_bound: bool,
    /// How many events this page has.
    filtered_count: usize,
    has_more: bool,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
    #[schema(value_type = String, format = Uuid)]
    search_id: Uuid,
    execution_time_ms: f64,
    /// Present, and `none`, when words or tags were looked for without an index of them: in every event of the time.
    #[schema(value_type = String, required = false, pattern = "^none$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    text_index: Option<&'static str>,
}

/// Searches events.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/events/search",
    tag = "ingestion",
    params(openapi::parameters::Filter, openapi::parameters::Paging),
    responses(
        (status = 200, description = "a page of events", body = SearchAnswer),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn search(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    page(&state, &caller, query::parameters(&request)).await
}

/// Searches events, with the parameters as a JSON object.
#[utoipa::path(
    post,
    path = "/api/v1/ingestion/events/search",
    tag = "ingestion",
    request_body(content = openapi::schemas::Search, content_type = "application/json"),
    responses(
        (status = 200, description = "a page of events", body = SearchAnswer),
        openapi::responses::SearchBodyProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn search_by_body(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    body::require_json(request.headers())?;
    let limits = state.bodies.with_max_bytes(MAX_BODY_BYTES);
    let Body { bytes, held } = limits.read(request.headers(), payload).await?;
    let raw: &RawValue = serde_json::from_slice(&bytes).map_err(|_| ApiError::BadJson)?;
    let parameters = Parameters::from_json(raw)?;
    drop(held);
    page(&state, &caller, parameters).await
}

async fn page(state: &State, caller: &Caller, parameters: Parameters) -> Result<HttpResponse, ApiError> {
    let started = Instant::now();
    let query = parse(parameters, caller.tenant_id(), &state.cursors)?;
    let text_index = query::text_index(&state.store, &query.filter)?;
    let page = state.store.search(caller.tenant_id(), &query).await?;
    answer::json(&SearchAnswer {
        events: page.events.iter().map(EventJson::of).collect::<Result<_, _>>().map_err(answer::damaged)?,
        total_count: page.total_count,
        total_count_is_lower_bound: page.total_count_is_lower_bound,
        filtered_count: page.events.len(),
        has_more: page.next.is_some(),
        next_cursor: next_cursor(state, caller, &query, &page),
        search_id: state.ids.uuid_v7(state.clock.now()),
        execution_time_ms: started.elapsed().as_micros() as f64 / 1_000.0,
        text_index,
    })
}

fn next_cursor(state: &State, caller: &Caller, query: &Query, page: &Page) -> Option<String> {
    page.next.map(|position| state.cursors.seal(caller.tenant_id(), &query.fingerprint, position))
}
