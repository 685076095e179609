//! What the store promises, held to on both databases.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

mod alerting;
mod appending;
mod audit;
mod both_alike;
mod concurrency;
mod events;
mod figures;
mod identity;
mod jobs;
mod keys;
mod opening;
mod outages;
mod retention;
mod schema;
mod searching;
mod tenants;
mod text_index;
mod wall;
