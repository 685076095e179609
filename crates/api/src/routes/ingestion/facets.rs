//! `GET /events/facets`: the most frequent values of a field.

use actix_web::{HttpRequest, HttpResponse};
use pulsestream_domain::{
    api_key::Scope,
    event::{FieldError, Reason},
    search::FacetField,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{answer, caller::Caller, error::ApiError, openapi, query, state::State};

const DEFAULT_LIMIT: u64 = 10;
const MAX_LIMIT: u64 = 1_000;

/// The most frequent values of a field, the most frequent first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Facets {
    #[schema(example = "service")]
    field: &'static str,
    values: Vec<FacetValue>,
    /// Present, and `none`, when words or tags were looked for without an index of them: in every event of the time.
    #[schema(value_type = String, required = false, pattern = "^none$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    text_index: Option<&'static str>,
}

/// One value and how many events have it.
#[derive(Serialize, ToSchema)]
pub(crate) struct FacetValue {
    value: String,
    count: u64,
}

/// Lists the most frequent values of a field.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/events/facets",
    tag = "ingestion",
    params(openapi::parameters::Filter, openapi::parameters::Facet),
    responses(
        (status = 200, description = "the most frequent values", body = Facets),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn facets(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let mut parameters = query::parameters(&request);
    let field = query::take_choice(&mut parameters, "field", &FacetField::ALL)?;
    let (name, field) = field.ok_or_else(|| FieldError::new("/field", Reason::Required))?;
    let limit = query::take_number(&mut parameters, "limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let query = query::only_filter(parameters, caller.tenant_id(), &state.cursors)?;
    let text_index = query::text_index(&state.store, &query.filter)?;
    let found = state.store.facets(caller.tenant_id(), &query.filter, field, limit as u32).await?;
    let values = found.into_iter().map(|facet| FacetValue { value: facet.value, count: facet.count });
    answer::json(&Facets { field: name, values: values.collect(), text_index })
}
