//! The service itself: what it is, how it is, and how it is documented. No credential needed.

pub(crate) mod docs;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod openapi_json;
pub(crate) mod ready;
pub(crate) mod root;

use crate::endpoint::Endpoint;

/// Every route here.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let at = Endpoint::at;
    vec![
        at("/").get(root::root),
        at("/health").get(health::health),
        at("/livez").get(health::live),
        at("/readyz").get(ready::ready),
        at("/metrics").get(metrics::metrics),
        at("/openapi.json").get(openapi_json::openapi_json),
        at("/docs").get(docs::docs),
        at("/docs/{file}").with_pattern("/docs/{file:.*}").get(docs::file),
    ]
}

/// What is answered where only whoever runs the service gets to.
pub(crate) fn operations_endpoints() -> Vec<Endpoint> {
    let at = Endpoint::at;
    vec![
        at("/livez").get(health::live),
        at("/readyz").get(ready::ready_for_operations),
        at("/metrics").get(metrics::metrics_for_operations),
    ]
}
