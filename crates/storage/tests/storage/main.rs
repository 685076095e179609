//! What the store promises, held to on both databases.

mod support;

mod appending;
mod both_alike;
mod concurrency;
mod events;
mod figures;
mod keys;
mod opening;
mod outages;
mod schema;
mod searching;
mod tenants;
mod zz_tmp;
