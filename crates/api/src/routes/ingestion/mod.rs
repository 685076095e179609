//! `/api/v1/ingestion`: events in, and events out again.

pub(crate) mod event;
mod event_path;
pub(crate) mod export;
pub(crate) mod facets;
pub(crate) mod health;
pub(crate) mod histogram;
pub(crate) mod post_batch;
pub(crate) mod post_event;
pub(crate) mod rate_limit;
mod receive;
pub(crate) mod search;
pub(crate) mod stats;
pub(crate) mod vocabulary;

use actix_web::http::Method;

use crate::endpoint::Endpoint;

/// What is done with an event by its address, also where that ends like an action of another.
static ON_EVENTS: [Method; 3] = [Method::GET, Method::HEAD, Method::DELETE];

/// Every route here. Event ids are any printable text, so whatever has a name of its own comes first.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let at = Endpoint::at;
    vec![
        at("/api/v1/ingestion/events")
            .post(post_event::post_event)
            .get(event::get_event_by_query)
            .delete(event::delete_event_by_query),
        at("/api/v1/ingestion/events/batch").post(post_batch::post_batch),
        at("/api/v1/ingestion/events/search").get(search::search).post(search::search_by_body),
        at("/api/v1/ingestion/events/histogram").get(histogram::histogram),
        at("/api/v1/ingestion/events/facets").get(facets::facets),
        at("/api/v1/ingestion/events/export").get(export::export),
        at("/api/v1/ingestion/events/types").get(vocabulary::event_types),
        at("/api/v1/ingestion/events/severities").get(vocabulary::severities),
        at("/api/v1/ingestion/events/{event_id}/retry")
            .with_pattern("/api/v1/ingestion/events/{event_id:.+}/retry")
            .leaving(&ON_EVENTS)
            .post(event::retry_event),
        at("/api/v1/ingestion/events/{event_id}")
            .with_pattern("/api/v1/ingestion/events/{event_id:.+}")
            .get(event::get_event)
            .delete(event::delete_event),
        at("/api/v1/ingestion/stats").get(stats::stats),
        at("/api/v1/ingestion/health").get(health::health),
        at("/api/v1/ingestion/rate-limit").get(rate_limit::rate_limit),
    ]
}
