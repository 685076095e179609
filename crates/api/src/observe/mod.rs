//! What happens around every request, whatever it is about.
//!
//! One layer for all of it, because the parts depend on each other: the problem body and the log line need the
//! request id, the metrics need the status of a panic, and each layer more is a boxed future per request.

mod cors;
mod measure;
mod meters;
mod request_id;
mod respond;
mod turn;
mod unread;
mod wakes;

use std::{panic::AssertUnwindSafe, time::Instant};

use actix_web::{
    Error, HttpMessage as _, HttpRequest,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use futures_util::FutureExt;
use tracing::Instrument;

use crate::{
    client_address::ClientAddress,
    connections::Connection,
    error::ApiError,
    in_flight::Entered,
    state::{AppState, State},
};
use cors::CrossOrigin;
use measure::Exchange;
pub(crate) use meters::Meters;
pub(crate) use turn::Turn;
use unread::Unread;
pub(crate) use wakes::Wakes;

pub(crate) use request_id::RequestId;

/// Longer addresses are not read.
const MAX_URI_BYTES: usize = 8 * 1024;

/// How the service is watched when it has too much to do: these always get in.
const PROBES: [&str; 5] = ["/livez", "/readyz", "/health", "/metrics", "/api/v1/ingestion/health"];

/// Names the request, lets it in or not, survives its panic, and completes, counts and logs its answer.
pub(crate) async fn observe(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let state = State::of(request.request());
    let id = RequestId::of(request.headers(), &state);
    request.extensions_mut().insert(id.clone());
    let meters = request.app_data::<Meters>().expect("every app is made with its meters").clone();
    let wakes = request.app_data::<Wakes>().expect("every app is made with its wakes").clone();
    let client = ClientAddress::of(request.request(), &state.settings.trusted_proxies);
    let mut exchange = Exchange::new(request.method(), client);
    let cross_origin = CrossOrigin::of(&request, &state.settings.allowed_origins);
    let is_secure = request.app_config().secure();
    let unread = Unread::hold(&mut request);

    let outcome = match admit(&request, &state, started) {
        Err(error) => {
            unread::take_in_arrived().await;
            Ok(request.error_response(error))
        }
        Ok(_entered) if let Some(answer) = cross_origin.preflight(&request) => {
            Ok(request.into_response(answer))
        }
        Ok(_entered) => {
            // At debug: the line of a request has its id anyway, and a span costs more than the line.
            let span = tracing::debug_span!("request", request_id = id.as_str());
            // What outlives the request is caches and counters, which are whole after every step.
            let answering = AssertUnwindSafe(next.call(request).instrument(span)).catch_unwind();
            wakes.forward(answering).await.unwrap_or_else(|_panic| {
                metrics::counter!("http_panics_total").increment(1);
                tracing::error!(request_id = id.as_str(), "a request panicked");
                // The request is gone with the panic: only an error can still become an answer.
                Err(respond::after_panic(&id, started, is_secure).into())
            })
        }
    };
    if let Some(unread) = unread {
        unread.let_go();
    }
    match outcome {
        Ok(mut response) => {
            exchange.saw(&response);
            if let Some(error) = response.response().error() {
                exchange.failed(error);
            }
            response = respond::complete(response, &id, started, is_secure);
            cross_origin.set_headers(response.headers_mut());
            exchange.record(&meters, response.status(), started.elapsed(), id.as_str());
            Ok(response)
        }
        Err(error) => {
            let status = error.as_response_error().status_code();
            exchange.record(&meters, status, started.elapsed(), id.as_str());
            Err(error)
        }
    }
}

/// Lets a request in, or says why not.
fn admit(request: &ServiceRequest, state: &AppState, now: Instant) -> Result<Option<Entered>, ApiError> {
    if uri_bytes(request.request()) > MAX_URI_BYTES {
        return Err(ApiError::UriTooLong);
    }
    if request.conn_data::<Connection>().is_some_and(Connection::is_refused) {
        return Err(ApiError::TooManyConnections);
    }
    if PROBES.contains(&request.path()) {
        return Ok(state.requests.enter());
    }
    let turn: &Turn = request.app_data().expect("every app is made with its turn");
    if !turn.has_time(now, state.settings.max_lag) {
        return Err(overloaded("lag"));
    }
    state.requests.enter().map(Some).ok_or_else(|| overloaded("in_flight"))
}

/// Refuses a request before anything of it was looked at.
fn overloaded(reason: &'static str) -> ApiError {
    metrics::counter!("http_requests_refused_total", "reason" => reason).increment(1);
    ApiError::Overloaded
}

fn uri_bytes(request: &HttpRequest) -> usize {
    request.uri().path_and_query().map_or(0, |whole| whole.as_str().len())
}
