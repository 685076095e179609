//! The whole surface as one actix app, the same for the server and for tests.

use actix_web::{
    App, Error,
    body::BoxBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};

use crate::{
    AppState,
    endpoint::Endpoint,
    error::ApiError,
    observe::{Meters, Turn, Wakes, observe},
    routes,
};

/// Builds the app of one worker around the state that all workers share.
pub fn app(
    state: Data<AppState>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(state)
        .app_data(Meters::default())
        .app_data(Turn::default())
        .app_data(Wakes::default())
        .configure(|config| configure(config, endpoints()))
        .wrap(from_fn(observe))
}

/// Builds the app for whoever runs the service, to be served where nobody else gets to.
pub fn operations_app(
    state: Data<AppState>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let endpoints = routes::service::operations_endpoints;
    App::new()
        .app_data(state)
        .app_data(Meters::default())
        .app_data(Turn::default())
        .app_data(Wakes::default())
        .configure(|config| configure(config, endpoints()))
        .wrap(from_fn(observe))
}

fn configure(config: &mut ServiceConfig, endpoints: Vec<Endpoint>) {
    for endpoint in endpoints {
        endpoint.register(config);
    }
    config.default_service(web::to(|| async { Err::<String, _>(ApiError::NoSuchRoute) }));
}

/// Every address there is. Of two that match a path, the first one answers.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = routes::ingestion::endpoints();
    endpoints.extend(routes::auth::endpoints());
    endpoints.extend(routes::alerting::endpoints());
    endpoints.extend(routes::service::endpoints());
    endpoints
}
