//! What an event, a tenant, a key and a search *are*.
//!
//! Everything here is a value or a rule: it parses, compares and matches, and it does no IO, runs no task
//! and reads no clock. Time, randomness and storage come in as arguments or through the traits in
//! [`ports`], which are the few things that an embedder may replace.
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | what a client may send, the rules it is held to, and what is stored |
//! | [`search`] | one query language for search, export and live streams, with its cursor |
//! | [`tenant`] | whose events they are, and how many per minute |
//! | [`alerting`] | rules, alerts, silences, channels and deliveries, and what an evaluation may change |
//! | [`job`] | work to be done later, and the lease under which it is done |
//! | [`api_key`] | the format of a key, what is kept of it, what it may do |
//! | [`ports`] | where events and jobs become durable, what time it is |
//! | [`identity`] | people, their roles and sessions, and the book of what was done |
//!
//! What it deliberately lacks: SQL, HTTP, JSON of whole answers. Those live in `storage` and `api`.

pub mod alerting;
pub mod api_key;
pub mod event;
pub mod identity;
pub mod job;
pub mod ports;
pub mod search;
pub mod tenant;
mod timestamp;

pub use timestamp::{ParseTimestampError, Timestamp};
