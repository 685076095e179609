//! The metrics of answered requests.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use actix_web::http::StatusCode;
use metrics::{Counter, Histogram};

/// What requests are counted by. All of it comes from lists of ours, never from the network.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Labels {
    pub(super) route: &'static str,
    pub(super) method: &'static str,
    pub(super) status_class: &'static str,
}

/// The meters that one worker has used so far. To ask the registry for a meter means to build its key; at tens
/// of thousands of requests per second that shows.
#[derive(Clone, Default)]
pub(crate) struct Meters(Rc<RefCell<HashMap<Labels, (Counter, Histogram)>>>);

impl Meters {
    /// Counts one answered request.
    pub(super) fn record(&self, labels: Labels, duration: Duration) {
        let mut meters = self.0.borrow_mut();
        let (requests, durations) = meters.entry(labels).or_insert_with(|| register(labels));
        requests.increment(1);
        durations.record(duration.as_secs_f64());
    }
}

fn register(labels: Labels) -> (Counter, Histogram) {
    let Labels { route, method, status_class } = labels;
    let labels = [("route", route), ("method", method), ("status_class", status_class)];
    (
        metrics::counter!("http_requests_total", &labels),
        metrics::histogram!("http_request_duration_seconds", &labels),
    )
}

/// The label of a status.
pub(super) fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500.. => "5xx",
    }
}
