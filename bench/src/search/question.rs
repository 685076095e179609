//! What is searched for, and how it has to compare with the latest 50 events.

use super::history::{History, RAREST_WORD, TENANTS, endpoint, request_of, service, tenant_of, user, word};
use crate::sample::Variation;

/// One kind of search.
pub(crate) struct Question {
    /// To name it in tables.
    pub(crate) name: &'static str,
    /// How many days of the past it is about, other ones each time; `None`: all of it.
    pub(crate) days: Option<i64>,
    /// The route below `/events/`, and what is asked for.
    ask: fn(&mut Chances) -> String,
    /// How many times as long as the yardstick it may take at the median.
    pub(crate) gate: Option<f64>,
}

/// What a question may choose by.
pub(crate) struct Chances {
    variation: Variation,
    /// The number of an event of the tenant that is asked.
    number: u64,
}

/// A request to make: whose, and where to.
pub(crate) struct Asked {
    pub(crate) tenant: usize,
    pub(crate) path: String,
}

/// The yardstick: the page that everybody looks at first.
pub(crate) const LATEST: Question =
    Question { name: "latest 50", days: None, ask: |_| search(""), gate: None };

/// All others.
pub(crate) const QUESTIONS: [Question; 28] = [
    day("day", |_| search(""), 3.0),
    day("event type, frequent", |_| search("&event_type=api_call"), 3.0),
    day("event type, rare", |_| search("&event_type=error_event"), 3.0),
    day("severity, frequent", |_| search("&severity=info"), 3.0),
    day("severity, rare", |_| search("&severity=critical"), 3.0),
    day("service, frequent", |_| search(&format!("&service={}", service(0))), 3.0),
    day("service, rare", |_| search(&format!("&service={}", service(39))), 3.0),
    day("service, beginning", |_| search(&format!("&service={}*", &service(3)[..4])), 3.0),
    day("endpoint, frequent", |_| search(&format!("&endpoint={}", endpoint(0, 0))), 3.0),
    day("endpoint, middle", |_| search(&format!("&endpoint=*{}*", &endpoint(7, 3)[3..9])), 3.0),
    day("method", |_| search("&method=DELETE"), 3.0),
    day("environment", |_| search("&environment=staging"), 3.0),
    day("status, frequent", |_| search("&status_code=200"), 3.0),
    day("status, class 5xx", |_| search("&status_code=5xx"), 3.0),
    day("user", |chances| search(&format!("&user_id={}", user(chances.variation.below(2_000)))), 3.0),
    day("correlation id", |chances| search(&format!("&correlation_id={}", request_of(chances.number))), 3.0),
    day("tag, frequent", |_| search("&tags=region:eu-central"), 3.0),
    day("tag, rare", |_| search("&tags=host:worker-7"), 3.0),
    day("text, frequent", |_| search(&format!("&q={}", word(0))), 3.0),
    day("text, rare", |_| search(&format!("&q={}", word(RAREST_WORD))), 3.0),
    day("service and severity", |_| search(&format!("&service={}&severity=error", service(1))), 3.0),
    all("text, rare, all time", |_| search(&format!("&q={}", word(RAREST_WORD))), Some(3.0)),
    all("text, frequent, all time", |_| search(&format!("&q={}", word(0))), None),
    all(
        "correlation id, all time",
        |chances| search(&format!("&correlation_id={}", request_of(chances.number))),
        None,
    ),
    Question {
        name: "histogram of a day by minute",
        days: Some(1),
        ask: |_| "histogram?interval=1m".to_owned(),
        gate: Some(8.0),
    },
    Question {
        name: "histogram of a week by hour",
        days: Some(7),
        ask: |_| "histogram?interval=1h".to_owned(),
        gate: None,
    },
    Question {
        name: "facets of a day by service",
        days: Some(1),
        ask: |_| "facets?field=service".to_owned(),
        gate: None,
    },
    Question {
        name: "facets of a week by severity",
        days: Some(7),
        ask: |_| "facets?field=severity".to_owned(),
        gate: None,
    },
];

/// Coprime to the number of tenants, so that all of them have their turn.
const STRIDE: u64 = 7;
/// Events on a page.
pub(crate) const PAGE: u32 = 50;

fn search(conditions: &str) -> String {
    format!("search?limit={PAGE}{conditions}")
}

const fn day(name: &'static str, ask: fn(&mut Chances) -> String, gate: f64) -> Question {
    Question { name, days: Some(1), ask, gate: Some(gate) }
}

const fn all(name: &'static str, ask: fn(&mut Chances) -> String, gate: Option<f64>) -> Question {
    Question { name, days: None, ask, gate }
}

impl Question {
    /// The question as it is asked for the `turn`th time: of tenant after tenant, about some day.
    pub(crate) fn asked(&self, turn: u64, history: &History) -> Asked {
        let mut variation = Variation::seeded_at(turn);
        // Not in the order of their sizes, so that a few turns meet large and small ones.
        let tenant = (turn * STRIDE % TENANTS as u64) as usize;
        let number = number_of(tenant, &mut variation, history.events());
        let mut chances = Chances { variation, number };
        let mut path = format!("{EVENTS}/{}", (self.ask)(&mut chances));
        if let Some(days) = self.days {
            // Around the event of that number, so that what is searched for is there.
            let (from, to) = history.days_around(number, days);
            path += &format!("&start_time={from}&end_time={to}");
        }
        Asked { tenant, path }
    }
}

/// Where all routes about events are.
pub(crate) const EVENTS: &str = "/api/v1/ingestion/events";

/// The number of some event of a tenant.
fn number_of(tenant: usize, variation: &mut Variation, events: u64) -> u64 {
    let first = variation.below(events);
    let numbers = (first..events).chain(0..first);
    let mut of_tenant = numbers.filter(|number| tenant_of(*number) == tenant);
    of_tenant.next().unwrap_or(first)
}
