//! What both ways of sending events have in common: from a request to a receipt.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_domain::api_key::Scope;
use pulsestream_ingestion::{Format, IdempotencyKey, Options, Receipt};

use crate::{
    body::{self, Body, BodyError},
    caller::Caller,
    error::ApiError,
    headers, query,
    state::State,
};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How many events a route takes at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Single,
    Batch,
}

/// Receives a request's events and answers it with `respond`, or with what went wrong. Whatever it is, the
/// tenant is told where it stands with its limit.
pub(super) async fn receive(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    payload: Payload,
    kind: Kind,
    respond: impl FnOnce(Receipt) -> Result<HttpResponse, ApiError>,
) -> HttpResponse {
    #[cfg(feature = "sabotage")]
    pulsestream_sabotage::step("authenticated");
    let (usage, answered) = match take_in(state, caller, request, payload, kind).await {
        Ok(receipt) => (receipt.usage, respond(receipt)),
        // The connection is ending: the answer still gets out if nothing is waited for.
        Err(error @ ApiError::Body(BodyError::Interrupted)) => return HttpResponse::from_error(error),
        Err(error) => (state.ingestion.usage(&caller.tenant).await, Err(error)),
    };
    let mut response = answered.unwrap_or_else(HttpResponse::from_error);
    headers::set_rate_limit(response.headers_mut(), &usage);
    #[cfg(feature = "sabotage")]
    pulsestream_sabotage::step("before_reply");
    response
}

async fn take_in(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    payload: Payload,
    kind: Kind,
) -> Result<Receipt, ApiError> {
    caller.require(Scope::EventsWrite)?;
    let options = Options {
        dry_run: query::only_flag(request, "dry_run")?,
        format: format(request, kind)?,
        idempotency_key: idempotency_key(request)?,
        restrictions: caller.restrictions(),
    };
    let Body { bytes, held } = state.bodies.read(request.headers(), payload).await?;
    #[cfg(feature = "sabotage")]
    pulsestream_sabotage::step("body_read");
    let receipt = state.ingestion.ingest(caller.tenant.clone(), bytes, options).await?;
    drop(held);
    Ok(receipt)
}

fn format(request: &HttpRequest, kind: Kind) -> Result<Format, BodyError> {
    match kind {
        Kind::Single => body::require_json(request.headers()).map(|()| Format::Single),
        Kind::Batch => body::batch_format(request.headers()),
    }
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| ApiError::BadIdempotencyKey)?;
            text.parse().map(Some).map_err(|_| ApiError::BadIdempotencyKey)
        }
        (Some(_), Some(_)) => Err(ApiError::BadIdempotencyKey),
    }
}
