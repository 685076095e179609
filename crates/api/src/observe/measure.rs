//! Counting and logging one request.

use std::{error::Error as StdError, net::IpAddr, time::Duration};

use actix_web::{
    Error, HttpMessage,
    body::BoxBody,
    dev::ServiceResponse,
    http::{Method, StatusCode},
};
use pulsestream_domain::tenant::TenantId;

use super::meters::{Labels, Meters, class};
use crate::{caller::CallerTenant, client_address::ClientAddress, endpoint::Template, error::ApiError};

/// One request and its answer, as far as metrics and logs are told. Never a URL, a header or a body: they
/// hold keys and other people's data.
pub(super) struct Exchange {
    method: &'static str,
    route: &'static str,
    client: IpAddr,
    tenant_id: Option<TenantId>,
    cause: Option<String>,
}

impl Exchange {
    pub(super) fn new(method: &Method, client: ClientAddress) -> Self {
        Self { method: name(method), route: "unmatched", client: client.0, tenant_id: None, cause: None }
    }

    /// Takes what routing and the handler left in the request.
    pub(super) fn saw(&mut self, response: &ServiceResponse<BoxBody>) {
        let request = response.request();
        if let Some(Template(route)) = request.app_data() {
            self.route = route;
        }
        self.tenant_id = request.extensions().get::<CallerTenant>().map(|caller| caller.0);
    }

    /// Takes the causes of an error that clients are told nothing about.
    pub(super) fn failed(&mut self, error: &Error) {
        if error.as_response_error().status_code().is_server_error()
            && let Some(error) = error.as_error::<ApiError>()
        {
            self.cause = Some(chain(error));
        }
    }

    pub(super) fn record(self, meters: &Meters, status: StatusCode, duration: Duration, request_id: &str) {
        let Self { method, route, client, tenant_id, cause } = self;
        meters.record(Labels { route, method, status_class: class(status) }, duration);

        let status = status.as_u16();
        let duration_ms = duration.as_secs_f64() * 1_000.0;
        let tenant_id = tenant_id.map(tracing::field::display);
        match cause {
            None => {
                tracing::info!(
                    method,
                    route,
                    status,
                    duration_ms,
                    request_id,
                    client.address = %client,
                    tenant.id = tenant_id,
                    "answered"
                );
            }
            Some(cause) => {
                tracing::warn!(
                    method,
                    route,
                    status,
                    duration_ms,
                    request_id,
                    client.address = %client,
                    tenant.id = tenant_id,
                    cause,
                    "failed"
                );
            }
        }
    }
}

/// Known methods only: a label must not be what anybody on the network likes it to be.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// An error with everything behind it, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::ports::StoreError;

    use super::*;

    #[test]
    fn a_log_line_has_the_whole_chain_of_causes() {
        let error = ApiError::from(StoreError::Busy("locked".into()));
        assert_eq!(chain(&error), "the store failed: the store is busy: locked");
    }
}
