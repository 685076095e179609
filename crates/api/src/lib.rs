//! The HTTP surface of PulseStream: routes, credentials, bodies, answers and their documentation.
//!
//! A request passes through these, in this order:
//!
//! | file | does |
//! |---|---|
//! | `observe` | names the request, lets it in or not, survives its panic, completes, counts and logs its answer |
//! | `endpoint` | which handler answers, and 405 for methods that none does |
//! | `connections` | how many connections an address may have |
//! | `client_address` | where a request comes from, behind proxies that are trusted |
//! | `caller` | whose request it is, from its API key or access token and nothing else |
//! | `body` | the body: capped, decompressed while it arrives, in bounded time |
//! | `routes` | what is asked for, one file per route |
//! | `error`, `problem` | from what went wrong to a status, a code and a body, in one place each |
//! | `headers` | where the tenant stands with its limit |
//! | `alerting` | what routes about alerting stand on |
//! | `openapi` | the description of all this, held to the routes by a test |
//!
//! What decides anything about events is elsewhere: `ingestion` takes them in, `storage` finds them, `domain` knows
//! the rules. To add a route: a file in `routes`, a line in its `endpoints`, a line in `openapi`.

mod alerting;
mod answer;
mod app;
mod body;
mod caller;
mod client_address;
mod connections;
mod endpoint;
mod error;
mod event_json;
mod fields;
mod headers;
mod in_flight;
mod observe;
mod observed;
mod openapi;
mod problem;
mod query;
mod routes;
mod settings;
mod state;

pub use alerting::{Alerting, Randomness};
pub use app::{app, operations_app};
pub use client_address::Networks;
pub use connections::on_connect;
pub use event_json::event_json;
pub use openapi::openapi_json;
pub use settings::{Registration, Settings};
pub use state::{AppState, Parts};
